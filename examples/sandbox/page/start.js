// The first run: how to point a program at this sandbox, and whether it has come.

import { ask, copyButton, el, plural } from "./dom.js";
import { listen, state } from "./live.js";

const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

const NAMES = ["TROPHY_API_KEY", "TROPHY_BASE_URL", "TROPHY_ADMIN_BASE_URL"];

/** What is copied has the key whole; what is shown has not. */
export async function variables() {
  const { reply } = await ask("/_sandbox/variables");
  return reply;
}

export const exports = (all) =>
  `export ${NAMES.map((name) => `${name}=${quoted(all[name] ?? "")}`).join(" ")}`;

export const masked = (key) => (key ? `${key.includes(".") ? key.split(".")[0] : ""}.***` : "no admin key is left");

export function start(root) {
  const list = el("dl", { class: "variables" });
  const arrived = el("p", { class: "arrived", role: "status" });
  root.append(
    el("h2", {}, "Point a program at this sandbox"),
    el("p", { class: "hint" }, "It takes the place of the service: the same two APIs, with state in memory. A program that uses libtrophy reads these three variables."),
    el("section", { class: "card" }, list, el("p", { class: "row" },
      copyButton("Copy all, for a shell", async () => exports(await variables())))),
    el("section", { class: "card" },
      el("h3", {}, "Send a first event"),
      el("p", {}, "From C, with the variables set:"),
      el("pre", {}, [
        "trophy_client *client = NULL;",
        "trophy_client_new(NULL, NULL, &client, NULL);",
        'trophy_metrics_event(client, "words-written", "{\\"id\\":\\"18\\"}", 750, NULL, NULL, NULL, NULL);',
      ].join("\n")),
      el("p", {}, "Or from a shell:"),
      el("pre", {}, `trophy event words-written --user '{"id":"18"}' --value 750`),
      el("p", {}, "Or here, under ", el("a", { href: "#/controls" }, "Controls"), "."),
      arrived),
  );
  variables().then((all) => {
    for (const name of NAMES) {
      const shown = name === "TROPHY_API_KEY" ? masked(all[name]) : all[name];
      list.append(el("dt", {}, name), el("dd", {}, el("code", {}, shown),
        copyButton("Copy", async () => (await variables())[name] ?? "")));
    }
  }, (why) => list.append(el("dd", { class: "bad" }, why.message)));
  const say = () => {
    const events = state.totals?.events ?? 0;
    arrived.classList.toggle("good", events > 0);
    arrived.replaceChildren(events > 0 ? `${plural(events, "event has", "events have")} arrived. ` : "Waiting for the first event …");
    if (events > 0) arrived.append(el("a", { href: "#/requests" }, "See the requests"));
  };
  let known = -1;
  const follow = () => {
    if (known === state.totals?.events) return;
    known = state.totals?.events;
    say();
  };
  say();
  return listen(follow);
}

// What one can do to the sandbox: send an event, order a fault, move the clock, rotate the key, reset.

import { ask, choice, copyButton, el, field, moment, number, plural } from "./dom.js";
import { knowFaults, listen, state } from "./live.js";
import { exports, masked, variables } from "./start.js";
import { renew } from "./users.js";

// What each fault does, and what it asks for beside the fields of every fault.
const FAULTS = {
  close_before: ["closes, not processed", []],
  close_after: ["processed, then closes", []],
  status_before: ["a status, not processed", ["status"]],
  status_after: ["processed, then a status", ["status"]],
  rate_limited: ["429", ["retryAfter"]],
  redirect: ["a redirect", ["location"]],
  delay: ["answers late", ["ms"]],
  hang: ["never answers, not processed", []],
  hang_after: ["processed, never answers", []],
  cut: ["cuts the reply", ["bytes"]],
  reset: ["processed, then RST", []],
  stale: ["closes after the reply, unannounced", []],
  slow: ["a byte at a time", ["ms"]],
  not_json: ["a page in place of JSON", []],
  oversized: ["a huge reply", ["bytes"]],
  poison: ["refuses a user's events", ["user", "status"]],
};
const DEFAULTS = { status: "503", ms: "1000", bytes: "20", location: "http://127.0.0.1/", retryAfter: "2", user: "18" };
const TEXTS = ["location", "retryAfter", "user"];
const DAY = 24 * 60 * 60 * 1000;

export function controls(root) {
  root.append(el("h2", {}, "Controls"));
  const cards = el("div", { class: "flow" });
  root.append(cards);
  const parts = [sendEvent(), faults(), clock(), keys(), reset()];
  cards.append(...parts.map((part) => part.node));
  const draw = () => parts.forEach((part) => part.draw?.());
  draw();
  return listen(draw);
}

/** Runs what a button asks for and says how it went. */
function doing(said, action) {
  return async (event) => {
    event?.preventDefault();
    const button = event?.submitter ?? event?.currentTarget;
    said.className = "said";
    said.textContent = "…";
    try {
      const text = await action(button);
      said.classList.add("good");
      said.textContent = text;
    } catch (why) {
      said.classList.add("bad");
      said.textContent = why.message;
    }
  };
}

const note = () => el("p", { class: "said", role: "status" });

function sendEvent() {
  const metric = choice([], { name: "metric", required: true });
  const input = (name, properties = {}) => el("input", { name, autocomplete: "off", ...properties });
  const said = note();
  const form = el("form", {},
    field("Metric", metric),
    el("div", { class: "two" },
      field("User", input("user", { value: "18", required: true })),
      field("Name", input("name", { placeholder: "as it is" })),
      field("Value", input("value", { type: "number", step: "any", value: "100", required: true })),
      field("Attributes", input("attributes", { placeholder: '{"genre":"poem"}' })),
      field("Idempotency key", input("key", { placeholder: "none" })),
      field("Tenant", input("tenant", { placeholder: "none" }))),
    el("button", { class: "main" }, "Send event"), said);
  form.addEventListener("submit", doing(said, async () => {
    const given = Object.fromEntries(new FormData(form));
    const user = { id: given.user };
    if (given.name) user.name = given.name;
    const event = { user, value: Number(given.value) };
    if (given.attributes) {
      try {
        event.attributes = JSON.parse(given.attributes);
      } catch {
        throw new Error('Attributes must be JSON, such as {"genre":"poem"}');
      }
    }
    const order = { metric: given.metric, event, idempotencyKey: given.key, tenant: given.tenant };
    const { status, reply } = await ask("/_sandbox/event", order);
    const unlocked = (reply.achievements ?? []).map((achievement) => achievement.name);
    return `${status}: ${reply.idempotentReplayed ? "replayed, the" : "the"} total is ${number(reply.total)}`
      + (unlocked.length ? `; unlocked ${unlocked.join(", ")}` : "");
  }));
  ask("/_sandbox/world").then(({ reply }) => metric.append(
    ...reply.metrics.map((known) => el("option", { value: known.key }, known.name))), () => {});
  return { node: card("Send an event", form) };
}

function card(title, ...children) {
  return el("section", { class: "card" }, el("h3", {}, title), ...children);
}

function faults() {
  const kind = choice(Object.entries(FAULTS).map(([name, [what]]) => [name, `${name}: ${what}`]), { name: "fault" });
  const operation = choice([["", "any operation"], ["metrics_event"]], { name: "operation" });
  const own = el("div", { class: "own" });
  const said = note();
  const list = el("ul", { class: "faults", "aria-label": "Faults that are ordered" });
  const count = el("input", { name: "count", type: "number", min: "1", placeholder: "for ever" });
  const chance = el("input", { name: "probability", type: "number", min: "0", max: "1", step: "any", placeholder: "always" });
  const skip = el("input", { name: "skip", type: "number", min: "0", placeholder: "none" });
  const fields = () => own.replaceChildren(...FAULTS[kind.value][1].map((name) =>
    field(name, el("input", { name, value: kind.value === "poison" && name === "status" ? "422" : DEFAULTS[name], required: true }))));
  kind.addEventListener("change", fields);
  fields();
  const form = el("form", {},
    field("Fault", kind), field("Operation", operation), own,
    el("div", { class: "three" }, field("Times", count), field("Chance", chance), field("Skip first", skip)),
    el("div", { class: "row" }, el("button", { class: "main" }, "Order fault"),
      el("button", { type: "button", onclick: doing(said, async () => {
        knowFaults((await ask("/_sandbox/faults", undefined, "DELETE")).reply);
        return "None is ordered now.";
      }) }, "Clear all")), said);
  form.addEventListener("submit", doing(said, async () => {
    const order = {};
    for (const [name, value] of new FormData(form)) {
      if (value === "") continue;
      order[name] = ["fault", "operation", ...TEXTS].includes(name) ? value : Number(value);
    }
    knowFaults((await ask("/_sandbox/faults", order)).reply);
    return "Ordered.";
  }));
  ask("/_sandbox/world").then(({ reply }) => operation.append(
    ...reply.operations.filter((id) => id !== "metrics_event").map((id) => el("option", { value: id }, id))), () => {});
  const draw = () => renew(list, state.faults.length
    ? state.faults.map((fault) => el("li", {},
      el("code", {}, fault.fault), fault.operation && el("small", {}, ` ${fault.operation}`),
      el("span", { class: "value" }, `struck ${plural(fault.fired, "time")}${fault.count ? ` of ${number(fault.count)}` : ""}`)))
    : [el("li", { class: "hint" }, "None is ordered.")]);
  return { node: card("Faults", form, list), draw };
}

function clock() {
  const now = el("p", { class: "big" });
  const said = note();
  const move = (ms) => doing(said, async () => {
    const { reply } = await ask("/_sandbox/clock");
    const to = new Date(Date.parse(reply.now) + ms).toISOString();
    return `It is ${moment((await ask("/_sandbox/clock", { now: to })).reply.now)}.`;
  });
  const button = (label, ms) => el("button", { type: "button", onclick: move(ms) }, label);
  const node = card("Clock", now,
    el("div", { class: "row" }, button("A day on", DAY), button("A week on", 7 * DAY), button("A day back", -DAY),
      el("button", { type: "button", onclick: doing(said, async () => {
        await ask("/_sandbox/clock", { now: null });
        return "It is the real time.";
      }) }, "Real time")),
    el("p", { class: "hint" }, "Streaks, leaderboards that start anew and anniversaries go by it."), said);
  return { node, draw: () => (now.textContent = state.now ? moment(state.now) : "") };
}

function keys() {
  const key = el("code");
  const said = note();
  const show = async () => (key.textContent = masked((await variables()).TROPHY_API_KEY));
  const rotate = doing(said, async () => {
    const { TROPHY_API_KEY: old } = await variables();
    const random = crypto.getRandomValues(new Uint8Array(16));
    const secret = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    await ask("/_sandbox/keys", { adminKeys: [`${old?.includes(".") ? old.split(".")[0] : "sandbox_admin"}.${secret}`] });
    await show();
    return "Rotated: the old admin keys get 401 from now on.";
  });
  show().catch(() => {});
  return {
    node: card("Admin key", el("p", {}, key),
      el("div", { class: "row" }, el("button", { type: "button", onclick: rotate }, "Rotate key"),
        copyButton("Copy the variables", async () => exports(await variables()))),
      el("p", { class: "hint" }, "A program with the old key shows what it does when a key is withdrawn. The secret is copied, never shown."), said),
  };
}

function reset() {
  const said = note();
  let sure = 0;
  const button = el("button", { type: "button", class: "danger" }, "Reset");
  button.addEventListener("click", async (event) => {
    if (!sure) {
      button.textContent = "Reset: click again";
      sure = setTimeout(() => {
        sure = 0;
        button.textContent = "Reset";
      }, 4000);
      return;
    }
    clearTimeout(sure);
    sure = 0;
    button.textContent = "Reset";
    await doing(said, async () => {
      await ask("/_sandbox/reset", {});
      return "All is as at the start.";
    })(event);
  });
  return {
    node: card("Reset", el("p", { class: "hint" }, "Back to the start world: its users, no faults, an empty list, the real time."),
      el("div", { class: "row" }, button), said),
  };
}

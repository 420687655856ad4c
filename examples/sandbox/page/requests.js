// What came in, newest first, with filters; a request and its reply on a click.

import { ask, choice, el, field, number, plain, plural, pretty, userLink } from "./dom.js";
import { follow, listen, state } from "./live.js";

const dialog = document.getElementById("details");
const filter = { user: "", metric: "", status: "", events: "" };
const STATUSES = [["", "any"], ["2xx"], ["4xx"], ["422"], ["429"], ["5xx"], ["none", "no reply"]];

export function requests(root) {
  const body = el("tbody");
  const empty = el("p", { class: "empty" }, "Nothing has come yet that fits.");
  const summary = el("p", { class: "hint" });
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const metric = choice([["", "any"]]);
  let paused = false;
  let nodes = new Map();

  const wanted = () => {
    const entries = Object.entries(filter).filter(([, value]) => value);
    nodes = new Map();
    body.replaceChildren();
    follow(Object.fromEntries(entries));
  };
  const on = (name) => (event) => {
    filter[name] = event.target.type === "checkbox" ? (event.target.checked ? "only" : "") : event.target.value.trim();
    wanted();
  };
  let typed = 0;
  const later = (event) => {
    clearTimeout(typed);
    typed = setTimeout(() => on("user")(event), 250);
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) update();
  });
  metric.addEventListener("change", on("metric"));
  const events = el("input", { type: "checkbox", onchange: on("events") });
  events.checked = filter.events === "only";
  root.append(
    el("h2", {}, "Requests"),
    el("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
      field("User", el("input", { type: "search", value: filter.user, oninput: later, placeholder: "id or name" })),
      field("Metric", metric),
      field("Status", choice(STATUSES, { onchange: on("status"), value: filter.status })),
      field("Events only", events, "check"),
      pause),
    summary,
    el("table", { class: "requests" },
      el("thead", {}, el("tr", {}, ["Time", "Status", "What", "User", "Value", "Key", "Outcome", "ms"]
        .map((name) => el("th", { scope: "col" }, name)))),
      body),
    empty,
  );
  root.querySelectorAll("select")[1].value = filter.status;
  ask("/_sandbox/world").then(({ reply }) => {
    metric.append(...reply.metrics.map((known) => el("option", { value: known.key }, known.key)));
    metric.value = filter.metric;
  }, () => {});

  function update() {
    const totals = state.totals;
    if (totals) {
      summary.textContent = `${plural(totals.events, "event")} counted, ${number(totals.replayed)} replayed. `
        + `The list keeps the latest ${number(200)} that fit.`;
    }
    if (paused) return;
    const rows = [...state.rows.values()].sort((a, b) => b.id - a.id);
    const focused = document.activeElement?.closest("tr")?.dataset.id;
    for (const [id, kept] of nodes) {
      if (state.rows.get(id) === kept.row) continue;
      kept.node.remove();
      nodes.delete(id);
    }
    let after = null;
    for (const row of rows) {
      let kept = nodes.get(row.id);
      if (!kept) {
        kept = { row, node: line(row) };
        nodes.set(row.id, kept);
        if (after) after.after(kept.node);
        else body.prepend(kept.node);
        if (focused === String(row.id)) kept.node.querySelector("button").focus({ preventScroll: true });
      }
      after = kept.node;
    }
    empty.hidden = rows.length > 0;
  }
  wanted();
  update();
  let asked = 0;
  const end = listen(() => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(update);
  });
  return () => {
    end();
    cancelAnimationFrame(asked);
    follow();
  };
}

function kind(row) {
  if (row.status === null) return "none";
  if (row.status === 429) return "slow";
  return row.status >= 400 ? "bad" : "good";
}

export function status(row) {
  const text = row.status ?? { waiting: "…", left: "left", answered: "closed" }[row.end];
  const words = { waiting: "Under way", left: "The client left without a reply", answered: "Closed without a reply" };
  return el("span", { class: `status ${kind(row)}`, title: row.status === null ? words[row.end] : null }, String(text));
}

export function outcome(row) {
  if (row.events === undefined) return [];
  const parts = [];
  if (row.counted) parts.push(el("span", { class: "tag good" }, row.events > 1 ? `${number(row.counted)} counted` : "counted"));
  if (row.replayed) parts.push(el("span", { class: "tag" }, row.events > 1 ? `${number(row.replayed)} replayed` : "replayed"));
  return parts;
}

function what(row) {
  if (row.operation === "admin_metrics_batch_events") {
    const metrics = [...new Set(row.about.map((event) => plain(event.metric)))];
    return [`batch of ${number(row.events)}`, el("small", {}, metrics.join(", "))];
  }
  if (row.events !== undefined) return [plain(row.about[0].metric)];
  return [row.operation === "unknown" ? `${row.method} ${row.path}` : row.operation];
}

function who(row) {
  const ids = [...new Map(row.about.filter((about) => about.user !== undefined && about.user !== null)
    .map((about) => [plain(about.user), about])).values()];
  if (!ids.length) return [];
  const [first] = ids;
  const link = userLink(row.tenant, plain(first.user), plain(first.user));
  const name = first.name ? [" ", el("small", {}, plain(first.name))] : [];
  const more = ids.length > 1 ? [` and ${number(ids.length - 1)}${row.events > row.about.length ? "+" : ""} more`] : [];
  return [link, ...name, ...more];
}

function line(row) {
  const single = row.operation === "metrics_event" ? row.about[0] : {};
  const cell = (name, ...children) => el("td", { class: name }, ...children);
  const open = () => details(row.id);
  const clicked = (event) => {
    if (!event.target.closest("a, button") && !String(getSelection())) open();
  };
  return el("tr", { "data-id": row.id, class: kind(row), onclick: clicked },
    cell("time", el("button", { type: "button", class: "open", onclick: open, "aria-label": `Request ${row.id}, ${row.at.slice(11, 23)}` },
      row.at.slice(11, 23))),
    cell("state", status(row)),
    cell("what", ...what(row), row.fault && el("span", { class: "tag fault" }, row.fault),
      row.error && el("span", { class: "error" }, plain(row.error))),
    cell("who", ...who(row), row.tenant && el("small", {}, ` at ${row.tenant}`)),
    cell("value", typeof single.value === "number" ? number(single.value) : plain(single.value)),
    cell("key", el("code", {}, plain(single.key))),
    cell("outcome", ...outcome(row)),
    cell("ms", row.ms === undefined ? "" : number(row.ms)));
}

/** A request and its reply, in full. */
export async function details(id) {
  const close = el("button", { type: "button", class: "close", onclick: () => dialog.close(), "aria-label": "Close" }, "×");
  let row;
  try {
    row = (await ask(`/_sandbox/request?id=${id}`)).reply;
  } catch (why) {
    dialog.replaceChildren(close, el("p", { class: "bad" }, why.message));
    if (!dialog.open) dialog.showModal();
    return;
  }
  const { request, reply } = row;
  const headers = (list) => el("dl", { class: "headers" }, list.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  const target = request.query ? `${request.path}?${request.query}` : request.path;
  const parts = [
    close,
    el("h2", {}, `Request ${row.id}`),
    el("p", { class: "row" }, status(row), el("span", {}, row.operation), ...outcome(row),
      row.fault && el("span", { class: "tag fault" }, `struck by ${row.fault}`)),
    row.error && el("p", { class: "error" }, plain(row.error)),
    el("p", { class: "target" }, el("code", {}, `${request.method} ${target}`)),
    batch(row),
    el("h3", {}, "Request"),
    el("pre", {}, pretty(request.body) || "no body"),
    el("details", {}, el("summary", {}, plural(request.headers.length, "header")), headers(request.headers)),
    el("h3", {}, "Reply"),
    reply
      ? el("div", {}, el("p", { class: "hint" }, row.status === null
        ? "This was made, but did not go out:" : `${row.status} after ${number(row.ms)} ms`),
      el("pre", {}, pretty(reply.body) || "no body"), reply.cut && el("p", { class: "hint" }, "The rest is not kept."))
      : el("p", { class: "hint" }, row.end === "left" ? "The client left before there was one." : "There is none yet."),
  ];
  dialog.replaceChildren(...parts.filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function batch(row) {
  if (row.operation !== "admin_metrics_batch_events" || !row.about.length) return null;
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ["User", "Metric", "Value", "Key"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, row.about.map((event) => el("tr", {},
      el("td", {}, plain(event.user)), el("td", {}, plain(event.metric)),
      el("td", { class: "value" }, plain(event.value)), el("td", {}, el("code", {}, plain(event.key))))))),
  row.events > row.about.length && el("p", { class: "hint" }, `and ${number(row.events - row.about.length)} more, in the body below`));
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

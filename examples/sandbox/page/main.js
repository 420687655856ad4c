// The frame: which view is shown, and what stands above all of them.

import { el, moment } from "./dom.js";
import { follow, listen, state } from "./live.js";
import { controls } from "./controls.js";
import { pace } from "./pace.js";
import { requests } from "./requests.js";
import { start } from "./start.js";
import { user, users } from "./users.js";
import { world } from "./world.js";

const VIEWS = [
  ["start", "Start", start],
  ["requests", "Requests", requests],
  ["users", "Users", users],
  ["world", "World", world],
  ["pace", "Pace", pace],
  ["controls", "Controls", controls],
];

const view = document.getElementById("view");
const links = new Map();
for (const [name, label] of VIEWS) links.set(name, el("a", { href: `#/${name}` }, label));
document.getElementById("nav").append(...links.values());

// A view is a function of its root and of the rest of its path; it returns what ends it.
let end = () => {};

function show() {
  const [, name, ...rest] = location.hash.split("/");
  if (!name) return;
  const words = rest.map(decodeURIComponent);
  const found = name === "user" ? [, , user] : VIEWS.find(([known]) => known === name) ?? VIEWS[0];
  end();
  view.replaceChildren();
  end = found[2](view, ...words) ?? (() => {});
  const current = name === "user" ? "users" : found[0];
  for (const [known, link] of links) {
    if (known === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${links.get(current).textContent} · Trophy sandbox`;
  window.scrollTo(0, 0);
}

window.addEventListener("hashchange", () => {
  show();
  // Whom a link took here reads on in the view, not in the link.
  if (!document.activeElement?.closest("#nav")) view.focus({ preventScroll: true });
});

const connection = document.getElementById("connection");
const clock = document.getElementById("clock");
let known = "";
listen(() => {
  const now = state.connected ? "live" : "not connected";
  if (known !== now) {
    known = now;
    connection.textContent = now;
    connection.className = state.connected ? "on" : "off";
  }
  if (!state.now) return;
  clock.dateTime = state.now;
  clock.textContent = moment(state.now);
  clock.classList.toggle("moved", state.clockMoved);
  clock.title = state.clockMoved ? "The clock was moved" : "The real time";
  // Where nothing has come yet, the first run is shown.
  if (!location.hash) location.replace(state.rows.size || state.totals?.events ? "#/requests" : "#/start");
});

// In the skip link, #view is no view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});

follow();
show();

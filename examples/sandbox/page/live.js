// What the sandbox tells: one stream of server-sent events, kept as the page's state.

const KEPT = 200;
const SECONDS = 120;

export const state = {
  connected: false,
  revision: 0,
  rows: new Map(),
  seconds: [],
  second: 0,
  totals: null,
  lanes: [],
  faults: [],
  now: null,
  clockMoved: false,
};

const listeners = new Set();
let source = null;
let filter = {};

/** Calls back after each message; returns how to end that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener(state);
}

/** Follows the requests that fit a filter, from the latest kept ones on. */
export function follow(wanted = {}) {
  const same = JSON.stringify(wanted) === JSON.stringify(filter);
  if (source && same) return;
  filter = wanted;
  source?.close();
  state.rows.clear();
  source = new EventSource(`/_sandbox/live?${new URLSearchParams(wanted)}`);
  source.onopen = () => {
    state.connected = true;
    tell();
  };
  source.onerror = () => {
    state.connected = false;
    tell();
  };
  source.onmessage = (message) => take(JSON.parse(message.data));
}

function take(news) {
  if (news.fresh) {
    state.rows.clear();
    state.seconds = [];
  }
  // Oldest first: a Map keeps the order in which its keys came.
  for (const row of news.rows.reverse()) state.rows.set(row.id, row);
  if (state.rows.size > KEPT) {
    const ids = [...state.rows.keys()].sort((a, b) => a - b);
    for (const id of ids.slice(0, ids.length - KEPT)) state.rows.delete(id);
  }
  const { second, seconds } = news.pulse;
  // The last one known was not over: it comes again.
  const known = Math.max(0, second - seconds.length + 1 - (state.second - state.seconds.length + 1));
  state.seconds = (news.fresh ? [] : state.seconds.slice(0, known)).concat(seconds).slice(-SECONDS);
  state.second = second;
  for (const name of ["revision", "totals", "lanes", "faults", "now", "clockMoved"]) state[name] = news[name];
  tell();
}

/** A faults list that an order has just answered, ahead of the next message. */
export function knowFaults(faults) {
  state.faults = faults;
  tell();
}

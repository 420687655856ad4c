// Requests a second against the two limits, what was refused, and what is in flight.

import { ask, el, number, plain, plural, svg, userLink } from "./dom.js";
import { listen, state } from "./live.js";

const SECONDS = 120;
const [WIDTH, HEIGHT] = [600, 110];
// What the service itself allows, where the sandbox allows more.
const SERVICE = { tierOne: 5, tierTwo: 50 };

export function pace(root) {
  const figures = el("dl", { class: "tiles" });
  const lanes = el("ul", { class: "places" });
  const one = chart("tierOne", "refusedOne", "Events, completions and the Admin API");
  const two = chart("tierTwo", "refusedTwo", "The rest of the application API");
  root.append(
    el("h2", {}, "Pace"), figures, el("div", { class: "cards plots" }, one.node, two.node),
    el("section", { class: "card" }, el("h3", {}, "In flight"),
      el("p", { class: "hint" }, "Events of one user and metric are a lane: the library has one of them under way at a time."), lanes));
  let limits = { tierOne: null, tierTwo: null };
  let drawn = "";
  const draw = () => {
    const { totals } = state;
    if (!totals) return;
    const mark = `${state.second} ${state.revision}`;
    if (mark === drawn) return;
    drawn = mark;
    figures.replaceChildren(...[
      ["Events counted", totals.events], ["Replayed", totals.replayed],
      ["Answered 429", totals.statuses["429"] ?? 0],
      ["Most in flight in a lane", totals.maxInFlightPerLane], ["Connections", totals.connections],
    ].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value)))));
    one.draw(state.seconds, limits.tierOne);
    two.draw(state.seconds, limits.tierTwo);
    lanes.replaceChildren(...(state.lanes.length
      ? state.lanes.map((lane) => el("li", {}, userLink(lane.tenant, lane.user, lane.user), ` ${plain(lane.metric)}`,
        el("span", { class: "value" }, number(lane.inFlight))))
      : [el("li", { class: "hint" }, "Nothing at this moment.")]));
  };
  ask("/_sandbox/world").then(({ reply }) => {
    limits = reply.limits;
    drawn = "";
    draw();
  }, () => {});
  draw();
  return listen(draw);
}

function chart(passed, refused, title) {
  const caption = el("p", { class: "hint" });
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "plot", role: "img" });
  const node = el("section", { class: "card" }, el("h3", {}, title), caption, plot,
    el("p", { class: "legend" }, el("span", {}, el("i", { class: "passed" }), "answered"),
      el("span", {}, el("i", { class: "refused" }), "429"), el("span", {}, el("i", { class: "limit" }), "limit")));
  const draw = (seconds, enforced) => {
    const limit = enforced ?? SERVICE[passed];
    const most = Math.max(limit * 1.2, ...seconds.map((second) => second[passed]));
    const height = (value) => (value / most) * (HEIGHT - 4);
    const step = WIDTH / SECONDS;
    const bars = seconds.flatMap((second, at) => {
      const x = WIDTH - (seconds.length - at) * step;
      const all = height(second[passed]);
      const bad = height(second[refused]);
      return [
        all > bad && svg("rect", { x, y: HEIGHT - all + bad, width: step - 1, height: all - bad, class: "passed" }),
        bad > 0 && svg("rect", { x, y: HEIGHT - all, width: step - 1, height: bad, class: "refused" }),
      ];
    });
    const y = HEIGHT - height(limit);
    plot.replaceChildren(...bars.filter(Boolean), svg("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: enforced ? "limit" : "limit off" }));
    const last = seconds.at(-2) ?? seconds.at(-1) ?? { [passed]: 0, [refused]: 0 };
    const highest = Math.max(0, ...seconds.map((second) => second[passed]));
    const limits = enforced ? `the limit is ${number(enforced)} a second` : `no limit here (the service's is ${number(limit)} a second; start with --limits)`;
    caption.textContent = `${plural(last[passed], "request")} in the last second, ${number(last[refused])} refused; at most ${number(highest)} in two minutes; ${limits}`;
    plot.setAttribute("aria-label", caption.textContent);
  };
  return { node, draw };
}

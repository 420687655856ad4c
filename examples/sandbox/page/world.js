// The leaderboards and points systems of the world.

import { ask, choice, el, field, number, plain, plural, userLink } from "./dom.js";
import { refreshing, renew } from "./users.js";

let tenant = "";

export function world(root) {
  const holder = el("div");
  const picker = el("div", { class: "filters" });
  root.append(el("h2", {}, "World"), picker, holder);
  let tenants = "";
  const load = async () => {
    try {
      const { reply } = await ask(`/_sandbox/world?${new URLSearchParams({ tenant })}`);
      if (tenants !== reply.tenants.join("\n")) {
        tenants = reply.tenants.join("\n");
        const names = reply.multiTenancy || reply.tenants.includes("") ? reply.tenants : ["", ...reply.tenants];
        const select = choice(names.map((name) => [name, name || "no tenant"]), {
          onchange: () => {
            tenant = select.value;
            load();
          },
        });
        select.value = tenant;
        picker.replaceChildren(...(names.length > 1 || names[0] ? [field("Tenant", select)] : []));
        // In a world of tenants, nobody is in none.
        if (reply.multiTenancy && !tenant && names.length) {
          tenant = names.find(Boolean) ?? "";
          select.value = tenant;
          return load();
        }
      }
      renew(holder, shown(reply));
    } catch (why) {
      renew(holder, [el("p", { class: "empty" }, why.message)]);
    }
  };
  return refreshing(load).end;
}

function shown({ leaderboards, pointsSystems }) {
  return [
    el("h3", {}, "Leaderboards"),
    leaderboards.length ? el("div", { class: "cards" }, leaderboards.filter(Boolean).map(board))
      : el("p", { class: "empty" }, "None has a ranking."),
    el("h3", {}, "Points systems"),
    pointsSystems.length ? el("div", { class: "cards" }, pointsSystems.filter(Boolean).map(system))
      : el("p", { class: "empty" }, "There are none."),
  ];
}

function board(board) {
  const by = board.metricName ?? board.pointsSystemName ?? board.rankBy;
  const run = board.runUnit ? `, anew every ${board.runInterval > 1 ? `${board.runInterval} ${board.runUnit}s` : board.runUnit}` : "";
  return el("section", { class: "card" },
    el("h4", {}, board.name, " ", el("small", {}, board.key)),
    el("p", { class: "hint" }, `by ${by}${run}${board.group ? ` · ${board.group}` : ""}`),
    board.rankings?.length
      ? el("ol", { class: "ranking" }, board.rankings.map((place) => el("li", {},
        el("span", { class: "rank" }, number(place.rank)),
        el("span", {}, userLink(tenant, place.userId, place.userName ?? place.userId)),
        el("span", { class: "value" }, number(place.value)))))
      : el("p", { class: "empty" }, "Nobody yet."));
}

function why(trigger) {
  if (trigger.type === "metric") return `for every ${number(trigger.metricThreshold)} of ${trigger.metricName ?? "a metric"}`;
  if (trigger.type === "streak") return `every ${plural(trigger.streakLength ?? trigger.streakLengthThreshold ?? 1, "period")} running`;
  if (trigger.type === "achievement") return `for ${trigger.achievementName ?? "an achievement"}`;
  if (trigger.type === "time") return `every ${plain(trigger.timeInterval)} ${plain(trigger.timeUnit)}`;
  return String(trigger.type).replaceAll("_", " ");
}

function system(system) {
  const levels = Array.isArray(system.levels) ? system.levels : [];
  const most = Math.max(1, ...levels.map((level) => level.users));
  return el("section", { class: "card" },
    el("h4", {}, system.name, " ", el("small", {}, system.key)),
    system.description && el("p", { class: "hint" }, system.description),
    el("ul", { class: "awards" }, (system.triggers ?? []).map((trigger) => el("li", { class: trigger.status },
      el("strong", {}, `${trigger.points >= 0 ? "+" : ""}${number(trigger.points)}`), ` ${why(trigger)}`))),
    levels.length > 0 && el("ul", { class: "levels" }, levels.map(({ level, users }) => el("li", {},
      el("span", {}, level.name), el("small", {}, ` from ${number(level.points)}`),
      el("progress", { max: most, value: users, "aria-label": `Users at ${level.name}` }),
      el("span", { class: "value" }, plural(users, "user"))))));
}

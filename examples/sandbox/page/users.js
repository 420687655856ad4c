// The users, with search, and one of them: all there is.

import { ask, bar, el, field, moment, number, plain, plural, userLink } from "./dom.js";
import { listen, state } from "./live.js";

/** Asks anew when something has come, at most twice a second. */
export function refreshing(load) {
  let known = "";
  let busy = false;
  let ended = false;
  let due = 0;
  let last = performance.now();
  const mark = () => `${state.revision} ${state.clockMoved} ${state.now?.slice(0, 10)}`;
  const run = async () => {
    if (busy || ended) return;
    busy = true;
    known = mark();
    await load();
    busy = false;
    due = setTimeout(() => known !== mark() && run(), 500);
  };
  const end = listen(() => {
    if (known !== mark() && !busy && performance.now() > last + 500) {
      last = performance.now();
      run();
    }
  });
  run();
  return {
    again: run,
    end: () => {
      ended = true;
      clearTimeout(due);
      end();
    },
  };
}

/** Puts new content in place of old where it is another, so that what has the focus keeps it. */
export function renew(holder, content) {
  const fresh = holder.cloneNode(false);
  fresh.append(...content.flat().filter(Boolean));
  if (holder.isEqualNode(fresh)) return;
  const focused = holder.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  holder.replaceChildren(...fresh.childNodes);
  if (focused) holder.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

let search = "";

export function users(root) {
  const body = el("tbody");
  const summary = el("p", { class: "hint", role: "status" });
  const load = async () => {
    try {
      const { reply } = await ask(`/_sandbox/users?${new URLSearchParams({ q: search })}`);
      summary.textContent = reply.all === 0 ? "There are no users yet: the first event makes the first."
        : `${number(reply.found)} of ${plural(reply.all, "user")}${reply.found > reply.users.length ? `, the ${reply.users.length} that changed last` : ""}`;
      renew(body, reply.users.map((user) => el("tr", {},
        el("td", { class: "who" }, userLink(user.tenant, user.id, user.id), user.tenant && el("small", {}, ` at ${user.tenant}`)),
        el("td", {}, plain(user.name), user.email && el("small", {}, ` ${user.email}`)),
        el("td", { class: "totals" }, user.totals.map((metric) => el("span", { class: "tag" }, `${metric.name} ${number(metric.total)}`))),
        el("td", { class: "value" }, number(user.achievements),
          el("small", { class: "unit" }, user.achievements === 1 ? " achievement" : " achievements")),
        el("td", { class: "value" }, number(user.streak), el("small", { class: "unit" }, " running")))));
    } catch (why) {
      summary.textContent = why.message;
    }
  };
  const input = el("input", { type: "search", value: search, placeholder: "id, name or email" });
  root.append(
    el("h2", {}, "Users"),
    el("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, field("Search", input)),
    summary,
    el("table", { class: "users" },
      el("thead", {}, el("tr", {}, ["User", "Name", "Totals", "Achievements", "Streak"].map((name) => el("th", { scope: "col" }, name)))),
      body),
  );
  const fresh = refreshing(load);
  input.addEventListener("input", () => {
    search = input.value.trim();
    load();
  });
  return fresh.end;
}

export function user(root, id = "", tenant = "") {
  const holder = el("div");
  root.append(el("p", {}, el("a", { href: "#/users" }, "‹ All users")), holder);
  const load = async () => {
    try {
      const { reply } = await ask(`/_sandbox/user?${new URLSearchParams({ id, tenant })}`);
      renew(holder, whole(reply));
    } catch (why) {
      renew(holder, [el("h2", {}, id), el("p", { class: "empty" }, why.message)]);
    }
  };
  return refreshing(load).end;
}

function whole({ user, tenant, metrics, streak, achievements, points, leaderboards, preferences }) {
  const facts = [
    ["Name", user.name], ["Email", user.email], ["Time zone", user.tz], ["Tenant", tenant],
    ["Signed up", user.signUpDate], ["Control group", user.control ? "yes" : ""],
    ...Object.entries(user.attributes ?? {}),
    ["First seen", moment(user.created)],
  ].filter(([, value]) => value);
  const card = (title, ...children) => el("section", { class: "card" }, el("h3", {}, title), ...children);
  const none = (text) => el("p", { class: "hint" }, text);
  const present = leaderboards.filter((board) => board && board.rank);
  return [
    el("h2", {}, user.name ? `${user.name} ` : "", el("small", {}, user.id)),
    el("dl", { class: "facts" }, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, plain(value))])),
    el("div", { class: "flow" },
      card("Totals", el("dl", { class: "figures" }, (metrics ?? []).flatMap((metric) =>
        [el("dt", {}, metric.name), el("dd", {}, number(metric.current))]))),
      card("Streak", ...calendar(streak)),
      card("Achievements", el("ul", { class: "achievements" }, sorted(achievements ?? []).map((achievement) =>
        badge(achievement, metrics ?? [], streak, achievements)))),
      card("Points", ...(points.length ? points.flatMap(purse) : [none("This world has no points.")])),
      card("Leaderboards", present.length
        ? el("ul", { class: "places" }, present.map((board) => el("li", {}, el("strong", {}, `#${board.rank}`), " ", board.name,
          el("span", { class: "value" }, number(board.value)))))
        : none("No place on any yet.")),
      card("Preferences", ...settings(preferences)),
    ),
  ];
}

const sorted = (achievements) => {
  const order = (a) => (a.achievedAt ? 0 : a.locked ? 2 : 1);
  return [...achievements].sort((a, b) => order(a) - order(b));
};

/** How far an achievement is; null where only yes or no can be said. */
function progress(achievement, metrics, streak, all) {
  if (achievement.trigger === "metric") {
    return [metrics.find((metric) => metric.id === achievement.metricId)?.current ?? 0, achievement.metricValue];
  }
  if (achievement.trigger === "streak") return [streak?.length ?? 0, achievement.streakLength];
  if (achievement.trigger === "achievement") {
    const ids = achievement.achievementIds ?? [];
    return [all.filter((other) => ids.includes(other.id) && other.achievedAt).length, ids.length];
  }
  return null;
}

function badge(achievement, metrics, streak, all) {
  const title = [el("strong", {}, achievement.name), achievement.description && el("small", {}, achievement.description)];
  if (achievement.achievedAt) {
    return el("li", { class: "done" }, ...title, el("span", { class: "when" }, moment(achievement.achievedAt)));
  }
  if (achievement.locked) return el("li", { class: "locked" }, ...title, el("span", { class: "when" }, "locked"));
  const far = progress(achievement, metrics, streak, all);
  if (!far) return el("li", { class: "open" }, ...title, el("span", { class: "when" }, "not yet"));
  return el("li", { class: "open" }, ...title, el("span", { class: "when" }, `${number(Math.min(far[0], far[1]))} of ${number(far[1])}`),
    bar(far[0], far[1], achievement.name));
}

function calendar(streak) {
  if (!streak) return [el("p", { class: "hint" }, "None.")];
  const past = streak.streakHistory ?? [];
  const unit = { daily: "day", weekly: "week", monthly: "month", yearly: "year" }[streak.frequency] ?? "period";
  // Weeks are columns that start on a Monday, if periods are days.
  const daily = streak.frequency === "daily";
  const blank = daily && past.length ? (new Date(`${past[0].periodStart}T00:00:00Z`).getUTCDay() + 6) % 7 : 0;
  let before = 0;
  const cells = past.map((period) => {
    const kept = period.length > 0;
    const how = period.usedFreeze ? "freeze" : period.usedPause ? "pause" : kept && (period.length > before || before === 0) ? "kept" : kept ? "alive" : "none";
    before = period.length;
    const words = { freeze: "kept by a freeze", pause: "paused", kept: `kept, ${plural(period.length, unit)}`, alive: "still open", none: "nothing" }[how];
    return el("li", { class: how, title: `${period.periodStart}: ${words}` });
  });
  return [
    el("p", {}, el("strong", { class: "big", id: "streak-length" }, number(streak.length)), ` ${streak.length === 1 ? unit : `${unit}s`} running`,
      streak.expires && el("small", {}, ` · ends unless kept up by ${streak.expires}`)),
    streak.maxFreezes !== undefined && el("p", { class: "hint" }, `${plural(streak.freezes, "freeze")} of ${number(streak.maxFreezes)}`),
    el("ol", { class: daily ? "calendar daily" : "calendar", "aria-label": `The last ${plural(past.length, unit)}` },
      Array.from({ length: blank }, () => el("li", { class: "blank", "aria-hidden": "true" })), cells),
    el("p", { class: "legend" }, [["kept", "kept"], ["freeze", "freeze"], ["pause", "pause"], ["none", "nothing"]]
      .map(([name, text]) => el("span", {}, el("i", { class: name }), text))),
  ];
}

function purse(system) {
  if (!system) return [];
  const levels = system.levels ?? [];
  const next = levels.find((level) => level.points > system.total);
  return [
    el("p", {}, el("strong", { class: "big" }, number(system.total)), ` ${system.name}`,
      system.level && el("span", { class: "tag good" }, system.level.name)),
    next && el("p", { class: "hint" }, `${number(next.points - system.total)} to ${next.name}`),
    next && bar(system.total, next.points, `${system.name} to ${next.name}`),
    system.awards?.length && el("ul", { class: "awards" }, system.awards.slice(0, 5).map((award) =>
      el("li", {}, el("strong", {}, `+${number(award.awarded)}`), ` ${award.trigger?.metricName ?? award.trigger?.achievementName ?? award.trigger?.type ?? ""}`,
        el("span", { class: "when" }, moment(award.date ?? ""))))),
  ].filter(Boolean);
}

function settings(preferences) {
  if (!preferences) return [el("p", { class: "hint" }, "None.")];
  const rows = [];
  const walk = (value, name) => {
    if (value && typeof value === "object" && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) walk(inner, name ? `${name} · ${words(key)}` : words(key));
    } else {
      const text = Array.isArray(value) ? value.map(plain).join(", ") || "none" : value === true ? "on" : value === false ? "off" : plain(value) || "–";
      rows.push(el("dt", {}, name), el("dd", {}, text));
    }
  };
  const words = (key) => key.replaceAll("_", " ").replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  walk(preferences, "");
  return [el("dl", { class: "facts stacked" }, rows)];
}

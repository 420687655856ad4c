// The official Node SDK against the sandbox: all that it has in common with the service's 85 operations. It is older
// than the service, and knows fewer. Run by tests/sdks.sh.
"use strict";

const fs = require("fs");
const path = require("path");
const { TrophyApiClient, TrophyApiError } = require("@trophyso/node");

const environment = { api: process.env.TROPHY_BASE_URL, admin: process.env.TROPHY_ADMIN_BASE_URL };
const client = (apiKey) => new TrophyApiClient({ apiKey, environment });
const admin = client(process.env.TROPHY_API_KEY);
const stranger = client("sandbox_admin.wrong");
const once = { maxRetries: 0 };
const words = "words-written";
let passed = 0;
let failed = 0;
const succeeded = new Set();

// The statuses of each operation, from the service's table; none without it.
const statuses = new Map();
const table = path.join(process.env.TROPHY_SHARED, "trophy-api", "operations.tsv");
if (fs.existsSync(table)) {
    for (const line of fs.readFileSync(table, "utf8").trimEnd().split("\n").slice(1)) {
        const row = line.split("\t");
        statuses.set(row[1], row[6].split("/").map(Number));
    }
} else {
    console.log("skipped: the statuses against the service's table, which is not here");
}

function check(what, right, why) {
    if (right) {
        passed++;
    } else {
        failed++;
        console.log(`FAILED  ${what}: ${why}`);
    }
}

// users.allMetrics is users_all_metrics.
const operation = (method) => method.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`).replaceAll(".", "_");

// The sandbox's time goes on from noon of a day.
async function at(day) {
    const body = JSON.stringify({ now: `${day}T12:00:00Z` });
    const { ok } = await fetch(`${process.env.TROPHY_ORIGIN}/_sandbox/clock`, { method: "POST", body });
    check(`it is ${day}`, ok, "the sandbox does not say so");
}

// Calls an operation by its method's name. `expected`: a status, or "ok", since the SDK does not tell which success.
async function call(expected, by, method, ...args) {
    const nouns = method.split(".");
    const verb = nouns.pop();
    const noun = nouns.reduce((of, part) => of[part], by);
    let status = "ok";
    let why = "";
    let reply;
    try {
        reply = await noun[verb](...args, once);
        succeeded.add(operation(method));
    } catch (error) {
        status = error instanceof TrophyApiError && error.statusCode !== undefined ? error.statusCode : "unread";
        why = error.message;
    }
    check(`${method} as ${expected}`, status === expected, `${status} ${why}`);
    if (status !== "ok" && statuses.size) {
        const named = statuses.get(operation(method)) || [];
        check(`${method} ${status}, by the table`, named.includes(status), `it names ${named}`);
    }
    return reply;
}

// What can be called, below a noun.
function* methods(noun, before = "") {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(noun))) {
        const { get, value } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(noun), name);
        if (get) {
            yield* methods(noun[name], `${before}${name}.`);
        } else if (typeof value === "function" && name !== "constructor" && !name.startsWith("_")) {
            yield before + name;
        }
    }
}

const user = { id: "18" };
const days = { aggregation: "daily", startDate: "2026-01-01", endDate: "2026-01-31" };
const missing = { key: "none", user: { id: "nobody" } };

// Method, arguments of a success, arguments of a failure and its status.
const calls = [
    ["users.create", [{ id: "new", email: "a@example.com" }], [{ id: "" }], 400],
    ["users.identify", ["18", { name: "Ada" }], ["18", { tz: "Mars/Olympus" }], 422],
    ["users.update", ["18", { tz: "Europe/London" }], ["nobody", {}], 404],
    ["users.get", ["18"], ["nobody"], 422],
    ["metrics.event", [words, { user, value: 750.5, attributes: { genre: "poem" } }], ["none", { user, value: 1 }], 422],
    ["achievements.complete", ["finish-onboarding", { user }], [missing.key, { user }], 404],
    ["users.getPreferences", ["18"], ["nobody"], 404],
    ["users.updatePreferences", ["18", { notifications: { recap: ["email"] } }], ["nobody", {}], 404],
    ["users.allMetrics", ["18"], ["nobody"], 404],
    ["users.singleMetric", ["18", words], ["18", "none"], 404],
    ["users.metricEventSummary", ["18", words, days], ["nobody", words, days], 404],
    ["users.achievements", ["18", { includeIncomplete: "true" }], ["nobody", {}], 404],
    ["users.streak", ["18", { historyPeriods: 3 }], ["nobody", {}], 404],
    ["users.points", ["18", "xp", { awards: 5 }], ["18", "none", {}], 404],
    ["users.pointsEventSummary", ["18", "xp", days], ["18", "none", days], 404],
    ["users.leaderboard", ["18", "daily-words", {}], ["18", "none", {}], 404],
    ["users.wrapped", ["18", {}], ["nobody", {}], 404],
    ["streaks.list", [{ userIds: ["18", "new"] }], [{ userIds: [] }], 422],
    ["achievements.all", [{}], [{ userAttributes: "plan" }], 422],
    ["points.summary", ["xp", {}], ["none", {}], 404],
    ["points.system", ["xp"], ["none"], 404],
    ["leaderboards.all", [], null],
    ["leaderboards.get", ["daily-words", { limit: 5 }], ["none", {}], 404],
    ["admin.streaks.freezes.create", [{ freezes: [{ userId: "18" }] }], [{ freezes: [] }], 400],
    ["admin.streaks.restore", [{ users: [{ id: "18" }] }], [{ users: [] }], 400],
];

async function main() {
    await at("2026-03-02");
    for (const [method, right, wrong, status] of calls) {
        // A streak is to be restored: nothing has happened for a while. An issue with it could not be read, since
        // this SDK asks for names that issues had before.
        if (method === "admin.streaks.restore") await at("2026-03-20");
        const reply = await call("ok", admin, method, ...right);
        check(`${method} was read`, reply !== undefined, "no reply");
        if (wrong) await call(status, admin, method, ...wrong);
        await call(401, stranger, method, ...right);
    }
    const ours = new Set(calls.map(([method]) => method));
    const rest = [...methods(admin)].filter((method) => !ours.has(method));
    // What it can call and the service's API has no more is the SDK's affair; what it has, is called.
    check("all that it has in common is called", !rest.some((method) => statuses.has(operation(method))), rest);
    const { version } = JSON.parse(fs.readFileSync(require.resolve("@trophyso/node/package.json")));
    console.log(`${succeeded.size} operations read by @trophyso/node ${version}; not the service's: ${rest}`);
    console.log(`Node: ${passed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
}

main();

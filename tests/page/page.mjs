// What the page shows, and what it lets nobody do. Each test has a sandbox and a page of its own.

import http from "node:http";
import { join } from "node:path";

import { equal, KEY, launch, ok, PATIENCE, startSandbox, until } from "./browser.mjs";

const browser = await launch();
const tests = [];
const test = (name, run, ...flags) => tests.push({ name, run, flags });

const MARKUP = '<img src=x onerror="window.struck=1"><script>window.struck=1</script>';

// The locators wait for what they look for.
const open = async (page, sandbox, view = "") => {
  await page.goto(`${sandbox.origin}/${view}`);
  await page.locator("#connection.on").waitFor();
};

test("an event sent through the C library appears within a second", async ({ page, sandbox }) => {
  await open(page, sandbox, "#/requests");
  // On the page's own clock, so that neither this process nor a busy machine is what is measured.
  await page.evaluate(() => {
    window.seen = new Promise((resolve) => new MutationObserver(() => {
      if (document.querySelector("tbody tr .status.good")) resolve(Date.now());
    }).observe(document.body, { childList: true, subtree: true }));
  });

  equal("the sender's end", await sandbox.send({ id: "c-user", name: "Grace" }, 750), 0);
  const seen = await page.evaluate(() => window.seen);

  const [request] = await sandbox.get("/_sandbox/requests?last=1");
  equal("operation", request.operation, "metrics_event");
  const row = page.locator("tbody tr").first();
  const text = await row.innerText();
  for (const part of ["201", "words-written", "c-user", "Grace", "750", "counted"]) ok(`${part} in ${text}`, text.includes(part));
  const { at, ms } = (await sandbox.get("/_sandbox/request?id=1"));
  const took = seen - Date.parse(at) - ms;
  ok(`it took ${took} ms`, took < 1000);
});

test("a request and its reply are shown on a click, the reason of a refusal in full, and no secret of a key", async ({ page, sandbox }) => {
  const why = (await sandbox.post("/v1/metrics/no-such-metric/event", { user: { id: "18" }, value: 1 })).body.error;
  await sandbox.post("/admin/v1/application-api-keys", [{ userId: "18" }]);
  await open(page, sandbox, "#/requests");
  const row = page.locator("tr.bad");
  ok("the reason is in the row", (await row.innerText()).includes(why));
  await row.click();
  const dialog = page.locator("dialog");
  await dialog.getByText('"value": 1').waitFor();
  const text = await dialog.innerText();
  ok("the reason is in the reply", text.includes(why));
  ok(`nothing is said of what there is not: ${text}`, !/null|undefined/.test(text));
  await dialog.getByText("headers").click();
  const headers = await dialog.innerText();
  ok("the key's prefix is shown", headers.includes("sandbox_admin.***"));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.getByText("admin_application_api_keys_create").click();
  await dialog.getByText('"created"').waitFor();
  const made = await dialog.innerText();
  ok(`an application key without its secret: ${made}`, /app_\w+\.\*\*\*"/.test(made));
  for (const view of ["start", "controls", "requests", "world"]) {
    await page.evaluate((name) => { document.querySelector("dialog").close(); location.hash = `#/${name}`; }, view);
    await page.locator("main h2").first().waitFor();
    ok(`no secret on ${view}`, !(await page.content()).includes("open-sesame"));
  }
});

test("a batch is one row that tells how many it counted, and opens into its events", async ({ page, sandbox }) => {
  const batch = ["a", "b", "c"].map((id) => ({ key: "words-written", user: { id }, value: 5, idempotencyKey: `k-${id}` }));
  await sandbox.post("/admin/v1/metrics/events", batch);
  await sandbox.post("/admin/v1/metrics/events", [...batch, { key: "words-written", user: { id: "d" }, value: 1 }]);
  await open(page, sandbox, "#/requests");
  const rows = page.locator("tbody tr");
  await until("both are there", async () => (await rows.count()) === 2);
  const text = await rows.first().innerText();
  for (const part of ["batch of 4", "1 counted", "3 replayed", "and 3 more"]) ok(`${part} in ${text}`, text.includes(part));
  await rows.first().click();
  await page.locator("dialog td code", { hasText: "k-b" }).waitFor();
});

test("requests are filtered by user, metric and status", async ({ page, sandbox }) => {
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "ann", name: "Ann" }, value: 1 });
  await sandbox.post("/v1/metrics/chapters-read/event", { user: { id: "bob" }, value: 1 });
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "ann" }, value: "no number" });
  await sandbox.get("/v1/users/ann");
  await open(page, sandbox, "#/requests");
  const rows = page.locator("tbody tr");
  const shown = async (count) => until(`${count} rows are shown`, async () => (await rows.count()) === count);
  await shown(4);
  await page.getByLabel("User").fill("AN");
  await shown(3);
  await page.getByLabel("Events only").check();
  await shown(2);
  await page.getByLabel("Status").selectOption("4xx");
  await shown(1);
  await page.getByLabel("User").fill("");
  await page.getByLabel("Status").selectOption("");
  await page.getByLabel("Metric").selectOption("chapters-read");
  await shown(1);
  ok("Bob's", (await rows.first().innerText()).includes("bob"));
});

test("a script in a user's name stays text, on every view", async ({ page, sandbox }) => {
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "18", name: MARKUP, attributes: { city: MARKUP } }, value: 900 });
  await sandbox.post(`/v1/metrics/${encodeURIComponent(MARKUP)}/event`, { user: { id: MARKUP }, value: 1 });
  await sandbox.get(`/${encodeURIComponent(MARKUP)}`).catch(() => {});
  for (const view of ["requests", "users", "user/18/", "world", "controls"]) {
    await open(page, sandbox, `#/${view}`);
    if (view !== "controls") await page.locator("main").getByText("<img src=x", { exact: false }).first().waitFor();
  }
  await open(page, sandbox, "#/requests");
  await page.locator("tr.bad").first().click();
  await page.locator("dialog pre").first().waitFor();
  equal("images made of text", await page.locator("main img, dialog img, main script, dialog script").count(), 0);
  equal("what a script would have set", await page.evaluate(() => window.struck ?? null), null);
});

test("a fault ordered on the page strikes, and the page says how often", async ({ page, sandbox }) => {
  await open(page, sandbox, "#/controls");
  await page.getByLabel("Fault", { exact: true }).selectOption("status_before");
  await page.getByLabel("status", { exact: true }).fill("418");
  await page.getByLabel("Operation").selectOption("metrics_event");
  await page.getByLabel("Times").fill("2");
  await page.getByRole("button", { name: "Order fault" }).click();
  await page.getByText("struck 0 times of 2").waitFor();
  equal("first", (await sandbox.post("/v1/metrics/words-written/event", { user: { id: "18" }, value: 1 })).status, 418);
  await page.getByText("struck 1 time of 2").waitFor();
  await page.getByRole("button", { name: "Send event" }).click();
  await page.getByText("418: A fault was ordered").waitFor();
  await page.getByText("struck 2 times of 2").waitFor();
  await page.getByRole("button", { name: "Send event" }).click();
  await page.getByText("201: the total is 100").waitFor();
  await page.getByRole("button", { name: "Clear all" }).click();
  await page.getByText("None is ordered.", { exact: true }).waitFor();
  equal("faults", await sandbox.get("/_sandbox/faults"), []);
});

test("a fault that leaves no reply is shown as what it is", async ({ page, sandbox }) => {
  await sandbox.post("/_sandbox/faults", { fault: "close_after", count: 1 });
  await fetch(`${sandbox.origin}/v1/users/18`, { headers: { "X-API-KEY": KEY } }).catch(() => {});
  await open(page, sandbox, "#/requests");
  const text = await page.locator("tr.none").innerText();
  ok(text, text.includes("closed") && text.includes("close_after"));
});

test("the clock moves a streak", async ({ page, sandbox }) => {
  await sandbox.post("/_sandbox/clock", { now: "2026-03-02T12:00:00Z" });
  const streak = page.locator("#streak-length");
  for (let day = 1; day <= 3; day++) {
    equal("an event", await sandbox.send({ id: "18" }, 10), 0);
    await open(page, sandbox, "#/user/18/");
    await until(`the streak is ${day}`, async () => (await streak.textContent()) === String(day));
    equal("days kept", await page.locator(".calendar .kept").count(), day);
    await open(page, sandbox, "#/controls");
    await page.getByRole("button", { name: "A day on" }).click();
    await page.getByText(`It is 2026-03-0${2 + day}`).waitFor();
  }
  await page.getByRole("button", { name: "A week on" }).click();
  await page.getByText("It is 2026-03-12").waitFor();
  await open(page, sandbox, "#/user/18/");
  await until("the streak is over", async () => (await streak.textContent()) === "0");
  ok("it is done", await page.locator(".achievements .done", { hasText: "3 days running" }).isVisible());
  await page.locator("#clock.moved").waitFor();
});

test("a key is rotated without being shown, and the copied one works", async ({ page, sandbox, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: sandbox.origin });
  await open(page, sandbox, "#/controls");
  await page.getByRole("button", { name: "Rotate key" }).click();
  await page.getByText("Rotated").waitFor();
  const event = { user: { id: "18" }, value: 1 };
  equal("the old key", (await sandbox.post("/v1/metrics/words-written/event", event)).status, 401);
  await page.getByRole("link", { name: "Start" }).click();
  await page.locator("dd", { hasText: "sandbox_admin.***" }).getByRole("button").click();
  await page.getByText("Copied").waitFor();
  const key = await page.evaluate(() => navigator.clipboard.readText());
  equal("the new key", (await sandbox.post("/v1/metrics/words-written/event", event, { "X-API-KEY": key })).status, 201);
  ok("not shown", !(await page.content()).includes(key));
  await page.getByRole("button", { name: "Copy all, for a shell" }).click();
  await until("all are copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) ===
    `export TROPHY_API_KEY='${key}' TROPHY_BASE_URL='${sandbox.origin}/v1' TROPHY_ADMIN_BASE_URL='${sandbox.origin}/admin/v1'`);
});

test("who comes first is shown the variables, and then that the event has come", async ({ page, sandbox }) => {
  await open(page, sandbox);
  await until("the first run is shown", () => page.evaluate(() => location.hash === "#/start"));
  for (const text of ["TROPHY_API_KEY", `${sandbox.origin}/v1`, `${sandbox.origin}/admin/v1`]) {
    await page.locator("dl.variables").getByText(text, { exact: true }).waitFor();
  }
  await page.getByText("Waiting for the first event").waitFor();
  await sandbox.send({ id: "18" }, 1);
  await page.getByText("1 event has arrived").waitFor();
  await page.goto("about:blank");
  await open(page, sandbox);
  await until("then the requests are", () => page.evaluate(() => location.hash === "#/requests"));
});

test("a reset empties the list and goes on with what comes after", async ({ page, sandbox }) => {
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "before" }, value: 1 });
  await open(page, sandbox, "#/controls");
  await page.getByRole("button", { name: "Reset" }).click();
  equal("once is not enough", (await sandbox.get("/_sandbox/ledger")).events, 1);
  await page.getByRole("button", { name: "Reset: click again" }).click();
  await page.getByText("All is as at the start.").waitFor();
  await page.getByRole("link", { name: "Requests" }).click();
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "after" }, value: 1 });
  await page.locator("tbody tr", { hasText: "after" }).waitFor();
  equal("rows", await page.locator("tbody tr").count(), 1);
});

test("limits, 429s and what was counted are plotted", async ({ page, sandbox }) => {
  await Promise.all(Array.from({ length: 12 }, () => sandbox.post("/v1/metrics/words-written/event", { user: { id: "18" }, value: 1 })));
  await open(page, sandbox, "#/pace");
  await page.locator(".plot .refused").first().waitFor({ state: "attached" });
  await page.getByText("the limit is 5 a second").waitFor();
  const { statuses } = await sandbox.get("/_sandbox/ledger");
  const tile = page.locator(".tiles div", { hasText: "Answered 429" }).locator("dd");
  ok("some were refused", statuses["429"] > 0);
  await until("the tile says so", async () => (await tile.textContent()) === String(statuses["429"]));
}, "--limits");

test("users are found by search", async ({ page, sandbox }) => {
  for (const id of ["alpha", "beta", "gamma"]) {
    await sandbox.post("/v1/metrics/words-written/event", { user: { id, email: `${id}@example.com` }, value: 1 });
  }
  await open(page, sandbox, "#/users");
  const rows = page.locator("tbody tr");
  await until("all are there", async () => (await rows.count()) === 4);
  await page.getByLabel("Search").fill("BETA@");
  await until("one is left", async () => (await rows.count()) === 1);
  await page.getByRole("link", { name: "beta" }).click();
  await page.getByRole("heading", { name: "beta" }).waitFor();
  await page.locator(".achievements .done", { hasText: "First words" }).waitFor();
  equal("its bar", await page.locator("progress[aria-label='500 words']").evaluate((bar) => [bar.value, bar.max]), [1, 500]);
});

test("a thousand events a second do not freeze it", async ({ page, sandbox }) => {
  await open(page, sandbox, "#/requests");
  await page.evaluate(() => {
    window.longest = 0;
    let last = performance.now();
    const beat = () => {
      window.longest = Math.max(window.longest, performance.now() - last);
      last = performance.now();
      window.beats = setTimeout(beat, 10);
    };
    beat();
  });
  // Ten seconds' worth of a thousand a second, by themselves and in batches, as fast as the machine takes them, and on
  // until clicks and keys have been answered in their midst.
  const [events, wanted, inBatch] = [10_000, 5, 20];
  let [requests, sent, answers] = [0, 0, 0];
  const goesOn = () => sent < events || answers < wanted;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const event = () => ({ key: "words-written", user: { id: `user-${sent++ % 500}` }, value: 1 });
  const one = () => new Promise((resolve, reject) => {
    const isBatch = requests++ % 2 === 1;
    const path = isBatch ? "/admin/v1/metrics/events" : "/v1/metrics/words-written/event";
    const request = http.request(sandbox.origin + path, { method: "POST", agent,
      headers: { "X-API-KEY": KEY, "Content-Type": "application/json" } }, (reply) => reply.resume().on("end", resolve));
    request.on("error", reject);
    request.end(JSON.stringify(isBatch ? Array.from({ length: inBatch }, event) : event()));
  });
  const start = performance.now();
  const flood = Promise.all(Array.from({ length: 8 }, async () => {
    while (goesOn()) await one();
  }));
  while (goesOn()) {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Go on" }).press("Enter");
    await page.getByLabel("User").fill(`user-${answers}`);
    await page.locator("tbody td.who").filter({ hasText: `user-${answers}` }).first().waitFor();
    await page.getByLabel("User").fill("");
    answers++;
  }
  await flood;
  const rate = sent / (performance.now() - start) * 1000;
  agent.destroy();
  const counted = `${sent.toLocaleString("en")} events counted`;
  await until("it has caught up", async () => (await page.locator("main .hint").first().textContent()).startsWith(counted));
  const rows = await page.locator("tbody tr").count();
  const longest = await page.evaluate(() => window.longest);
  console.log(`        ${Math.round(rate)} events a second; ${answers} times answered meanwhile; the longest pause was ${Math.round(longest)} ms`);
  ok(`${rows} rows at most`, rows <= 200);
});

test("everything is reached from the keyboard", async ({ page, sandbox }) => {
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: "18" }, value: 1 });
  await open(page, sandbox, "#/requests");
  await page.locator("tbody tr button").first().waitFor();
  const reached = new Set();
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent));
  }
  const all = [...reached].join("|");
  for (const name of ["Skip to the content", "Start", "Controls", "User", "Pause", "Request 1", "18"]) ok(`${name} in ${all}`, all.includes(name));
  await page.locator("tbody tr button").first().focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "hidden" });
  ok("the focus is back", await page.locator("tbody tr button").first().evaluate((button) => button === document.activeElement));
  await page.getByRole("link", { name: "Controls" }).focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("Metric").locator("option").first().waitFor({ state: "attached" });
  await page.getByLabel("Value").focus();
  await page.keyboard.press("Enter");
  await page.getByText("201: the total is 101").waitFor();
});

test("it is light or dark, as the system is", async ({ page, sandbox }) => {
  await open(page, sandbox);
  const brightness = () => page.evaluate(() => {
    const of = (element, part) => getComputedStyle(element)[part].match(/[\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
    return [of(document.body, "backgroundColor"), of(document.body, "color")];
  });
  await page.emulateMedia({ colorScheme: "light" });
  const [paper, ink] = await brightness();
  await page.emulateMedia({ colorScheme: "dark" });
  const [night, chalk] = await brightness();
  ok(`light: ${ink} on ${paper}`, paper > 200 && ink < 80);
  ok(`dark: ${chalk} on ${night}`, night < 60 && chalk > 180);
});

test("a phone's width is enough for every view", async ({ page, sandbox }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  const long = "a-user-with-a-very-long-id-that-does-not-end-".repeat(3);
  await sandbox.post("/v1/metrics/words-written/event", { user: { id: long, name: "x".repeat(90) }, value: 900 }, { "Idempotency-Key": "k".repeat(120) });
  await sandbox.post("/v1/metrics/no-such-metric-at-all/event", { user: { id: "18" }, value: 1 });
  for (const view of ["start", "requests", "users", `user/${long}/`, "world", "pace", "controls"]) {
    await open(page, sandbox, `#/${view}`);
    await page.locator("main h2").first().waitFor();
    if (view === "requests") await page.locator("tbody tr").nth(1).waitFor();
    if (view.startsWith("user/")) await page.locator(".calendar").waitFor();
    const [inner, whole] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    ok(`${view} is ${whole} wide on a screen of ${inner}`, whole <= inner);
    const [shown, all] = await page.locator("nav").evaluate((nav) => [nav.clientWidth, nav.scrollWidth]);
    ok(`the links are ${all} wide in ${shown}`, all <= shown);
  }
});

test("a page of another site is refused, and so is a foreign Host", async ({ sandbox, context }) => {
  // Another port is another origin, though the site is the same to a browser.
  const server = http.createServer((_, reply) => reply.setHeader("Content-Type", "text/html").end("<p>another</p>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const other = await context.newPage();
  for (const host of ["127.0.0.1", "localhost"]) {
    await other.goto(`http://${host}:${port}/`);
    const outcomes = await other.evaluate(async (origin) => {
      const read = await fetch(`${origin}/_sandbox/variables`).then(() => "read", () => "refused");
      await fetch(`${origin}/_sandbox/reset`, { method: "POST", mode: "no-cors", body: "{}" });
      await fetch(`${origin}/_sandbox/faults`, { method: "POST", mode: "no-cors", body: '{"fault":"hang"}' });
      return read;
    }, sandbox.origin);
    equal("what it read", outcomes, "refused");
  }
  equal("faults", await sandbox.get("/_sandbox/faults"), []);
  server.close();
  const status = (path, headers, method = "GET") => new Promise((resolve, reject) => {
    http.request({ port: sandbox.port, host: "127.0.0.1", path, method, headers }, (reply) => resolve(reply.resume().statusCode)).on("error", reject).end();
  });
  const here = `127.0.0.1:${sandbox.port}`;
  for (const path of ["/", "/_sandbox/page/main.js", "/_sandbox/variables", "/_sandbox/live", "/_sandbox/ledger", "/_sandbox/users", "/_sandbox/world"]) {
    equal(`${path} by a foreign name`, await status(path, { Host: `evil.example:${sandbox.port}` }), 403);
    equal(`${path} by another port`, await status(path, { Host: "127.0.0.1:1" }), 403);
    equal(`${path} by a foreign origin`, await status(path, { Host: here, Origin: "http://evil.example" }), 403);
    equal(`${path} by the origin null`, await status(path, { Host: here, Origin: "null" }), 403);
  }
  for (const path of ["/_sandbox/reset", "/_sandbox/clock", "/_sandbox/keys", "/_sandbox/faults", "/_sandbox/event"]) {
    equal(`${path} across sites`, await status(path, { Host: here, "Sec-Fetch-Site": "cross-site" }, "POST"), 403);
    equal(`${path} from another port`, await status(path, { Host: here, "Sec-Fetch-Site": "same-site" }, "POST"), 403);
  }
  equal("the page by a link", await status("/", { Host: here, "Sec-Fetch-Site": "cross-site" }), 200);
  equal("by localhost", await status("/_sandbox/ledger", { Host: `localhost:${sandbox.port}`, Origin: `http://localhost:${sandbox.port}` }), 200);
  const policy = (await fetch(`${sandbox.origin}/`)).headers.get("content-security-policy");
  ok(policy, policy.includes("default-src 'none'") && policy.includes("script-src 'self'") && !policy.includes("unsafe"));
});

test("what the docs show: the pictures", async ({ page, sandbox }) => {
  await page.setViewportSize({ width: 1120, height: 700 });
  const picture = async (name, view, scheme = "light") => {
    await page.emulateMedia({ colorScheme: scheme });
    await open(page, sandbox, `#/${view}`);
    await page.locator("main h2").first().waitFor();
    if (view === "requests") await page.locator("tbody tr").nth(6).waitFor();
    if (view.startsWith("user/")) await page.locator(".calendar").waitFor();
    if (view === "world") await page.locator(".ranking li").first().waitFor();
    if (view === "start") await page.locator("dd code").nth(2).waitFor();
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
  };
  await picture("page-start", "start");
  const write = (user, value, metric = "words-written", key) =>
    sandbox.post(`/v1/metrics/${metric}/event`, { user, value }, key ? { "Idempotency-Key": key } : {});
  const people = [{ id: "18", name: "Ada" }, { id: "7", name: "Grace" }, { id: "23", name: "Linus" }];
  for (let day = 0; day < 40; day++) {
    const date = new Date(Date.UTC(2026, 0, 20 + day, 12)).toISOString();
    await sandbox.post("/_sandbox/clock", { now: date });
    if (day % 13 !== 5 && day !== 20) await write(people[0], 40 + ((day * 37) % 90));
    if (day % 5 === 0) await write(people[1], 120);
    if (day % 9 === 0) await write(people[2], 60 + day);
  }
  await sandbox.post("/admin/v1/metrics/events", people.map((user) => ({ key: "chapters-read", user, value: 2 })));
  await write(people[1], 750, "words-written", "chapter-12");
  await write(people[1], 750, "words-written", "chapter-12");
  await write(people[0], 3, "chapters-reed");
  await sandbox.post("/_sandbox/faults", { fault: "rate_limited", count: 1, retryAfter: "2" });
  await write(people[2], 80);
  await write(people[2], 80);
  await picture("page-requests", "requests");
  await picture("page-user", "user/18/");
  await picture("page-user-dark", "user/18/", "dark");
  await picture("page-world", "world");
  await sandbox.post("/_sandbox/faults", { fault: "close_after", operation: "metrics_event", count: 3 });
  await picture("page-controls", "controls");
});

test("what the docs show: the pace", async ({ page, sandbox }) => {
  await page.setViewportSize({ width: 1120, height: 600 });
  await open(page, sandbox, "#/pace");
  // Five a second pass, so these take seven seconds; a burst of twelve at times, of which most are refused.
  let sent = 0;
  const enough = async () => ((await sandbox.get("/_sandbox/ledger")).statuses["201"] ?? 0) >= 32;
  await until("enough have passed", async () => {
    await Promise.all([
      ...Array.from({ length: sent++ % 8 === 3 ? 12 : 1 }, (_, id) =>
        sandbox.post("/v1/metrics/words-written/event", { user: { id: `user-${id}` }, value: 1 })),
      ...Array.from({ length: 4 }, () => sandbox.get("/v1/users/18")),
      new Promise((resolve) => setTimeout(resolve, 180)),
    ]);
    return enough();
  });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, "page-pace.png") });
}, "--limits");

const wanted = process.argv.slice(2).join(" ");
let [passed, failed] = [0, 0];
for (const { name, run, flags } of tests) {
  if (wanted && !name.includes(wanted)) continue;
  const sandbox = await startSandbox(...flags);
  const context = await browser.newContext({ colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !/status of|ERR_EMPTY_RESPONSE/.test(message.text()) && wrong.push(message.text()));
  if (process.env.PAGE_FILES) {
    // The files as they are, without another build.
    await page.route(/\/_sandbox\/page\//, (route) => route.fulfill({ path: join(process.env.PAGE_FILES, new URL(route.request().url()).pathname.split("/").at(-1)) }));
  }
  try {
    await run({ page, sandbox, context });
    equal("errors on the page", wrong, []);
    passed++;
    console.log("ok     ", name);
  } catch (error) {
    failed++;
    console.log("FAILED ", name);
    console.log(String(error.message ?? error).replace(/^/gm, "        "), wrong.join("\n"));
  }
  await context.close();
  sandbox.stop();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed ? 1 : 0;

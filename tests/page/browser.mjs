// A sandbox, a browser and the programs that the tests of the page use.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const { chromium } = await import(process.env.PLAYWRIGHT);

// A machine with much else to do is given time; what is awaited comes at once on another.
export const PATIENCE = 60_000;

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage"];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS, timeout: PATIENCE });

export const KEY = "sandbox_admin.open-sesame";

/** A sandbox that ends with its stdin, so with this process. */
export async function startSandbox(...flags) {
  const folder = mkdtempSync(join(process.env.WORK, "sandbox-"));
  const ready = join(folder, "ready.json");
  const child = spawn(process.env.TROPHY_SANDBOX, ["--port", "0", "--ready-file", ready, "--exit-with-stdin", ...flags],
    { stdio: ["pipe", "ignore", "ignore"] });
  await until("the sandbox listens", () => existsSync(ready));
  const { port, url } = JSON.parse(readFileSync(ready, "utf8"));
  const origin = `http://127.0.0.1:${port}`;
  const environment = { ...process.env, TROPHY_API_KEY: KEY, TROPHY_BASE_URL: url, TROPHY_ADMIN_BASE_URL: `${origin}/admin/v1` };
  return {
    origin,
    port,
    /** An event through the C library; resolves to its exit code. */
    send: (user, value, metric = "words-written", count = 1) => new Promise((resolve) => {
      spawn(process.env.TROPHY_SEND, [JSON.stringify(user), metric, String(value), String(count)],
        { env: environment, stdio: "ignore" }).on("exit", resolve);
    }),
    post: async (path, body, headers = {}) => {
      const response = await fetch(origin + path, { method: "POST", body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", "X-API-KEY": KEY, ...headers } });
      return { status: response.status, body: await response.json() };
    },
    get: async (path) => (await fetch(origin + path, { headers: { "X-API-KEY": KEY } })).json(),
    stop: () => {
      child.stdin.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function until(what, met) {
  const start = performance.now();
  while (!(await met())) {
    if (performance.now() - start > PATIENCE) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function equal(what, is, wanted) {
  const [left, right] = [JSON.stringify(is), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left}, not ${right}`);
}

export function ok(what, is) {
  if (!is) throw new Error(what);
}

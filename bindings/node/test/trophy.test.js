// The wrapper against the sandbox: `node --test`, with TROPHY_LIBRARY and TROPHY_SANDBOX set.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Client, TrophyError, verifyWebhook, version } from '../trophy.js';

const KEY = 'sandbox_admin.open-sesame';
const WAIT = 120_000; // ms; a condition that takes longer has failed
const WHOLE = 300_000; // ms, of a program that does much
// What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
const SLOWNESS = 10;
const folder = mkdtempSync(join(tmpdir(), 'trophy-'));
let sandbox, ready, client;
const open = [];

before(async () => {
  sandbox = spawn(process.env.TROPHY_SANDBOX, ['--port', '0', '--exit-with-stdin'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  ready = JSON.parse((await once(sandbox.stdout, 'data'))[0]);
});

after(async () => {
  sandbox.stdin.end();
  await once(sandbox, 'exit');
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  await ask('/reset', {});
  client = another();
});

afterEach(() => Promise.all(open.splice(0).map((each) => each.close(0))));

function another(options) {
  const made = new Client(KEY, { base_url: ready.url, admin_base_url: ready.adminUrl, ...options });
  open.push(made);
  return made;
}

async function ask(path, body) {
  const init = body && { method: 'POST', body: JSON.stringify(body) };
  const reply = await fetch(new URL(`/_sandbox${path}`, ready.url), init);
  return JSON.parse((await reply.text()) || 'null');
}

async function until(condition) {
  const deadline = Date.now() + WAIT;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited too long for ${condition}`);
    await sleep(5);
  }
}

function hang(operation = 'metrics_event') {
  return ask('/faults', { fault: 'hang', operation });
}

function isAsked(operation) {
  return until(async () => operation in (await ask('/ledger')).requests);
}

function fails(call, code) {
  return assert.rejects(async () => call(), (error) => {
    assert.ok(error instanceof TrophyError, `${error.stack}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** Runs a program with a client of its own in another process. */
async function run(program, ...flags) {
  const env = { ...process.env, TROPHY_API_KEY: KEY, TROPHY_BASE_URL: ready.url, TROPHY_ADMIN_BASE_URL: ready.adminUrl };
  const options = { cwd: new URL('..', import.meta.url), env, timeout: WHOLE };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, program], options);
    return { code: 0, stdout };
  } catch ({ code, signal, stdout, stderr }) {
    return { code: code ?? signal, stdout, stderr };
  }
}

const IMPORT = "import { Client } from './trophy.js';";

/** Starts a program with a client of its own. */
function launch(program) {
  const env = { ...process.env, TROPHY_API_KEY: KEY, TROPHY_BASE_URL: ready.url, TROPHY_ADMIN_BASE_URL: ready.adminUrl };
  const flags = ['--input-type=module', '-e', IMPORT + program];
  return spawn(process.execPath, flags, { cwd: new URL('..', import.meta.url), env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function firstLine(process) {
  return String((await once(process.stdout, 'data'))[0]).split('\n')[0];
}

/** How a process ended, which it has to do soon. */
async function ended(process) {
  const start = performance.now();
  let stderr = '';
  process.stderr.on('data', (text) => (stderr += text));
  const [exitCode, signal] = await once(process, 'close');
  assert.ok(performance.now() - start < 1000 * SLOWNESS);
  return { exitCode, signal, stderr };
}

function runText(program, ...flags) {
  return run(IMPORT + program, '--input-type=module', ...flags, '-e');
}

// Events

// shows: counts-once
test('an event sent twice with one key counts once', async () => {
  const first = await client.event('words-written', '18', 750, { idempotencyKey: 'chapter-1' });
  const again = await client.event('words-written', { id: '18' }, 750, { idempotencyKey: 'chapter-1' });
  assert.deepEqual([first.total, first.idempotentReplayed], [750, false]);
  assert.deepEqual([again.total, again.idempotentReplayed], [750, true]);
  assert.equal((await client.streak('18')).length, 1);
});

// shows: scripts
test('text in any script arrives as it was', async () => {
  const user = { id: 'Ωμέγα/🏆 "q"', name: 'Zoë 李\n', attributes: { city: 'São Paulo' } };
  await client.event('words-written', user, 1.5, { attributes: { genre: 'поэма', device: null } });
  await client.identify({ id: user.id, tz: 'Asia/Tokyo' });
  const read = await client.user(user.id);
  assert.deepEqual([read.id, read.name, read.tz], [user.id, user.name, 'Asia/Tokyo']);
  assert.equal((await client.metric(user.id, 'words-written')).current, 1.5);
});

test('the named operations answer', async () => {
  await client.event('words-written', '18', 1000);
  assert.ok((await client.achievements('18')).some(({ name }) => name === '500 words'));
  const done = await client.completeAchievement('finish-onboarding', '18');
  assert.equal(done.achievement.key, 'finish-onboarding');
  assert.ok((await client.points('18', 'xp')).total > 0);
  assert.equal((await client.leaderboard('all-time-words', { limit: 1 })).rankings[0].userId, '18');
  assert.equal((await client.call('admin_metrics_list', { limit: 1 })).length, 1);
  assert.match(version(), /^1\./);
});

test('a hundred events at once each count', async () => {
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, index) => client.event('words-written', `user-${index}`, index)),
  );
  assert.deepEqual(replies.map(({ total }) => total), Array.from({ length: 100 }, (_, index) => index));
  assert.equal((await ask('/ledger')).events, 100);
});

// Errors

// shows: errors
test('an error tells its code and what the service sent', async () => {
  await assert.rejects(client.streak('nobody'), (error) => {
    const { name, code, status, httpStatus, attempts, retryAfterMs, body } = error;
    assert.deepEqual([name, code, status, httpStatus, attempts], ['TrophyError', 'not_found', 23, 404, 1]);
    assert.deepEqual(body, { error: 'User not found: nobody' });
    assert.equal(retryAfterMs, undefined);
    assert.ok(error instanceof Error && error instanceof TrophyError);
    return true;
  });
});

test('a rate limit tells when to come back', async () => {
  await ask('/faults', { fault: 'rate_limited', retryAfter: '7' });
  await assert.rejects(client.event('words-written', '18', 1, { options: { max_retries: 0 } }), {
    code: 'rate_limited',
    retryAfterMs: 7000,
  });
});

test('an invalid argument is named and nothing is sent', async () => {
  const wrong = {
    attributes_json: () => client.event('words-written', '18', 1, { attributes: { genre: 1 } }),
    value: () => client.event('words-written', '18', NaN),
    historyPeriod: () => client.streak('18', { historyPeriod: 1 }),
    key: () => client.event('words\0written', '18'),
    idempotencyKey: () => client.enqueue('words-written', '18', 1, { idempotencyKey: '\0' }),
    operation: () => client.call('no_such_operation'),
    time_out: () => new Client(KEY, { time_out: 1 }),
  };
  for (const [name, call] of Object.entries(wrong)) {
    await assert.rejects(async () => call(), { code: 'invalid_argument', message: new RegExp(name) });
  }
  assert.deepEqual((await ask('/ledger')).requests, {});
});

// shows: text, wrong-types, deep-values
test('what cannot be sent is refused by the name of its argument', async () => {
  const endless = {};
  endless.endless = endless;
  let deep = [];
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  for (const [name, call] of [
    ['key: ', () => client.event('k\ud800', '18')],
    ['key: ', () => client.enqueue(42, '18')],
    ['user: id: ', () => client.event('words-written', 'a\ud800')],
    ['user: name: ', () => client.enqueue('words-written', { id: '18', name: '\udc00' })],
    ['user: ', () => client.event('words-written', 18)],
    ['user: ', () => client.enqueue('words-written', null)],
    ['value: ', () => client.event('words-written', '18', '5')],
    ['value: ', () => client.event('words-written', '18', 5n)],
    ['attributes: genre: ', () => client.event('words-written', '18', 1, { attributes: { genre: '\ud800' } })],
    ['attributes: \ufffd: ', () => client.event('words-written', '18', 1, { attributes: { '\ud800': 'a' } })],
    ['idempotencyKey: ', () => client.event('words-written', '18', 1, { idempotencyKey: 42 })],
    ['idempotencyKey: ', () => client.enqueue('words-written', '18', 1, { idempotencyKey: 'k\ud800' })],
    ['idempotencyKey: ', () => client.enqueue('words-written', '18', 1, { idempotencyKey: 'k\udfff' })],
    ['options: max_retries: ', () => client.event('words-written', '18', 1, { options: { max_retries: NaN } })],
    ['details: ', () => client.event('words-written', '18', 1, 'chapter-1')],
    ['more: ', () => client.enqueue('words-written', '18', 1, 'chapter-1')],
    ['idempotencykey: ', () => client.event('words-written', '18', 1, { idempotencykey: 'chapter-1' })],
    ['idempotency_key: ', () => client.enqueue('words-written', '18', 1, { idempotency_key: 'chapter-1' })],
    ['options: ', () => client.call('users_streak', { id: '18' }, { options: { max_retries: 0 } })],
    ['attributes: ', () => client.event('words-written', '18', 1, { attributes: new Map([['genre', 'crime']]) })],
    ['attributes: ', () => client.event('words-written', '18', 1, { attributes: () => 1 })],
    ['attributes: ', () => client.event('words-written', '18', 1, { attributes: Promise.resolve({ genre: 'crime' }) })],
    ['attributes: ', () => client.enqueue('words-written', '18', 1, { attributes: new URLSearchParams('genre=crime') })],
    ['attributes: genre: ', () => client.event('words-written', '18', 1, { attributes: { genre: () => 'crime' } })],
    ['attributes: genre: ', () => client.event('words-written', '18', 1, { attributes: { genre: Symbol('crime') } })],
    ['user: attributes: ', () => client.event('words-written', { id: '18', attributes: new Map([['plan', 'pro']]) })],
    ['user: deviceTokens: ', () => client.enqueue('words-written', { id: '18', deviceTokens: new Set(['a']) })],
    ['options: queue: ', () => new Client(KEY, { queue: new Map([['path', folder]]) })],
    ['options: ', () => client.enqueue('words-written', '18', 1, { options: Symbol('none') })],
    ['details: ', () => client.event('words-written', '18', 1, new Map())],
    ['user: ', () => client.event('words-written', new Map([['id', '18']]))],
    ['signal: ', () => client.event('words-written', '18', 1, { signal: 5 })],
    ['operation: ', () => client.call(() => {})],
    ['operation: ', () => client.call('\ud800')],
    ['args: ', () => client.call('users_streak', 'id')],
    ['args: id: ', () => client.streak('\ud800')],
    ['args: historyPeriods: ', () => client.streak('18', { historyPeriods: 5n })],
    ['args: ', () => client.call('users_streak', endless)],
    ['args: ', () => client.call('users_streak', { id: deep })],
    ['tenantId: ', () => client.forTenant(5)],
    ['tenantId: ', () => client.forTenant('\ud800')],
    ['apiKey: ', () => client.setApiKey({})],
    ['apiKey: ', () => new Client('\ud800')],
    ['options: ', () => new Client(KEY, 'options')],
    ['timeoutMs: ', () => client.flush('soon')],
    ['timeoutMs: ', () => client.close(NaN)],
    ['listener: ', () => client.onDelivery(5)],
    ['body: ', () => verifyWebhook(null, '', '')],
    ['signature: ', () => verifyWebhook('', '\ud800', '')],
  ]) {
    await assert.rejects(async () => call(), (error) => {
      assert.ok(error instanceof TrophyError, error.stack);
      assert.equal(error.code, 'invalid_argument');
      assert.ok(error.message.startsWith(name), `${name}: ${error.message}`);
      return true;
    });
  }
  assert.deepEqual((await ask('/ledger')).requests, {});
  assert.equal((await client.event('words-written', '🏆')).total, 1);
});

// shows: any-reply
test('no reply throws anything but our own error', async () => {
  const replies = process.env.TROPHY_REPLIES ?? new URL('../../replies.json', import.meta.url);
  client = another({ max_retries: 0 });
  for (const fault of JSON.parse(readFileSync(replies, 'utf8'))) {
    await ask('/faults', { ...fault, operation: 'users_streak', count: 1 });
    await client.streak('18').catch((error) => assert.ok(error instanceof TrophyError && error.code, error.stack));
  }
});

// Cancelling

test('one signal ends any number of calls, and warns of no leak', async () => {
  await hang();
  const warnings = [];
  const warn = (warning) => warnings.push(warning.message);
  process.on('warning', warn);
  const abort = new AbortController();
  // A call that has ended is no longer the signal's.
  assert.ok((await client.call('achievements_all', {}, { signal: abort.signal })).length > 0);
  const calls = Array.from({ length: 30 }, (_, user) =>
    assert.rejects(client.event('words-written', `user-${user}`, 1, { signal: abort.signal }), { name: 'AbortError' }),
  );
  await isAsked('metrics_event');
  abort.abort();
  await Promise.all(calls);
  await sleep(0);
  process.off('warning', warn);
  assert.deepEqual(warnings, []);
});

// shows: cancel
test('a call that is aborted ends, and its lane is free again', async () => {
  await hang();
  const abort = new AbortController();
  const call = client.event('words-written', '18', 1, { signal: abort.signal });
  await isAsked('metrics_event');
  abort.abort();
  await assert.rejects(call, { name: 'AbortError' });
  assert.equal(client.stats().callsUnderWay, 0);
  await ask('/reset', {});
  assert.equal((await client.event('words-written', '18')).total, 1);
});

test('a signal that was aborted before, or times out, rejects with its reason', async () => {
  const reason = new Error('changed my mind');
  await assert.rejects(client.event('words-written', '18', 1, { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual((await ask('/ledger')).requests, {});
  await hang('users_streak');
  await assert.rejects(client.call('users_streak', { id: '18' }, { signal: AbortSignal.timeout(50) }), {
    name: 'TimeoutError',
  });
});

test('close cancels what is left when its time has passed, and the event loop goes on meanwhile', async () => {
  await hang();
  const call = fails(() => client.event('words-written', '18'), 'cancelled');
  client.enqueue('words-written', '19');
  const flush = fails(() => client.flush(), 'cancelled');
  await isAsked('metrics_event');
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  assert.deepEqual(await client.close(100), { undelivered: 1, cancelled: 1 });
  clearInterval(turning);
  assert.ok(turns > 1);
  await Promise.all([call, flush]);
});

// The queue

// shows: queue
test('the queue delivers and says how each event ended', async () => {
  client = another({ queue: { path: join(folder, 'ends'), requests_per_second: 1000 } });
  const heard = new Map();
  client.onDelivery((delivery) => heard.set(delivery.idempotencyKey, delivery));
  assert.equal(client.enqueue('words-written', '18', 10, { idempotencyKey: 'good' }), 'good');
  const made = client.enqueue('words-written', '18', 1, { attributes: { unknown: 'x' } });
  assert.equal(await client.flush(WAIT), 0);
  assert.equal(heard.get('good').response.total, 10);
  assert.equal(heard.get(made).error.code, 'unprocessable');
  const { delivered, dead, queued } = client.stats();
  assert.deepEqual([delivered, dead, queued], [1, 1, 0]);
});

test('a listener hears of deliveries without a flush, and until close is done', async () => {
  let heard = 0;
  client.onDelivery(() => heard++);
  client.enqueue('words-written', '18');
  await until(() => heard === 1);
  for (let round = 0; round < 20; round++) {
    const each = another({ queue: { requests_per_second: 1000 } });
    each.onDelivery(() => heard++);
    each.enqueue('words-written', '18');
    assert.deepEqual(await each.close(WAIT), { undelivered: 0, cancelled: 0 });
  }
  assert.equal(heard, 21);
});

// shows: offline
test('an event outlives its process offline', async () => {
  const queue = { path: join(folder, 'offline') };
  await hang();
  const first = another({ queue });
  first.enqueue('words-written', '18', 5);
  assert.equal(await first.flush(0), 1);
  assert.deepEqual(await first.close(0), { undelivered: 1, cancelled: 0 });
  await ask('/reset', {});
  assert.equal(await another({ queue }).flush(WAIT), 0);
  assert.equal((await ask('/ledger')).events, 1);
});

// Handles

test('a tenant has its own totals', async () => {
  const acme = client.forTenant('acme');
  await acme.event('words-written', '18', 3);
  assert.equal((await client.event('words-written', '18', 4)).total, 4);
  await acme.close();
  await fails(() => acme.streak('18'), 'closed');
  // The client lives on without it.
  assert.equal((await client.metric('18', 'words-written')).current, 4);
  assert.ok((await ask('/ledger')).lanes.some(({ tenant }) => tenant === 'acme'));
});

// shows: two-numbers
test('close tells events from calls', async () => {
  await hang();
  const calls = Array.from({ length: 100 }, (_, user) =>
    fails(() => client.event('words-written', `user-${user}`), 'cancelled'),
  );
  assert.deepEqual(await client.close(0), { undelivered: 0, cancelled: 100 });
  await Promise.all(calls);
});

// shows: tenant-close
test("a tenant's close lets go of its handle only", async () => {
  const [acme, other] = [client.forTenant('acme'), client.forTenant('other')];
  assert.deepEqual(await acme.close(), { undelivered: 0, cancelled: 0 });
  assert.equal((await client.event('words-written', '18')).total, 1);
  assert.equal((await other.event('words-written', '18')).total, 1);
  await client.close();
  await fails(() => other.streak('18'), 'closed');
});

// shows: closed
test('a closed client says so and closes again in peace', async () => {
  const tenant = client.forTenant('acme');
  await client[Symbol.asyncDispose]();
  assert.deepEqual(await client.close(), { undelivered: 0, cancelled: 0 });
  for (const call of [
    () => client.stats(),
    () => client.flush(),
    () => client.enqueue('words-written', '18'),
    () => client.event('words-written', '18'),
    () => tenant.streak('18'),
  ]) {
    await fails(call, 'closed');
  }
  await tenant.close();
});

// shows: close-inside
test('a listener may close its client', async () => {
  const closed = new Promise((resolve) => client.onDelivery(() => resolve(client.close())));
  client.enqueue('words-written', '18');
  assert.deepEqual(await closed, { undelivered: 0, cancelled: 0 });
  await fails(() => client.streak('18'), 'closed');
});

test('a rotated key is taken', async () => {
  await ask('/keys', { adminKeys: ['new.key'] });
  await fails(() => client.event('words-written', '18'), 'unauthorized');
  client.setApiKey('new.key');
  assert.equal((await client.event('words-written', '18')).total, 1);
});

// The process

test('a call under way keeps the process alive, a client does not', async () => {
  await ask('/faults', { fault: 'delay', ms: 200 });
  const { code, stdout } = await runText(`
    const client = new Client();
    client.onDelivery(console.log);
    client.event('words-written', '18', 7).then(({ total }) => console.log('total', total));`);
  assert.deepEqual([code, stdout], [0, 'total 7\n']);
});

// shows: ends, exits, uncaught
test('a process ends at once with its own code', async () => {
  await hang();
  const busy = `
    const client = new Client(), idle = new Client();
    idle.onDelivery(console.log);
    for (let user = 0; user < 100; user++) client.event('words-written', String(user)).catch(() => {});
    client.enqueue('words-written', '18');
    console.log('ending');`;
  for (const [end, code, says] of [
    ['process.exit(7);', 7, ''],
    ['setTimeout(() => { throw new Error("mine"); }, 10);', 1, 'mine'],
    ['Promise.reject(new Error("mine"));', 1, 'mine'],
    // What is under way keeps the process alive, as with fetch: until it is ended.
    ['await client.close(0);', 0, ''],
  ]) {
    const process = launch(busy + end);
    assert.equal(await firstLine(process), 'ending');
    const { exitCode, stderr } = await ended(process);
    assert.equal(exitCode, code, stderr);
    assert.ok(says ? stderr.includes(says) : stderr === '', stderr);
  }
  await ask('/reset', {});
  for (const begin of [
    "client.onDelivery(() => process.exit(9)); client.enqueue('words-written', '18'); client.close(1e9);",
    "client.event('words-written', '18').then(() => process.exit(9)); setTimeout(() => {}, 1e6);",
  ]) {
    const process = launch(`const client = new Client(); console.log('ending'); ${begin}`);
    assert.equal(await firstLine(process), 'ending');
    assert.equal((await ended(process)).exitCode, 9);
  }
});

// shows: interrupt
test('a signal is heard while calls are under way', async () => {
  await hang();
  for (const [handler, code] of [
    ['', 'SIGINT'],
    ["process.on('SIGINT', () => abort.abort());", 5],
  ]) {
    const process = launch(`
      const client = new Client(), abort = new AbortController();
      ${handler}
      console.log('waiting');
      await client.event('words-written', '18', 1, { signal: abort.signal }).catch((error) => console.log(error.name));
      process.exit(client.stats().callsUnderWay === 0 ? 5 : 6);`);
    assert.equal(await firstLine(process), 'waiting');
    process.kill('SIGINT');
    const { exitCode, signal, stderr } = await ended(process);
    assert.equal(exitCode ?? signal, code, stderr);
  }
});

test('process.exit() waits for nothing that is under way', async () => {
  await hang();
  const { code, stderr } = await runText(`
    const client = new Client();
    client.onDelivery(console.log);
    client.enqueue('words-written', '18');
    client.event('words-written', '19').catch(() => {});
    client.close(1e9);
    setTimeout(() => process.exit(7), 50);`);
  assert.equal(code, 7, stderr);
});

// shows: many-errors
test('what a listener throws is an uncaught exception, and the next delivery is heard', async () => {
  const { code, stdout, stderr } = await runText(`
    process.on('uncaughtException', (error) => console.log(error.message));
    const client = new Client(null, { queue: { requests_per_second: 1000 } });
    client.onDelivery(({ key }) => { throw new Error(key); });
    client.enqueue('words-written', '18');
    client.enqueue('chapters-read', '18');
    await client.close();`);
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.split('\n').sort(), ['', 'chapters-read', 'words-written']);
});

test('a worker may end with calls under way', async () => {
  await hang();
  const program = `
    import { Client } from ${JSON.stringify(new URL('../trophy.js', import.meta.url))};
    const client = new Client(${JSON.stringify(KEY)}, { base_url: ${JSON.stringify(ready.url)} });
    client.onDelivery(() => {});
    client.enqueue('words-written', '18');
    for (let user = 0; user < 50; user++) client.event('words-written', String(user)).catch(() => {});`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  await isAsked('metrics_event');
  await worker.terminate();
  await ask('/reset', {});
  assert.equal((await client.event('words-written', '18')).total, 1);
});

// shows: freed
test('a forgotten client is freed, but not under a call', { skip: process.platform !== 'linux' }, async () => {
  await hang();
  await ask('/faults', { fault: 'delay', ms: 200, operation: 'achievements_all' });
  const { code, stdout, stderr } = await runText(
    `import { readdirSync, readFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    function threads() {
      return readdirSync('/proc/self/task').filter((task) => {
        try {
          return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('trophy-');
        } catch {
          return false; // it has just ended
        }
      }).length;
    }
    function forget() {
      const client = new Client();
      // It is never answered, so that the queue's thread does not end by itself.
      client.enqueue('words-written', '18');
      return client.call('achievements_all');
    }
    const call = forget();
    gc();
    console.log(threads() > 0, (await call).length > 0);
    for (let left = 2000; threads() > 0; left--) {
      if (left === 0) throw new Error(threads() + ' threads');
      gc();
      await sleep(10);
    }`,
    '--expose-gc',
  );
  assert.deepEqual([code, stdout], [0, 'true true\n'], stderr);
});

// shows: freed
test('any number of clients is freed and closed at once', { skip: process.platform === 'win32' }, async () => {
  // koffi makes so many calls at a time, and no more. None of them ends while libuv's four threads wait for who writes into a FIFO.
  const fifo = join(folder, 'fifo');
  await promisify(execFile)('mkfifo', [fifo]);
  const { code, stdout, stderr } = await runText(
    `import { closeSync, openSync, promises } from 'node:fs';
    process.on('uncaughtException', (error) => {
      console.error(error);
      process.kill(process.pid, 'SIGKILL'); // An exit would wait for the threads.
    });
    const waits = Array.from({ length: 4 }, () => promises.open(${JSON.stringify(fifo)}));
    let freed = 0;
    const watch = new FinalizationRegistry(() => freed++);
    const make = () => Array.from({ length: 500 }, () => new Client());
    make().forEach((client) => watch.register(client));
    while (freed < 400) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const closed = Promise.all(make().map((client) => client.close()));
    await new Promise((resolve) => setImmediate(resolve));
    const end = openSync(${JSON.stringify(fifo)}, 'w');
    await Promise.all((await Promise.all(waits)).map((file) => file.close()));
    closeSync(end);
    await closed;
    console.log('closed');`,
    '--expose-gc',
  );
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'closed\n');
});

// shows: freed
test('a listener keeps its client until it is replaced', { skip: process.platform !== 'linux' }, async () => {
  const { code, stdout, stderr } = await runText(
    `import { setTimeout as sleep } from 'node:timers/promises';
    let isFreed = false;
    const registry = new FinalizationRegistry(() => { isFreed = true; });
    function forget(hear) {
      const client = new Client();
      registry.register(client);
      client.onDelivery(() => {
        client.onDelivery(null);
        hear();
      });
      client.enqueue('words-written', 'kept');
    }
    const alive = setInterval(() => {}, 1000); // A listener does not keep the process.
    const heard = new Promise(forget);
    gc();
    await heard;
    console.log(isFreed);
    for (let left = 2000; !isFreed; left--) {
      if (left === 0) throw new Error('it is kept');
      gc();
      await sleep(10);
    }
    clearInterval(alive);`,
    '--expose-gc',
  );
  assert.deepEqual([code, stdout], [0, 'false\n'], stderr);
});

test('a forgotten client is not looked at any more', async () => {
  const { code, stdout, stderr } = await runText(
    `const timers = new Set();
    globalThis.setTimeout = () => {
      const timer = { ref() {}, unref() {} };
      timers.add(timer);
      return timer;
    };
    globalThis.clearTimeout = (timer) => timers.delete(timer);
    (function forget() {
      const client = new Client();
      client.onDelivery(console.log);
      client.onDelivery(null);
    })();
    console.log(timers.size);
    for (let left = 1000; timers.size > 0 && left > 0; left--) {
      gc();
      await new Promise(setImmediate);
    }
    console.log(timers.size);`,
    '--expose-gc',
  );
  assert.deepEqual([code, stdout], [0, '1\n0\n'], stderr);
});

// shows: memory
test('thousands of calls leave memory flat', { skip: process.platform !== 'linux' }, async () => {
  const { code, stderr } = await runText(
    `const client = new Client();
    const wrong = 'x'.repeat(1000);
    async function some(count) {
      for (let index = 0; index < count; index++) {
        client.stats();
        try { client.enqueue('words-written', wrong, NaN); } catch {}
        if (index % 10 === 0) {
          await client.call(wrong).catch(() => {});
          await client.forTenant('acme').close();
        }
        if (index % 100 === 0) await client.event('words-written', '18');
      }
      gc();
    }
    await some(10_000);
    const before = process.memoryUsage.rss();
    await some(20_000);
    const grown = (process.memoryUsage.rss() - before) >> 10;
    await client.close();
    // The texts of stats() alone would be 8,000 KiB, those of the handles or the errors as much.
    if (grown > 5000) throw new Error('grew by ' + grown + ' KiB');`,
    '--expose-gc',
    '--max-semi-space-size=1',
  );
  assert.equal(code, 0, stderr);
});

// The rest

// shows: webhook
test('a webhook is believed only with its signature', () => {
  const body = '{"type":"achievement.completed","name":"Zoë"}';
  const signature = createHmac('sha256', 'secret').update(body).digest('base64');
  assert.equal(verifyWebhook(body, signature, 'secret').name, 'Zoë');
  assert.equal(verifyWebhook(Buffer.from(body), signature, 'secret').name, 'Zoë');
  assert.throws(() => verifyWebhook(`${body} `, signature, 'secret'), { code: 'invalid_signature' });
  assert.throws(() => verifyWebhook(new Uint8Array(), signature, 'secret'), { code: 'invalid_signature' });
});

// shows: example
test('the program in the README runs and ends by itself', async () => {
  const { code, stdout, stderr } = await run('example.js');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /total 750[\s\S]*delivered chapter-1[\s\S]*undelivered 0[\s\S]*streak 1/);
  await ask('/keys', { adminKeys: ['new.key'] });
  const refused = await run('example.js');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /\(unauthorized\)/);
});

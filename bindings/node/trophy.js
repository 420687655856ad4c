// libtrophy for Node 20 and later, by koffi.
//
// The library never calls into JavaScript from its own threads. koffi would let it, but such a thread then waits for
// the event loop: a process.exit() leaves it waiting, and the end of a worker_threads Worker aborts the process. So
// clients are made with "callbacks": "dispatch", and a timer asks for what is due while something is under way.

import koffi from 'koffi';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What went wrong. The message is for people: it names the parameter and says what to do. */
export class TrophyError extends Error {
  constructor(status, { code, message, httpStatus, attempts, retryAfterMs, body }) {
    super(message);
    Object.assign(this, { code, status, httpStatus, attempts, retryAfterMs, body });
  }

  get name() {
    return 'TrophyError';
  }
}

/** A client, or a tenant's handle on one. One for a process is enough. */
export class Client {
  #engine;
  #handle;
  #owner;

  /** Without a key, TROPHY_API_KEY is read. `options` are the client options of trophy.h. */
  constructor(apiKey, options = {}) {
    if (apiKey instanceof Tenant) {
      ({ engine: this.#engine, handle: this.#handle, owner: this.#owner } = apiKey);
    } else {
      const all = json('options', { ...object('options', options), callbacks: 'dispatch' });
      this.#handle = made(lib.client_new, text('apiKey', apiKey), all);
      this.#engine = new Engine(this.#handle);
    }
    forgotten.register(this, [this.#engine, this.#handle], this);
  }

  // ---- Events -------------------------------------------------------------------------------------------------

  /** Sends an event: adds `value` to a user's metric. Resolves to what that changed. */
  async event(key, user, value = 1, details = {}) {
    const { signal, ...more } = object('details', details);
    return this.#begin(signal, lib.metrics_event_async, ...eventOf(key, user, value, more));
  }

  /** Puts an event into the queue, which delivers it. Returns its idempotency key, after microseconds. */
  enqueue(key, user, value = 1, more = {}) {
    const { idempotencyKey } = call(lib.metrics_event_enqueue, this.#open(), ...eventOf(key, user, value, object('more', more)));
    this.#engine.listenSoon();
    return idempotencyKey;
  }

  /**
   * Sets who hears how each queued event ended; null: nobody. One for all handles of the client, which it keeps: with a
   * listener, a client is freed by close() only.
   */
  onDelivery(listener) {
    if (listener !== null && typeof listener !== 'function') {
      throw invalid(`listener: must be a function or null, not ${kind(listener)}`);
    }
    this.#open();
    this.#engine.hear(this, listener);
  }

  /** Waits until the queue is empty, or the time has passed. Resolves to how many events are undelivered. */
  async flush(timeoutMs = Infinity) {
    this.#open();
    return await this.#engine.drain(time(timeoutMs));
  }

  // ---- Every operation ----------------------------------------------------------------------------------------

  /** Calls any operation by its name: `call('users_streak', { id: '18' })`. */
  async call(operation, args = {}, more = {}) {
    const { signal, ...others } = object('more', more);
    known(others, 'signal');
    return this.#begin(signal, lib.call_async, text('operation', operation), json('args', object('args', args)));
  }

  /** Creates the user, or changes what is given. */
  async identify(user, args) {
    const { id, ...body } = userOf(user);
    return this.call('users_identify', { ...args, id, body });
  }

  async user(id, args) {
    return this.call('users_get', { ...args, id });
  }

  async streak(userId, args) {
    return this.call('users_streak', { ...args, id: userId });
  }

  async achievements(userId, args) {
    return this.call('users_achievements', { ...args, id: userId });
  }

  async completeAchievement(key, user, args) {
    return this.call('achievements_complete', { ...args, key, body: { user: userOf(user) } });
  }

  async metric(userId, key, args) {
    return this.call('users_single_metric', { ...args, id: userId, key });
  }

  async points(userId, key, args) {
    return this.call('users_points', { ...args, id: userId, key });
  }

  async leaderboard(key, args) {
    return this.call('leaderboards_get', { ...args, key });
  }

  // ---- The client itself --------------------------------------------------------------------------------------

  /** The same client (connections, threads, queue), whose calls are for a tenant. Its close lets go of it only. */
  forTenant(tenantId) {
    const handle = made(lib.client_for_tenant, this.#open(), text('tenantId', tenantId));
    this.#engine.handles.add(handle);
    return new Client(new Tenant(this.#engine, handle, this.#owner ?? this));
  }

  /** Changes the key after it was rotated; a queue that was paused by the old one goes on. */
  setApiKey(apiKey) {
    call(lib.client_set_api_key, this.#open(), text('apiKey', apiKey));
  }

  /** What the client has done and has to do. */
  stats() {
    return call(lib.client_stats, this.#open());
  }

  /**
   * Delivers what is queued and waits for calls under way, for at most `timeoutMs`, cancels the rest, and frees the
   * client. Resolves to how many queued events are `undelivered` and how many calls were `cancelled`. Again, it does
   * nothing more. A tenant's handle is only let go of.
   */
  async close(timeoutMs = 5000) {
    const limit = time(timeoutMs);
    forgotten.unregister(this);
    if (!this.#owner) {
      return this.#engine.close(limit);
    }
    const handle = this.#handle;
    this.#handle = null;
    await this.#engine.free(handle);
    return { undelivered: 0, cancelled: 0 };
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }

  #open() {
    if (!this.#engine.isOpen || this.#handle === null) {
      throw closed();
    }
    return this.#handle;
  }

  async #begin(signal, start, ...args) {
    if (signal != null && typeof signal.addEventListener !== 'function') {
      throw invalid(`signal: must be an AbortSignal, not ${kind(signal)}`);
    }
    if (signal?.aborted) {
      throw signal.reason;
    }
    return this.#engine.begin(this, signal, (id) => call(start, this.#open(), ...args, onCallback, id));
  }
}

/** Returns the webhook's JSON if Trophy signed it (X-Trophy-Signature), else throws "invalid_signature". */
export function verifyWebhook(body, signature, secret) {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  if (!(bytes instanceof Uint8Array)) {
    throw invalid(`body: must be the bytes as they came, not ${kind(body)}`);
  }
  return call(lib.webhook_verify, bytes, bytes.length, text('signature', signature), text('secret', secret));
}

export function version() {
  return lib.version();
}

// Below: what the handles of a client share.

class Tenant {
  constructor(engine, handle, owner) {
    Object.assign(this, { engine, handle, owner });
  }
}

class Engine {
  handles = new Set();
  isOpen = true;
  #handle;
  #pending = new Map();
  #listener = null;
  /** The user_data of deliveries, once somebody has listened; and how many were heard of. */
  #deliveries = 0;
  #heard = 0;
  #timer;
  /** When the timer is due, and when something last began or ended. */
  #due = Infinity;
  #active = 0;
  #closing;
  #isFreed = false;

  constructor(handle) {
    this.#handle = handle;
    this.handles.add(handle);
  }

  /** `client` stays with the call, so that one with a call under way is not forgotten. So it does with a listener. */
  begin(client, signal, start) {
    return new Promise((resolve, reject) => {
      const id = ++lastId;
      const abort = () => {
        lib.client_cancel(this.#handle, id);
        this.#soon();
      };
      start(id);
      const forget = signal && onAbort(signal, abort);
      this.#pending.set(id, {
        client,
        end(status, json) {
          forget?.();
          const reply = JSON.parse(json);
          if (status === OK) {
            resolve(reply);
          } else {
            reject(status === CANCELLED && signal?.aborted ? signal.reason : new TrophyError(status, reply.error));
          }
        },
      });
      this.#soon();
    });
  }

  hear(client, listener) {
    if (listener && !this.#deliveries) {
      this.#heard = this.#settled();
      this.#deliveries = ++lastId;
      lib.client_on_delivery(this.#handle, onCallback, this.#deliveries);
    }
    this.#listener = listener && { client, hear: listener };
    this.listenSoon();
  }

  listenSoon() {
    if (this.#listener) {
      this.#soon();
    }
  }

  async drain(timeoutMs) {
    let undelivered;
    const isDrained = await this.#until(() => (undelivered = this.#ending(lib.client_flush, 0)) === 0, timeoutMs);
    if (isDrained && this.#deliveries) {
      // The library tells how the last event ended a moment after the queue is empty.
      await this.#until(() => this.#heard >= this.#settled(), 50);
    }
    return undelivered;
  }

  async close(timeoutMs) {
    const isFirst = this.isOpen;
    this.isOpen = false;
    this.#closing ??= this.#close(timeoutMs);
    const ending = await this.#closing;
    return isFirst ? ending : { undelivered: 0, cancelled: 0 };
  }

  async #close(timeoutMs) {
    const until = performance.now() + timeoutMs;
    await this.drain(timeoutMs);
    await this.#until(() => this.#pending.size === 0, until - performance.now());
    let cancelled = 0;
    for (const id of this.#pending.keys()) {
      cancelled += Number(lib.client_cancel(this.#handle, id));
    }
    await this.#until(() => this.#pending.size === 0, Infinity);
    this.#listener = null;
    clearTimeout(this.#timer);
    lib.client_on_delivery(this.#handle, null, 0);
    // No callback is left to run, so that the rest may happen on a thread of libuv's. It takes milliseconds.
    this.#isFreed = true;
    const out = [null];
    const undelivered = undeliveredOf(await aside(lib.client_close, this.#handle, 0, out), out);
    await Promise.all([...this.handles].map((handle) => this.free(handle)));
    return { undelivered, cancelled };
  }

  /** For a client that nobody closed. */
  forget(handle) {
    if (handle === this.#handle) {
      this.#isFreed = true;
      // It may be due yet, of a call that has ended or of a listener that is gone.
      clearTimeout(this.#timer);
    }
    this.free(handle);
  }

  /** Frees a handle, once. */
  async free(handle) {
    if (this.handles.delete(handle)) {
      await aside(lib.client_free, handle);
    }
  }

  #ending(end, timeoutMs) {
    const out = [null];
    return undeliveredOf(end(this.#handle, timeoutMs, out), out);
  }

  /** How many queued events have come to their end. */
  #settled() {
    const { delivered, dead, expired, dropped } = call(lib.client_stats, this.#handle);
    return delivered + dead + expired + dropped;
  }

  async #until(condition, timeoutMs) {
    const start = performance.now();
    for (;;) {
      if (this.#isFreed) {
        throw new TrophyError(CANCELLED, { code: 'cancelled', message: 'flush: the client was closed meanwhile' });
      }
      this.#look();
      if (condition()) {
        return true;
      }
      const passed = performance.now() - start;
      if (passed >= timeoutMs) {
        return false;
      }
      await sleep(Math.min(pause(passed, 20), timeoutMs - passed));
    }
  }

  /** Something has begun: its callback may be due soon. */
  #soon() {
    this.#active = performance.now();
    this.#schedule();
  }

  #schedule() {
    const isBusy = this.#pending.size > 0;
    if (!isBusy && !this.#listener) {
      return;
    }
    const now = performance.now();
    const wait = pause(now - this.#active, isBusy ? 20 : 1000);
    if (this.#due > now + wait) {
      clearTimeout(this.#timer);
      this.#due = now + wait;
      this.#timer = setTimeout(() => {
        this.#due = Infinity;
        this.#look();
        this.#schedule();
      }, wait);
    }
    // Calls keep the process alive. A listener does not: close() waits for deliveries.
    isBusy ? this.#timer.ref() : this.#timer.unref();
  }

  /** Runs the callbacks that are due. */
  #look() {
    if (lib.client_dispatch(this.#handle, 0) > 0) {
      this.#active = performance.now();
    }
    for (const [status, json, id] of due.splice(0)) {
      if (id === this.#deliveries) {
        this.#heard++;
        this.#tell(status, json);
      } else {
        const call = this.#pending.get(id);
        this.#pending.delete(id);
        call.end(status, json);
      }
    }
  }

  #tell(status, json) {
    const { error, ...delivery } = JSON.parse(json);
    const listener = this.#listener;
    // What a listener throws is an uncaught exception, as in an event handler.
    queueMicrotask(() => listener?.hear(error ? { ...delivery, error: new TrophyError(status, error) } : delivery));
  }
}

// koffi throws where more than its `max_async_calls` run at a time, and libuv has four threads.
const MOST_ASIDE = 4;
let running = 0;
const turns = [];

/** Calls C on a thread of libuv's, when it is its turn. */
function aside(f, ...args) {
  return new Promise((resolve, reject) => {
    const end = (error, result) => {
      running--;
      turns.shift()?.();
      error ? reject(error) : resolve(result);
    };
    const run = () => {
      running++;
      try {
        f.async(...args, end);
      } catch (error) {
        end(error); // The program itself makes that many.
      }
    };
    running < MOST_ASIDE ? run() : turns.push(run);
  });
}

// One listener for all calls of a signal: Node takes more than ten for a leak.
const aborts = new WeakMap();

/** Calls back when the signal is aborted. Returns what ends that. */
function onAbort(signal, abort) {
  let all = aborts.get(signal);
  if (!all) {
    const calls = new Set();
    all = { calls, listener: () => [...calls].forEach((each) => each()) };
    aborts.set(signal, all);
    signal.addEventListener('abort', all.listener);
  }
  all.calls.add(abort);
  return () => {
    all.calls.delete(abort);
    if (all.calls.size === 0 && aborts.get(signal) === all) {
      aborts.delete(signal);
      signal.removeEventListener('abort', all.listener);
    }
  };
}

// The longer nothing has happened, the less often it is looked for: at most a sixteenth is added to the time that a
// call takes, or a millisecond.
function pause(passed, most) {
  return Math.min(1 + passed / 16, most);
}

/** A client that nobody closed. It has no call under way, and no listener. */
const forgotten = new FinalizationRegistry(([engine, handle]) => engine.forget(handle));

// Below: how values cross into C and back.

const OK = 0;
const INVALID_ARGUMENT = 1;
const CLOSED = 2;
const CANCELLED = 3;
const TIMEOUT = 11;

function call(start, ...args) {
  const out = [null];
  const status = start(...args, out);
  const reply = JSON.parse(out[0]);
  if (status !== OK) {
    throw new TrophyError(status, reply.error);
  }
  return reply;
}

function closed() {
  return new TrophyError(CLOSED, { code: 'closed', message: 'this client is closed; make another' });
}

function made(make, ...args) {
  const client = [null];
  call(make, ...args, client);
  return client[0];
}

function undeliveredOf(status, [json]) {
  const reply = JSON.parse(json);
  if (status !== OK && status !== TIMEOUT) {
    throw new TrophyError(status, reply.error);
  }
  return reply.undelivered;
}

function invalid(message) {
  return new TrophyError(INVALID_ARGUMENT, { code: 'invalid_argument', message });
}

function kind(value) {
  const [, name] = /^.object (.*).$/.exec(Object.prototype.toString.call(value));
  const named = value === null ? 'null' : Array.isArray(value) ? 'an array' : name === 'Object' ? null : `a ${name}`;
  return typeof value === 'object' && named ? named : `a value of type ${typeof value}`;
}

/** What JSON.stringify() leaves out, or makes {} of: a function, a Map, a promise that nobody awaits. */
function isNoValue(value) {
  if (value === null || typeof value !== 'object') {
    return typeof value === 'function' || typeof value === 'symbol';
  }
  if (Array.isArray(value) || value instanceof String || typeof value.toJSON === 'function') {
    return false;
  }
  return Symbol.iterator in value || Symbol.asyncIterator in value || typeof value.then === 'function';
}

function eventOf(key, user, value, { attributes, idempotencyKey, options, ...others }) {
  known(others, 'attributes, idempotencyKey, options');
  if (typeof value !== 'number') {
    throw invalid(`value: must be a number, not ${kind(value)}`);
  }
  return [
    text('key', key),
    json('user', userOf(user)),
    value,
    attributes == null ? null : json('attributes', object('attributes', attributes)),
    text('idempotencyKey', idempotencyKey),
    options == null ? null : json('options', object('options', options)),
  ];
}

/** A name that is not known is a mistake, such as of an idempotency key: without it an event may count twice. */
function known(others, names) {
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) {
      throw invalid(`${name.toWellFormed()}: is not known here; there is ${names}`);
    }
  }
}

function userOf(user) {
  if (typeof user === 'string') {
    return { id: user };
  }
  if (user === null || typeof user !== 'object' || isNoValue(user)) {
    throw invalid(`user: must be an id or an object with one, not ${kind(user)}`);
  }
  return user;
}

function object(name, value) {
  if (value != null && (typeof value !== 'object' || isNoValue(value))) {
    throw invalid(`${name}: must be an object, not ${kind(value)}`);
  }
  return value ?? {};
}

function time(timeoutMs) {
  if (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs)) {
    throw invalid(`timeoutMs: must be a number, not ${Number.isNaN(timeoutMs) ? 'NaN' : kind(timeoutMs)}`);
  }
  return Math.max(0, timeoutMs);
}

const HALF_A_PAIR = 'holds half of a surrogate pair, which is no text';

/** JSON.stringify() would make null of what is no number, and the service a question mark of what is no text. */
function json(name, value) {
  if (value == null) {
    return null;
  }
  function check(key, member) {
    const where = key === '' ? name : `${name}: ${key}`;
    if (!key.isWellFormed() || (typeof member === 'string' && !member.isWellFormed())) {
      throw invalid(`${where.toWellFormed()}: ${HALF_A_PAIR}`);
    }
    if (typeof member === 'bigint' || (typeof member === 'number' && !Number.isFinite(member))) {
      throw invalid(`${where}: JSON has no number for ${member}`);
    }
    if (isNoValue(member)) {
      throw invalid(`${where}: JSON has no value for ${kind(member)}`);
    }
    return member;
  }
  try {
    return JSON.stringify(value, check);
  } catch (error) {
    // It contains itself, or is nested too deeply.
    throw error instanceof TrophyError ? error : invalid(`${name}: ${error.message.split('\n')[0]}`);
  }
}

function text(name, value) {
  if (value == null) {
    return null;
  }
  if (typeof value !== 'string') {
    throw invalid(`${name}: must be a string, not ${kind(value)}`);
  }
  if (value.includes('\0')) {
    // C would silently read no further.
    throw invalid(`${name}: must not hold U+0000`);
  }
  if (!value.isWellFormed()) {
    throw invalid(`${name}: ${HALF_A_PAIR}`);
  }
  return value;
}

// user_data is a number, never a pointer.
let lastId = 0;
// Filled inside trophy_client_dispatch(), read when it has returned: no code of the user's runs under C.
const due = [];

const library = load();
const freeString = library.func('void trophy_string_free(void *string)');
koffi.disposable('trophy_json', 'str', freeString);
koffi.proto('void trophy_callback(int32_t status, const char *json, uintptr_t user_data)');
const onCallback = koffi.register((...callback) => due.push(callback), 'trophy_callback *');

const event = 'void *client, str key, str user, double value, str attributes, str idempotency_key, str options';
const callback = 'trophy_callback *callback, uintptr_t user_data';
const outJson = '_Out_ trophy_json *out_json';
const lib = {
  version: library.func('str trophy_version()'),
  client_new: library.func(`int32_t trophy_client_new(str api_key, str options, _Out_ void **client, ${outJson})`),
  client_for_tenant: library.func(
    `int32_t trophy_client_for_tenant(void *client, str tenant_id, _Out_ void **out, ${outJson})`,
  ),
  client_dispatch: library.func('size_t trophy_client_dispatch(void *client, int64_t timeout_ms)'),
  client_cancel: library.func('size_t trophy_client_cancel(void *client, uintptr_t user_data)'),
  client_stats: library.func(`int32_t trophy_client_stats(void *client, ${outJson})`),
  client_close: library.func(`int32_t trophy_client_close(void *client, int64_t timeout_ms, ${outJson})`),
  client_free: library.func('void trophy_client_free(void *client)'),
  client_set_api_key: library.func(`int32_t trophy_client_set_api_key(void *client, str api_key, ${outJson})`),
  client_flush: library.func(`int32_t trophy_client_flush(void *client, int64_t timeout_ms, ${outJson})`),
  client_on_delivery: library.func(`void trophy_client_on_delivery(void *client, ${callback})`),
  metrics_event_async: library.func(`int32_t trophy_metrics_event_async(${event}, ${callback}, ${outJson})`),
  metrics_event_enqueue: library.func(`int32_t trophy_metrics_event_enqueue(${event}, ${outJson})`),
  call_async: library.func(`int32_t trophy_call_async(void *client, str operation, str args, ${callback}, ${outJson})`),
  webhook_verify: library.func(
    `int32_t trophy_webhook_verify(const uint8_t *body, size_t length, str signature, str secret, ${outJson})`,
  ),
};

function load() {
  const name = { darwin: 'libtrophy.1.dylib', win32: 'trophy.dll' }[process.platform] ?? 'libtrophy.so.1';
  const packaged = fileURLToPath(new URL(`prebuilds/${platform()}/${name}`, import.meta.url));
  try {
    return koffi.load(process.env.TROPHY_LIBRARY ?? (existsSync(packaged) ? packaged : name));
  } catch (error) {
    throw new Error('libtrophy was not found: install it, or set TROPHY_LIBRARY to its full path', { cause: error });
  }
}

/** Its folder in the package. A Linux without glibc has musl, which loads other libraries. */
function platform() {
  const { platform, arch } = process;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const { excludeNetwork } = process.report;
  process.report.excludeNetwork = true; // it would ask for the names of peers
  const { glibcVersionRuntime } = process.report.getReport().header;
  process.report.excludeNetwork = excludeNetwork;
  return `linux-${arch}${glibcVersionRuntime ? '' : '-musl'}`;
}

/// <reference lib="esnext.disposable" />
// The types of trophy.js. Replies are as the service sends them: treat no field of theirs as certain.

/** What went wrong. */
export class TrophyError extends Error {
  /** The name of the status: "not_found", "rate_limited", "invalid_argument", … */
  readonly code: string;
  /** Its number, as in trophy.h. */
  readonly status: number;
  /** What the service answered with, if it did. */
  readonly httpStatus?: number;
  /** How often it was tried, if at all. */
  readonly attempts?: number;
  /** How long the service asks to wait, if it does. */
  readonly retryAfterMs?: number;
  /** What the service sent. */
  readonly body?: unknown;
  private constructor();
}

export type Json = any;
/** An operation's parameters by their names, "body", and "options". */
export type Args = object;

export interface UserFields {
  id: string;
  name?: string;
  email?: string;
  tz?: string;
  subscribeToEmails?: boolean;
  signUpDate?: string;
  deviceTokens?: string[];
  attributes?: Record<string, string | null>;
}

/** A user's id, or a user with what is to be set: an interface of yours, too, or a literal with more fields. */
export type User = string | UserFields | (UserFields & Record<string, unknown>);

/** See "REQUEST OPTIONS" in trophy.h. */
export interface RequestOptions {
  api_key?: string;
  tenant_id?: string;
  base_url?: string;
  timeout_in_seconds?: number;
  max_retries?: number;
  additional_headers?: Record<string, string>;
  additional_query_parameters?: Record<string, string>;
  additional_body_parameters?: Record<string, unknown>;
}

/** See "CLIENT OPTIONS" in trophy.h. Callbacks are this wrapper's own matter. */
export interface ClientOptions {
  environment?: string;
  base_url?: string;
  admin_base_url?: string;
  tenant_id?: string;
  timeout_in_seconds?: number;
  attempt_timeout_in_seconds?: number;
  connect_timeout_in_seconds?: number;
  max_retries?: number;
  additional_headers?: Record<string, string>;
  proxy?: string;
  ca_file?: string;
  tls_roots?: 'builtin' | 'system';
  allow_insecure_http?: boolean;
  max_response_bytes?: number;
  workers?: number;
  max_pending_calls?: number;
  user_agent?: string;
  queue?: {
    path?: string;
    durability?: 'process' | 'power';
    max_events?: number;
    max_bytes?: number;
    max_age_in_seconds?: number;
    overflow?: 'reject' | 'drop_oldest';
    delivery?: 'auto' | 'single' | 'batch';
    batch_size?: number;
    requests_per_second?: number;
    coalesce?: boolean;
  };
}

export interface EventDetails {
  attributes?: Record<string, string | null>;
  /** What makes this event the same as another of this user and metric; without one, a key is made. */
  idempotencyKey?: string;
  options?: RequestOptions;
}

/** An AbortSignal, which is declared by Node's types, or by those of the DOM. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: any;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface Cancellable {
  /** Ends the call. An event under way may have been counted. */
  signal?: Signal;
}

export interface EventReply {
  total: number;
  achievements: Json[];
  currentStreak: Json;
  points: Json;
  leaderboards: Json;
  idempotencyKey: string;
  /** True if this key had counted before. */
  idempotentReplayed: boolean;
  [field: string]: Json;
}

/** How a queued event ended: with a response, or with an error. */
export interface Delivery {
  idempotencyKey: string;
  key: string;
  userId: string;
  response?: Json;
  error?: TrophyError;
}

/** What was left when a client was closed. */
export interface Ending {
  /** Events still in the queue. */
  undelivered: number;
  /** Calls that had to be ended. */
  cancelled: number;
}

export class Client implements AsyncDisposable {
  constructor(apiKey?: string | null, options?: ClientOptions);

  event(key: string, user: User, value?: number, more?: EventDetails & Cancellable): Promise<EventReply>;
  enqueue(key: string, user: User, value?: number, more?: EventDetails): string;
  onDelivery(listener: ((delivery: Delivery) => void) | null): void;
  flush(timeoutMs?: number): Promise<number>;

  call(operation: string, args?: Args, more?: Cancellable): Promise<Json>;
  identify(user: User, args?: Args): Promise<Json>;
  user(id: string, args?: Args): Promise<Json>;
  streak(userId: string, args?: Args): Promise<Json>;
  achievements(userId: string, args?: Args): Promise<Json[]>;
  completeAchievement(key: string, user: User, args?: Args): Promise<Json>;
  metric(userId: string, key: string, args?: Args): Promise<Json>;
  points(userId: string, key: string, args?: Args): Promise<Json>;
  leaderboard(key: string, args?: Args): Promise<Json>;

  forTenant(tenantId: string): Client;
  setApiKey(apiKey: string): void;
  stats(): Record<string, Json>;
  close(timeoutMs?: number): Promise<Ending>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function verifyWebhook(body: string | Uint8Array, signature: string, secret: string): Json;
export function version(): string;

/*
 * trophy.h: the C API of libtrophy 1.0.0, for Trophy, the hosted gamification service.
 * Generated: edit src/ffi/ and src/api/operations.rs, then build.
 *
 * THE RULES
 *
 * Ownership. What a function gives you through an out-parameter, or returns as `char *`, is yours: free a
 *   string with trophy_string_free(), a client with trophy_client_free(). What you pass in stays yours and is
 *   copied if it is kept. A `const char *` from a function is static; one in a callback is borrowed until the
 *   callback returns.
 * Results. A function that can fail returns a trophy_status and takes `out_json` last. It is always set: to
 *   the service's JSON on TROPHY_STATUS_OK, else to
 *     {"error":{"code":"rate_limited","message":"...","httpStatus":429,"attempts":3,"retryAfterMs":1000,"body":...}}
 *   of which what is absent is left out. The message is for people: it names the parameter and says what to
 *   do. So there is one way to clean up, and no "last error". `out_json` may be NULL if you want none of it.
 * Text is UTF-8 and ends in NUL. A parameter that ends in `_json` is JSON text; one in `_ms`, milliseconds.
 * NULL means "the default" where a parameter is optional; where one is needed it is
 *   TROPHY_STATUS_INVALID_ARGUMENT, as is bad UTF-8, bad JSON, a name that is unknown. Nothing was sent then.
 * Threads. Every function may be called from any thread at any time: a `const trophy_client *` is shared
 *   freely. The exception is trophy_client_free(), after which its handle is gone. After fork() the child may
 *   use or free its copy. A callback may call anything but trophy_client_close() and trophy_client_free(), and
 *   must return: no longjmp(), no C++ exception may leave it.
 * Secrets. An API key is in no log line, no error and no file that the library writes.
 * Versions. Within version 1 (libtrophy.so.1), functions, numbers and JSON names are only ever
 *   added. So ignore names you do not know, and have a `default:` in a switch over trophy_status.
 */
#ifndef TROPHY_H
#define TROPHY_H

#include <stddef.h>
#include <stdint.h>

/* ---- Version ------------------------------------------------------------------------------------------- */

/** The version of this header; trophy_version() is that of the library which runs. */
#define TROPHY_VERSION "1.0.0"
/** Its first number: within one, a program needs no rebuild. */
#define TROPHY_VERSION_MAJOR 1
/** Its second number: a larger one has more functions, options or statuses. */
#define TROPHY_VERSION_MINOR 0
/** Its third number: a larger one has mistakes mended. */
#define TROPHY_VERSION_PATCH 0
/** As one number to compare: major * 1000000 + minor * 1000 + patch. */
#define TROPHY_VERSION_NUMBER 1000000

/* ---- Compilers ----------------------------------------------------------------------------------------- */

/** What the library exports. Define TROPHY_STATIC on Windows when you link the static library. */
#if defined(_WIN32) && !defined(TROPHY_STATIC)
#define TROPHY_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define TROPHY_API __attribute__((visibility("default")))
#else
#define TROPHY_API
#endif

/** A result that must not be dropped: it would leak, or be taken for a success. */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define TROPHY_MUST_USE [[nodiscard]]
#elif defined(__GNUC__)
#define TROPHY_MUST_USE __attribute__((warn_unused_result))
#else
#define TROPHY_MUST_USE
#endif

/* ---- Options ------------------------------------------------------------------------------------------- */

/*
 * CLIENT OPTIONS: `options_json` of trophy_client_new(). All may be left out. A name not listed is an error.
 * Seconds may be fractions, from 0.001 up.
 *
 * environment                 "default"   which Trophy to talk to; there is one
 * base_url                    Trophy's    of the application API; else the variable TROPHY_BASE_URL
 * admin_base_url              Trophy's    of the admin API; else the variable TROPHY_ADMIN_BASE_URL
 * tenant_id                   none        sent as Tenant-ID with each call
 * timeout_in_seconds          60          a whole call, retries and waits included
 * attempt_timeout_in_seconds  20          one attempt of it
 * connect_timeout_in_seconds  10          look-up, connect, proxy and TLS of an attempt
 * max_retries                 2           attempts after the first, at most 100
 * additional_headers          {}          {"X-Name": "value"}, sent with each call
 * proxy                       none        "http://host:port"; else HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY,
 *                                         which do not count for a base_url on this machine; neither does the
 *                                         option where that is plain http
 * ca_file                     none        a PEM file of the certificates to trust in place of the roots
 * tls_roots                   "builtin"   the roots: "builtin", Mozilla's; "system", the machine's own store
 * allow_insecure_http         false       plain http to other hosts than this one
 * max_response_bytes          16777216    a longer reply is TROPHY_STATUS_INVALID_RESPONSE
 * callbacks                   "worker"    where callbacks run: "worker", on threads of the library; "dispatch",
 *                                         only inside trophy_client_dispatch()
 * workers                     4           asynchronous calls under way at once, and threads for them, started when
 *                                         needed; at most 1024
 * max_pending_calls           10000       asynchronous calls that wait; beyond it TROPHY_STATUS_QUEUE_FULL
 * user_agent                  "libtrophy/1.0.0"  the User-Agent header
 * queue                       {}          options of the queue:
 *   path                      none        its folder, made absolute when the client is made; without one the queue
 *                                         is in memory, and lost with the process
 *   durability                "process"   what an event survives: "process", a crash of the process; "power", a
 *                                         power cut (slower: each event is synced to the disk)
 *   max_events                100000      events it holds
 *   max_bytes                 67108864    bytes it holds
 *   max_age_in_seconds        none        an older event ends with TROPHY_STATUS_EXPIRED
 *   overflow                  "reject"    when it is full: "reject", with TROPHY_STATUS_QUEUE_FULL; "drop_oldest"
 *   delivery                  "auto"      "single", one request an event, with its full reply; "batch", for admin
 *                                         keys, many in a request; "auto", single, and a backlog in batches if
 *                                         the key may
 *   batch_size                1000        events in a batch, at most 1000
 *   requests_per_second       5           the service's limit for a whole organisation; 0.001 to 10000
 *   coalesce                  false       unkeyed events of one user and metric with equal attributes, not yet
 *                                         sent, become one: their values summed
 *
 * REQUEST OPTIONS: `options_json` of an event, `"options"` in `args_json`. They win over the client's. An event
 * that is enqueued takes `tenant_id` and the `additional_` ones.
 *
 * api_key                                 another key for this call
 * tenant_id                               another tenant for this call
 * base_url                                another host for this call
 * timeout_in_seconds                      the whole call, retries and waits included
 * max_retries                             attempts after the first
 * additional_headers                      {"X-Name": "value"}
 * additional_query_parameters             {"name": "value"}; the call's own parameters win
 * additional_body_parameters              {"name": any JSON}; the body's own members win
 */

/* ---- Names of operations, for trophy_call() -------------------------------------------------------------- */

/** GET /achievements */
#define TROPHY_OP_ACHIEVEMENTS_ALL "achievements_all"
/** POST /achievements/{key}/complete */
#define TROPHY_OP_ACHIEVEMENTS_COMPLETE "achievements_complete"
/** POST /metrics/{key}/event */
#define TROPHY_OP_METRICS_EVENT "metrics_event"
/** POST /users */
#define TROPHY_OP_USERS_CREATE "users_create"
/** GET /users/{id} */
#define TROPHY_OP_USERS_GET "users_get"
/** PUT /users/{id} */
#define TROPHY_OP_USERS_IDENTIFY "users_identify"
/** PATCH /users/{id} */
#define TROPHY_OP_USERS_UPDATE "users_update"
/** GET /users/{id}/preferences */
#define TROPHY_OP_USERS_GET_PREFERENCES "users_get_preferences"
/** PATCH /users/{id}/preferences */
#define TROPHY_OP_USERS_UPDATE_PREFERENCES "users_update_preferences"
/** GET /users/{id}/metrics */
#define TROPHY_OP_USERS_ALL_METRICS "users_all_metrics"
/** GET /users/{id}/metrics/{key} */
#define TROPHY_OP_USERS_SINGLE_METRIC "users_single_metric"
/** GET /users/{id}/metrics/{key}/event-summary */
#define TROPHY_OP_USERS_METRIC_EVENT_SUMMARY "users_metric_event_summary"
/** GET /users/{id}/achievements */
#define TROPHY_OP_USERS_ACHIEVEMENTS "users_achievements"
/** GET /users/{id}/streak */
#define TROPHY_OP_USERS_STREAK "users_streak"
/** GET /streaks */
#define TROPHY_OP_STREAKS_LIST "streaks_list"
/** GET /users/{id}/points/{key} */
#define TROPHY_OP_USERS_POINTS "users_points"
/** GET /users/{id}/points/{key}/boosts */
#define TROPHY_OP_USERS_POINTS_BOOSTS "users_points_boosts"
/** GET /users/{id}/points/{key}/event-summary */
#define TROPHY_OP_USERS_POINTS_EVENT_SUMMARY "users_points_event_summary"
/** GET /users/{id}/leaderboards/{key} */
#define TROPHY_OP_USERS_LEADERBOARD "users_leaderboard"
/** GET /users/{id}/wrapped */
#define TROPHY_OP_USERS_WRAPPED "users_wrapped"
/** GET /points/{key}/summary */
#define TROPHY_OP_POINTS_SUMMARY "points_summary"
/** GET /points/{key} */
#define TROPHY_OP_POINTS_SYSTEM "points_system"
/** GET /points/{key}/boosts */
#define TROPHY_OP_POINTS_BOOSTS "points_boosts"
/** GET /points/{key}/levels */
#define TROPHY_OP_POINTS_LEVELS "points_levels"
/** GET /points/{key}/level-summary */
#define TROPHY_OP_POINTS_LEVEL_SUMMARY "points_level_summary"
/** GET /leaderboards */
#define TROPHY_OP_LEADERBOARDS_ALL "leaderboards_all"
/** GET /leaderboards/{key} */
#define TROPHY_OP_LEADERBOARDS_GET "leaderboards_get"
/** GET admin /attributes */
#define TROPHY_OP_ADMIN_ATTRIBUTES_LIST "admin_attributes_list"
/** POST admin /attributes */
#define TROPHY_OP_ADMIN_ATTRIBUTES_CREATE "admin_attributes_create"
/** PATCH admin /attributes */
#define TROPHY_OP_ADMIN_ATTRIBUTES_UPDATE "admin_attributes_update"
/** DELETE admin /attributes */
#define TROPHY_OP_ADMIN_ATTRIBUTES_DELETE "admin_attributes_delete"
/** GET admin /attributes/{id} */
#define TROPHY_OP_ADMIN_ATTRIBUTES_GET "admin_attributes_get"
/** GET admin /metrics */
#define TROPHY_OP_ADMIN_METRICS_LIST "admin_metrics_list"
/** POST admin /metrics */
#define TROPHY_OP_ADMIN_METRICS_CREATE "admin_metrics_create"
/** PATCH admin /metrics */
#define TROPHY_OP_ADMIN_METRICS_UPDATE "admin_metrics_update"
/** DELETE admin /metrics */
#define TROPHY_OP_ADMIN_METRICS_DELETE "admin_metrics_delete"
/** GET admin /metrics/{id} */
#define TROPHY_OP_ADMIN_METRICS_GET "admin_metrics_get"
/** POST admin /metrics/events */
#define TROPHY_OP_ADMIN_METRICS_BATCH_EVENTS "admin_metrics_batch_events"
/** GET admin /points */
#define TROPHY_OP_ADMIN_POINTS_SYSTEMS_LIST "admin_points_systems_list"
/** POST admin /points */
#define TROPHY_OP_ADMIN_POINTS_SYSTEMS_CREATE "admin_points_systems_create"
/** PATCH admin /points */
#define TROPHY_OP_ADMIN_POINTS_SYSTEMS_UPDATE "admin_points_systems_update"
/** DELETE admin /points */
#define TROPHY_OP_ADMIN_POINTS_SYSTEMS_DELETE "admin_points_systems_delete"
/** GET admin /points/{id} */
#define TROPHY_OP_ADMIN_POINTS_SYSTEMS_GET "admin_points_systems_get"
/** GET admin /points/{systemId}/boosts */
#define TROPHY_OP_ADMIN_POINTS_BOOSTS_LIST "admin_points_boosts_list"
/** POST admin /points/{systemId}/boosts */
#define TROPHY_OP_ADMIN_POINTS_BOOSTS_CREATE "admin_points_boosts_create"
/** PATCH admin /points/{systemId}/boosts */
#define TROPHY_OP_ADMIN_POINTS_BOOSTS_UPDATE "admin_points_boosts_update"
/** DELETE admin /points/{systemId}/boosts */
#define TROPHY_OP_ADMIN_POINTS_BOOSTS_DELETE "admin_points_boosts_delete"
/** GET admin /points/{systemId}/boosts/{id} */
#define TROPHY_OP_ADMIN_POINTS_BOOSTS_GET "admin_points_boosts_get"
/** GET admin /points/{systemId}/levels */
#define TROPHY_OP_ADMIN_POINTS_LEVELS_LIST "admin_points_levels_list"
/** POST admin /points/{systemId}/levels */
#define TROPHY_OP_ADMIN_POINTS_LEVELS_CREATE "admin_points_levels_create"
/** PATCH admin /points/{systemId}/levels */
#define TROPHY_OP_ADMIN_POINTS_LEVELS_UPDATE "admin_points_levels_update"
/** DELETE admin /points/{systemId}/levels */
#define TROPHY_OP_ADMIN_POINTS_LEVELS_DELETE "admin_points_levels_delete"
/** GET admin /points/{systemId}/levels/{id} */
#define TROPHY_OP_ADMIN_POINTS_LEVELS_GET "admin_points_levels_get"
/** GET admin /points/{systemId}/triggers */
#define TROPHY_OP_ADMIN_POINTS_TRIGGERS_LIST "admin_points_triggers_list"
/** POST admin /points/{systemId}/triggers */
#define TROPHY_OP_ADMIN_POINTS_TRIGGERS_CREATE "admin_points_triggers_create"
/** PATCH admin /points/{systemId}/triggers */
#define TROPHY_OP_ADMIN_POINTS_TRIGGERS_UPDATE "admin_points_triggers_update"
/** DELETE admin /points/{systemId}/triggers */
#define TROPHY_OP_ADMIN_POINTS_TRIGGERS_DELETE "admin_points_triggers_delete"
/** GET admin /points/{systemId}/triggers/{id} */
#define TROPHY_OP_ADMIN_POINTS_TRIGGERS_GET "admin_points_triggers_get"
/** GET admin /leaderboards */
#define TROPHY_OP_ADMIN_LEADERBOARDS_LIST "admin_leaderboards_list"
/** POST admin /leaderboards */
#define TROPHY_OP_ADMIN_LEADERBOARDS_CREATE "admin_leaderboards_create"
/** PATCH admin /leaderboards */
#define TROPHY_OP_ADMIN_LEADERBOARDS_UPDATE "admin_leaderboards_update"
/** DELETE admin /leaderboards */
#define TROPHY_OP_ADMIN_LEADERBOARDS_DELETE "admin_leaderboards_delete"
/** GET admin /leaderboards/{id} */
#define TROPHY_OP_ADMIN_LEADERBOARDS_GET "admin_leaderboards_get"
/** POST admin /streaks/freezes */
#define TROPHY_OP_ADMIN_STREAKS_FREEZES_CREATE "admin_streaks_freezes_create"
/** POST admin /streaks/pauses */
#define TROPHY_OP_ADMIN_STREAKS_PAUSES_CREATE "admin_streaks_pauses_create"
/** DELETE admin /streaks/pauses */
#define TROPHY_OP_ADMIN_STREAKS_PAUSES_DELETE "admin_streaks_pauses_delete"
/** POST admin /streaks/restore */
#define TROPHY_OP_ADMIN_STREAKS_RESTORE "admin_streaks_restore"
/** POST admin /application-api-keys */
#define TROPHY_OP_ADMIN_APPLICATION_API_KEYS_CREATE "admin_application_api_keys_create"
/** DELETE admin /application-api-keys */
#define TROPHY_OP_ADMIN_APPLICATION_API_KEYS_DELETE "admin_application_api_keys_delete"
/** GET admin /tenants */
#define TROPHY_OP_ADMIN_TENANTS_LIST "admin_tenants_list"
/** POST admin /tenants */
#define TROPHY_OP_ADMIN_TENANTS_CREATE "admin_tenants_create"
/** PATCH admin /tenants */
#define TROPHY_OP_ADMIN_TENANTS_UPDATE "admin_tenants_update"
/** DELETE admin /tenants */
#define TROPHY_OP_ADMIN_TENANTS_DELETE "admin_tenants_delete"
/** GET admin /tenants/{id} */
#define TROPHY_OP_ADMIN_TENANTS_GET "admin_tenants_get"
/** GET admin /achievements */
#define TROPHY_OP_ADMIN_ACHIEVEMENTS_LIST "admin_achievements_list"
/** POST admin /achievements */
#define TROPHY_OP_ADMIN_ACHIEVEMENTS_CREATE "admin_achievements_create"
/** PATCH admin /achievements */
#define TROPHY_OP_ADMIN_ACHIEVEMENTS_UPDATE "admin_achievements_update"
/** DELETE admin /achievements */
#define TROPHY_OP_ADMIN_ACHIEVEMENTS_DELETE "admin_achievements_delete"
/** GET admin /achievements/{id} */
#define TROPHY_OP_ADMIN_ACHIEVEMENTS_GET "admin_achievements_get"
/** GET admin /environments */
#define TROPHY_OP_ADMIN_ENVIRONMENTS_LIST "admin_environments_list"
/** GET admin /settings */
#define TROPHY_OP_ADMIN_SETTINGS_GET "admin_settings_get"
/** PATCH admin /settings */
#define TROPHY_OP_ADMIN_SETTINGS_UPDATE "admin_settings_update"
/** GET admin /streaks/settings */
#define TROPHY_OP_ADMIN_STREAKS_SETTINGS_GET "admin_streaks_settings_get"
/** PATCH admin /streaks/settings */
#define TROPHY_OP_ADMIN_STREAKS_SETTINGS_UPDATE "admin_streaks_settings_update"
/** POST admin /streaks/reset */
#define TROPHY_OP_ADMIN_STREAKS_RESET "admin_streaks_reset"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Types ----------------------------------------------------------------------------------------------- */

/**
 * What became of a call. Numbers are only ever added.
 */
enum trophy_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Success.
   */
  TROPHY_STATUS_OK = 0,
  /**
   * A parameter is wrong; the message names it. Nothing was sent.
   */
  TROPHY_STATUS_INVALID_ARGUMENT = 1,
  /**
   * The client is closed, or is closing.
   */
  TROPHY_STATUS_CLOSED = 2,
  /**
   * The call was ended by trophy_client_cancel(), trophy_client_close() or trophy_client_free().
   */
  TROPHY_STATUS_CANCELLED = 3,
  /**
   * No connection, or it broke before an answer came.
   */
  TROPHY_STATUS_NETWORK = 10,
  /**
   * The time allowed has passed. Of a flush or a close: something is left to deliver.
   */
  TROPHY_STATUS_TIMEOUT = 11,
  /**
   * The server's certificate was refused, or the handshake failed.
   */
  TROPHY_STATUS_TLS = 12,
  /**
   * The service said yes, with a reply that cannot be read. It was not sent again; an event may have counted.
   */
  TROPHY_STATUS_INVALID_RESPONSE = 13,
  /**
   * HTTP 400: the service found the request malformed.
   */
  TROPHY_STATUS_BAD_REQUEST = 20,
  /**
   * HTTP 401: the API key is missing, wrong or was rotated.
   */
  TROPHY_STATUS_UNAUTHORIZED = 21,
  /**
   * HTTP 403: the API key may not do this.
   */
  TROPHY_STATUS_FORBIDDEN = 22,
  /**
   * HTTP 404: there is no such user, metric, achievement.
   */
  TROPHY_STATUS_NOT_FOUND = 23,
  /**
   * HTTP 422: the service understood the request and refuses it.
   */
  TROPHY_STATUS_UNPROCESSABLE = 24,
  /**
   * HTTP 429: over the service's limit of requests a second.
   */
  TROPHY_STATUS_RATE_LIMITED = 25,
  /**
   * Any other HTTP status that is not a success, redirects among them: they are not followed.
   */
  TROPHY_STATUS_HTTP = 26,
  /**
   * HTTP 5xx: the service failed.
   */
  TROPHY_STATUS_SERVER = 27,
  /**
   * The queue, or the backlog of asynchronous calls, is full.
   */
  TROPHY_STATUS_QUEUE_FULL = 30,
  /**
   * The queue's folder could not be read or written.
   */
  TROPHY_STATUS_STORAGE = 31,
  /**
   * A queued event became older than `max_age_in_seconds`.
   */
  TROPHY_STATUS_EXPIRED = 32,
  /**
   * The webhook was not signed with this secret.
   */
  TROPHY_STATUS_INVALID_SIGNATURE = 40,
  /**
   * A bug in the library, caught at its boundary. The client stays usable.
   */
  TROPHY_STATUS_PANIC = 99,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trophy_status trophy_status;
#else
typedef int32_t trophy_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much is logged. A level includes those above it.
 */
enum trophy_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing.
   */
  TROPHY_LOG_LEVEL_OFF = 0,
  /**
   * Something was lost or refused: a dead event, a damaged file, a bug in the library.
   */
  TROPHY_LOG_LEVEL_ERROR = 1,
  /**
   * Something to look at: a paused queue, a call given up, a rate limit met.
   */
  TROPHY_LOG_LEVEL_WARN = 2,
  /**
   * Turning points: a client made or closed, a queue taken over.
   */
  TROPHY_LOG_LEVEL_INFO = 3,
  /**
   * Each attempt of each request.
   */
  TROPHY_LOG_LEVEL_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trophy_log_level trophy_log_level;
#else
typedef int32_t trophy_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A handle on a client: its connections, its threads, its queue.
 */
typedef struct trophy_client trophy_client;

/**
 * Called with the outcome of an asynchronous call, or of a queued event.
 *
 * It runs with no lock held, where the option `callbacks` says. It may call the library, except
 * trophy_client_close() and trophy_client_free(). It must return: no longjmp(), no C++ exception may
 * leave it.
 *
 * @param status    What became of it.
 * @param json      The service's reply, or error JSON. Borrowed until the callback returns.
 * @param user_data What was given with the callback.
 */
typedef void (*trophy_callback)(trophy_status status, const char *json, void *user_data);

/**
 * Called when callbacks wait to be dispatched where none did: see trophy_client_on_ready().
 *
 * Wake your event loop and return: write a byte to a pipe or an eventfd, post an event. Do no more than that: wait for
 * nothing, and call nothing of the library.
 *
 * @param user_data What was given with the callback.
 */
typedef void (*trophy_ready_callback)(void *user_data);

/**
 * Called with each log line, on the thread it comes from: return soon, and log nothing from there.
 *
 * @param level     How much it matters.
 * @param message   One line, without a line break at its end. Never holds an API key's secret part.
 *                  Borrowed until the callback returns.
 * @param user_data What was given with the callback.
 */
typedef void (*trophy_log_callback)(trophy_log_level level, const char *message, void *user_data);

/* ---- Library --------------------------------------------------------------------------------------------- */

/**
 * The version of the library that runs; TROPHY_VERSION is that of the header it was compiled with.
 *
 * @return "1.2.3". Static: never free it.
 */
TROPHY_API const char *trophy_version(void);

/**
 * The name of a status, as error JSON has it in "code".
 *
 * @param status Any number.
 * @return "rate_limited"; "unknown" for a number that is no status. Static: never free it.
 */
TROPHY_API const char *trophy_status_name(trophy_status status);

/**
 * Frees a string that the library gave: an `out_json`, or the result of trophy_json_string() or
 * trophy_json_quote().
 *
 * @param string Owned by the caller until now. NULL is fine.
 */
TROPHY_API void trophy_string_free(char *string);

/**
 * Sets where log lines go: the only thing that all clients of a process share.
 *
 * Without it the library says nothing: it never writes to stdout or stderr. When this returns, the
 * callback before it is no longer running and will not be called again (unless it is what called).
 *
 * @param level     How much to log: this level and those above it.
 * @param callback  Called on the thread that logs, which may be any. NULL turns logging off.
 * @param user_data Passed to each call. Yours: it must live until the callback is replaced.
 */
TROPHY_API void trophy_log_set_callback(trophy_log_level level, trophy_log_callback callback, void *user_data);

/* ---- Client: safe from any thread ------------------------------------------------------------------------ */

/**
 * Makes a client: its connections, its threads, its queue. One for a process is enough.
 *
 * Sends nothing, and starts no thread unless the queue's folder holds undelivered events.
 *
 * @param api_key      Your API key. NULL: the environment variable TROPHY_API_KEY. Borrowed, UTF-8.
 * @param options_json Client options (see above) as a JSON object. NULL for the defaults. Borrowed, UTF-8.
 * @param out_client   Set to the client, or to NULL on failure. Owned: free with trophy_client_free().
 * @param out_json     Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT for an option that is unknown or wrong, or no
 *         key; TROPHY_STATUS_STORAGE if the queue's folder cannot be used.
 */
TROPHY_MUST_USE TROPHY_API
trophy_status trophy_client_new(const char *api_key,
                                const char *options_json,
                                trophy_client **out_client,
                                char **out_json);

/**
 * Makes a second handle on the same client (connections, threads, queue), whose calls are for a tenant.
 *
 * The client ends when its last handle is freed; trophy_client_close() on any of them closes it for all.
 *
 * @param client     Borrowed; safe from any thread.
 * @param tenant_id  Sent as the Tenant-ID header of each call. Borrowed, UTF-8.
 * @param out_client Set to the handle, or to NULL on failure. Owned: free with trophy_client_free().
 * @param out_json   Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or TROPHY_STATUS_CLOSED.
 */
TROPHY_MUST_USE TROPHY_API
trophy_status trophy_client_for_tenant(const trophy_client *client,
                                       const char *tenant_id,
                                       trophy_client **out_client,
                                       char **out_json);

/**
 * Runs the callbacks that are ready, on this thread. For clients with `"callbacks": "dispatch"`.
 *
 * Call it from your main loop. Several threads may. Callbacks that become ready while these run wait for the
 * next call.
 *
 * @param client     Borrowed; safe from any thread.
 * @param timeout_ms How long to wait for the first callback: 0 never waits, a negative number waits for ever.
 * @return How many callbacks ran. 0 at once if the client is closed, or if its callbacks run on threads of the
 *         library.
 */
TROPHY_API size_t trophy_client_dispatch(const trophy_client *client, int64_t timeout_ms);

/**
 * Sets what wakes your event loop when there is something to dispatch. For clients with `"callbacks": "dispatch"`.
 *
 * It is called whenever callbacks become ready where none were: once, however many follow before the next
 * trophy_client_dispatch(), and at once if some are ready already. What becomes ready while a dispatch runs calls it
 * again, so nothing is missed by a loop that first takes the wake-up off its pipe and then dispatches. When this
 * returns, the callback before it is no longer running and will not be called again (unless it is what called); after
 * trophy_client_close() or trophy_client_free() none is. A forked child sets its own.
 *
 * @param client    Borrowed; safe from any thread. The callback is for all handles of the client.
 * @param ready     Called from any thread, also inside a call of the library. NULL: nobody is woken.
 * @param user_data Passed to each call. Yours: it must live until the callback is replaced or the client ended.
 */
TROPHY_API
void trophy_client_on_ready(const trophy_client *client,
                            trophy_ready_callback ready,
                            void *user_data);

/**
 * Ends the asynchronous calls that were given this `user_data`, waiting or under way.
 *
 * Their callbacks still run, once each, with TROPHY_STATUS_CANCELLED (or with the reply, if it was first).
 * An event under way may have been counted.
 *
 * @param client    Borrowed; safe from any thread.
 * @param user_data As it was given to the calls. NULL means those that were given NULL.
 * @return How many calls it ended.
 */
TROPHY_API size_t trophy_client_cancel(const trophy_client *client, const void *user_data);

/**
 * Reads what the client has done and has to do, as numbers. No network.
 *
 * Of the queue: `queued`, `inFlight`, and how many have been `delivered`, `dead` (refused), `expired`, `dropped`
 * (to make room), `damaged`; `bytesOnDisk`, `paused` (by a key that the service refuses), and its present
 * `requestsPerSecond`. Of all calls: `requests` (attempts), `retries`, `rateLimited`, `callsUnderWay`,
 * `callsWaiting`, and `callsFinished`, an object by status name.
 *
 * @param client   Borrowed; safe from any thread.
 * @param out_json Set to an object of these, or to error JSON. Owned: free with trophy_string_free(). May be
 *                 NULL.
 * @return TROPHY_STATUS_OK, or TROPHY_STATUS_INVALID_ARGUMENT.
 */
TROPHY_API
trophy_status trophy_client_stats(const trophy_client *client,
                                  char **out_json);

/**
 * Ends the client in an orderly way: takes no more work, delivers what is queued, waits for the calls under
 * way, then cancels those that are left.
 *
 * Blocks at most `timeout_ms`, and 50 ms (100 ms on Windows). Calls in other threads, a flush among them,
 * return TROPHY_STATUS_CANCELLED, later calls TROPHY_STATUS_CLOSED. What is still queued stays on disk, for
 * the next client on that path. Callbacks not yet dispatched run here. The handles have still to be freed.
 *
 * @param client     Borrowed; safe from any thread, but not inside a callback.
 * @param timeout_ms 0 cancels at once; a negative number waits for ever.
 * @param out_json   Set to `{"undelivered": n, "cancelled": m}`: events left in the queue, calls that had to be
 *                   cancelled; or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK if both are 0; TROPHY_STATUS_TIMEOUT if not; TROPHY_STATUS_INVALID_ARGUMENT inside a
 *         callback.
 */
TROPHY_API trophy_status trophy_client_close(const trophy_client *client, int64_t timeout_ms, char **out_json);

/**
 * Frees a handle. With its last handle the client ends, as by trophy_client_close() with no wait.
 *
 * Waits for a callback that is running to return. After that no callback runs, and no thread of the library is
 * left, but for a look-up of a host name that hangs, which nothing can end: it has nothing of the client, and calls
 * nobody. What is queued stays on disk.
 *
 * @param client Owned by the caller until now; no other thread may be using this handle. NULL is fine.
 *               Inside a callback a client's last handle is not freed, and the log says so.
 */
TROPHY_API
void trophy_client_free(trophy_client *client);

/**
 * Changes the API key, after it was rotated. A queue that was paused by the old one goes on.
 *
 * For all handles of the client. A call under way takes it with its next attempt.
 *
 * @param client   Borrowed; safe from any thread.
 * @param api_key  The new key. Borrowed, UTF-8.
 * @param out_json Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or TROPHY_STATUS_CLOSED.
 */
TROPHY_API
trophy_status trophy_client_set_api_key(const trophy_client *client,
                                        const char *api_key,
                                        char **out_json);

/* ---- The main job: one event, three ways, one parameter list --------------------------------------------- */

/**
 * Sends a metric event: adds `value` to a user's metric, and tells what that changed.
 *
 * POST /metrics/{key}/event. Blocks until the reply, at most the client's `timeout_in_seconds`, its turn in
 * its lane and all attempts included. It counts once: every attempt carries the same idempotency key.
 *
 * @param client          Borrowed; safe from any thread.
 * @param key             The metric's key. Borrowed, UTF-8.
 * @param user_json       The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz,
 *                        device_tokens, subscribe_to_emails, sign_up_date ("YYYY-MM-DD"), attributes. Borrowed,
 *                        UTF-8.
 * @param value           How much to add. May be negative or a fraction; not NaN, not infinite.
 * @param attributes_json Optional: the event's attributes, `{"genre": "crime"}`. Values are strings, null ones
 *                        are left out. NULL for none. Borrowed, UTF-8.
 * @param idempotency_key Optional: what makes this event the same as another of this user and metric, such as
 *                        your row's id. Visible ASCII. NULL: one is made. Borrowed.
 * @param options_json    Optional: request options (see above). NULL for none. Borrowed, UTF-8.
 * @param out_json        Set to the reply: total, achievements, currentStreak, points, leaderboards,
 *                        idempotencyKey, idempotentReplayed (true if it had counted before); or to error JSON.
 *                        Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_BAD_REQUEST or TROPHY_STATUS_UNPROCESSABLE if the service refuses it
 *         (an attribute that was not set up, say); TROPHY_STATUS_INVALID_RESPONSE if it may have counted but the
 *         reply cannot be read; or another status.
 */
TROPHY_API
trophy_status trophy_metrics_event(const trophy_client *client,
                                   const char *key,
                                   const char *user_json,
                                   double value,
                                   const char *attributes_json,
                                   const char *idempotency_key,
                                   const char *options_json,
                                   char **out_json);

/**
 * Sends a metric event without waiting: the reply comes to `callback`.
 *
 * POST /metrics/{key}/event. Returns at once; everything is copied. Events of one user and metric are sent in
 * the order of the calls on the client.
 *
 * @param client          Borrowed; safe from any thread.
 * @param key             As for trophy_metrics_event(), as are the next five.
 * @param user_json       The user.
 * @param value           How much to add.
 * @param attributes_json Optional: the event's attributes. NULL for none.
 * @param idempotency_key Optional. NULL: one is made.
 * @param options_json    Optional: request options. NULL for none.
 * @param callback        Called exactly once if this returns TROPHY_STATUS_OK, cancelled calls included; else
 *                        never. On a thread of the library, or inside trophy_client_dispatch(): see the option
 *                        `callbacks`.
 * @param user_data       Passed to `callback`. Yours: it must live until then.
 * @param out_json        Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL if too many calls wait; or
 *         TROPHY_STATUS_CLOSED.
 */
TROPHY_API
trophy_status trophy_metrics_event_async(const trophy_client *client,
                                         const char *key,
                                         const char *user_json,
                                         double value,
                                         const char *attributes_json,
                                         const char *idempotency_key,
                                         const char *options_json,
                                         trophy_callback callback,
                                         void *user_data,
                                         char **out_json);

/**
 * Puts a metric event into the queue, which delivers it, now or after days offline, and counts it once.
 *
 * Returns when the event is safe on disk (see the queue's `durability`), after microseconds; everything is
 * copied. How each event ended is told to trophy_client_on_delivery(). Events of one user and metric are delivered
 * in the order of the calls on the client; two clients that share a folder keep an order each.
 *
 * @param client          Borrowed; safe from any thread.
 * @param key             As for trophy_metrics_event(), as are the next five.
 * @param user_json       The user.
 * @param value           How much to add.
 * @param attributes_json Optional: the event's attributes. NULL for none.
 * @param idempotency_key Optional. NULL: one is made.
 * @param options_json    Optional: request options. NULL for none. Refused are `api_key`, since the queue never
 *                        writes one down, `base_url`, `timeout_in_seconds` and `max_retries`, since it tries
 *                        until the event is delivered.
 * @param out_json        Set to `{"idempotencyKey": "..."}`, or to error JSON. Owned: free with
 *                        trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK: it is kept; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL;
 *         TROPHY_STATUS_STORAGE if the disk refuses; or TROPHY_STATUS_CLOSED.
 */
TROPHY_API
trophy_status trophy_metrics_event_enqueue(const trophy_client *client,
                                           const char *key,
                                           const char *user_json,
                                           double value,
                                           const char *attributes_json,
                                           const char *idempotency_key,
                                           const char *options_json,
                                           char **out_json);

/* ---- The queue ------------------------------------------------------------------------------------------- */

/**
 * Waits until the queue has delivered all it holds, and the callback of trophy_client_on_delivery() has been
 * told (or has it to be dispatched).
 *
 * Blocks at most `timeout_ms`. The client goes on as before.
 *
 * @param client     Borrowed; safe from any thread.
 * @param timeout_ms 0 only asks; a negative number waits for ever.
 * @param out_json   Set to `{"undelivered": n, "cancelled": 0}`: events left in the queue; or to error JSON.
 *                   Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK if nothing is left to deliver; TROPHY_STATUS_TIMEOUT if something is;
 *         TROPHY_STATUS_CANCELLED if something is and the client was closed meanwhile; or another status.
 */
TROPHY_API trophy_status trophy_client_flush(const trophy_client *client, int64_t timeout_ms, char **out_json);

/**
 * Sets who hears how each queued event ended: delivered, refused, expired, or dropped to make room.
 *
 * The callback's status is TROPHY_STATUS_OK, the service's refusal, TROPHY_STATUS_EXPIRED or
 * TROPHY_STATUS_QUEUE_FULL; its JSON `{"idempotencyKey","key","userId","response"}`, or with `"error"` in place
 * of `"response"`. Set it before the first event: what ended earlier is not told. When this returns, the callback
 * before it is no longer running and will not be called again (unless it is what called). A forked child sets its
 * own. While more than 10,000 callbacks are due, what is dropped to make room is only counted, in `dropped` of
 * trophy_client_stats().
 *
 * @param client    Borrowed; safe from any thread. The callback is for all handles of the client.
 * @param callback  Called once for each event that left the queue. NULL: nobody hears.
 * @param user_data Passed to each call. Yours: it must live until the callback is replaced or the client ended.
 */
TROPHY_API
void trophy_client_on_delivery(const trophy_client *client,
                               trophy_callback callback,
                               void *user_data);

/* ---- Every operation: by name, arguments as JSON --------------------------------------------------------- */

/**
 * Calls any operation of the service, application or admin.
 *
 * Blocks until the reply, at most the client's `timeout_in_seconds`.
 * `trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\": \"42\", \"historyPeriods\": 14}", &json)`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param operation A TROPHY_OP_ name. Borrowed, UTF-8.
 * @param args_json One flat object: path and query parameters by their names, `"body"` for the body,
 *                  `"idempotencyKey"` for an event, `"options"` for request options (see above). A name that
 *                  the operation does not have is an error. NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the reply, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or another status.
 */
TROPHY_API
trophy_status trophy_call(const trophy_client *client,
                          const char *operation,
                          const char *args_json,
                          char **out_json);

/**
 * Calls any operation without waiting: the reply comes to `callback`.
 *
 * Returns at once; everything is copied.
 *
 * @param client    Borrowed; safe from any thread.
 * @param operation A TROPHY_OP_ name. Borrowed, UTF-8.
 * @param args_json As for trophy_call(). NULL for none. Borrowed, UTF-8.
 * @param callback  Called exactly once if this returns TROPHY_STATUS_OK, cancelled calls included; else never.
 *                  On a thread of the library, or inside trophy_client_dispatch(): see the option `callbacks`.
 * @param user_data Passed to `callback`. Yours: it must live until then.
 * @param out_json  Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL if too many calls wait; or
 *         TROPHY_STATUS_CLOSED.
 */
TROPHY_API
trophy_status trophy_call_async(const trophy_client *client,
                                const char *operation,
                                const char *args_json,
                                trophy_callback callback,
                                void *user_data,
                                char **out_json);

/* ---- The other 26 application operations ----------------------------------------------------------------- */

/**
 * Lists all achievements, with how many users have completed each.
 *
 * GET /achievements. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param args_json Optional: `{"userAttributes": "plan:pro,city:London"}`: only those open to a user with
 *                  these attributes. NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the achievements, an array, or to error JSON. Owned: free with
 *                  trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK, or another status.
 */
TROPHY_API
trophy_status trophy_achievements_all(const trophy_client *client,
                                      const char *args_json,
                                      char **out_json);

/**
 * Marks an achievement as completed by a user. For achievements that are completed by your program, not by a
 * metric.
 *
 * POST /achievements/{key}/complete. Blocks until the reply, at most the client's `timeout_in_seconds`. Sent
 * again only if it did not reach the service, or on 429, since it would take effect twice.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The achievement's key. Borrowed, UTF-8.
 * @param user_json The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz,
 *                  device_tokens, subscribe_to_emails (needs an email), sign_up_date ("YYYY-MM-DD"),
 *                  attributes (strings). Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the completion, or to error JSON. Owned: free with trophy_string_free(). May be
 *                  NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such achievement;
 *         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_achievements_complete(const trophy_client *client,
                                           const char *key,
                                           const char *user_json,
                                           const char *args_json,
                                           char **out_json);

/**
 * Creates a user. An event creates its user too, so this is for those without one.
 *
 * POST /users. Blocks until the reply, at most the client's `timeout_in_seconds`. Sent again only if it did
 * not reach the service, or on 429, since it would take effect twice.
 *
 * @param client    Borrowed; safe from any thread.
 * @param user_json The user: `{"id": "42"}`, and email, name, tz, device_tokens, subscribe_to_emails (needs
 *                  an email), sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_create(const trophy_client *client,
                                  const char *user_json,
                                  const char *args_json,
                                  char **out_json);

/**
 * Reads a user.
 *
 * GET /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_get(const trophy_client *client,
                               const char *id,
                               const char *args_json,
                               char **out_json);

/**
 * Creates a user, or changes the one there is.
 *
 * PUT /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param user_json What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email),
 *                  sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_identify(const trophy_client *client,
                                    const char *id,
                                    const char *user_json,
                                    const char *args_json,
                                    char **out_json);

/**
 * Changes a user.
 *
 * PATCH /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param user_json What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email),
 *                  sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; TROPHY_STATUS_UNPROCESSABLE if
 *         the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_update(const trophy_client *client,
                                  const char *id,
                                  const char *user_json,
                                  const char *args_json,
                                  char **out_json);

/**
 * Reads a user's preferences: notifications and streak.
 *
 * GET /users/{id}/preferences. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the preferences, or to error JSON. Owned: free with trophy_string_free(). May be
 *                  NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_get_preferences(const trophy_client *client,
                                           const char *id,
                                           const char *args_json,
                                           char **out_json);

/**
 * Changes a user's preferences. Those of the streak need streak customization to be switched on in the
 * dashboard.
 *
 * PATCH /users/{id}/preferences. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client           Borrowed; safe from any thread.
 * @param id               Your id for the user. Borrowed, UTF-8.
 * @param preferences_json `{"notifications": {...}, "streak": {...}}`, of which what is left out stays.
 *                         Borrowed, UTF-8.
 * @param args_json        Optional: `{"options": {...}}`, request options (see above). NULL for none.
 *                         Borrowed, UTF-8.
 * @param out_json         Set to the preferences, or to error JSON. Owned: free with trophy_string_free().
 *                         May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; TROPHY_STATUS_UNPROCESSABLE if
 *         the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_update_preferences(const trophy_client *client,
                                              const char *id,
                                              const char *preferences_json,
                                              const char *args_json,
                                              char **out_json);

/**
 * Reads a user's progress in all active metrics.
 *
 * GET /users/{id}/metrics. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the metrics, an array, or to error JSON. Owned: free with trophy_string_free().
 *                  May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_all_metrics(const trophy_client *client,
                                       const char *id,
                                       const char *args_json,
                                       char **out_json);

/**
 * Reads a user's progress in one metric.
 *
 * GET /users/{id}/metrics/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The metric's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the metric, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or metric; or another status.
 */
TROPHY_API
trophy_status trophy_users_single_metric(const trophy_client *client,
                                         const char *id,
                                         const char *key,
                                         const char *args_json,
                                         char **out_json);

/**
 * Sums a user's events of a metric by day, week or month.
 *
 * GET /users/{id}/metrics/{key}/event-summary. Blocks until the reply, at most the client's
 * `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The metric's key. Borrowed, UTF-8.
 * @param args_json `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three
 *                  are needed; the aggregation is daily, weekly or monthly, the dates at most 400 days
 *                  apart. Borrowed, UTF-8.
 * @param out_json  Set to the sums, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or metric;
 *         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_metric_event_summary(const trophy_client *client,
                                                const char *id,
                                                const char *key,
                                                const char *args_json,
                                                char **out_json);

/**
 * Lists a user's achievements.
 *
 * GET /users/{id}/achievements. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"includeIncomplete": true}`: also those not completed yet. NULL for none.
 *                  Borrowed, UTF-8.
 * @param out_json  Set to the achievements, an array, or to error JSON. Owned: free with
 *                  trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_achievements(const trophy_client *client,
                                        const char *id,
                                        const char *args_json,
                                        char **out_json);

/**
 * Reads a user's current streak.
 *
 * GET /users/{id}/streak. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"historyPeriods": 14}`, how many past periods to list (default 7). NULL for
 *                  none. Borrowed, UTF-8.
 * @param out_json  Set to the streak, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_streak(const trophy_client *client,
                                  const char *id,
                                  const char *args_json,
                                  char **out_json);

/**
 * Reads a user's points in a points system.
 *
 * GET /users/{id}/points/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"awards": 20}`, how many recent awards to list (default 10, at most 100).
 *                  NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the points, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system; or another
 *         status.
 */
TROPHY_API
trophy_status trophy_users_points(const trophy_client *client,
                                  const char *id,
                                  const char *key,
                                  const char *args_json,
                                  char **out_json);

/**
 * Lists the points boosts that are active for a user: their own, and those for all.
 *
 * GET /users/{id}/points/{key}/boosts. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the boosts, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system; or another
 *         status.
 */
TROPHY_API
trophy_status trophy_users_points_boosts(const trophy_client *client,
                                         const char *id,
                                         const char *key,
                                         const char *args_json,
                                         char **out_json);

/**
 * Sums a user's points awards by day, week or month.
 *
 * GET /users/{id}/points/{key}/event-summary. Blocks until the reply, at most the client's
 * `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three
 *                  are needed; the aggregation is daily, weekly or monthly, the dates at most 400 days
 *                  apart. Borrowed, UTF-8.
 * @param out_json  Set to the sums, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system;
 *         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_users_points_event_summary(const trophy_client *client,
                                                const char *id,
                                                const char *key,
                                                const char *args_json,
                                                char **out_json);

/**
 * Reads a user's rank in a leaderboard, and its history.
 *
 * GET /users/{id}/leaderboards/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param key       The leaderboard's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"run": "2026-01-05", "numEvents": 30}`: the run of that date (default the
 *                  current one), and how many days of history (default 10, at most 100). NULL for none.
 *                  Borrowed, UTF-8.
 * @param out_json  Set to the rank, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or leaderboard; or another
 *         status.
 */
TROPHY_API
trophy_status trophy_users_leaderboard(const trophy_client *client,
                                       const char *id,
                                       const char *key,
                                       const char *args_json,
                                       char **out_json);

/**
 * Reads a user's year in review.
 *
 * GET /users/{id}/wrapped. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param id        Your id for the user. Borrowed, UTF-8.
 * @param args_json Optional: `{"year": 2025}` (default this year). NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the year, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
 */
TROPHY_API
trophy_status trophy_users_wrapped(const trophy_client *client,
                                   const char *id,
                                   const char *args_json,
                                   char **out_json);

/**
 * Lists the streaks of some users, the longest first.
 *
 * GET /streaks. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param args_json `{"userIds": ["42", "43"]}`: needed, up to 100. Borrowed, UTF-8.
 * @param out_json  Set to the streaks, an array, or to error JSON. Owned: free with trophy_string_free().
 *                  May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
 */
TROPHY_API
trophy_status trophy_streaks_list(const trophy_client *client,
                                  const char *args_json,
                                  char **out_json);

/**
 * Counts the users in each range of points.
 *
 * GET /points/{key}/summary. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"userAttributes": "plan:pro,city:London"}`: only users with all these
 *                  attributes. NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the ranges, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
 */
TROPHY_API
trophy_status trophy_points_summary(const trophy_client *client,
                                    const char *key,
                                    const char *args_json,
                                    char **out_json);

/**
 * Reads a points system, with its triggers.
 *
 * GET /points/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the points system, or to error JSON. Owned: free with trophy_string_free(). May be
 *                  NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
 */
TROPHY_API
trophy_status trophy_points_system(const trophy_client *client,
                                   const char *key,
                                   const char *args_json,
                                   char **out_json);

/**
 * Lists the points boosts of a points system that are for all users.
 *
 * GET /points/{key}/boosts. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"includeFinished": true}`: also those that are over. NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the boosts, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
 */
TROPHY_API
trophy_status trophy_points_boosts(const trophy_client *client,
                                   const char *key,
                                   const char *args_json,
                                   char **out_json);

/**
 * Lists the levels of a points system.
 *
 * GET /points/{key}/levels. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the levels, an array, or to error JSON. Owned: free with trophy_string_free(). May
 *                  be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
 */
TROPHY_API
trophy_status trophy_points_levels(const trophy_client *client,
                                   const char *key,
                                   const char *args_json,
                                   char **out_json);

/**
 * Counts the users at each level of a points system.
 *
 * GET /points/{key}/level-summary. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The points system's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the levels with their counts, an array, or to error JSON. Owned: free with
 *                  trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
 */
TROPHY_API
trophy_status trophy_points_level_summary(const trophy_client *client,
                                          const char *key,
                                          const char *args_json,
                                          char **out_json);

/**
 * Lists all leaderboards.
 *
 * GET /leaderboards. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param args_json Optional: `{"includeFinished": true}`: also those that are over. NULL for none. Borrowed,
 *                  UTF-8.
 * @param out_json  Set to the leaderboards, an array, or to error JSON. Owned: free with
 *                  trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK, or another status.
 */
TROPHY_API
trophy_status trophy_leaderboards_all(const trophy_client *client,
                                      const char *args_json,
                                      char **out_json);

/**
 * Reads a leaderboard, with its rankings.
 *
 * GET /leaderboards/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
 *
 * @param client    Borrowed; safe from any thread.
 * @param key       The leaderboard's key. Borrowed, UTF-8.
 * @param args_json Optional: `{"offset": 0, "limit": 10, "run": "2026-01-05", "userId": "42",
 *                  "userAttributes": "city:London"}`: a page of the rankings (default the first 10), counted
 *                  from `userId` if given; the run of that date (default the current one); for a leaderboard
 *                  by attribute, which value (needed there). NULL for none. Borrowed, UTF-8.
 * @param out_json  Set to the leaderboard, or to error JSON. Owned: free with trophy_string_free(). May be
 *                  NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such leaderboard; or another status.
 */
TROPHY_API
trophy_status trophy_leaderboards_get(const trophy_client *client,
                                      const char *key,
                                      const char *args_json,
                                      char **out_json);

/* ---- Webhooks -------------------------------------------------------------------------------------------- */

/**
 * Checks that a webhook was signed with your secret, so that it comes from Trophy and is unchanged.
 *
 * Compares in constant time. No network. Call it before you read the body.
 *
 * @param body        The raw bytes of the request's body, as they came. Borrowed. NULL only if
 *                    `body_length` is 0.
 * @param body_length How many bytes.
 * @param signature   The X-Trophy-Signature header. Borrowed, UTF-8.
 * @param secret      The webhook's secret, from the dashboard. Borrowed, UTF-8.
 * @param out_json    Set to the body if it is JSON, else to `null`; or to error JSON. Owned: free with
 *                    trophy_string_free(). May be NULL.
 * @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_SIGNATURE if it was not, so answer 401 and do nothing;
 *         or TROPHY_STATUS_INVALID_ARGUMENT.
 */
TROPHY_MUST_USE TROPHY_API
trophy_status trophy_webhook_verify(const uint8_t *body,
                                    size_t body_length,
                                    const char *signature,
                                    const char *secret,
                                    char **out_json);

/* ---- Reading JSON without a JSON library, and writing a string safely ------------------------------------ */

/**
 * Reads a number.
 *
 * `trophy_json_number(json, "/currentStreak/length", 0)`. A pointer is RFC 6901: `/` before each name or
 * index, `~1` for a `/` in a name, `~0` for a `~`, and "" for the whole text.
 *
 * @param json     JSON. Borrowed, UTF-8. NULL gives `fallback`.
 * @param pointer  Where the number is. Borrowed, UTF-8.
 * @param fallback What to return if there is no number: absent, of another type, or no JSON.
 * @return The number, or `fallback`.
 */
TROPHY_API double trophy_json_number(const char *json, const char *pointer, double fallback);

/**
 * Reads a string, unescaped; any other value as its JSON text.
 *
 * So `trophy_json_string(json, "/achievements")` gives an array that can be read in turn.
 *
 * @param json    JSON. Borrowed, UTF-8.
 * @param pointer Where the value is, as for trophy_json_number(). Borrowed, UTF-8.
 * @return Owned: free with trophy_string_free(). NULL if there is no such value, if `json` is no JSON,
 *         or if the string holds U+0000, which no C string can.
 */
TROPHY_MUST_USE TROPHY_API char *trophy_json_string(const char *json, const char *pointer);

/**
 * Counts the items of an array or the members of an object.
 *
 * @param json    JSON. Borrowed, UTF-8.
 * @param pointer Where the array or object is, as for trophy_json_number(). Borrowed, UTF-8.
 * @return The count; -1 if there is no array or object.
 */
TROPHY_API int64_t trophy_json_length(const char *json, const char *pointer);

/**
 * Writes text as a JSON string, with its quotes and escapes: the safe way to build JSON with printf().
 *
 * @param text Any text. Borrowed, UTF-8.
 * @return Owned: free with trophy_string_free(). NULL if `text` is NULL or not UTF-8.
 */
TROPHY_MUST_USE TROPHY_API char *trophy_json_quote(const char *text);

#ifdef __cplusplus
}
#endif

#endif /* TROPHY_H */

/*
 * trophy.h: the C API of libtrophy @VERSION@, for Trophy, the hosted gamification service.
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
 * Versions. Within version @MAJOR@ (libtrophy.so.@MAJOR@), functions, numbers and JSON names are only ever
 *   added. So ignore names you do not know, and have a `default:` in a switch over trophy_status.
 */
#ifndef TROPHY_H
#define TROPHY_H

#include <stddef.h>
#include <stdint.h>

/* ---- Version ------------------------------------------------------------------------------------------- */

/** The version of this header; trophy_version() is that of the library which runs. */
#define TROPHY_VERSION "@VERSION@"
/** Its first number: within one, a program needs no rebuild. */
#define TROPHY_VERSION_MAJOR @MAJOR@
/** Its second number: a larger one has more functions, options or statuses. */
#define TROPHY_VERSION_MINOR @MINOR@
/** Its third number: a larger one has mistakes mended. */
#define TROPHY_VERSION_PATCH @PATCH@
/** As one number to compare: major * 1000000 + minor * 1000 + patch. */
#define TROPHY_VERSION_NUMBER @NUMBER@

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
 * user_agent                  "libtrophy/@VERSION@"  the User-Agent header
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

//! Users: their profile, and what they have.

use std::ffi::c_char;

use super::read;
use crate::error::Status;
use crate::ffi::boundary::boundary;
use crate::ffi::pointers::{ClientHandle, client, optional, required};

/// Creates a user. An event creates its user too, so this is for those without one.
///
/// POST /users. Blocks until the reply, at most the client's `timeout_in_seconds`. Sent again only if it did
/// not reach the service, or on 429, since it would take effect twice.
///
/// @param client    Borrowed; safe from any thread.
/// @param user_json The user: `{"id": "42"}`, and email, name, tz, device_tokens, subscribe_to_emails (needs
///                  an email), sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_create(
    client: *const ClientHandle,
    user_json: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let body = Some(("user_json", required("user_json", user_json)?));
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke("users_create", &[], body, args_json)
        })
    }
}

/// Reads a user.
///
/// GET /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_get(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_get", &[id], args_json, out_json) }
}

/// Creates a user, or changes the one there is.
///
/// PUT /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param user_json What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email),
///                  sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_identify(
    client: *const ClientHandle,
    id: *const c_char,
    user_json: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let path = [required("id", id)?];
            let body = Some(("user_json", required("user_json", user_json)?));
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke("users_identify", &path, body, args_json)
        })
    }
}

/// Changes a user.
///
/// PATCH /users/{id}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param user_json What to set: email, name, tz, device_tokens, subscribe_to_emails (needs an email),
///                  sign_up_date ("YYYY-MM-DD"), attributes (strings). Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the user, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; TROPHY_STATUS_UNPROCESSABLE if
///         the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_update(
    client: *const ClientHandle,
    id: *const c_char,
    user_json: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let path = [required("id", id)?];
            let body = Some(("user_json", required("user_json", user_json)?));
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke("users_update", &path, body, args_json)
        })
    }
}

/// Reads a user's preferences: notifications and streak.
///
/// GET /users/{id}/preferences. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the preferences, or to error JSON. Owned: free with trophy_string_free(). May be
///                  NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_get_preferences(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_get_preferences", &[id], args_json, out_json) }
}

/// Changes a user's preferences. Those of the streak need streak customization to be switched on in the
/// dashboard.
///
/// PATCH /users/{id}/preferences. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client           Borrowed; safe from any thread.
/// @param id               Your id for the user. Borrowed, UTF-8.
/// @param preferences_json `{"notifications": {...}, "streak": {...}}`, of which what is left out stays.
///                         Borrowed, UTF-8.
/// @param args_json        Optional: `{"options": {...}}`, request options (see above). NULL for none.
///                         Borrowed, UTF-8.
/// @param out_json         Set to the preferences, or to error JSON. Owned: free with trophy_string_free().
///                         May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; TROPHY_STATUS_UNPROCESSABLE if
///         the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_update_preferences(
    client: *const ClientHandle,
    id: *const c_char,
    preferences_json: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let path = [required("id", id)?];
            let body = Some((
                "preferences_json",
                required("preferences_json", preferences_json)?,
            ));
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke("users_update_preferences", &path, body, args_json)
        })
    }
}

/// Reads a user's progress in all active metrics.
///
/// GET /users/{id}/metrics. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the metrics, an array, or to error JSON. Owned: free with trophy_string_free().
///                  May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_all_metrics(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_all_metrics", &[id], args_json, out_json) }
}

/// Reads a user's progress in one metric.
///
/// GET /users/{id}/metrics/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The metric's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the metric, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or metric; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_single_metric(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    let path = [id, key];
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_single_metric", &path, args_json, out_json) }
}

/// Sums a user's events of a metric by day, week or month.
///
/// GET /users/{id}/metrics/{key}/event-summary. Blocks until the reply, at most the client's
/// `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The metric's key. Borrowed, UTF-8.
/// @param args_json `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three
///                  are needed; the aggregation is daily, weekly or monthly, the dates at most 400 days
///                  apart. Borrowed, UTF-8.
/// @param out_json  Set to the sums, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or metric;
///         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_metric_event_summary(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    let path = [id, key];
    // SAFETY: the rules of the header.
    unsafe {
        read(
            client,
            "users_metric_event_summary",
            &path,
            args_json,
            out_json,
        )
    }
}

/// Lists a user's achievements.
///
/// GET /users/{id}/achievements. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"includeIncomplete": true}`: also those not completed yet. NULL for none.
///                  Borrowed, UTF-8.
/// @param out_json  Set to the achievements, an array, or to error JSON. Owned: free with
///                  trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_achievements(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_achievements", &[id], args_json, out_json) }
}

/// Reads a user's current streak.
///
/// GET /users/{id}/streak. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"historyPeriods": 14}`, how many past periods to list (default 7). NULL for
///                  none. Borrowed, UTF-8.
/// @param out_json  Set to the streak, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_streak(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_streak", &[id], args_json, out_json) }
}

/// Reads a user's points in a points system.
///
/// GET /users/{id}/points/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"awards": 20}`, how many recent awards to list (default 10, at most 100).
///                  NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the points, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system; or another
///         status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_points(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_points", &[id, key], args_json, out_json) }
}

/// Lists the points boosts that are active for a user: their own, and those for all.
///
/// GET /users/{id}/points/{key}/boosts. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the boosts, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system; or another
///         status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_points_boosts(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    let path = [id, key];
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_points_boosts", &path, args_json, out_json) }
}

/// Sums a user's points awards by day, week or month.
///
/// GET /users/{id}/points/{key}/event-summary. Blocks until the reply, at most the client's
/// `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json `{"aggregation": "daily", "startDate": "2026-01-01", "endDate": "2026-01-31"}`: all three
///                  are needed; the aggregation is daily, weekly or monthly, the dates at most 400 days
///                  apart. Borrowed, UTF-8.
/// @param out_json  Set to the sums, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or points system;
///         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_points_event_summary(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    let path = [id, key];
    // SAFETY: the rules of the header.
    unsafe {
        read(
            client,
            "users_points_event_summary",
            &path,
            args_json,
            out_json,
        )
    }
}

/// Reads a user's rank in a leaderboard, and its history.
///
/// GET /users/{id}/leaderboards/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param key       The leaderboard's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"run": "2026-01-05", "numEvents": 30}`: the run of that date (default the
///                  current one), and how many days of history (default 10, at most 100). NULL for none.
///                  Borrowed, UTF-8.
/// @param out_json  Set to the rank, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user or leaderboard; or another
///         status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_leaderboard(
    client: *const ClientHandle,
    id: *const c_char,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_leaderboard", &[id, key], args_json, out_json) }
}

/// Reads a user's year in review.
///
/// GET /users/{id}/wrapped. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param id        Your id for the user. Borrowed, UTF-8.
/// @param args_json Optional: `{"year": 2025}` (default this year). NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the year, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such user; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_users_wrapped(
    client: *const ClientHandle,
    id: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "users_wrapped", &[id], args_json, out_json) }
}

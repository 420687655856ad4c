//! The C API as the header has it. scripts/rules.sh compares the names.

use std::ffi::{c_char, c_void};

#[repr(C)]
pub struct Client {
    _private: [u8; 0],
}

pub type Text = *const c_char;
pub type Out = *mut *mut c_char;
pub type Callback = Option<unsafe extern "C" fn(i32, Text, *mut c_void)>;
pub type Ready = Option<unsafe extern "C" fn(*mut c_void)>;
pub type Log = Option<unsafe extern "C" fn(i32, Text, *mut c_void)>;

unsafe extern "C" {
    pub fn trophy_version() -> Text;
    pub fn trophy_status_name(status: i32) -> Text;
    pub fn trophy_string_free(string: *mut c_char);
    pub fn trophy_log_set_callback(level: i32, callback: Log, user_data: *mut c_void);
    pub fn trophy_client_new(
        api_key: Text,
        options_json: Text,
        out_client: *mut *mut Client,
        out_json: Out,
    ) -> i32;
    pub fn trophy_client_for_tenant(
        client: *const Client,
        tenant_id: Text,
        out_client: *mut *mut Client,
        out_json: Out,
    ) -> i32;
    pub fn trophy_client_dispatch(client: *const Client, timeout_ms: i64) -> usize;
    pub fn trophy_client_on_ready(client: *const Client, ready: Ready, user_data: *mut c_void);
    pub fn trophy_client_cancel(client: *const Client, user_data: *const c_void) -> usize;
    pub fn trophy_client_stats(client: *const Client, out_json: Out) -> i32;
    pub fn trophy_client_close(client: *const Client, timeout_ms: i64, out_json: Out) -> i32;
    pub fn trophy_client_free(client: *mut Client);
    pub fn trophy_client_set_api_key(client: *const Client, api_key: Text, out_json: Out) -> i32;
    pub fn trophy_metrics_event(
        client: *const Client,
        key: Text,
        user_json: Text,
        value: f64,
        attributes_json: Text,
        idempotency_key: Text,
        options_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_metrics_event_async(
        client: *const Client,
        key: Text,
        user_json: Text,
        value: f64,
        attributes_json: Text,
        idempotency_key: Text,
        options_json: Text,
        callback: Callback,
        user_data: *mut c_void,
        out_json: Out,
    ) -> i32;
    pub fn trophy_metrics_event_enqueue(
        client: *const Client,
        key: Text,
        user_json: Text,
        value: f64,
        attributes_json: Text,
        idempotency_key: Text,
        options_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_client_flush(client: *const Client, timeout_ms: i64, out_json: Out) -> i32;
    pub fn trophy_client_on_delivery(
        client: *const Client,
        callback: Callback,
        user_data: *mut c_void,
    );
    pub fn trophy_call(
        client: *const Client,
        operation: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_call_async(
        client: *const Client,
        operation: Text,
        args_json: Text,
        callback: Callback,
        user_data: *mut c_void,
        out_json: Out,
    ) -> i32;
    pub fn trophy_achievements_all(client: *const Client, args_json: Text, out_json: Out) -> i32;
    pub fn trophy_achievements_complete(
        client: *const Client,
        key: Text,
        user_json: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_create(
        client: *const Client,
        user_json: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_get(client: *const Client, id: Text, args_json: Text, out_json: Out)
    -> i32;
    pub fn trophy_users_identify(
        client: *const Client,
        id: Text,
        user_json: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_update(
        client: *const Client,
        id: Text,
        user_json: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_get_preferences(
        client: *const Client,
        id: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_update_preferences(
        client: *const Client,
        id: Text,
        preferences_json: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_all_metrics(
        client: *const Client,
        id: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_single_metric(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_metric_event_summary(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_achievements(
        client: *const Client,
        id: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_streak(
        client: *const Client,
        id: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_streaks_list(client: *const Client, args_json: Text, out_json: Out) -> i32;
    pub fn trophy_users_points(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_points_boosts(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_points_event_summary(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_leaderboard(
        client: *const Client,
        id: Text,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_users_wrapped(
        client: *const Client,
        id: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_points_summary(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_points_system(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_points_boosts(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_points_levels(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_points_level_summary(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_leaderboards_all(client: *const Client, args_json: Text, out_json: Out) -> i32;
    pub fn trophy_leaderboards_get(
        client: *const Client,
        key: Text,
        args_json: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_webhook_verify(
        body: *const u8,
        body_length: usize,
        signature: Text,
        secret: Text,
        out_json: Out,
    ) -> i32;
    pub fn trophy_json_number(json: Text, pointer: Text, fallback: f64) -> f64;
    pub fn trophy_json_string(json: Text, pointer: Text) -> *mut c_char;
    pub fn trophy_json_length(json: Text, pointer: Text) -> i64;
    pub fn trophy_json_quote(text: Text) -> *mut c_char;
}

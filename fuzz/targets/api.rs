//! Every exported function, in any order, with any bytes, on handles that two threads share. What must hold: no
//! crash, no panic, JSON in `out_json` after each call, and a callback exactly once for each call that was taken.
#![no_main]

use std::collections::BTreeSet;
use std::ffi::{CString, c_void};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trophy_fuzz::*;

type Args = unsafe extern "C" fn(*const Client, Text, Out) -> i32;
type IdArgs = unsafe extern "C" fn(*const Client, Text, Text, Out) -> i32;
type IdKeyArgs = unsafe extern "C" fn(*const Client, Text, Text, Text, Out) -> i32;

const ARGS: &[Args] = &[
    trophy_achievements_all,
    trophy_streaks_list,
    trophy_leaderboards_all,
];

const ID_ARGS: &[IdArgs] = &[
    trophy_users_create,
    trophy_users_get,
    trophy_users_get_preferences,
    trophy_users_all_metrics,
    trophy_users_achievements,
    trophy_users_streak,
    trophy_users_wrapped,
    trophy_points_summary,
    trophy_points_system,
    trophy_points_boosts,
    trophy_points_levels,
    trophy_points_level_summary,
    trophy_leaderboards_get,
    trophy_call,
];

const ID_KEY_ARGS: &[IdKeyArgs] = &[
    trophy_achievements_complete,
    trophy_users_identify,
    trophy_users_update,
    trophy_users_update_preferences,
    trophy_users_single_metric,
    trophy_users_metric_event_summary,
    trophy_users_points,
    trophy_users_points_boosts,
    trophy_users_points_event_summary,
    trophy_users_leaderboard,
];

/// Text of a caller: none, or any bytes.
type Bytes<'a> = Option<&'a [u8]>;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    ForTenant(Bytes<'a>),
    Dispatch(u8),
    OnReady(bool),
    Cancel(u8),
    Stats,
    Close(u8),
    SetApiKey(Bytes<'a>),
    Event([Bytes<'a>; 5], f64),
    EventAsync([Bytes<'a>; 5], f64, u8, bool),
    EventEnqueue([Bytes<'a>; 5], f64),
    /// An event that is sound, so that more of them get through.
    SoundEvent(u8, u8),
    Flush(u8),
    OnDelivery(bool),
    CallAsync(Bytes<'a>, Bytes<'a>, u8, bool),
    Args(u8, Bytes<'a>),
    IdArgs(u8, Bytes<'a>, Bytes<'a>),
    IdKeyArgs(u8, Bytes<'a>, Bytes<'a>, Bytes<'a>),
    Webhook(Bytes<'a>, Bytes<'a>, Bytes<'a>),
    Json(Bytes<'a>, Bytes<'a>),
    Library(i32, bool),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    api_key: Bytes<'a>,
    options: Bytes<'a>,
    /// Its client is made with options that are sound, whatever `options` are.
    dispatch: bool,
    first: Vec<(u8, Step<'a>)>,
    second: Vec<(u8, Step<'a>)>,
}

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static CALLED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn called(_: i32, json: Text, _: *mut c_void) {
    assert!(!json.is_null());
    CALLED.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn ignored(_: i32, json: Text, _: *mut c_void) {
    assert!(!json.is_null());
}

unsafe extern "C" fn ready(_: *mut c_void) {}

fuzz_target!(|input: Input<'_>| {
    let port = *PORT;
    let sound = |callbacks: &str| {
        format!(
            r#"{{"base_url": "http://127.0.0.1:{port}", "admin_base_url": "http://127.0.0.1:{port}",
                "max_retries": 0, "timeout_in_seconds": 1, "workers": 2, "max_pending_calls": 8,
                "callbacks": "{callbacks}", "queue": {{"max_events": 8, "requests_per_second": 1000}}}}"#
        )
    };
    let mut handles = Vec::new();
    let own = sound(if input.dispatch { "dispatch" } else { "worker" });
    let key = optional(input.api_key);
    let both = [
        (Some(c"k.s".to_owned()), Some(c_text(own.as_bytes()))),
        (key, harmless_options(input.options)),
    ];
    for (number, (key, options)) in both.into_iter().enumerate() {
        let (mut client, mut json) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: text that ends in NUL or is NULL, and places for what comes back.
        unsafe {
            let status =
                trophy_client_new(pointer(&key), pointer(&options), &mut client, &mut json);
            let json = taken_json(status, json);
            assert_eq!(status == 0, !client.is_null());
            assert!(number > 0 || status == 0, "its options are sound: {json}");
        }
        if !client.is_null() {
            handles.push(client as usize);
        }
    }
    TAKEN.store(0, Ordering::SeqCst);
    CALLED.store(0, Ordering::SeqCst);

    let own = |tenants: Vec<usize>| {
        for tenant in tenants {
            // SAFETY: made by this thread, and used by nobody else.
            unsafe { trophy_client_free(tenant as *mut Client) };
        }
    };
    if input.second.is_empty() {
        own(run(&input.first, &handles));
    } else {
        std::thread::scope(|scope| {
            let second = scope.spawn(|| run(&input.second, &handles));
            own(run(&input.first, &handles));
            own(second.join().unwrap());
        });
    }
    for handle in handles {
        // SAFETY: the threads that used it are gone.
        unsafe { trophy_client_free(handle as *mut Client) };
    }
    assert_eq!(
        CALLED.load(Ordering::SeqCst),
        TAKEN.load(Ordering::SeqCst),
        "callbacks, and calls that were taken"
    );
});

/// Returns the handles that it made.
fn run(steps: &[(u8, Step<'_>)], shared: &[usize]) -> Vec<usize> {
    let mut handles = shared.to_vec();
    for (which, step) in steps.iter().take(24) {
        let client = match usize::from(*which) % (handles.len() + 1) {
            0 => ptr::null(),
            number => handles[number - 1] as *const Client,
        };
        if let Some(made) = take(step, client) {
            handles.push(made);
        }
    }
    handles.split_off(shared.len())
}

/// One call. Returns a handle that it made.
fn take(step: &Step<'_>, client: *const Client) -> Option<usize> {
    let mut json = ptr::null_mut();
    let out: Out = &mut json;
    // SAFETY, for all: a client that is NULL or not freed, text that ends in NUL or is NULL, callbacks that return.
    let status = unsafe {
        match step {
            Step::ForTenant(tenant) => {
                let (tenant, mut made) = (optional(*tenant), ptr::null_mut());
                let status = trophy_client_for_tenant(client, pointer(&tenant), &mut made, out);
                taken_json(status, json);
                return (!made.is_null()).then_some(made as usize);
            }
            Step::Dispatch(wait) => {
                trophy_client_dispatch(client, i64::from(wait % 4));
                return None;
            }
            Step::OnReady(set) => {
                trophy_client_on_ready(client, set.then_some(ready), ptr::null_mut());
                return None;
            }
            Step::Cancel(tag) => {
                trophy_client_cancel(client, user_data(*tag));
                return None;
            }
            Step::OnDelivery(set) => {
                trophy_client_on_delivery(client, set.then_some(ignored), ptr::null_mut());
                return None;
            }
            Step::Stats => trophy_client_stats(client, out),
            Step::Close(wait) => trophy_client_close(client, i64::from(wait % 4), out),
            Step::Flush(wait) => trophy_client_flush(client, i64::from(wait % 4), out),
            Step::SetApiKey(key) => {
                let key = optional(*key);
                trophy_client_set_api_key(client, pointer(&key), out)
            }
            Step::Event(texts, value) => {
                let [key, user, attributes, idempotency_key, options] = event(texts);
                let (key, user) = (pointer(&key), pointer(&user));
                let (attributes, idempotency_key) =
                    (pointer(&attributes), pointer(&idempotency_key));
                trophy_metrics_event(
                    client,
                    key,
                    user,
                    *value,
                    attributes,
                    idempotency_key,
                    pointer(&options),
                    out,
                )
            }
            Step::EventEnqueue(texts, value) => {
                let [key, user, attributes, idempotency_key, options] = event(texts);
                let (key, user) = (pointer(&key), pointer(&user));
                let (attributes, idempotency_key) =
                    (pointer(&attributes), pointer(&idempotency_key));
                trophy_metrics_event_enqueue(
                    client,
                    key,
                    user,
                    *value,
                    attributes,
                    idempotency_key,
                    pointer(&options),
                    out,
                )
            }
            Step::EventAsync(texts, value, tag, has_callback) => {
                let [key, user, attributes, idempotency_key, options] = event(texts);
                let (key, user) = (pointer(&key), pointer(&user));
                let (attributes, idempotency_key) =
                    (pointer(&attributes), pointer(&idempotency_key));
                let (callback, options) = (has_callback.then_some(called as _), pointer(&options));
                let data = user_data(*tag);
                let status = trophy_metrics_event_async(
                    client,
                    key,
                    user,
                    *value,
                    attributes,
                    idempotency_key,
                    options,
                    callback,
                    data,
                    out,
                );
                count(status, *has_callback)
            }
            Step::SoundEvent(how, tag) => {
                let (key, user, none) = (c"m".as_ptr(), c"{\"id\": \"u\"}".as_ptr(), ptr::null());
                match how % 3 {
                    0 => trophy_metrics_event(client, key, user, 1.0, none, none, none, out),
                    1 => {
                        trophy_metrics_event_enqueue(client, key, user, 1.0, none, none, none, out)
                    }
                    _ => {
                        let (callback, data) = (Some(called as _), user_data(*tag));
                        let status = trophy_metrics_event_async(
                            client, key, user, 1.0, none, none, none, callback, data, out,
                        );
                        count(status, true)
                    }
                }
            }
            Step::CallAsync(operation, args, tag, has_callback) => {
                let (operation, args) = (optional(*operation), harmless(*args));
                let (callback, data) = (has_callback.then_some(called as _), user_data(*tag));
                let status = trophy_call_async(
                    client,
                    pointer(&operation),
                    pointer(&args),
                    callback,
                    data,
                    out,
                );
                count(status, *has_callback)
            }
            Step::Args(which, args) => {
                let args = harmless(*args);
                ARGS[usize::from(*which) % ARGS.len()](client, pointer(&args), out)
            }
            Step::IdArgs(which, id, args) => {
                let (id, args) = (harmless(*id), harmless(*args));
                ID_ARGS[usize::from(*which) % ID_ARGS.len()](
                    client,
                    pointer(&id),
                    pointer(&args),
                    out,
                )
            }
            Step::IdKeyArgs(which, id, key, args) => {
                let (id, key, args) = (optional(*id), optional(*key), harmless(*args));
                let function = ID_KEY_ARGS[usize::from(*which) % ID_KEY_ARGS.len()];
                function(client, pointer(&id), pointer(&key), pointer(&args), out)
            }
            Step::Webhook(body, signature, secret) => {
                let (signature, secret) = (optional(*signature), optional(*secret));
                let (start, length) =
                    body.map_or((ptr::null(), 0), |body| (body.as_ptr(), body.len()));
                trophy_webhook_verify(start, length, pointer(&signature), pointer(&secret), out)
            }
            Step::Json(json, at) => {
                let (json, at) = (optional(*json), optional(*at));
                trophy_json_number(pointer(&json), pointer(&at), 0.0);
                trophy_json_length(pointer(&json), pointer(&at));
                taken(trophy_json_string(pointer(&json), pointer(&at)));
                taken(trophy_json_quote(pointer(&json)));
                return None;
            }
            Step::Library(number, log) => {
                assert!(!trophy_version().is_null());
                assert!(!trophy_status_name(*number).is_null());
                trophy_log_set_callback(*number, log.then_some(ignored), ptr::null_mut());
                return None;
            }
        }
    };
    // SAFETY: set by the call.
    unsafe { taken_json(status, json) };
    None
}

fn count(status: i32, has_callback: bool) -> i32 {
    TAKEN.fetch_add(usize::from(status == 0 && has_callback), Ordering::SeqCst);
    status
}

fn user_data(tag: u8) -> *mut c_void {
    ptr::without_provenance_mut(usize::from(tag % 4))
}

fn optional(bytes: Bytes<'_>) -> Option<CString> {
    bytes.map(c_text)
}

fn pointer(text: &Option<CString>) -> Text {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

fn event(texts: &[Bytes<'_>; 5]) -> [Option<CString>; 5] {
    let [key, user, attributes, idempotency_key, options] = *texts;
    [
        optional(key),
        optional(user),
        optional(attributes),
        optional(idempotency_key),
        harmless(options),
    ]
}

/// What would leave this machine, write to it, or take long.
const HARMFUL: &[&str] = &[
    "base_url",
    "proxy",
    "path",
    "ca_file",
    "tls_roots",
    "timeout_in_seconds",
    "max_retries",
    "requests_per_second",
];

/// JSON without members that could do harm. What nobody can read stays as it is.
fn harmless(bytes: Bytes<'_>) -> Option<CString> {
    let text = c_text(bytes?);
    match serde_json::from_slice::<Value>(text.to_bytes()) {
        Ok(mut value) => {
            clean(&mut value);
            Some(c_text(value.to_string().as_bytes()))
        }
        Err(_) => {
            let lossy = text.to_string_lossy();
            let is_harmful =
                lossy.contains('\\') || HARMFUL.iter().any(|name| lossy.contains(name));
            (!is_harmful).then_some(text)
        }
    }
}

fn clean(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => {
            let harmful: BTreeSet<String> = members
                .keys()
                .filter(|name| HARMFUL.iter().any(|it| name.contains(it)))
                .cloned()
                .collect();
            members.retain(|name, _| !harmful.contains(name));
            members.values_mut().for_each(clean);
        }
        _ => {}
    }
}

/// The same, and its requests go to the peer.
fn harmless_options(bytes: Bytes<'_>) -> Option<CString> {
    // Without options it would try for a minute.
    let text = harmless(bytes.or(Some(b"{}")));
    let Some(Ok(Value::Object(mut members))) = text
        .as_ref()
        .map(|it| serde_json::from_slice::<Value>(it.to_bytes()))
    else {
        return text;
    };
    let url = format!("http://127.0.0.1:{}", *PORT);
    members.insert("base_url".into(), url.clone().into());
    members.insert("admin_base_url".into(), url.into());
    members.insert("timeout_in_seconds".into(), 1.into());
    members.insert("max_retries".into(), 0.into());
    Some(c_text(Value::Object(members).to_string().as_bytes()))
}

/// Where the peer listens, also for a client whose options nobody can read.
static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    // SAFETY: before the first client, and with it the first thread that reads the environment.
    unsafe {
        std::env::set_var("TROPHY_BASE_URL", &url);
        std::env::set_var("TROPHY_ADMIN_BASE_URL", &url);
    }
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            if let Ok(stream) = stream {
                answer(stream, number);
            }
        }
    });
    port
});

const REPLIES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    "HTTP/1.1 201 Created\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"total\":1}",
    "HTTP/1.1 500 Words\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 422 Words\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"error\":\"no\"}",
    "HTTP/1.1 429 Words\r\nContent-Length: 0\r\nRetry-After: 0\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{",
];

fn answer(mut stream: TcpStream, number: usize) {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(100)));
    loop {
        if let Some(end) = request.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
    let _ = stream.write_all(REPLIES[number % REPLIES.len()].as_bytes());
}

//! The whole C API from many threads at once, for so many seconds: `stress SECONDS [SEED]`. A sanitizer says whether
//! that was sound; this says whether each call that was taken had its callback, once.

#[allow(dead_code)] // The functions of one shape are called by one of them.
#[path = "../../../fuzz/src/c_api.rs"]
mod c_api;
#[path = "../../support/mod.rs"]
mod support;

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use c_api::*;
use support::Echo;

#[allow(unused_extern_crates)] // Its functions are linked by their names in C.
extern crate trophy;

const THREADS: u64 = 6;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static CALLED: AtomicUsize = AtomicUsize::new(0);
static DELIVERED: AtomicUsize = AtomicUsize::new(0);
static ENQUEUED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn called(_: i32, _: Text, _: *mut c_void) {
    CALLED.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn delivered(_: i32, _: Text, _: *mut c_void) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn logged(_: i32, _: Text, _: *mut c_void) {}

unsafe extern "C" fn ready(_: *mut c_void) {}

/// A handle that threads share.
#[derive(Clone, Copy)]
struct Shared(*const Client);

// SAFETY: every function may be called from any thread, and it is freed when they have ended.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|it| it.parse::<u64>().expect("a number"));
    let seconds = args.next().unwrap_or(10);
    let seed = args.next().unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let service = Echo::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut round = 0;
    while round == 0 || Instant::now() < end {
        round += 1;
        let until = end.min(Instant::now() + Duration::from_secs(2));
        run(&service, folder.path(), seed.wrapping_mul(round), until);
    }
    let (taken, called) = (TAKEN.load(Ordering::SeqCst), CALLED.load(Ordering::SeqCst));
    let (enqueued, delivered) = (
        ENQUEUED.load(Ordering::SeqCst),
        DELIVERED.load(Ordering::SeqCst),
    );
    println!(
        "{round} rounds, {taken} calls, {called} callbacks, {enqueued} events kept, {delivered} ends told"
    );
    assert_eq!(
        taken, called,
        "a callback for each call that was taken, once"
    );
    assert!(delivered > 0 && taken > 0);
}

/// Clients are made, used by all threads, closed by one of them while the others go on, and freed.
fn run(service: &Echo, folder: &std::path::Path, seed: u64, until: Instant) {
    let options = |callbacks: &str, queue: &str| {
        format!(
            r#"{{"base_url": "{}", "admin_base_url": "{}", "workers": 2, "max_retries": 1,
                "timeout_in_seconds": 5, "callbacks": "{callbacks}", "max_pending_calls": 50, "queue": {queue}}}"#,
            service.url(),
            service.admin_url()
        )
    };
    let on_disk = format!(
        r#"{{"path": {}, "requests_per_second": 1000, "max_events": 1000, "overflow": "drop_oldest", "coalesce": true}}"#,
        serde_json::Value::from(folder.join("queue").to_str())
    );
    let in_memory = r#"{"requests_per_second": 1000, "max_events": 100}"#;
    let clients = [
        new(&options("worker", &on_disk)),
        new(&options("dispatch", &on_disk)),
        new(&options("worker", in_memory)),
    ];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut random = Random(seed ^ (thread + 1) << 32 | 1);
                // One ends sooner, and closes the clients in the middle of the others' calls.
                let until = if thread == 0 {
                    until - Duration::from_millis(200)
                } else {
                    until
                };
                while Instant::now() < until {
                    let client = clients[random.below(3) as usize];
                    step(client, &mut random);
                }
                if thread == 0 {
                    clients.into_iter().for_each(|client| close(client, 100));
                }
            });
        }
    });
    for client in clients {
        // SAFETY: the threads that used it have ended.
        unsafe { trophy_client_free(client.0.cast_mut()) };
    }
}

fn new(options: &str) -> Shared {
    let options = text(options);
    let mut client = ptr::null_mut();
    // SAFETY: text that ends in NUL, and a place for the client.
    let status = unsafe {
        trophy_client_new(
            c"app.secret".as_ptr(),
            options.as_ptr(),
            &mut client,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, 0);
    Shared(client)
}

fn close(client: Shared, timeout_ms: i64) {
    // SAFETY: a client that is not freed.
    unsafe { trophy_client_close(client.0, timeout_ms, ptr::null_mut()) };
}

fn text(text: &str) -> CString {
    CString::new(text).expect("it holds no NUL")
}

fn step(client: Shared, random: &mut Random) {
    let client = client.0;
    let mut json: *mut c_char = ptr::null_mut();
    let out: Out = &mut json;
    let user = text(&format!(r#"{{"id": "u{}", "name": "n"}}"#, random.below(4)));
    let (key, user, none) = (c"words".as_ptr(), user.as_ptr(), ptr::null());
    let tag = ptr::without_provenance_mut(random.below(3) as usize);
    // SAFETY, for all: a client that is not freed, text that ends in NUL or is NULL, callbacks that return.
    unsafe {
        match random.below(24) {
            0 => drop(trophy_metrics_event(
                client, key, user, 1.0, none, none, none, out,
            )),
            1..=4 => {
                let status = trophy_metrics_event_async(
                    client,
                    key,
                    user,
                    1.0,
                    none,
                    none,
                    none,
                    Some(called),
                    tag,
                    out,
                );
                TAKEN.fetch_add(usize::from(status == 0), Ordering::Relaxed);
            }
            5..=10 => {
                let status =
                    trophy_metrics_event_enqueue(client, key, user, 1.0, none, none, none, out);
                ENQUEUED.fetch_add(usize::from(status == 0), Ordering::Relaxed);
            }
            11 | 12 => {
                let operation = [c"leaderboards_all", c"streaks_list"][random.below(2) as usize];
                let status =
                    trophy_call_async(client, operation.as_ptr(), none, Some(called), tag, out);
                TAKEN.fetch_add(usize::from(status == 0), Ordering::Relaxed);
            }
            13 => drop(trophy_client_cancel(client, tag)),
            14 => drop(trophy_client_stats(client, out)),
            15 => drop(trophy_client_flush(client, random.below(3) as i64, out)),
            16 | 17 => drop(trophy_client_dispatch(client, random.below(3) as i64)),
            18 => trophy_client_on_ready(
                client,
                (random.below(2) == 0).then_some(ready as _),
                ptr::null_mut(),
            ),
            19 => trophy_client_on_delivery(client, Some(delivered), ptr::null_mut()),
            20 => {
                let key = [c"app.secret", c"app.other"][random.below(2) as usize];
                trophy_client_set_api_key(client, key.as_ptr(), out);
            }
            21 => {
                let mut tenant = ptr::null_mut();
                trophy_client_for_tenant(client, c"t".as_ptr(), &mut tenant, out);
                if !tenant.is_null() {
                    let mut reply = ptr::null_mut();
                    trophy_users_streak(tenant, c"u".as_ptr(), none, &mut reply);
                    trophy_string_free(reply);
                    trophy_client_free(tenant);
                }
            }
            22 => trophy_log_set_callback(random.below(5) as i32, Some(logged), ptr::null_mut()),
            _ => {
                trophy_users_get(client, c"u".as_ptr(), none, out);
                let method = trophy_json_string(json, c"/method".as_ptr());
                trophy_json_length(json, c"/headers".as_ptr());
                trophy_string_free(method);
            }
        }
        trophy_string_free(json);
    }
}

/// xorshift64: a seed runs the same again, as far as threads allow.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

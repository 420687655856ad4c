//! Turns of a thread, taken one by one: what is planned when something comes between. No thread, no network.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::record;
use super::sender::{Action, Sender};
use super::store::{self, MemoryFolder, Store};
use super::work::Sending;
use crate::api::event::EventArgs;
use crate::api::request::Made;
use crate::api::retry::Failure;
use crate::delivery::Delivery;
use crate::delivery::api_key::ApiKey;
use crate::delivery::attempt::{Refusal, Sent};
use crate::delivery::callbacks::{DeliveryCallback, Due, Notice};
use crate::error::{Error, Status};
use crate::host::locks::lock;
use crate::options::ClientOptions;
use crate::transport::{Settings, Transport};

/// Long enough for anything that is to happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// A date of long ago that can be true.
const LONG_AGO: u64 = 1_770_000_000_000;

/// A queue that may start no thread until `threads.stopping` is taken back.
fn sender(options: &str, folder: &MemoryFolder) -> Arc<Sender> {
    let options = ClientOptions::parse(Some(options), |_| Ok(None)).unwrap();
    let key = ArcSwap::from_pointee(ApiKey::new("app.test"));
    let transport = Transport::new(&Settings::default()).unwrap();
    let delivery = Delivery::new(Arc::new(options), Arc::new(key), transport);
    let store = Store::open(Box::new(folder.clone()), store::Options::default()).unwrap();
    let sender = Arc::new(Sender::new(Arc::new(delivery), store));
    lock(&sender.threads).stopping = true;
    sender
}

fn written(user: &str) -> String {
    let user_json = format!("{{\"id\":\"{user}\"}}");
    let args = EventArgs {
        key: "m",
        user_json: &user_json,
        value: 1.0,
        attributes_json: None,
        idempotency_key: None,
        options_json: None,
    };
    record::write(&args, None, false, &Made).unwrap().0
}

fn plan(sender: &Arc<Sender>) -> Action {
    sender.plan(&mut lock(&sender.state))
}

/// The request that goes out next, waited for.
fn next_request(sender: &Arc<Sender>) -> Sending {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match plan(sender) {
            Action::Send(sending) => return *sending,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("no request goes out");
}

fn content(sending: &Sending) -> String {
    let payload = sending.items[0].payload.clone();
    String::from_utf8(payload.unwrap()).unwrap()
}

/// It failed, and is not to be sent again for minutes.
fn fails_for_long(sender: &Arc<Sender>, sending: Sending) {
    let mut error = Error::new(Status::of_http(503), "");
    error.details.http_status = Some(503);
    error.details.retry_after = Some(Duration::from_secs(300));
    let refusal = Refusal {
        failure: Failure::Answer {
            status: 503,
            retry_after: error.details.retry_after,
        },
        error,
        stale: false,
        is_own_word: true,
        sent: false,
    };
    let sent = Sent {
        result: Err(refusal),
        at: None,
    };
    sender.came_back(sending, Duration::ZERO, sent);
}

struct Nobody;

impl DeliveryCallback for Nobody {
    fn run(&self, _: Status, _: &str) {}
}

/// A host that listens, in dispatch mode, and has not dispatched for long.
fn has_not_dispatched(sender: &Sender) {
    let callbacks = &sender.delivery.callbacks;
    callbacks.set_delivery(Some(Arc::new(Nobody)));
    for _ in 0..10_001 {
        callbacks.deliver(Due::Delivery(Notice {
            status: Status::Ok,
            event: "{".to_owned(),
            outcome: Arc::from(""),
        }));
    }
}

fn notices(sender: &Sender) -> usize {
    lock(&sender.notices).due.len()
}

#[test]
fn what_comes_between_a_threads_look_and_its_request_is_another_threads() {
    type Comes = fn(&Arc<Sender>);
    let comes: [Comes; 2] = [
        |sender| sender.keep(&written("late")).unwrap(),
        |sender| sender.resume(),
    ];
    for comes in comes {
        // Given a thread that has found nothing else to do,
        let sender = sender(
            r#"{"base_url":"http://127.0.0.1:9/v1"}"#,
            &MemoryFolder::default(),
        );
        let kept = sender.kept.load(Ordering::SeqCst);
        assert!(matches!(plan(&sender), Action::Rest));
        lock(&sender.threads).stopping = false;
        lock(&sender.threads).attentive = 1;
        // when something comes before it is away, which finds it attentive,
        comes(&sender);
        assert_eq!(lock(&sender.threads).handles.len(), 0);
        // then there is another meanwhile.
        let mut others = 0;
        sender.away(kept, false, || others = lock(&sender.threads).handles.len());
        assert_eq!(others, 1);
        sender.stop();
        sender.join();
    }
}

#[test]
fn a_thread_that_is_away_leaves_nobody_behind_if_there_is_nothing_to_do() {
    let sender = sender("{}", &MemoryFolder::default());
    let kept = sender.kept.load(Ordering::SeqCst);
    assert!(matches!(plan(&sender), Action::Rest));
    lock(&sender.threads).stopping = false;
    lock(&sender.threads).attentive = 1;
    sender.away(kept, false, || ());
    assert_eq!(lock(&sender.threads).handles.len(), 0);
}

#[test]
fn what_expires_waits_in_the_queue_for_a_host_that_does_not_dispatch() {
    let options = r#"{"callbacks":"dispatch","queue":{"max_age_in_seconds":60}}"#;
    let sender = sender(options, &MemoryFolder::default());
    has_not_dispatched(&sender);
    sender
        .store
        .append(LONG_AGO, written("old").as_bytes())
        .unwrap();

    assert!(matches!(plan(&sender), Action::Wait(_)));
    assert_eq!((sender.store.usage().events, notices(&sender)), (1, 0));

    sender.delivery.callbacks.run_due();
    assert!(matches!(plan(&sender), Action::Rest));
    assert_eq!((sender.store.usage().events, notices(&sender)), (0, 1));
}

#[test]
fn new_events_push_out_the_oldest_unheard_where_the_host_does_not_dispatch() {
    let options = r#"{"callbacks":"dispatch","queue":{"max_events":3,"overflow":"drop_oldest"}}"#;
    let sender = sender(options, &MemoryFolder::default());
    has_not_dispatched(&sender);
    let keep = || sender.keep(&written("u")).unwrap();
    (0..10).for_each(|_| keep());
    assert_eq!((sender.store.usage().events, notices(&sender)), (3, 0));

    sender.delivery.callbacks.run_due();
    keep();
    assert_eq!((sender.store.usage().events, notices(&sender)), (3, 1));
}

#[test]
fn a_turn_counts_what_others_keep_so_that_the_limits_are_for_all_together() {
    // Given a full queue, and a process that does not deliver it and has kept one event before it was,
    let folder = MemoryFolder::default();
    let options = r#"{"queue":{"path":"queue","max_events":5}}"#;
    let (first, second) = (sender(options, &folder), sender(options, &folder));
    second.keep(&written("u")).unwrap();
    assert!(matches!(plan(&first), Action::Send(_)));
    (0..4).for_each(|_| first.store.append(LONG_AGO, b"{}").unwrap());
    // when it takes its turn,
    lock(&second.state).count_at = Instant::now();
    assert!(matches!(plan(&second), Action::Wait(_)));
    // then it knows that there is no room.
    assert_eq!(second.store.usage().events, 5);
    let refused = second.keep(&written("u")).unwrap_err();
    assert_eq!(refused.status, Status::QueueFull);
}

#[test]
fn what_is_too_old_keeps_nothing_waiting_however_much_it_is() {
    // Given more events that are too old than are read at a time, and behind them a new one,
    let options = r#"{"queue":{"max_age_in_seconds":60}}"#;
    let sender = sender(options, &MemoryFolder::default());
    for _ in 0..1_000 {
        let old = written("old");
        sender.store.append(LONG_AGO, old.as_bytes()).unwrap();
    }
    sender.keep(&written("new")).unwrap();
    // then no thread waits before that one is on its way.
    let sending = loop {
        match plan(&sender) {
            Action::Again => {}
            Action::Send(sending) => break sending,
            _ => panic!("{} events wait", sender.store.usage().events),
        }
    };
    assert!(content(&sending).contains("new"));
    assert_eq!(sender.store.usage().events, 1);
}

#[test]
fn what_keeps_failing_of_a_removed_folder_is_given_up_for_what_is_new() {
    // Given an event that was read, and fails after its folder was removed,
    let folder = MemoryFolder::default();
    let sender = sender("{}", &folder);
    sender.keep(&written("failing")).unwrap();
    let failing = next_request(&sender);
    folder.remove_all();
    fails_for_long(&sender, failing);
    // and of what is new only what is in the file that was removed, too,
    for user in ["written twice", "new"] {
        sender.keep(&written(user)).unwrap();
    }
    let both = next_request(&sender);
    assert!(content(&both).contains("written twice"));
    fails_for_long(&sender, both);
    wait_until_lost(&sender);
    // then the rest waits for it, but not for ever.
    assert!(!matches!(plan(&sender), Action::Send(_)));
    lock(&sender.state).lost_until = Some(Instant::now());
    assert!(content(&next_request(&sender)).contains("written twice"));
    assert!(lock(&sender.state).lost_until.is_none());
    assert_eq!(sender.store.usage().events, 2);
}

fn wait_until_lost(sender: &Arc<Sender>) {
    let end = Instant::now() + PATIENCE;
    while lock(&sender.state).lost_until.is_none() {
        assert!(Instant::now() < end);
        assert!(!matches!(plan(sender), Action::Send(_)));
        std::thread::sleep(Duration::from_millis(1));
    }
}

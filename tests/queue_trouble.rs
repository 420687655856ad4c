//! The queue in trouble: one's trouble is nobody else's, and nothing is lost, doubled or told wrongly.

mod service;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use service::scripted::{Answer, Scripted};
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::{Client, DeliveryCallback};
use trophy::error::Status;
use trophy::queue::store::{Options, OsFolder, Store};

#[test]
fn a_bad_event_holds_up_nobody_else() {
    let service = Service::start();
    service.fault(json!({"fault": "poison", "user": "bad", "status": 500}));
    let client = service.client(fast(json!({"delivery": "single"})));
    for number in 0..20 {
        enqueue(&client, format!("before-{number}"));
        enqueue(&client, "bad");
        enqueue(&client, format!("after-{number}"));
    }
    wait_until("the others are delivered", || service.events() == 40);
    wait_until("the others are left", || queued(&client) == 20);
    let requests = stats(&client)["requests"].as_u64().unwrap();
    assert!(requests < 60, "it rests, with growing pauses: {requests}");

    service.0.clear_faults();
    flush(&client);
    assert_eq!(service.counted()["bad"], 20);
    assert_eq!(service.most_in_flight(), 1);
}

#[test]
fn a_bad_event_is_found_in_a_batch_that_fails_and_is_alone_in_the_end() {
    let service = Service::start();
    service.fault(json!({"fault": "poison", "user": "bad", "status": 504}));
    let client = service.client(fast(json!({"delivery": "batch"})));
    for number in 0..500 {
        if number == 250 {
            enqueue(&client, "bad");
        }
        enqueue(&client, number);
    }
    wait_until("the others are delivered", || service.events() == 500);
    wait_until("the others are left", || queued(&client) == 1);
    let requests = stats(&client)["requests"].as_u64().unwrap();
    assert!(requests < 100, "{requests}");
    service.0.clear_faults();
    flush(&client);
    assert!(service.counted().values().all(|count| *count == 1));
}

#[test]
fn a_batch_that_gets_no_answer_for_one_event_is_divided() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let service = Scripted::start(move |asked| {
        match asked.users.iter().any(|user| user == "bad") && !well.load(Ordering::SeqCst) {
            true => Answer::Silence,
            false => Answer::Counted,
        }
    });
    let mut options = fast(json!({"delivery": "batch"}));
    options["attempt_timeout_in_seconds"] = json!(0.3);
    let client = service.client(options);
    for number in 0..30 {
        enqueue(&client, number);
    }
    enqueue(&client, "bad");
    for number in 30..60 {
        enqueue(&client, number);
    }
    wait_until("the others are delivered", || service.counted() == 60);
    is_well.store(true, Ordering::SeqCst);
    flush(&client);
    assert_eq!(service.counted(), 61);
}

#[test]
fn one_that_is_over_a_limit_of_its_own_holds_up_nobody_else() {
    for delivery in ["single", "batch"] {
        let is_well = Arc::new(AtomicBool::new(false));
        let well = Arc::clone(&is_well);
        let service = Scripted::start(move |asked| {
            match asked.users.iter().any(|user| user == "bad") && !well.load(Ordering::SeqCst) {
                true => Answer::Json(429, json!({"error": "slower"})),
                false => Answer::Counted,
            }
        });
        let client = service.client(fast(json!({"delivery": delivery})));
        for number in 0..30 {
            if number == 10 {
                enqueue(&client, "bad");
            }
            enqueue(&client, number);
        }
        // That it is not the service's limit is told by others that come.
        let newcomers = AtomicUsize::new(0);
        wait_until("the others are delivered", || {
            let number = newcomers.fetch_add(1, Ordering::SeqCst);
            enqueue(&client, format!("new-{number}"));
            std::thread::sleep(Duration::from_millis(20));
            let asked = service.asked();
            (0..30).all(|number: i32| {
                asked.iter().any(|asked| {
                    let has = |id: &str| asked.users.iter().any(|user| user == id);
                    has(&number.to_string()) && !has("bad")
                })
            })
        });
        is_well.store(true, Ordering::SeqCst);
        flush(&client);
        assert_eq!(service.counted(), 31 + newcomers.into_inner());
    }
}

#[test]
fn an_outage_is_told_from_a_bad_event_and_the_service_asked_ever_more_seldom() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let service = Scripted::start(move |_| match well.load(Ordering::SeqCst) {
        true => Answer::Counted,
        false => Answer::Json(503, json!({"error": "no"})),
    });
    for delivery in ["single", "batch"] {
        is_well.store(false, Ordering::SeqCst);
        let before = service.asked().len();
        let client = service.client(fast(json!({"delivery": delivery})));
        for number in 0..200 {
            enqueue(&client, number);
        }
        std::thread::sleep(Duration::from_secs(3));
        let asked = service.asked().len() - before;
        assert!(
            (1..40).contains(&asked),
            "{delivery}: {asked} in three seconds"
        );
        is_well.store(true, Ordering::SeqCst);
        flush(&client);
        assert_eq!(stats(&client)["delivered"], 200);
    }
}

#[test]
fn a_lane_that_a_call_holds_blocks_no_other() {
    let service = Service::start();
    service.fault(json!({"fault": "hang", "operation": "metrics_event", "count": 1}));
    let client = service.client(fast(json!({"delivery": "batch", "batch_size": 100})));
    let ear = Ear::new();
    client
        .event_async(&event(&user("a")), ear.callback(7))
        .unwrap();
    wait_until("the call is under way", || {
        service.requests("metrics_event") == 1
    });
    for _ in 0..9_000 {
        enqueue(&client, "a");
    }
    enqueue(&client, "b");

    wait_until("b is delivered", || service.counted().get("b") == Some(&1));
    wait_until("the others are left", || queued(&client) == 9_000);

    assert_eq!(client.cancel(7), 1);
    assert_eq!(ear.next().0, Status::Cancelled);
    flush(&client);
    assert_eq!(service.counted()["a"], 9_000);
}

#[test]
fn a_backlog_that_waited_for_its_lane_is_merged_all_the_same() {
    let service = Service::start();
    service.fault(json!({"fault": "hang", "operation": "metrics_event", "count": 1}));
    let client = service.client(fast(json!({"delivery": "single", "coalesce": true})));
    let ear = Ear::new();
    client
        .event_async(&event(&user("a")), ear.callback(7))
        .unwrap();
    wait_until("the call is under way", || {
        service.requests("metrics_event") == 1
    });
    for _ in 0..3_000 {
        enqueue(&client, "a");
    }
    enqueue(&client, "b");
    wait_until("b is delivered", || service.counted().get("b") == Some(&1));

    client.cancel(7);
    flush(&client);
    assert_eq!(service.totals()["a"], 3_000.0);
    let requests = stats(&client)["requests"].as_u64().unwrap();
    assert!(requests < 20, "{requests}");
}

#[test]
fn many_lanes_in_trouble_do_not_fill_the_window() {
    // Given users whose events fail, with more behind them than the window takes,
    let service = Service::start();
    for bad in 0..6 {
        service.fault(json!({"fault": "poison", "user": format!("bad-{bad}"), "status": 500}));
    }
    let client = service.client(fast(json!({"delivery": "single"})));
    for number in 0..7_200 {
        enqueue(&client, format!("bad-{}", number % 6));
    }
    // then one that comes after them is delivered.
    enqueue(&client, "good");
    wait_until("it is delivered", || service.events() == 1);
    wait_until("the others are left", || queued(&client) == 7_200);
}

#[test]
fn those_beside_a_suspect_whose_lane_is_busy_are_delivered() {
    let (hears, may_refuse) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (heard, refuse) = (Arc::clone(&hears), Arc::clone(&may_refuse));
    let service = Scripted::start(move |asked| {
        let has = |id: &str| asked.users.iter().any(|user| user == id);
        match asked.is_batch {
            // The call that has the lane.
            false => Answer::Silence,
            true if has("bad") && asked.users.len() > 1 => {
                heard.store(true, Ordering::SeqCst);
                while !refuse.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Answer::Json(422, json!({"error": "one of these is wrong"}))
            }
            true if has("bad") => Answer::Json(422, json!({"error": "wrong"})),
            true => Answer::Counted,
        }
    });
    let client = service.client(fast(json!({"delivery": "batch"})));
    let ear = Ear::new();
    // One goes first, and the others come meanwhile.
    for user in ["s", "bad", "t", "s", "u", "s"] {
        enqueue(&client, user);
    }
    wait_until("a batch is under way", || hears.load(Ordering::SeqCst));
    client
        .event_async(&event(&user("s")), ear.callback(7))
        .unwrap();
    may_refuse.store(true, Ordering::SeqCst);

    wait_until("the others are delivered", || {
        let asked = service.asked();
        let delivered = |id: &str| {
            asked.iter().any(|asked| {
                asked.is_batch
                    && asked.users.iter().any(|user| user == id)
                    && !asked.users.iter().any(|user| user == "bad")
            })
        };
        delivered("t") && delivered("u")
    });
    wait_until("the bad one is dead", || stats(&client)["dead"] == 1);
    client.cancel(7);
    flush(&client);
    // Three of s, t, u; in the order in which they came.
    assert_eq!(stats(&client)["delivered"], 5);
}

#[test]
fn a_refusal_that_says_what_is_wrong_costs_tens_of_requests() {
    for (key, attributes) in [
        ("no-such-metric", None),
        ("words-written", Some(r#"{"no-such-key":"x"}"#)),
    ] {
        let service = Service::start();
        let client = service.client(fast(json!({"delivery": "batch"})));
        let ear = Ear::new();
        client.on_delivery(Some(Arc::new(ear.mouth(0))));
        for number in 0..500 {
            let user = user(number);
            let args = EventArgs {
                key,
                attributes_json: attributes,
                ..event(&user)
            };
            client.event_enqueue(&args).unwrap();
        }
        enqueue(&client, "good");
        flush(&client);
        assert_eq!(service.events(), 1);
        let stats = stats(&client);
        assert_eq!(stats["dead"], 500);
        let requests = stats["requests"].as_u64().unwrap();
        assert!(requests < 50, "{key}: {requests}");
        assert_eq!(ear.take(501).len(), 501);
        assert_eq!(ear.rest().len(), 0);
    }
}

#[test]
fn a_refused_probe_takes_no_good_event_with_it() {
    // Given a service that names a field which all have, and means the value that one has,
    let service = Scripted::start(|asked| match asked.users.iter().any(|user| user == "a") {
        true => Answer::Json(422, json!({"error": "genre is not as it should be"})),
        false => Answer::Counted,
    });
    let client = service.client(fast(json!({"delivery": "batch"})));
    for user_id in ["a", "b", "c", "d"] {
        let user = user(user_id);
        let args = EventArgs {
            attributes_json: Some(r#"{"genre":"horror"}"#),
            ..event(&user)
        };
        client.event_enqueue(&args).unwrap();
    }
    flush(&client);
    assert_eq!(service.counted(), 3);
    assert_eq!(stats(&client)["dead"], 1);
}

#[test]
fn what_is_wrong_with_the_first_of_a_batch_alone_is_not_the_fault_of_the_others() {
    for said in [
        // It names what all have, and means what the first says.
        "metric words-written takes whole numbers only",
        "Invalid value for attribute key genre",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut options = fast(json!({"path": folder.path(), "delivery": "batch"}));
        // Given a batch of which the first is bad,
        options["base_url"] = json!("http://127.0.0.1:9/v1");
        options["admin_base_url"] = json!("http://127.0.0.1:9/v1");
        let offline = Client::new(Some(KEY), Some(&options.to_string())).unwrap();
        for number in 0..20 {
            let user = user(number);
            let is_bad = number == 0;
            let args = EventArgs {
                value: if is_bad { 1.5 } else { 1.0 },
                attributes_json: Some(match is_bad {
                    true => r#"{"genre":"crme"}"#,
                    false => r#"{"genre":"crime"}"#,
                }),
                ..event(&user)
            };
            offline.event_enqueue(&args).unwrap();
        }
        drop(offline);
        let service =
            Scripted::start(
                move |asked| match asked.users.iter().any(|user| user == "0") {
                    true => Answer::Json(422, json!({"error": said})),
                    false => Answer::Counted,
                },
            );
        // when it is refused, and the first alone, too,
        let client = service.client(options);
        flush(&client);
        // then the others are delivered.
        assert_eq!(stats(&client)["dead"], 1, "{said}");
        assert_eq!(service.counted(), 19);
    }
}

#[test]
fn a_lane_that_is_not_needed_any_more_is_given_back() {
    // Because its event expired, or because the queue is paused.
    for (max_age, then) in [(json!(0.5), "expired"), (json!(null), "paused")] {
        let service = Service::start();
        service.fault(json!({"fault": "hang", "operation": "metrics_event", "count": 1}));
        let client = service.client(fast(
            json!({"delivery": "single", "max_age_in_seconds": max_age}),
        ));
        let ear = Ear::new();
        client
            .event_async(&event(&user("a")), ear.callback(7))
            .unwrap();
        wait_until("the call is under way", || {
            service.requests("metrics_event") == 1
        });
        enqueue(&client, "a");
        match then {
            "expired" => wait_until("it has expired", || stats(&client)["expired"] == 1),
            _ => {
                service.fault(json!({"fault": "status_before", "status": 401, "count": 1}));
                enqueue(&client, "b");
                wait_until("it is paused", || stats(&client)["paused"] == true);
            }
        }
        client.cancel(7);
        assert_eq!(ear.next().0, Status::Cancelled);

        client.event(&event(&user("a"))).unwrap();

        // And once more, when the queue has had time to take what is not its own.
        client.event(&event(&user("a"))).unwrap();
    }
}

/// Does something with the client when it hears of an expiry.
struct OnExpiry {
    client: Weak<Client>,
    act: fn(&Client) -> bool,
    done: Sender<bool>,
}

impl DeliveryCallback for OnExpiry {
    fn run(&self, status: Status, _: &str) {
        if status == Status::Expired {
            let client = self.client.upgrade().unwrap();
            self.done.send((self.act)(&client)).unwrap();
        }
    }
}

#[test]
fn a_callback_may_wait_for_what_goes_out_next() {
    let waits: [fn(&Client) -> bool; 2] = [
        |client| client.flush(PATIENCE.as_millis() as i64).unwrap().is_done(),
        // Of the lane of what goes out next.
        |client| client.event(&event(&user("a"))).is_ok(),
    ];
    for act in waits {
        // Given an event that is too old, and one behind it that is not, found in one look,
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start();
        let files = OsFolder::new(folder.path()).unwrap();
        let store = Store::open(Box::new(files), Options::default()).unwrap();
        let others_drain = store.try_drain().unwrap().unwrap();
        let queue = json!({"path": folder.path(), "max_age_in_seconds": 600, "delivery": "single"});
        let client = Arc::new(service.client(fast(queue)));
        let (sender, done) = channel();
        client.on_delivery(Some(Arc::new(OnExpiry {
            client: Arc::downgrade(&client),
            act,
            done: sender,
        })));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64;
        for (key, at_ms) in [("old", now - 3_600_000), ("new", now)] {
            let record = json!({"event": {
                "key": "words-written", "idempotencyKey": key, "user": {"id": "a"}, "value": 1,
            }});
            store.append(at_ms, record.to_string().as_bytes()).unwrap();
        }
        // when the host is told of the first, and waits for the second,
        drop(others_drain);
        drop(store);
        enqueue(&client, "b");
        // then it does not wait for itself.
        assert!(done.recv_timeout(*PATIENCE).unwrap());
        flush(&client);
    }
}

#[test]
fn a_lane_is_not_kept_while_the_host_does_not_dispatch() {
    // Given more callbacks due than the queue goes on with,
    let service = Service::start();
    let mut options = fast(json!({"delivery": "batch"}));
    options["callbacks"] = "dispatch".into();
    let client = service.client(options);
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    service.fault(json!({"fault": "hang", "operation": "metrics_event", "count": 1}));
    client
        .event_async(&event(&user("a")), ear.callback(7))
        .unwrap();
    wait_until("the call is under way", || {
        service.requests("metrics_event") == 1
    });
    // and a lane that falls to it meanwhile,
    enqueue(&client, "a");
    for number in 0..10_500 {
        enqueue(&client, number % 100);
    }
    wait_until("so many are delivered", || {
        stats(&client)["delivered"].as_u64() > Some(10_000)
    });
    // The notices come after that.
    std::thread::sleep(Duration::from_millis(300));
    client.cancel(7);
    // then a call of that user has it.
    client.event(&event(&user("a"))).unwrap();
    while client.dispatch(0) > 0 {}
    flush(&client);
}

#[test]
fn what_was_merged_expires_as_one_and_is_dropped_last() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let folder = tempfile::tempdir().unwrap();
    let queue = json!({
        "path": folder.path(), "coalesce": true, "delivery": "single", "max_age_in_seconds": 2,
        "max_events": 12, "overflow": "drop_oldest",
    });
    let client = service.client(fast(queue.clone()));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    for _ in 0..10 {
        enqueue(&client, "merged");
    }
    wait_until("it was attempted", || {
        stats(&client)["requests"].as_u64() > Some(0)
    });
    for number in 0..5 {
        enqueue(&client, number);
    }
    wait_until("there is room", || queued(&client) <= 12);
    let dropped = stats(&client)["dropped"].as_u64().unwrap();
    assert!(dropped <= 5, "never ten for one: {dropped}");

    let heard = ear.take(15);
    let keys: HashSet<_> = heard
        .iter()
        .map(|(_, json)| json["idempotencyKey"].to_string())
        .collect();
    assert_eq!(keys.len(), 15, "each end is heard once");
    flush(&client);
    drop(client);
    service.0.clear_faults();
    let again = service.client(fast(queue));
    flush(&again);
    assert_eq!(service.events(), 0, "nothing comes back");
    assert_eq!(ear.rest().len(), 0);
}

#[test]
fn each_of_what_was_merged_is_heard_of_after_a_restart() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let folder = tempfile::tempdir().unwrap();
    let options = |coalesce: bool| {
        fast(json!({"path": folder.path(), "coalesce": coalesce, "delivery": "single"}))
    };
    let client = service.client(options(true));
    // One piece of what is read at a time is less.
    for _ in 0..600 {
        enqueue(&client, "merged");
    }
    wait_until("it was attempted", || {
        stats(&client)["requests"].as_u64() > Some(1)
    });
    assert_eq!(client.close(0).unwrap().undelivered, 600);
    drop(client);

    let client = service.client(options(false));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    service.0.clear_faults();
    let heard = ear.take(600);
    flush(&client);
    let keys: HashSet<_> = heard
        .iter()
        .map(|(_, json)| json["idempotencyKey"].to_string())
        .collect();
    assert_eq!(keys.len(), 600);
    assert!(heard.iter().all(|(status, _)| *status == Status::Ok));
    assert_eq!(service.totals()["merged"], 600.0);
    assert_eq!(stats(&client)["delivered"], 600);
}

#[test]
fn of_a_batch_no_more_are_delivered_than_were_accepted() {
    let service = Scripted::start(|asked| match asked.users.len() > 3 {
        true => Answer::Json(202, json!({"accepted": 3})),
        false => Answer::Counted,
    });
    let client = service.client(fast(json!({"delivery": "batch"})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    for number in 0..10 {
        enqueue(&client, number);
    }
    flush(&client);
    assert_eq!(service.counted(), 10);
    assert_eq!(stats(&client)["delivered"], 10);
    assert_eq!(ear.take(10).len(), 10);
    assert_eq!(ear.rest().len(), 0);
    // Under their keys: there were ten in all.
    let keys: HashSet<_> = service.asked().into_iter().flat_map(|it| it.keys).collect();
    assert_eq!(keys.len(), 10);
}

#[test]
fn an_answer_that_is_not_the_services_own_ends_nothing() {
    const ANSWERS: [u16; 12] = [404, 405, 407, 409, 421, 423, 425, 451, 403, 401, 200, 201];
    // What a success of the service's never is: no object.
    let not_its_own = |number: usize| match number % 4 {
        0 => Answer::Empty(200),
        1 => Answer::Json(200, json!("welcome")),
        2 => Answer::Json(202, json!([])),
        _ => Answer::Empty(201),
    };
    let is_home = Arc::new(AtomicBool::new(false));
    let (home, pages) = (Arc::clone(&is_home), AtomicUsize::new(0));
    let service = Scripted::start(move |_| {
        if home.load(Ordering::SeqCst) {
            return Answer::Counted;
        }
        let number = pages.fetch_add(1, Ordering::SeqCst);
        match number % 2 {
            0 => Answer::Page(ANSWERS[number / 2 % ANSWERS.len()]),
            _ => not_its_own(number / 2),
        }
    });
    for delivery in ["single", "batch"] {
        is_home.store(false, Ordering::SeqCst);
        let before = service.asked().len();
        let client = service.client(fast(json!({"delivery": delivery})));
        let ear = Ear::new();
        client.on_delivery(Some(Arc::new(ear.mouth(0))));
        for number in 0..12 {
            enqueue(&client, number);
        }
        let enough = if delivery == "single" { 14 } else { 6 };
        wait_until("each answer came", || {
            service.asked().len() - before >= enough
        });
        let now = stats(&client);
        assert_eq!((&now["dead"], &now["paused"]), (&json!(0), &json!(false)));
        assert_eq!(ear.rest().len(), 0);
        is_home.store(true, Ordering::SeqCst);
        flush(&client);
        assert!(ear.take(12).iter().all(|(status, _)| *status == Status::Ok));
        let asked = service.asked();
        let keys: HashSet<_> = asked[before..].iter().flat_map(|it| &it.keys).collect();
        assert_eq!(keys.len(), 12, "each under its own key");
    }
}

#[test]
fn auto_delivery_goes_by_what_was_achieved() {
    let service = Service::start();
    service.fault(json!({"fault": "close_before", "operation": "metrics_event", "probability": 0.15, "seed": 5}));
    let mut options = fast(json!({"delivery": "auto"}));
    options["queue"]["requests_per_second"] = json!(1000);
    let client = service.client(options);
    for number in 0..20_000 {
        enqueue(&client, number);
    }
    flush(&client);
    assert_eq!(service.events(), 20_000);
    let singles = service.requests("metrics_event");
    assert!(singles < 15_000, "{singles} events went one by one");
}

#[test]
fn retries_of_the_queue_are_counted() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503, "count": 2}));
    let client = service.client(fast(json!({"delivery": "single"})));
    enqueue(&client, 1);
    flush(&client);
    let stats = stats(&client);
    assert_eq!(
        (&stats["requests"], &stats["retries"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn a_callback_that_is_replaced_leaves_its_notices_to_the_next() {
    let service = Service::start();
    let mut options = fast(json!({}));
    options["callbacks"] = "dispatch".into();
    let client = service.client(options);
    let (first, second) = (Ear::new(), Ear::new());
    client.on_delivery(Some(Arc::new(first.mouth(0))));
    for number in 0..10 {
        enqueue(&client, number);
    }
    flush(&client);
    client.on_delivery(Some(Arc::new(second.mouth(0))));
    while client.dispatch(0) > 0 {}
    assert_eq!((first.rest().len(), second.rest().len()), (0, 10));
}

#[test]
fn an_expiry_is_heard_without_a_slot() {
    let service = Service::start();
    let queue =
        json!({"requests_per_second": 0.001, "max_age_in_seconds": 0.5, "delivery": "single"});
    let client = service.client(json!({"queue": queue}));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    enqueue(&client, 1);
    assert_eq!(ear.next().0, Status::Ok);
    enqueue(&client, 2);
    assert_eq!(ear.next().0, Status::Expired);
}

#[test]
fn a_slow_pace_outlives_an_idle_thread() {
    let service = Service::start();
    let queue = json!({"requests_per_second": 0.02, "delivery": "single"});
    let client = service.client(json!({"queue": queue}));
    enqueue(&client, 1);
    flush(&client);
    let sent = Instant::now();
    // The thread goes after ten seconds.
    std::thread::sleep(Duration::from_secs(12));
    enqueue(&client, 2);
    std::thread::sleep(Duration::from_secs(2));
    let requests = stats(&client)["requests"].as_u64().unwrap();
    assert!(requests == 1 || sent.elapsed() > Duration::from_secs(50));
}

#[test]
fn the_order_of_a_lane_is_kept_through_failures() {
    // Each event's value says which it is.
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let failures = AtomicUsize::new(0);
    let service = Scripted::start(move |asked| {
        let number = failures.fetch_add(1, Ordering::SeqCst);
        if asked.number < 12 && number % 3 != 2 {
            return match number % 2 {
                0 => Answer::Json(500, json!({"error": "no"})),
                _ => Answer::Json(429, json!({"error": "slower"})),
            };
        }
        log.lock().unwrap().extend(asked.keys.iter().cloned());
        Answer::Counted
    });
    let mut options = fast(json!({"delivery": "single"}));
    options["queue"]["requests_per_second"] = Value::from(200);
    let client = service.client(options);
    let mut kept = Vec::new();
    for _ in 0..12 {
        let answer = client.event_enqueue(&event(&user("one"))).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        kept.push(answer["idempotencyKey"].as_str().unwrap().to_owned());
    }
    flush(&client);
    assert_eq!(*seen.lock().unwrap(), kept);
}

//! The queue: an event is never lost, counts once, and the service's limits are kept.

mod service;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::Client;
use trophy::error::Status;
use trophy_sandbox::{Options, Rates};

fn limited() -> Service {
    Service::with(Options {
        rates: Rates::SERVICE,
        ..Options::default()
    })
}

#[test]
fn an_enqueued_event_is_delivered_and_its_end_is_heard() {
    let service = Service::start();
    let client = service.client(fast(json!({})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    let mine = EventArgs {
        idempotency_key: Some("mine"),
        attributes_json: Some(r#"{"genre":"horror"}"#),
        ..event(r#"{"id":"18","name":"é"}"#)
    };
    let kept = client.event_enqueue(&mine).unwrap();
    assert_eq!(kept, r#"{"idempotencyKey":"mine"}"#);
    let (status, heard) = ear.next();
    assert_eq!(status, Status::Ok);
    assert_eq!(heard["idempotencyKey"], "mine");
    assert_eq!(heard["key"], "words-written");
    assert_eq!(heard["userId"], "18");
    assert_eq!(heard["response"]["total"], 1);
    flush(&client);
    let stats = stats(&client);
    assert_eq!(
        (&stats["delivered"], &stats["queued"]),
        (&json!(1), &json!(0))
    );
    drop(client);
    assert_eq!(ear.rest().len(), 0);
}

#[test]
fn a_backlog_goes_in_batches_within_the_limit() {
    // Given a backlog of a program that was offline,
    let folder = tempfile::tempdir().unwrap();
    let mut queue = json!({"queue": {"path": folder.path(), "delivery": "auto"}});
    // A batch is a long request to an emulator.
    queue["attempt_timeout_in_seconds"] = (20 * emulator::slower()).into();
    let mut offline = queue.clone();
    offline["base_url"] = "http://127.0.0.1:9".into();
    let before = Client::new(Some(KEY), Some(&offline.to_string())).unwrap();
    let events = 20_000 / emulator::slower();
    for number in 0..events {
        enqueue(&before, number % 500);
    }
    drop(before);

    // when it is online again,
    let service = limited();
    let client = service.client(queue);
    flush(&client);

    assert_eq!(service.events(), u64::from(events));
    let each = u64::from(events) / 500;
    assert!(service.counted().values().all(|count| *count == each));
    let stats = stats(&client);
    assert!(stats["requests"].as_u64().unwrap() <= 30, "{stats}");
    assert!(stats["rateLimited"].as_u64().unwrap() <= 3, "{stats}");
}

#[test]
fn a_key_that_may_not_batch_sends_singly_and_coalesces() {
    let service = Service::start();
    let client = service.client_with_key(
        trophy_sandbox::Sandbox::APPLICATION_KEY,
        fast(json!({"coalesce": true, "requests_per_second": 5})),
    );
    for number in 0..1_000 {
        let value = f64::from(number % 10);
        client
            .event_enqueue(&EventArgs {
                value,
                ..event(r#"{"id":"18"}"#)
            })
            .unwrap();
    }
    flush(&client);
    assert_eq!(service.totals()["18"], 4_500.0);
    let requests = stats(&client)["requests"].as_u64().unwrap();
    assert!(requests <= 10, "{requests}");
    assert_eq!(stats(&client)["delivered"], 1_000);
}

#[test]
fn coalescing_leaves_alone_what_is_not_the_same() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503, "count": 1}));
    let client = service.client(fast(json!({"coalesce": true, "delivery": "single"})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    let base = event(r#"{"id":"18"}"#);
    enqueue(&client, 18);
    wait_until("the first was attempted", || {
        stats(&client)["requests"] == 1
    });
    for _ in 0..3 {
        client.event_enqueue(&base).unwrap();
    }
    client
        .event_enqueue(&EventArgs {
            attributes_json: Some(r#"{"genre":"horror"}"#),
            ..base
        })
        .unwrap();
    client
        .event_enqueue(&EventArgs {
            idempotency_key: Some("mine"),
            ..base
        })
        .unwrap();
    client.event_enqueue(&base).unwrap();
    flush(&client);
    // The attempted one, the three with the last, the one with attributes, the keyed one.
    assert_eq!(service.counted()["18"], 4);
    assert_eq!(service.totals()["18"], 7.0);
    let heard = ear.take(7);
    let keys: std::collections::HashSet<_> = heard
        .iter()
        .map(|(_, json)| json["idempotencyKey"].to_string())
        .collect();
    assert_eq!(
        keys.len(),
        7,
        "each enqueued event is heard of under its own key"
    );
}

#[test]
fn coalescing_does_not_keep_a_close_waiting() {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let folder = tempfile::tempdir().unwrap();
    let queue = json!({"path": folder.path(), "coalesce": true, "delivery": "single"});
    let client = service.client(fast(queue));
    for number in 0..20_000 {
        enqueue(&client, number % 100);
    }
    assert_eq!(client.close(0).unwrap().undelivered, 20_000);
    drop(client);

    let again = service.client(fast(json!({"path": folder.path(), "coalesce": true})));
    assert_eq!(again.close(0).unwrap().undelivered, 20_000);
}

#[test]
fn bad_events_are_found_in_a_batch_and_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    for number in (0..1_000).step_by(10) {
        service.fault(json!({"fault": "poison", "user": number.to_string(), "status": 422}));
    }
    let client = service.client(fast(json!({"delivery": "batch", "path": folder.path()})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    for number in 0..1_000 {
        enqueue(&client, number);
    }
    flush(&client);
    assert_eq!(service.events(), 900);
    let heard = ear.take(1_000);
    let dead: Vec<_> = heard
        .iter()
        .filter(|(status, _)| *status == Status::Unprocessable)
        .collect();
    assert_eq!(dead.len(), 100);
    assert!(
        dead.iter()
            .all(|(_, json)| json["error"]["httpStatus"] == 422)
    );
    let text = std::fs::read_to_string(folder.path().join("dead.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 100);
    assert!(
        lines
            .iter()
            .all(|line| line["error"]["code"] == "unprocessable"
                && line["event"]["user"]["id"].is_string())
    );
    assert_eq!(stats(&client)["dead"], 100);
}

#[test]
fn a_batch_too_large_is_split_and_an_event_too_large_spoils_no_later_batch() {
    let most = 16 << 10;
    let knows_key = Arc::new(AtomicBool::new(false));
    let address = refuse_bodies_over(most, &knows_key);
    let mut options = fast(json!({"delivery": "batch"}));
    options["base_url"] = format!("http://{address}/v1").into();
    options["admin_base_url"] = format!("http://{address}/admin").into();
    let client = Client::new(Some(KEY), Some(&options.to_string())).unwrap();
    let requests = || stats(&client)["requests"].as_u64().unwrap();
    // All of it is there when the sending begins.
    let send = |users: Vec<String>| {
        knows_key.store(false, Ordering::SeqCst);
        for user in users {
            enqueue(&client, user);
        }
        wait_until("the queue is paused", || stats(&client)["paused"] == true);
        knows_key.store(true, Ordering::SeqCst);
        let before = requests();
        client.set_api_key(KEY).unwrap();
        flush(&client);
        requests() - before
    };

    let long = "x".repeat(2 * most);
    let first = send((0..500).map(|id| id.to_string()).chain([long]).collect());
    assert_eq!(stats(&client)["dead"], 1);
    assert_eq!(stats(&client)["delivered"], 500);
    let second = send((500..1000).map(|id| id.to_string()).collect());

    // 500 events come to some 60 KB.
    assert_eq!(stats(&client)["delivered"], 1000);
    assert!(
        first < 60 && second <= 10,
        "{first} requests, then {second}"
    );
}

/// A service that takes everything but what is too large, once it knows the key.
fn refuse_bodies_over(most: usize, knows_key: &Arc<AtomicBool>) -> std::net::SocketAddr {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let knows_key = Arc::clone(knows_key);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let knows_key = Arc::clone(&knows_key);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&socket);
                let mut length = 0;
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                    let lower = line.trim().to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                    if lower.is_empty() {
                        lines.read_exact(&mut vec![0; length]).unwrap();
                        let status = match (knows_key.load(Ordering::SeqCst), length > most) {
                            (false, _) => "401 Unauthorized",
                            (true, true) => "413 Too Large",
                            (true, false) => "202 Accepted",
                        };
                        let body = match status {
                            "202 Accepted" => "{}",
                            _ => r#"{"error":"no"}"#,
                        };
                        let length = body.len();
                        let reply =
                            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                        (&socket).write_all(reply.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
    address
}

#[test]
fn an_unknown_metric_takes_none_of_its_batch_with_it() {
    let service = Service::start();
    let client = service.client(fast(json!({"delivery": "batch"})));
    for number in 0..100 {
        let user = user(number);
        let key = if number % 2 == 0 {
            "no-such-metric"
        } else {
            "words-written"
        };
        client
            .event_enqueue(&EventArgs {
                key,
                ..event(&user)
            })
            .unwrap();
    }
    flush(&client);
    assert_eq!(service.events(), 50);
    assert_eq!(stats(&client)["dead"], 50);
}

#[test]
fn a_revoked_key_pauses_the_queue_until_there_is_another() {
    let service = Service::start();
    let client = service.client_with_key("sandbox_admin.wrong-one", fast(json!({})));
    for number in 0..5 {
        enqueue(&client, number);
    }
    wait_until("the queue is paused", || stats(&client)["paused"] == true);
    let ending = client.flush(100).unwrap();
    assert_eq!((ending.undelivered, ending.is_done()), (5, false));
    client.set_api_key(KEY).unwrap();
    flush(&client);
    assert_eq!(service.events(), 5);
    assert_eq!(stats(&client)["paused"], false);
}

#[test]
fn a_service_in_trouble_loses_nothing_and_counts_once() {
    let service = Service::start();
    for fault in [
        json!({"fault": "close_after", "probability": 0.2, "seed": 1}),
        json!({"fault": "status_after", "status": 500, "probability": 0.2, "seed": 2}),
        json!({"fault": "rate_limited", "retryAfter": "0", "probability": 0.1, "seed": 3}),
        json!({"fault": "not_json", "probability": 0.1, "seed": 4}),
    ] {
        service.fault(fault);
    }
    let client =
        service.client(json!({"queue": {"requests_per_second": 50, "delivery": "single"}}));
    for number in 0..12 {
        enqueue(&client, number % 4);
    }
    wait_until("some is delivered in trouble", || {
        stats(&client)["delivered"].as_u64() >= Some(4)
    });
    service.0.clear_faults();
    flush(&client);
    assert_eq!(service.events(), 12);
    assert!(service.counted().values().all(|count| *count == 3));
    assert_eq!(service.most_in_flight(), 1);
}

#[test]
fn a_full_queue_refuses_or_drops_the_oldest() {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let client = service.client(fast(json!({"max_events": 10})));
    for number in 0..10 {
        enqueue(&client, number);
    }
    let error = client.event_enqueue(&event(&user("one more"))).unwrap_err();
    assert_eq!(error.status, Status::QueueFull);
    assert!(error.message.contains("max_events"), "{error}");

    // A queue that is paused has nothing in flight, which could not be dropped.
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 401}));
    let client = service.client(fast(json!({"max_events": 10, "overflow": "drop_oldest"})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    enqueue(&client, 0);
    wait_until("it is paused", || stats(&client)["paused"] == true);
    for number in 1..25 {
        enqueue(&client, number);
    }
    let heard = ear.take(15);
    assert!(heard.iter().all(|(status, _)| *status == Status::QueueFull));
    let stats = stats(&client);
    assert_eq!(stats["dropped"], 15);
    assert_eq!(
        stats["queued"].as_u64().unwrap() + stats["inFlight"].as_u64().unwrap(),
        10
    );
}

#[test]
fn a_small_queue_takes_events_again_once_it_has_delivered() {
    let folder = tempfile::tempdir().unwrap();
    for path in [json!(null), json!(folder.path())] {
        let service = Service::start();
        let client = service.client(fast(json!({"max_bytes": 10_000, "path": path})));
        for round in 0..5 {
            for number in 0..40 {
                enqueue(&client, format!("{round}-{number}"));
            }
            flush(&client);
        }
        assert_eq!(service.events(), 200);

        let long = user("x".repeat(10_001));
        let error = client.event_enqueue(&event(&long)).unwrap_err();
        assert_eq!(error.status, Status::QueueFull);
        assert!(error.message.contains("max_bytes"), "{error}");
        assert!(stats(&client)["bytesOnDisk"].as_u64().unwrap() <= 10_000);
    }
}

#[test]
fn a_small_queue_that_drops_the_oldest_keeps_the_newest() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let queue = json!({"max_bytes": 10_000, "overflow": "drop_oldest"});
    let client = service.client(fast(queue));
    for number in 0..1000 {
        enqueue(&client, number);
    }
    let kept = stats(&client)["queued"].as_u64().unwrap();
    assert!((20..70).contains(&kept), "{kept} kept");
    service.0.clear_faults();
    flush(&client);
    let dropped = stats(&client)["dropped"].as_u64().unwrap();
    assert_eq!(service.events() + dropped, 1000);
    let counted = service.counted();
    assert!((1000 - 20..1000).all(|number| counted.get(&number.to_string()) == Some(&1)));
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_removed_is_made_again() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue");
    let client = service.client(fast(json!({"path": path})));
    enqueue(&client, 1);
    flush(&client);

    // An event finds a folder, whether or not the sender has noticed.
    std::fs::remove_dir_all(&path).unwrap();
    enqueue(&client, 2);
    assert!(path.exists());

    flush(&client);
    assert_eq!(service.events(), 2);

    // With events that are on their way, from files that are still open.
    service.fault(json!({"fault": "status_before", "status": 503}));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    for number in 0..500 {
        enqueue(&client, number);
    }
    wait_until("one was attempted", || {
        stats(&client)["requests"].as_u64() > Some(2)
    });
    // All at once: whoever removes the lock first, and the files later, lets the sender forget them in between.
    std::fs::rename(&path, folder.path().join("removed")).unwrap();
    // The sender looks at the folder also while it waits to try again.
    wait_until("the folder is back", || path.exists());
    service.0.clear_faults();
    flush(&client);
    assert_eq!(stats(&client)["queued"], 0);
    assert_eq!(ear.take(500).len(), 500);
}

#[cfg(unix)]
#[test]
fn a_removed_drain_lock_is_taken_anew_and_every_event_counts_once() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue");
    let client = service.client(fast(json!({"path": path})));
    service.fault(json!({"fault": "status_before", "status": 503}));
    for number in 0..50 {
        enqueue(&client, number);
    }
    wait_until("one was attempted", || {
        stats(&client)["requests"].as_u64() > Some(0)
    });

    std::fs::remove_file(path.join("drain.lock")).unwrap();
    wait_until("the lock is back", || path.join("drain.lock").exists());
    service.0.clear_faults();

    flush(&client);
    assert_eq!(service.events(), 50);
}

#[test]
fn a_dead_event_stays_until_it_is_on_record() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue");
    let dead = path.join("dead.jsonl");
    std::fs::create_dir_all(&dead).unwrap();
    let client = service.client(fast(json!({"path": path})));
    let bad = EventArgs {
        key: "no-such-metric",
        ..event(r#"{"id":"1"}"#)
    };
    client.event_enqueue(&bad).unwrap();
    wait_until("it was refused", || {
        let stats = stats(&client);
        stats["requests"] == 1 && stats["inFlight"] == 0
    });
    assert_eq!(stats(&client)["dead"], 0);
    assert_eq!(stats(&client)["queued"], 1);

    std::fs::remove_dir(&dead).unwrap();

    flush(&client);
    assert_eq!(stats(&client)["dead"], 1);
    assert_eq!(stats(&client)["requests"], 1, "it is not sent again");
    assert_eq!(std::fs::read_to_string(&dead).unwrap().lines().count(), 1);
}

#[test]
fn what_can_never_be_sent_is_not_kept() {
    let service = Service::start();
    let client = service.client(fast(json!({})));
    let user = user(1);
    let long = "x".repeat(70_000);
    let query = json!({"additional_query_parameters": {"q": long}}).to_string();
    let headers: Value = (0..1000)
        .map(|at| (format!("X-{at}"), json!("v")))
        .collect();
    let headers = json!({"additional_headers": headers}).to_string();
    for (key, options_json, named) in [
        (long.as_str(), None, "key"),
        ("words-written", Some(query.as_str()), "query"),
        (
            "words-written",
            Some(headers.as_str()),
            "additional_headers",
        ),
    ] {
        let args = EventArgs {
            key,
            options_json,
            ..event(&user)
        };
        for error in [
            client.event_enqueue(&args).unwrap_err(),
            client.event(&args).unwrap_err(),
        ] {
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains(named), "{error}");
        }
    }
    assert_eq!(stats(&client)["requests"], 0);
}

#[test]
fn an_event_that_becomes_too_old_expires() {
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let client = service.client(fast(json!({"max_age_in_seconds": 0.2})));
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    enqueue(&client, 18);
    let (status, json) = ear.next();
    assert_eq!(status, Status::Expired);
    assert_eq!(json["error"]["code"], "expired");
    assert_eq!(stats(&client)["expired"], 1);
    flush(&client);
    assert_eq!(service.events(), 0);
}

#[test]
fn what_is_queued_outlives_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let options = fast(json!({"path": folder.path()}));
    let client = service.client(options.clone());
    for number in 0..100 {
        enqueue(&client, number);
    }
    let start = Instant::now();
    let ending = client.close(100).unwrap();
    // It waits for its timeout at most, and not until all is delivered.
    assert!(start.elapsed() < *PATIENCE / 4, "{:?}", start.elapsed());
    assert_eq!(ending.undelivered, 100);
    drop(client);
    service.0.clear_faults();
    // A new client begins by itself.
    let client = service.client(options);
    wait_until("all are delivered", || service.events() == 100);
    flush(&client);
    assert!(service.counted().values().all(|count| *count == 1));
}

#[test]
fn no_key_is_ever_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let client = service.client(fast(json!({"path": folder.path()})));
    enqueue(&client, 18);
    let refused = EventArgs {
        options_json: Some(r#"{"api_key":"other.topsecret"}"#),
        ..event(r#"{"id":"1"}"#)
    };
    assert_eq!(
        client.event_enqueue(&refused).unwrap_err().status,
        Status::InvalidArgument
    );
    drop(client);
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("open-sesame") && !text.contains("topsecret"));
            files += 1;
        }
    }
    assert!(files > 0);
}

#[test]
fn a_folder_that_cannot_be_used_is_said_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("inside a file");
    let options = json!({"queue": {"path": path}}).to_string();
    let error = Client::new(Some(KEY), Some(&options)).err().unwrap();
    assert_eq!(error.status, Status::Storage);
    assert!(error.message.contains("inside a file"), "{error}");
}

#[test]
fn two_clients_on_one_folder_deliver_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path()}));
    let clients: Vec<_> = (0..3).map(|_| service.client(options.clone())).collect();
    std::thread::scope(|scope| {
        for (at, client) in clients.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..200 {
                    enqueue(client, format!("{at}-{number}"));
                }
            });
        }
    });
    for client in &clients {
        flush(client);
    }
    assert_eq!(service.events(), 600);
    assert!(service.counted().values().all(|count| *count == 1));
}

#[test]
fn queued_events_share_their_lane_with_calls() {
    let service = Service::start();
    service.fault(json!({"fault": "delay", "ms": 5, "operation": "metrics_event"}));
    let client = service.client(fast(json!({"delivery": "single"})));
    let ear = Ear::new();
    for _ in 0..20 {
        enqueue(&client, 18);
        client
            .event_async(&event(&user(18)), ear.callback(0))
            .unwrap();
        client.event(&event(&user(18))).unwrap();
    }
    ear.take(20);
    flush(&client);
    assert_eq!(service.counted()["18"], 60);
    assert_eq!(service.most_in_flight(), 1);
}

#[test]
fn flush_returns_when_the_host_has_been_told() {
    struct Slow(AtomicBool);
    impl trophy::client::DeliveryCallback for Slow {
        fn run(&self, _: Status, _: &str) {
            std::thread::sleep(Duration::from_millis(100));
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let service = Service::start();
    let client = service.client(fast(json!({})));
    let slow = Arc::new(Slow(AtomicBool::new(false)));
    let callback: Arc<dyn trophy::client::DeliveryCallback> = Arc::clone(&slow) as _;
    client.on_delivery(Some(callback));
    enqueue(&client, 1);
    flush(&client);
    assert!(slow.0.load(Ordering::SeqCst));
}

#[test]
fn in_dispatch_mode_ends_are_heard_inside_dispatch_only() {
    let service = Service::start();
    let mut options = fast(json!({}));
    options["callbacks"] = "dispatch".into();
    let client = service.client(options);
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    for number in 0..10 {
        enqueue(&client, number);
    }
    flush(&client);
    assert_eq!(ear.rest().len(), 0);
    let mut ran = 0;
    while ran < 10 {
        ran += client.dispatch(-1);
    }
    assert_eq!(ear.rest().len(), 10);
}

#[test]
fn a_flush_delivers_all_though_nobody_dispatches_meanwhile() {
    let service = Service::start();
    let mut options = fast(json!({"delivery": "batch"}));
    options["callbacks"] = "dispatch".into();
    let client = service.client(options);
    let ear = Ear::new();
    client.on_delivery(Some(Arc::new(ear.mouth(0))));
    // More than there are callbacks due at which the queue waits for the host, and as many as may be under way.
    for number in 0..30_000 {
        enqueue(&client, number % 500);
    }
    flush(&client);
    let mut heard = 0;
    while heard < 30_000 {
        let ran = client.dispatch(0);
        assert!(ran > 0, "{heard} were heard of");
        heard += ran;
    }
    assert_eq!(client.dispatch(0), 0);
}

#[test]
fn a_long_round_trip_gets_more_connections_and_a_short_one_does_not() {
    for (delay, rate, expected) in [(0, 1, 1..=1), (400, 20, 2..=16)] {
        let connections = || {
            let service = Service::start();
            service.fault(json!({"fault": "delay", "ms": delay}));
            let queue = json!({"requests_per_second": rate, "delivery": "single"});
            let client = service.client(json!({ "queue": queue }));
            for number in 0..3 * rate {
                enqueue(&client, number);
            }
            flush(&client);
            service.0.ledger()["connections"].as_u64().unwrap()
        };
        // On a machine that is busy every round trip may be a long one: at one of five times it is not.
        let seen: Vec<_> = (0..5)
            .map(|_| connections())
            .take_while(|it| !expected.contains(it))
            .collect();
        assert!(seen.len() < 5, "{delay} ms: {seen:?}");
    }
}

#[test]
fn a_callback_that_was_taken_back_is_called_no_more() {
    for callbacks in ["worker", "dispatch"] {
        let service = Service::start();
        let mut options = fast(json!({"delivery": "single"}));
        options["callbacks"] = callbacks.into();
        let client = service.client(options);
        let (first, second) = (Ear::new(), Ear::new());
        client.on_delivery(Some(Arc::new(first.mouth(0))));
        for number in 0..50 {
            enqueue(&client, number);
        }
        wait_until("some are delivered", || service.events() > 5);
        client.on_delivery(Some(Arc::new(second.mouth(0))));
        let heard = first.rest().len();
        flush(&client);
        client.close(1000).unwrap();
        assert_eq!(first.rest().len(), 0, "{callbacks}");
        let more = second.rest().len();
        assert!(
            heard + more <= 50 && more > 0,
            "{callbacks}: {heard} and {more}"
        );
    }
}

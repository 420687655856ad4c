//! Several processes, here clients, on one folder: all append, one delivers, and who cannot lets another.

mod service;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::Client;
use trophy::error::Status;

#[test]
fn a_paused_process_leaves_the_queue_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path()}));
    let refused = service.client_with_key("sandbox_admin.wrong-one", options.clone());
    enqueue(&refused, "first");
    wait_until("it is paused", || stats(&refused)["paused"] == true);
    let good = service.client(options);
    for number in 0..20 {
        enqueue(&refused, number);
        enqueue(&good, 100 + number);
        wait_until("all are delivered", || service.events() == 3 + 2 * number);
    }
    flush(&good);
    flush(&refused);
}

#[test]
fn a_paused_process_that_needs_room_does_not_take_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path(), "max_events": 5}));
    let refused = service.client_with_key("sandbox_admin.wrong-one", options.clone());
    enqueue(&refused, 0);
    wait_until("it is paused", || stats(&refused)["paused"] == true);
    for number in 1..5 {
        enqueue(&refused, number);
    }
    let error = refused.event_enqueue(&event(&user("more"))).unwrap_err();
    assert_eq!(error.status, Status::QueueFull);
    let good = service.client(options);
    wait_until("the other delivers", || service.events() == 5);
    flush(&good);
}

#[test]
fn who_does_not_deliver_keeps_the_limits_too() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let queue = json!({"path": folder.path(), "max_events": 10, "max_bytes": 4096, "overflow": "drop_oldest"});
    for drainer in [KEY, "sandbox_admin.wrong-one"] {
        let first = service.client_with_key(drainer, fast(queue.clone()));
        enqueue(&first, "first");
        wait_until("it was attempted", || {
            stats(&first)["requests"].as_u64() > Some(0)
        });
        let second = service.client_with_key(drainer, fast(queue.clone()));
        let mut most = 0;
        for number in 0..300 {
            match second.event_enqueue(&event(&user(number))) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.status, Status::QueueFull, "{error}"),
            }
            most = most.max(second.flush(0).unwrap().undelivered);
        }
        assert!(most <= 13, "{most}");
    }
}

#[test]
fn who_does_not_deliver_knows_what_was_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path()}));
    let delivers = service.client(options.clone());
    enqueue(&delivers, "first");
    wait_until("it delivers", || service.events() == 1);
    let other = service.client(options);
    for number in 0..10 {
        enqueue(&other, number);
    }
    wait_until("all are delivered", || service.events() == 11);
    wait_until("it is known", || queued(&other) == 0);
}

#[test]
fn the_limit_is_for_all_processes_together_one_after_the_other_too() {
    // Given a request that was just sent, at a limit of one in minutes,
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = json!({"queue": {"path": folder.path(), "requests_per_second": 0.001}});
    let before = service.client(options.clone());
    enqueue(&before, "before");
    flush(&before);
    drop(before);
    // when another process goes on with the queue,
    let next = service.client(options);
    enqueue(&next, "next");
    // then it keeps to the limit, and sends nothing yet.
    assert_eq!(next.flush(1_000).unwrap().undelivered, 1);
    assert_eq!(service.events(), 1);
}

#[test]
fn what_the_service_asked_to_wait_is_kept_by_who_goes_on_with_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    service.fault(json!({"fault": "rate_limited", "retryAfter": "200", "count": 1}));
    let options = fast(json!({"path": folder.path()}));
    let before = service.client(options.clone());
    enqueue(&before, "before");
    wait_until("it is limited", || stats(&before)["rateLimited"] == 1);
    drop(before);
    let next = service.client(options);
    enqueue(&next, "next");
    assert_eq!(next.flush(1_000).unwrap().undelivered, 2);
    assert_eq!(service.events(), 0);
}

#[test]
fn events_of_another_process_are_seen_by_who_is_idle_or_waits_for_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path(), "delivery": "single"}));
    // Given one that delivers, and is idle,
    let first = service.client(options.clone());
    enqueue(&first, 1);
    flush(&first);
    // when another leaves an event and ends,
    let second = service.client(options.clone());
    enqueue(&second, 2);
    second.close(0).unwrap();
    drop(second);
    // then the first delivers it;
    wait_until("it is delivered", || service.events() == 2);

    // also while an answer does not come.
    service.fault(json!({"fault": "hang", "count": 1}));
    enqueue(&first, 3);
    wait_until("it was sent", || service.requests("metrics_event") == 3);
    let second = service.client(options.clone());
    enqueue(&second, 4);
    wait_until("another is delivered", || service.events() == 3);

    // And if the one that delivers ends, the other takes over, idle as it is.
    first.close(0).unwrap();
    drop(first);
    wait_until("the last is delivered", || service.events() == 4);
    let third = service.client(options);
    flush(&third);
}

#[test]
fn flush_counts_what_another_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503}));
    let options = fast(json!({"path": folder.path()}));
    let (mine, others) = (service.client(options.clone()), service.client(options));
    assert!(mine.flush(0).unwrap().is_done());
    for number in 0..3 {
        enqueue(&others, number);
    }
    let ending = mine.flush(200).unwrap();
    assert_eq!((ending.undelivered, ending.status), (3, Status::Timeout));
    assert_eq!(mine.close(0).unwrap().undelivered, 3);
    service.0.clear_faults();
    flush(&others);
}

#[test]
fn close_delivers_what_another_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let options = fast(json!({"path": folder.path()}));
    // Given a process that never had anything to deliver,
    let idle = service.client(options.clone());
    let mut offline = options;
    offline["base_url"] = "http://127.0.0.1:9".into();
    let other = Client::new(Some(KEY), Some(&offline.to_string())).unwrap();
    enqueue(&other, 1);
    drop(other);
    assert_eq!(service.events(), 0);
    // when it closes, then it does not only wait.
    let ending = idle.close(PATIENCE.as_millis() as i64).unwrap();
    assert!(ending.is_done(), "{ending:?}");
    assert_eq!(service.events(), 1);
}

#[test]
fn an_event_that_is_gone_or_damaged_costs_no_other() {
    for trouble in ["removed", "damaged"] {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start();
        service.fault(json!({"fault": "hang", "operation": "metrics_event", "count": 1}));
        let mut options = fast(json!({"path": folder.path(), "delivery": "batch"}));
        options["queue"]["requests_per_second"] = json!(4);
        let client = service.client(options.clone());
        enqueue(&client, "first");
        flush(&client);
        let segments = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            let segments = paths.filter(|path| path.extension().is_some_and(|it| it == "seg"));
            segments.collect::<HashSet<_>>()
        };
        let own = segments();
        // Given events of another process, of which only the places are in memory,
        let ear = Ear::new();
        client
            .event_async(&event(&user("a")), ear.callback(7))
            .unwrap();
        wait_until("the call is under way", || {
            service.requests("metrics_event") == 1
        });
        let other = service.client(options);
        for _ in 0..10 {
            enqueue(&other, "a");
        }
        other.close(0).unwrap();
        drop(other);
        for number in 0..3 {
            enqueue(&client, number);
            wait_until("it is delivered", || service.events() == 2 + number);
        }
        wait_until("they are known", || queued(&client) == 10);
        // when they cannot be read any more,
        for path in segments().difference(&own) {
            match trouble {
                "removed" => std::fs::remove_file(path).unwrap(),
                _ => {
                    let mut bytes = std::fs::read(path).unwrap();
                    bytes[100..].fill(0);
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
        enqueue(&client, "b");
        client.cancel(7);
        // then others go, that one's lane is free, and nothing is left.
        wait_until("b is delivered", || service.counted().get("b") == Some(&1));
        client.event(&event(&user("a"))).unwrap();
        flush(&client);
        assert!(stats(&client)["damaged"].as_u64() > Some(0), "{trouble}");
        client.event(&event(&user("a"))).unwrap();
    }
}

/// Numbers of no meaning.
fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed * 2 + 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    }
}

#[test]
fn clients_that_come_and_go_in_all_kinds_of_trouble_deliver_each_event_once() {
    let service = Service::start();
    for (seed, fault) in [
        json!({"fault": "close_before", "probability": 0.05}),
        json!({"fault": "close_after", "probability": 0.05}),
        json!({"fault": "status_after", "status": 500, "probability": 0.05}),
        json!({"fault": "rate_limited", "retryAfter": "0", "probability": 0.05}),
        json!({"fault": "not_json", "probability": 0.03}),
        json!({"fault": "delay", "ms": 5, "probability": 0.2}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        fault["seed"] = seed.into();
        service.fault(fault);
    }
    let folder = tempfile::tempdir().unwrap();
    let ends = Ear::new();
    let rounds =
        std::env::var("TROPHY_TEST_CASES").map_or(6, |it| it.parse().unwrap_or(6).min(200));
    let live = |thread: u64, ends: Mouth| {
        let mut random = chance(thread);
        let mut kept = [0_u64; 6];
        for round in 0..rounds {
            let delivery = ["auto", "single", "batch"][random(3) as usize];
            let queue = json!({
                "path": folder.path(), "coalesce": random(2) == 0, "delivery": delivery, "max_bytes": 1 << 18,
            });
            let client = service.client(fast(queue));
            client.on_delivery(Some(Arc::new(ends.clone())));
            let ear = Ear::new();
            for step in 0..60 {
                let who = random(6) as usize;
                match random(12) {
                    0 => {
                        let user = user(who);
                        let nothing = EventArgs {
                            value: 0.0,
                            ..event(&user)
                        };
                        let _ = client.event_async(&nothing, ear.callback(step));
                    }
                    1 => drop(client.cancel(random(60) as usize)),
                    2 => {
                        client.set_api_key("sandbox_admin.wrong-one").unwrap();
                        std::thread::sleep(Duration::from_millis(random(8)));
                        client.set_api_key(KEY).unwrap();
                    }
                    3 => drop(client.flush(random(10) as i64)),
                    4 => std::thread::sleep(Duration::from_millis(random(20))),
                    _ => match client.event_enqueue(&event(&user(who))) {
                        Ok(_) => kept[who] += 1,
                        Err(error) => assert_eq!(error.status, Status::QueueFull, "{error}"),
                    },
                }
            }
            if round % 2 == 0 {
                client.close(random(50) as i64).unwrap();
            }
        }
        kept
    };
    let mut kept = [0; 6];
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let ends = ends.mouth(0);
                scope.spawn(move || live(thread, ends))
            })
            .collect();
        for thread in threads {
            for (sum, more) in kept.iter_mut().zip(thread.join().unwrap()) {
                *sum += more;
            }
        }
    });
    service.0.clear_faults();
    let client = service.client(fast(json!({"path": folder.path()})));
    flush(&client);

    let totals = service.totals();
    for (who, count) in kept.iter().enumerate() {
        let total = totals.get(&who.to_string()).copied().unwrap_or(0.0);
        assert_eq!(total, *count as f64, "{who}");
    }
    // No end is heard twice.
    let heard = ends.rest();
    let keys: HashSet<_> = heard
        .iter()
        .map(|(_, json)| json["idempotencyKey"].to_string())
        .collect();
    assert_eq!(keys.len(), heard.len());
    assert!(heard.iter().all(|(status, _)| *status == Status::Ok));
}

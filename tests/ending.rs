//! Asynchronous calls and their end: every callback once, close and free in time, whatever the network does.

mod service;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::{Callback, Client, Ending};
use trophy::error::Status;

#[test]
fn close_keeps_its_deadline_against_a_server_that_never_answers() {
    for timeout in [0, 500] {
        takes_at_most(Duration::from_millis(50), || late_by(timeout));
    }
}

/// How much longer than its timeout a close takes, against a server that never answers.
fn late_by(timeout: i64) -> Duration {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let client = Arc::new(service.client(json!({})));
    let ear = Ear::new();
    for number in 0..32 {
        client
            .event_async(&event(&user(number)), ear.callback(number))
            .unwrap();
    }
    let blocked = {
        let client = Arc::clone(&client);
        std::thread::spawn(move || client.event(&event(&user("blocked"))))
    };
    wait_until("all workers and the blocked call are under way", || {
        stats(&client)["callsUnderWay"] == 5
    });

    let start = Instant::now();
    let ending = client.close(timeout).unwrap();
    let late = start.elapsed() - Duration::from_millis(timeout as u64);

    assert_eq!((ending.undelivered, ending.cancelled), (0, 33));
    let error = blocked.join().unwrap().unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
    let heard = ear.take(32);
    assert!(heard.iter().all(|(status, _)| *status == Status::Cancelled));
    drop(client);
    assert_eq!(ear.rest().len(), 0);
    late
}

#[test]
fn a_closed_client_says_so() {
    let service = Service::start();
    let client = service.client(json!({}));
    let tenant = client.for_tenant("t").unwrap();
    assert!(client.close(1000).unwrap().is_done());
    assert!(tenant.close(1000).unwrap().is_done());
    let ear = Ear::new();
    for error in [
        tenant.event(&event(&user(1))).unwrap_err(),
        client.call("users_get", Some(r#"{"id":"1"}"#)).unwrap_err(),
        client
            .event_async(&event(&user(1)), ear.callback(0))
            .unwrap_err(),
        client.event_enqueue(&event(&user(1))).unwrap_err(),
        client.set_api_key("k.other").unwrap_err(),
        client.for_tenant("u").err().unwrap(),
    ] {
        assert_eq!(error.status, Status::Closed);
    }
    assert_eq!(ear.rest().len(), 0);
    assert_eq!(stats(&client)["callsUnderWay"], 0);
}

#[test]
fn a_call_can_be_made_while_its_thread_ends() {
    thread_local! {
        static AT_THE_END: RefCell<Option<CallsWhenDropped>> = const { RefCell::new(None) };
    }
    let service = Service::start();
    let client = Arc::new(service.client(json!({})));
    let (results, heard) = channel();
    let of_thread = CallsWhenDropped(Arc::clone(&client), results);
    let thread = std::thread::spawn(move || {
        // What was there first is dropped last: after what the library has of this thread.
        AT_THE_END.with(|slot| slot.replace(Some(of_thread)));
        client.event(&event(&user(1))).map(drop)
    });
    thread.join().unwrap().unwrap();
    assert_eq!(heard.recv().unwrap(), Status::Ok);
}

struct CallsWhenDropped(Arc<Client>, Sender<Status>);

impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        let result = self.0.event(&event(&user(1)));
        let _ = self
            .1
            .send(result.map_or_else(|error| error.status, |_| Status::Ok));
    }
}

#[test]
fn many_threads_send_while_the_client_closes() {
    let service = Service::start();
    for round in 0..5 {
        let client = Arc::new(service.client(json!({"max_retries": 0})));
        let ear = Ear::new();
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let (client, ear, accepted) = (Arc::clone(&client), ear.mouth(0), &accepted);
                let callbacks = Arc::new(ear);
                scope.spawn(move || {
                    for number in 0.. {
                        let user = user(format!("{thread}-{number}"));
                        let callback = Box::new(Shared(Arc::clone(&callbacks)));
                        match client.event_async(&event(&user), callback) {
                            Ok(()) => accepted.fetch_add(1, Ordering::SeqCst),
                            Err(error) if error.status == Status::Closed => break,
                            Err(error) => {
                                assert_eq!(error.status, Status::QueueFull);
                                0
                            }
                        };
                    }
                });
            }
            wait_until("some calls are accepted", || {
                accepted.load(Ordering::SeqCst) > 100
            });
            client.close(20 * round).unwrap();
        });
        drop(client);
        assert_eq!(ear.rest().len(), accepted.into_inner());
    }
}

struct Shared(Arc<Mouth>);

impl Callback for Shared {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, status: Status, json: &str) {
        trophy::client::DeliveryCallback::run(&*self.0, status, json);
    }
}

#[test]
fn a_full_backlog_is_refused_and_the_memory_stays() {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let client = service.client(json!({"max_pending_calls": 10, "workers": 1}));
    let ear = Ear::new();
    let mut refused = 0;
    for number in 0..100 {
        match client.event_async(&event(&user(number)), ear.callback(0)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.status, Status::QueueFull);
                assert!(error.message.contains("max_pending_calls"));
                refused += 1;
            }
        }
    }
    assert!((89..=90).contains(&refused), "{refused}");
    drop(client);
    assert_eq!(ear.rest().len(), 100 - refused);
}

#[test]
fn cancel_ends_the_calls_of_a_tag() {
    takes_at_most(Duration::from_millis(50), cancelled_after);
}

/// How long it takes until all of them have heard of it.
fn cancelled_after() -> Duration {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let client = service.client(json!({"workers": 2}));
    let (mine, others) = (Ear::new(), Ear::new());
    client
        .event_async(&event(&user("a")), mine.callback(1))
        .unwrap();
    client
        .event_async(&event(&user("b")), others.callback(2))
        .unwrap();
    for number in 0..5 {
        client
            .event_async(&event(&user(number)), mine.callback(1))
            .unwrap();
    }
    client
        .event_async(&event(&user("a")), mine.callback(1))
        .unwrap();
    wait_until("both workers are busy", || {
        stats(&client)["callsUnderWay"] == 2
    });

    let start = Instant::now();
    assert_eq!(client.cancel(1), 7);
    let heard = mine.take(7);
    let took = start.elapsed();

    assert!(heard.iter().all(|(status, _)| *status == Status::Cancelled));
    assert_eq!(client.cancel(1), 0);
    assert_eq!(client.cancel(3), 0);
    assert_eq!(others.rest().len(), 0);
    drop(client);
    assert_eq!(others.next().0, Status::Cancelled);
    took
}

#[test]
fn dispatch_runs_callbacks_on_the_thread_that_calls_it() {
    let service = Service::start();
    let client = service.client(json!({"callbacks": "dispatch"}));
    let here = std::thread::current().id();
    let (sender, receiver) = std::sync::mpsc::channel();
    assert_eq!(client.dispatch(0), 0);
    for number in 0..20 {
        client
            .event_async(&event(&user(number)), Box::new(Whose(sender.clone())))
            .unwrap();
    }
    wait_until("all are answered", || service.events() == 20);
    assert_eq!(receiver.try_iter().count(), 0);
    let mut ran = 0;
    while ran < 20 {
        ran += client.dispatch(-1);
    }
    assert_eq!(ran, 20);
    assert!(receiver.try_iter().all(|thread| thread == here));

    // What was not dispatched is run by close, here.
    client
        .event_async(&event(&user(1)), Box::new(Whose(sender)))
        .unwrap();
    wait_until("it is answered", || service.events() == 21);
    client.close(1000).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [here]);
    assert_eq!(client.dispatch(-1), 0, "nothing can come any more");
}

struct Whose(std::sync::mpsc::Sender<std::thread::ThreadId>);

impl Callback for Whose {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, _: Status, _: &str) {
        self.0.send(std::thread::current().id()).unwrap();
    }
}

#[test]
fn a_callback_may_call_and_may_not_close() {
    let service = Service::start();
    let client = Arc::new(service.client(json!({})));
    let ear = Ear::new();
    client
        .event_async(
            &event(&user(1)),
            Box::new(Calling(Arc::downgrade(&client), ear.mouth(0))),
        )
        .unwrap();
    let (status, json) = ear.next();
    assert_eq!(status, Status::InvalidArgument);
    assert!(
        json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("callback")
    );
    assert_eq!(
        service.events(),
        3,
        "a synchronous and an asynchronous event from inside"
    );
}

struct Calling(std::sync::Weak<Client>, Mouth);

impl Callback for Calling {
    fn tag(&self) -> usize {
        0
    }

    fn run(self: Box<Self>, _: Status, _: &str) {
        let client = self.0.upgrade().unwrap();
        client.event(&event(&user(1))).unwrap();
        let nested = Ear::new();
        client
            .event_async(&event(&user(2)), nested.callback(0))
            .unwrap();
        nested.next();
        let mut tenant = client.for_tenant("acme").unwrap();
        tenant.let_go().unwrap();
        let error = client.close(0).unwrap_err();
        trophy::client::DeliveryCallback::run(&self.1, error.status, &error.to_json());
    }
}

#[test]
fn a_call_between_two_attempts_holds_no_worker() {
    let service = Service::start();
    service.fault(json!({"fault": "rate_limited", "retryAfter": "30", "count": 1}));
    let client = service.client(json!({"workers": 1}));
    let (resting, other) = (Ear::new(), Ear::new());
    client
        .event_async(&event(&user("resting")), resting.callback(1))
        .unwrap();
    wait_until("it was refused once", || stats(&client)["rateLimited"] == 1);
    client
        .event_async(&event(&user("other")), other.callback(2))
        .unwrap();
    assert_eq!(other.next().0, Status::Ok);
    assert_eq!(client.cancel(1), 1);
    assert_eq!(resting.next().0, Status::Cancelled);
}

#[test]
fn an_asynchronous_call_keeps_its_time_while_it_waits() {
    // For its lane, for the one worker, and with a worker that sleeps already.
    for (workers, second, sleeper) in [
        (4, "first", false),
        (1, "second", false),
        (4, "first", true),
    ] {
        let service = Service::start();
        service.fault(json!({"fault": "hang"}));
        let client = service.client(json!({"workers": workers}));
        let (under_way, waiting) = (Ear::new(), Ear::new());
        client
            .event_async(&event(&user("first")), under_way.callback(1))
            .unwrap();
        if sleeper {
            client
                .event_async(&event(&user("other")), waiting.callback(3))
                .unwrap();
            wait_until("two workers are busy", || {
                stats(&client)["callsUnderWay"] == 2
            });
            assert_eq!(client.cancel(3), 1);
            assert_eq!(waiting.next().0, Status::Cancelled);
        }
        let second = user(second);
        let in_a_hurry = EventArgs {
            options_json: Some(r#"{"timeout_in_seconds":0.2}"#),
            ..event(&second)
        };
        client
            .event_async(&in_a_hurry, waiting.callback(2))
            .unwrap();

        let (status, json) = waiting.next();

        assert_eq!(status, Status::Timeout, "{json}");
        assert_eq!(under_way.rest().len(), 0, "the first is still under way");
        assert_eq!(stats(&client)["callsFinished"]["timeout"], 1);
        assert_eq!(client.cancel(1), 1);
        assert_eq!(under_way.next().0, Status::Cancelled);
    }
}

#[test]
fn free_runs_the_callbacks_of_calls_that_are_slow_to_end() {
    // Given calls whose thread takes its time to notice that they are cancelled,
    trophy::host::log::set(
        trophy::host::log::LogLevel::Debug,
        Some(Box::new(|_, message| {
            if message.contains("users_wrapped") {
                std::thread::sleep(Duration::from_millis(200));
            }
        })),
    );
    for callbacks in ["worker", "dispatch"] {
        let service = Service::start();
        service.fault(json!({"fault": "hang"}));
        let client = service.client(json!({"callbacks": callbacks}));
        let ear = Ear::new();
        for _ in 0..4 {
            client
                .call_async("users_wrapped", Some(r#"{"id":"1"}"#), ear.callback(1))
                .unwrap();
        }
        wait_until("all are under way", || stats(&client)["callsUnderWay"] == 4);
        // when the client is freed, then each has been heard.
        drop(client);
        assert_eq!(ear.rest().len(), 4, "{callbacks}");
    }
    trophy::host::log::set(trophy::host::log::LogLevel::Off, None);
}

#[test]
fn a_host_that_does_not_dispatch_is_refused_in_the_end() {
    let service = Service::start();
    let client = service.client(json!({"callbacks": "dispatch", "max_pending_calls": 10}));
    let ear = Ear::new();
    let mut taken = 0;
    let refused = (0..10_000).find_map(|number| {
        let call = client.event_async(&event(&user(number)), ear.callback(0));
        taken += usize::from(call.is_ok());
        // All that was taken is done before the next.
        wait_until("it is done", || {
            let stats = stats(&client);
            stats["callsUnderWay"] == 0 && stats["callsWaiting"] == 0
        });
        call.err()
    });
    assert_eq!(refused.unwrap().status, Status::QueueFull);
    assert_eq!(taken, 10);
    assert_eq!(client.dispatch(0), 10);
    client
        .event_async(&event(&user(1)), ear.callback(0))
        .unwrap();
    assert_eq!(client.dispatch(-1), 1);
}

#[test]
fn a_close_ends_what_other_threads_wait_for() {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    type Waits = fn(&Client) -> Ending;
    for (waits, status) in [
        (
            (|client| client.flush(-1).unwrap()) as Waits,
            Status::Cancelled,
        ),
        (|client| client.close(-1).unwrap(), Status::Timeout),
    ] {
        let client = Arc::new(service.client(json!({})));
        client.event_enqueue(&event(&user(1))).unwrap();
        wait_until("it is under way", || stats(&client)["inFlight"] == 1);
        let waiting = {
            let client = Arc::clone(&client);
            std::thread::spawn(move || waits(&client))
        };
        assert_eq!(client.close(0).unwrap().undelivered, 1);
        let ending = waiting.join().unwrap();
        assert_eq!((ending.undelivered, ending.status), (1, status));
    }
}

#[test]
fn what_a_closed_client_left_is_delivered_by_the_next() {
    let service = Service::start();
    service.fault(json!({"fault": "hang", "count": 1}));
    let folder = tempfile::tempdir().unwrap();
    let queue = json!({"queue": {"path": folder.path()}});
    let first = service.client(queue.clone());
    first.event_enqueue(&event(&user(1))).unwrap();
    wait_until("it is under way", || service.requests("metrics_event") == 1);
    assert_eq!(first.close(0).unwrap().undelivered, 1);

    // Though the first is not freed.
    let second = service.client(queue);
    assert!(second.flush(PATIENCE.as_millis() as i64).unwrap().is_done());
    assert_eq!(service.events(), 1);
    assert_eq!(first.flush(-1).unwrap().undelivered, 0);
}

#[test]
fn stats_tell_how_calls_ended() {
    let service = Service::start();
    let client = service.client(json!({}));
    client.event(&event(&user(1))).unwrap();
    client.call("users_get", Some(r#"{"id":"1"}"#)).unwrap();
    client
        .call("users_streak", Some(r#"{"id":"nobody"}"#))
        .unwrap_err();
    let stats: Value = stats(&client);
    assert_eq!(stats["callsFinished"], json!({"ok": 2, "not_found": 1}));
    assert_eq!(stats["requests"], 3);
}

//! The pool: every call that was taken in has its callback exactly once, against cancel and close at any moment; no
//! call is left without a thread, and all threads end. A wake-up that is missed is a deadlock here, since nothing
//! wakes by the time alone.
#![cfg(shuttle)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;
use trophy::calls::Calls;
use trophy::delivery::Delivery;
use trophy_models::{Counted, Counting, delivery, in_many_orders, request};

struct Client {
    delivery: Arc<Delivery>,
    calls: Calls,
    called: Arc<Counted>,
    taken: AtomicUsize,
}

impl Client {
    fn new(options: &str) -> Arc<Self> {
        let delivery = delivery(options);
        Arc::new(Self {
            calls: Calls::new(Arc::clone(&delivery)),
            delivery,
            called: Arc::default(),
            taken: AtomicUsize::new(0),
        })
    }

    fn submit(&self, user: Option<&str>, tag: usize) {
        let callback = Box::new(Counting(Arc::clone(&self.called), tag));
        if self.calls.submit(request(user), None, callback).is_ok() {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// As the client's own end: what is under way is cancelled, and the threads are waited for.
    fn end(&self) {
        self.calls.cancel_all();
        self.calls.join();
        while self.delivery.callbacks.run_due() > 0 {}
        assert_eq!(self.called.count(), self.taken.load(Ordering::SeqCst));
        assert!(self.calls.is_idle());
        assert_eq!(self.calls.counts(), (0, 0));
    }

    /// Waits until each call that was taken has had its callback, with nothing that cancels them.
    fn wait(&self) {
        loop {
            let seen = self.delivery.progress.times();
            if self.called.count() == self.taken.load(Ordering::SeqCst) {
                return;
            }
            self.delivery.progress.wait(seen, None);
        }
    }
}

const ONE_WORKER: &str = r#"{"max_retries": 0, "workers": 1}"#;
const TWO_WORKERS: &str = r#"{"max_retries": 0, "workers": 2}"#;
const DISPATCH: &str = r#"{"max_retries": 0, "workers": 1, "callbacks": "dispatch"}"#;

#[test]
fn no_call_is_left_without_a_worker() {
    in_many_orders(|| {
        let client = Client::new(ONE_WORKER);
        let other = Arc::clone(&client);
        let caller = thread::spawn(move || {
            other.submit(None, 1);
            other.submit(None, 1);
        });
        client.submit(None, 1);
        caller.join().unwrap();
        client.wait();
        assert_eq!(client.called.count(), 3);
        client.end();
    });
}

#[test]
fn calls_of_one_lane_go_on_to_the_last_with_synchronous_ones_among_them() {
    in_many_orders(|| {
        let client = Client::new(TWO_WORKERS);
        let other = Arc::clone(&client);
        let caller = thread::spawn(move || {
            let failed = other.calls.run(request(Some("u")), None).unwrap_err();
            assert_eq!(
                failed.status,
                trophy::error::Status::Network,
                "{}",
                failed.message
            );
        });
        client.submit(Some("u"), 1);
        client.submit(Some("u"), 1);
        caller.join().unwrap();
        client.wait();
        assert_eq!(client.called.count(), 2);
        client.end();
    });
}

#[test]
fn a_callback_comes_once_against_a_cancel_at_any_moment() {
    in_many_orders(|| {
        let client = Client::new(TWO_WORKERS);
        let other = Arc::clone(&client);
        let canceller = thread::spawn(move || other.calls.cancel(1));
        client.submit(Some("u"), 1);
        client.submit(Some("u"), 2);
        client.submit(None, 1);
        assert!(canceller.join().unwrap() <= 2);
        client.wait();
        assert_eq!(client.called.count(), 3);
        client.end();
    });
}

#[test]
fn a_callback_comes_once_against_a_close_at_any_moment() {
    in_many_orders(|| {
        let client = Client::new(TWO_WORKERS);
        let other = Arc::clone(&client);
        let closer = thread::spawn(move || other.end_of_all());
        client.submit(Some("u"), 1);
        client.submit(Some("u"), 1);
        let blocking = client.calls.run(request(Some("u")), None);
        assert!(blocking.is_err());
        closer.join().unwrap();
        client.end();
    });
}

#[test]
fn a_callback_is_dispatched_once_by_two_threads_that_dispatch() {
    in_many_orders(|| {
        let client = Client::new(DISPATCH);
        let other = Arc::clone(&client);
        let dispatcher = thread::spawn(move || other.delivery.callbacks.dispatch(None));
        client.submit(None, 1);
        client.submit(None, 2);
        client.calls.cancel(2);
        while client.called.count() < 2 {
            let seen = client.delivery.progress.times();
            if client
                .delivery
                .callbacks
                .dispatch(Some(std::time::Instant::now()))
                == 0
                && client.called.count() < 2
            {
                client.delivery.progress.wait(seen, None);
            }
        }
        client.delivery.callbacks.end();
        dispatcher.join().unwrap();
        client.end();
    });
}

impl Client {
    fn end_of_all(&self) {
        self.calls.cancel_all();
        self.calls.join();
    }
}

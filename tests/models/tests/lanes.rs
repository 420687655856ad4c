//! Lanes: never two in one, nobody forgotten, whatever the order of entering, giving up and leaving.
#![cfg(shuttle)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shuttle::thread;
use trophy::delivery::lanes::Lanes;
use trophy::host::cancel::CancelToken;
use trophy_models::in_many_orders;

const LANE: u64 = 1;

#[derive(Default)]
struct Lane {
    lanes: Lanes,
    inside: AtomicUsize,
    passed: AtomicUsize,
}

impl Lane {
    /// Waits for the lane and passes it; false if it was cancelled before.
    fn pass(&self, cancel: &CancelToken) -> bool {
        let late = Instant::now() + Duration::from_secs(3600);
        let Ok(turn) = self.lanes.wait(LANE, late, cancel) else {
            return false;
        };
        assert!(turn.is_some());
        assert_eq!(
            self.inside.fetch_add(1, Ordering::SeqCst),
            0,
            "two in one lane"
        );
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.passed.fetch_add(1, Ordering::SeqCst);
        true
    }
}

#[test]
fn one_at_a_time_passes_and_each_does() {
    in_many_orders(|| {
        let lane = Arc::new(Lane::default());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let lane = Arc::clone(&lane);
                thread::spawn(move || assert!(lane.pass(&CancelToken::new())))
            })
            .collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(lane.passed.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_wait_that_is_cancelled_holds_up_nobody() {
    in_many_orders(|| {
        let lane = Arc::new(Lane::default());
        let cancel = CancelToken::new();
        let spawn = |cancel: CancelToken| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.pass(&cancel))
        };
        let others = [spawn(CancelToken::new()), spawn(CancelToken::new())];
        let cancelled = spawn(cancel.clone());
        cancel.cancel();
        assert!(others.into_iter().all(|it| it.join().unwrap()));
        let passed = 2 + usize::from(cancelled.join().unwrap());
        assert_eq!(lane.passed.load(Ordering::SeqCst), passed);
        assert!(lane.pass(&CancelToken::new()), "it is free in the end");
    });
}

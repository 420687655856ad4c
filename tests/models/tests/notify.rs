//! Notify: what happens between the look and the wait is not missed. A wait that missed it would never end.
#![cfg(shuttle)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;
use trophy::host::locks::Notify;
use trophy_models::in_many_orders;

#[test]
fn a_change_is_never_missed() {
    in_many_orders(|| {
        let (notify, done) = (Arc::new(Notify::default()), Arc::new(AtomicUsize::new(0)));
        let changing: Vec<_> = (0..2)
            .map(|_| {
                let (notify, done) = (Arc::clone(&notify), Arc::clone(&done));
                thread::spawn(move || {
                    done.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    notify.notify();
                })
            })
            .collect();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (notify, done) = (Arc::clone(&notify), Arc::clone(&done));
                thread::spawn(move || {
                    loop {
                        let seen = notify.times();
                        if done.load(Ordering::SeqCst) == 2 {
                            return;
                        }
                        thread::yield_now();
                        assert!(notify.wait(seen, None));
                    }
                })
            })
            .collect();
        changing
            .into_iter()
            .chain(waiting)
            .for_each(|it| it.join().unwrap());
    });
}

//! The store's hand-over between threads: whoever drains gives each event once, while others append, and the next one
//! that drains goes on where the last one stopped.
#![cfg(shuttle)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shuttle::sync::Mutex;
use shuttle::thread;
use trophy::queue::store::{Durability, MemoryFolder, Options, Store};
use trophy_models::in_many_orders;

fn open(folder: &MemoryFolder, durability: Durability) -> Store {
    // So small that segments are ended and removed all the time.
    let options = Options {
        durability,
        segment_bytes: 64,
        ..Options::default()
    };
    Store::open(Box::new(folder.clone()), options).unwrap()
}

/// Takes what there is and settles it.
fn drain(store: &Store, most: usize) -> Vec<Vec<u8>> {
    let Some(mut drain) = store.try_drain().unwrap() else {
        return Vec::new();
    };
    let entries = drain.read(most, 1 << 20).unwrap();
    thread::yield_now();
    let positions: Vec<_> = entries.iter().map(|it| it.position).collect();
    drain.attempt(&positions).unwrap();
    drain.settle(&positions).unwrap();
    entries.into_iter().map(|it| it.payload).collect()
}

fn each_event_is_given_once(durability: Durability) {
    in_many_orders(move || {
        let folder = MemoryFolder::default();
        let given = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2_u8)
            .map(|writer| {
                let folder = folder.clone();
                thread::spawn(move || {
                    let store = open(&folder, durability);
                    (0..3_u8).for_each(|number| store.append(7, &[writer, number]).unwrap());
                })
            })
            .collect();
        let drains: Vec<_> = (0..2)
            .map(|_| {
                let (folder, given, over) = (folder.clone(), Arc::clone(&given), Arc::clone(&over));
                thread::spawn(move || {
                    let store = open(&folder, durability);
                    while !over.load(Ordering::SeqCst) {
                        let taken = drain(&store, 2);
                        given.lock().unwrap().extend(taken);
                        thread::yield_now();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|it| it.join().unwrap());
        over.store(true, Ordering::SeqCst);
        drains.into_iter().for_each(|it| it.join().unwrap());

        let store = open(&folder, durability);
        loop {
            let taken = drain(&store, 9);
            if taken.is_empty() {
                break;
            }
            given.lock().unwrap().extend(taken);
        }
        let mut given = std::mem::take(&mut *given.lock().unwrap());
        given.sort();
        let expected: Vec<_> = (0..2)
            .flat_map(|writer| (0..3).map(move |number| vec![writer, number]))
            .collect();
        assert_eq!(given, expected);
    });
}

#[test]
fn each_event_is_given_once_by_whoever_drains() {
    each_event_is_given_once(Durability::Process);
}

#[test]
fn each_event_is_given_once_by_whoever_drains_where_appends_share_a_sync() {
    each_event_is_given_once(Durability::Power);
}

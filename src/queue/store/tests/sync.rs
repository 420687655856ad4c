//! With "power", what is synced and what is given.

use super::watched::{Watched, fail_once, failure};
use super::*;
use crate::host::locks::lock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};

#[test]
fn with_power_nobody_reads_an_event_before_it_is_synced() {
    let folder = new_folder();
    let reader = open_in(Box::new(folder.clone()), POWER);
    let drain = Arc::new(Mutex::new(reader.try_drain().unwrap().unwrap()));
    let early = Arc::new(Mutex::new(Vec::new()));
    let (seen, drained) = (Arc::clone(&early), Arc::clone(&drain));
    let before = move |call: &str, _: &str| {
        if call == "sync_data" {
            lock(&seen).extend(read_all(&mut lock(&drained)));
        }
        Ok(())
    };
    let writer = open_in(Watched::new(&folder, before), POWER);

    for event in ["one", "two", "three"] {
        writer.append(1, event.as_bytes()).unwrap();
        assert!(lock(&early).is_empty(), "read before its sync");
        assert_eq!(payloads(&read_all(&mut lock(&drain))), [event]);
    }
}

#[test]
fn with_power_an_event_whose_sync_failed_is_never_given() {
    for call in ["sync_data", "sync"] {
        let folder = new_folder();
        let reader = open_in(Box::new(folder.clone()), POWER);
        let mut drain = reader.try_drain().unwrap().unwrap();
        let (watched, armed) = fail_once(&folder, call, "");
        let writer = open_in(watched, POWER);
        if call == "sync_data" {
            writer.append(1, b"before").unwrap();
        }
        armed.store(true, Ordering::Relaxed);

        assert!(writer.append(1, b"refused").is_err());
        writer.append(1, b"after").unwrap();
        drop(writer);

        let given = payloads(&read_all(&mut drain));
        assert!(!given.contains(&"refused".to_owned()), "{call}: {given:?}");
        assert_eq!(given.last().unwrap(), "after");
        assert_eq!(reader.recount().unwrap().events, given.len() as u64);
    }
}

#[test]
fn with_power_a_refused_event_that_cannot_be_cut_off_is_not_given_while_its_writer_lives() {
    let folder = new_folder();
    let fails = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&fails);
    let before = move |call: &str, _: &str| {
        let hits = call == "sync_data" || call == "truncate";
        match hits && armed.load(Ordering::Relaxed) {
            true => Err(failure()),
            false => Ok(()),
        }
    };
    let writer = open_in(Watched::new(&folder, before), POWER);
    let reader = open_in(Box::new(folder.clone()), POWER);
    let mut drain = reader.try_drain().unwrap().unwrap();
    fails.store(true, Ordering::Relaxed);
    assert!(writer.append(1, b"refused").is_err());
    fails.store(false, Ordering::Relaxed);

    writer.append(1, b"kept").unwrap();
    assert_eq!(payloads(&read_all(&mut drain)), ["kept"]);
    // It is cut off at the end.
    drop(writer);
    assert!(read_all(&mut drain).is_empty());
}

#[test]
fn what_a_dead_writer_did_not_commit_is_synced_before_it_is_given() {
    let folder = new_folder();
    open_in(Box::new(folder.clone()), POWER)
        .append(1, b"acknowledged")
        .unwrap();
    let name = name_with(&folder, ".seg");
    // Its process dies between the write and the sync of another.
    folder.tamper(&name, |bytes| {
        bytes.truncate(bytes.len() - format::SEAL_LENGTH);
        format::put_event(bytes, 2, b"nobody was told");
    });
    let synced = Arc::new(AtomicBool::new(false));
    let is_synced = Arc::clone(&synced);
    let before = move |call: &str, file: &str| {
        if call == "sync_data" && file.ends_with(".seg") {
            is_synced.store(true, Ordering::Relaxed);
        }
        Ok(())
    };
    let store = open_in(Watched::new(&folder, before), POWER);
    let mut drain = store.try_drain().unwrap().unwrap();

    let given = payloads(&read_all(&mut drain));

    assert_eq!(given, ["acknowledged", "nobody was told"]);
    assert!(synced.load(Ordering::Relaxed));
}

#[test]
fn with_power_callers_that_come_during_a_sync_share_the_next() {
    const CALLERS: usize = 8;
    let folder = new_folder();
    let syncs = Arc::new(AtomicU64::new(0));
    let appended: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>> = Arc::default();
    let (count, wait) = (Arc::clone(&syncs), Arc::clone(&appended));
    let before = move |call: &str, _: &str| {
        if call == "sync_data" {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(wait) = wait.get() {
                wait();
            }
        }
        Ok(())
    };
    let store = Arc::new(open_in(Watched::new(&folder, before), POWER));
    store.append(1, b"first").unwrap();
    let earlier = syncs.load(Ordering::Relaxed);
    // The first sync ends when all the others have written.
    let waiting = Arc::clone(&store);
    let until_all_wrote = move || {
        while waiting.usage().events < 1 + CALLERS as u64 {
            std::thread::yield_now();
        }
    };
    assert!(appended.set(Box::new(until_all_wrote)).is_ok());

    let begin = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                begin.wait();
                store.append(1, b"event").unwrap();
            });
        }
    });

    assert_eq!(syncs.load(Ordering::Relaxed) - earlier, 2);
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(read_all(&mut drain).len(), 1 + CALLERS);
}

#[test]
fn with_power_files_that_are_removed_during_the_sync_are_an_error() {
    let folder = new_folder();
    let armed = Arc::new(AtomicBool::new(false));
    let (removes, removed) = (Arc::clone(&armed), folder.clone());
    let before = move |call: &str, _: &str| {
        if call == "sync_data" && removes.swap(false, Ordering::Relaxed) {
            removed.remove_all();
        }
        Ok(())
    };
    let store = open_in(Watched::new(&folder, before), POWER);
    store.append(1, b"before").unwrap();
    armed.store(true, Ordering::Relaxed);

    let kind = store.append(1, b"lost").unwrap_err().kind();
    assert_eq!(kind, io::ErrorKind::NotFound);

    store.append(1, b"after").unwrap();
    assert_eq!(payloads(&drain_all(&open(&folder)).0), ["after"]);
}

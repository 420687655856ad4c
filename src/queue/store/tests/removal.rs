//! Files that somebody else removes, or has open.

use super::watched::{Watched, fail_once_with};
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn what_somebody_else_has_open_for_a_moment_is_no_error() {
    for busy in ["remove", "append", "rename"] {
        let folder = new_folder();
        let (watched, armed) =
            fail_once_with(&folder, busy, "", || io::ErrorKind::ResourceBusy.into());
        armed.store(true, Ordering::Relaxed);
        let store = open_in(watched, Options::default());
        store.append(1, b"event").unwrap();
        assert!(!armed.load(Ordering::Relaxed), "{busy} was refused once");
        assert_eq!(payloads(&drain_all(&store).0), ["event"], "{busy}");
        // What could not be removed is cleared away.
        assert!(folder.names().iter().all(|name| !name.ends_with(".tmp")));
    }
}

#[test]
fn an_event_is_not_acknowledged_into_files_that_were_removed() {
    for options in [Options::default(), POWER] {
        let folder = new_folder();
        let store = open_in(Box::new(folder.clone()), options);
        store.append(1, b"before").unwrap();

        folder.remove_all();
        store.append(1, b"after").unwrap();

        let (given, _) = drain_all(&open_in(Box::new(folder.clone()), options));
        assert_eq!(payloads(&given), ["after"]);
        assert_eq!(store.recount().unwrap().events, 1);
    }
}

#[test]
fn a_drain_whose_lock_file_was_removed_is_worth_nothing() {
    let folder = MemoryFolder::default();
    let (store, other) = (open(&folder), open(&folder));
    append_all(&store, &["a", "b"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(read_all(&mut drain).len(), 2);
    assert_eq!((drain.is_valid(), drain.hold()), (true, Hold::Held));

    folder.remove("drain.lock").unwrap();
    assert_eq!((drain.is_valid(), drain.hold()), (false, Hold::Lost));
    append_all(&other, &["c"]);
    let kind = drain.read(10, 1000).unwrap_err().kind();
    assert_eq!(kind, io::ErrorKind::NotFound, "nothing more is read");

    // Another has it by now.
    let second = other.try_drain().unwrap().unwrap();
    assert!(second.is_valid() && !drain.is_valid());
    assert!(store.try_drain().unwrap().is_none());
    drop(second);

    folder.remove_all();
    assert_eq!(drain.hold(), Hold::FolderGone);
    let third = store.try_drain().unwrap();
    assert!(third.unwrap().is_valid());
}

#[test]
fn a_segment_that_cannot_be_looked_at_is_not_gone() {
    let folder = MemoryFolder::default();
    let watched = Watched::new(&folder, |call, name| {
        match call == "id" && name.ends_with(".seg") {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    });
    let store = open_in(watched, Options::default());
    store.append(1, b"event").unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(drain.read(10, 1000).unwrap().len(), 1);
    folder.remove("drain.lock").unwrap();
    assert_eq!(drain.hold(), Hold::Lost);
}

#[test]
fn a_lock_file_that_is_removed_as_it_is_locked_is_made_anew() {
    let folder = MemoryFolder::default();
    let (removed, tries) = (folder.clone(), AtomicU64::new(0));
    let before = move |call: &str, name: &str| {
        if call == "id" && name == "drain.lock" && tries.fetch_add(1, Ordering::Relaxed) < 2 {
            removed.remove(name).unwrap();
        }
        Ok(())
    };
    let store = open_in(Watched::new(&folder, before), Options::default());

    let drain = store.try_drain().unwrap().unwrap();

    assert!(drain.is_valid());
    assert!(open(&folder).try_drain().unwrap().is_none());
}

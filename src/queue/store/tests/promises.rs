//! What the store promises when something goes wrong at a certain moment.

use super::watched::Watched;
use super::*;
use crate::host::locks::lock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};

const POWER: Options = Options {
    durability: Durability::Power,
    segment_bytes: 1 << 20,
    merges: false,
};

fn open_in(folder: Box<dyn Folder>, options: Options) -> Store {
    Store::open(folder, options).unwrap()
}

fn append_all(store: &Store, events: &[&str]) {
    for event in events {
        store.append(1, event.as_bytes()).unwrap();
    }
}

fn read_all(drain: &mut Drain) -> Vec<Entry> {
    drain.read(1000, 1 << 20).unwrap()
}

fn positions(entries: &[Entry]) -> Vec<Position> {
    entries.iter().map(|entry| entry.position).collect()
}

fn failure() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

/// Fails one call, once.
fn fail_once(
    folder: &MemoryFolder,
    call: &'static str,
    ending: &'static str,
) -> (Box<Watched>, Arc<AtomicBool>) {
    fail_once_with(folder, call, ending, failure)
}

fn fail_once_with(
    folder: &MemoryFolder,
    call: &'static str,
    ending: &'static str,
    failure: impl Fn() -> io::Error + Send + Sync + 'static,
) -> (Box<Watched>, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&armed);
    let before = move |made: &str, name: &str| {
        let hits = made == call && name.ends_with(ending);
        match hits && fails.swap(false, Ordering::Relaxed) {
            true => Err(failure()),
            false => Ok(()),
        }
    };
    (Watched::new(folder, before), armed)
}

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
fn acks_go_only_when_no_power_cut_can_bring_their_segment_back() {
    for (options, merges, syncs) in [
        (POWER, false, true),
        (POWER, true, true),
        (Options::default(), true, true),
        (Options::default(), false, false),
    ] {
        let folder = new_folder();
        append_all(
            &open_in(Box::new(folder.clone()), options),
            &["a", "b", "c"],
        );
        let calls = Arc::new(Mutex::new(Vec::new()));
        let made = Arc::clone(&calls);
        let before = move |call: &str, name: &str| {
            if call == "remove" || call == "sync" {
                let ending = name.rsplit('.').next().unwrap_or_default();
                lock(&made).push(format!("{call} {ending}"));
            }
            Ok(())
        };
        let store = open_in(Watched::new(&folder, before), options);
        let mut drain = store.try_drain().unwrap().unwrap();
        let all = positions(&read_all(&mut drain));
        if merges {
            drain.merge(all[0], &all[1..2], 2.0).unwrap();
        }
        drain.settle(&all[..2]).unwrap();
        lock(&calls).clear();

        drain.settle(&all[2..]).unwrap();

        let expected: &[&str] = match syncs {
            true => &["remove seg", "sync ", "remove ack"],
            false => &["remove seg", "remove ack"],
        };
        assert_eq!(*lock(&calls), expected);
    }
}

#[test]
fn acks_stay_if_the_folder_cannot_be_synced_and_go_later() {
    let folder = new_folder();
    append_all(&open_in(Box::new(folder.clone()), POWER), &["a", "b"]);
    let (watched, armed) = fail_once(&folder, "sync", "");
    let store = open_in(watched, POWER);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.settle(&all[..1]).unwrap();
    armed.store(true, Ordering::Relaxed);

    drain.settle(&all[1..]).unwrap();
    assert!(!folder.names().iter().any(|name| name.ends_with(".seg")));
    assert!(folder.names().iter().any(|name| name.ends_with(".ack")));

    assert!(read_all(&mut drain).is_empty());
    assert_eq!(folder.names(), ["drain.lock"]);
}

#[test]
fn an_ack_file_that_cannot_be_read_keeps_its_events_back_until_it_can() {
    // Given members that were counted with their leader, which is not settled,
    let folder = new_folder();
    let store = open(&folder);
    append_all(&store, &["leader", "member", "settled"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.merge(all[0], &all[1..2], 2.0).unwrap();
    drain.attempt(&all[..1]).unwrap();
    drain.settle(&all[2..]).unwrap();
    drop((drain, store));
    append_all(&open(&folder), &["of another"]);
    let ack = name_with(&folder, ".ack");
    // when the ack file cannot be read,
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let before = move |call: &str, name: &str| {
        let fails = call == "open" && name == ack && is_broken.load(Ordering::Relaxed);
        if fails {
            Err(io::Error::from_raw_os_error(libc::EIO))
        } else {
            Ok(())
        }
    };
    let store = open_in(Watched::new(&folder, before), Options::default());
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut given = Vec::new();
    for _ in 0..30 {
        given.extend(drain.read(10, 1000).unwrap_or_default());
    }
    // then only the others are given, and it is said;
    assert_eq!(payloads(&given), ["of another"]);
    assert_eq!(drain.take_damage()[0].reason, "it cannot be read");

    // and they come as what they are once it can be.
    broken.store(false, Ordering::Relaxed);
    let given = read_all(&mut drain);
    assert_eq!(payloads(&given), ["leader"]);
    assert!(given[0].attempted && given[0].merged.is_some());
}

#[test]
fn a_failed_write_of_an_attempt_leaves_the_event_as_it_was() {
    for call in ["write", "sync_data"] {
        let folder = new_folder();
        append_all(&open(&folder), &["leader", "first", "second", "other"]);
        let (watched, armed) = fail_once(&folder, call, ".ack");
        let store = open_in(watched, POWER);
        let mut drain = store.try_drain().unwrap().unwrap();
        let all = positions(&read_all(&mut drain));
        drain.merge(all[0], &all[1..2], 2.0).unwrap();
        armed.store(true, Ordering::Relaxed);
        assert!(drain.attempt(&all[..1]).is_err());

        // More may join it, and it comes to its end with all of them.
        drain.merge(all[0], &all[2..3], 3.0).unwrap();
        drain.attempt(&all[..1]).unwrap();
        assert!(drain.merge(all[0], &all[3..], 4.0).is_err());
        drain.settle(&all[..1]).unwrap();
        drop((drain, store));
        assert_eq!(payloads(&drain_all(&open(&folder)).0), ["other"], "{call}");
    }
}

#[test]
fn what_was_merged_and_not_recorded_settles_with_its_leader_in_one_write() {
    let folder = new_folder();
    append_all(&open(&folder), &["leader", "member", "other"]);
    let writes = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&writes);
    let before = move |call: &str, name: &str| {
        count.fetch_add(
            (call == "write" && name.ends_with(".ack")).into(),
            Ordering::Relaxed,
        );
        Ok(())
    };
    let store = open_in(Watched::new(&folder, before), Options::default());
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));

    drain.settle(&all[..2]).unwrap();

    assert_eq!(writes.load(Ordering::Relaxed), 1);
    drop((drain, store));
    assert_eq!(payloads(&drain_all(&open(&folder)).0), ["other"]);
}

#[test]
fn a_settled_leader_keeps_its_members_settled_though_the_record_of_the_merge_is_damaged() {
    let folder = new_folder();
    let store = open(&folder);
    append_all(&store, &["leader", "member", "other"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.merge(all[0], &all[1..2], 2.0).unwrap();
    drain.settle(&all[..1]).unwrap();
    drop((drain, store));
    let ack = name_with(&folder, ".ack");
    let merge = frames(&folder.get(&ack).unwrap())[1].clone();
    folder.tamper(&ack, |bytes| bytes[merge.end - 1] ^= 1);

    let (given, damage) = drain_all(&open(&folder));

    assert_eq!(payloads(&given), ["other"]);
    assert_eq!(damage.len(), 1);
}

#[test]
fn a_merge_whose_leader_is_no_event_is_dissolved_and_stays_so() {
    let folder = new_folder();
    let store = open(&folder);
    append_all(&store, &["leader", "first", "second", "third"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.merge(all[0], &all[1..], 2.0).unwrap();
    drop(drain);

    // Its members were not read yet,
    let mut drain = store.try_drain().unwrap().unwrap();
    let leader = drain.read(1, 1000).unwrap()[0].position;
    let passed = drain.dissolve(leader).unwrap();
    let mut given = payloads(&passed);
    given.extend(payloads(&read_all(&mut drain)));
    given.sort();
    assert_eq!(given, ["first", "second", "third"]);
    assert!(drain.dissolve(leader).is_err(), "it leads nobody");
    drain.settle(&[leader]).unwrap();
    drop((drain, store));

    // and after a restart they are events of their own.
    let (given, _) = drain_all(&open(&folder));
    assert_eq!(payloads(&given), ["first", "second", "third"]);
}

#[test]
fn members_that_were_passed_over_come_back_when_their_merge_is_dissolved() {
    let folder = new_folder();
    let store = open(&folder);
    append_all(&store, &["leader", "first", "second"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.merge(all[0], &all[1..], 2.0).unwrap();
    assert_eq!(
        payloads(&drain.dissolve(all[0]).unwrap()),
        ["first", "second"]
    );
    drain.settle(&all[1..]).unwrap();

    drain.merge(all[0], &[], 1.0).unwrap();
    drain.attempt(&all[..1]).unwrap();
    assert!(drain.dissolve(all[0]).is_err());
    assert_eq!(store.usage().events, 1);
}

#[test]
fn a_merge_of_an_attempted_leader_is_not_dissolved() {
    let folder = new_folder();
    let store = open(&folder);
    append_all(&store, &["leader", "member"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    drain.merge(all[0], &all[1..], 2.0).unwrap();
    drain.attempt(&all[..1]).unwrap();
    let words = drain.dissolve(all[0]).unwrap_err().to_string();
    assert!(words.contains("counted"), "{words}");
}

#[test]
fn where_events_are_merged_no_power_cut_makes_one_that_was_sent_look_new() {
    let mut came_back = [0; 3];
    for seed in 0..600u64 {
        let (folder, end) = (new_folder(), seed as usize % 3);
        let options = Options {
            merges: true,
            ..Options::default()
        };
        let store = open_in(Box::new(folder.clone()), options);
        // What others wrote is on the disk.
        let writer = open_in(Box::new(folder.clone()), POWER);
        append_all(&writer, &["sent", "behind"]);
        let mut drain = store.try_drain().unwrap().unwrap();
        let all = positions(&read_all(&mut drain));
        drain.attempt(&all[..1]).unwrap();
        match end {
            0 => {}
            1 => drain.settle(&all[..1]).unwrap(),
            _ => {
                drop(writer);
                assert!(read_all(&mut drain).is_empty());
                drain.settle(&all).unwrap();
                assert_eq!(folder.names(), ["drain.lock"]);
            }
        }

        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let after = folder.after_power_cut(|below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 8) as usize % below
        });

        for entry in drain_all(&open_in(Box::new(after), options)).0 {
            if entry.payload == b"sent" {
                assert!(entry.attempted, "seed {seed}: sent, and looks new");
                came_back[end] += 1;
            }
        }
    }
    assert!(
        came_back[..2].iter().all(|times| *times > 50),
        "{came_back:?}"
    );
}

#[test]
fn what_is_written_here_is_not_read_to_be_counted() {
    let folder = new_folder();
    let reads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reads);
    let before = move |call: &str, _: &str| {
        counted.fetch_add(u64::from(call == "read"), Ordering::Relaxed);
        Ok(())
    };
    let options = Options {
        segment_bytes: 1000,
        ..Options::default()
    };
    let store = open_in(Watched::new(&folder, before), options);
    for number in 1..=100 {
        store.append(1, b"an event").unwrap();
        assert_eq!(store.recount().unwrap().events, number);
    }
    // Nor what is full.
    assert!(folder.names().len() > 3, "{:?}", folder.names());
    assert_eq!(reads.load(Ordering::Relaxed), 0);

    // Others count it all the same, and so does this one what others have written.
    let other = open(&folder);
    assert_eq!(other.usage().events, 100);
    other.append(1, b"another").unwrap();
    assert_eq!(store.recount().unwrap().events, 101);
}

#[test]
fn dead_letters_are_on_record_or_an_error_and_a_torn_one_spoils_no_other() {
    for durability in [Durability::Process, Durability::Power] {
        for call in ["append", "write", "sync_data", "sync"] {
            let folder = new_folder();
            folder.put("dead.jsonl", b"{\"torn");
            let (watched, armed) = fail_once(&folder, call, "");
            let options = Options {
                durability,
                ..POWER
            };
            let store = open_in(watched, options);
            let mut drain = store.try_drain().unwrap().unwrap();
            armed.store(true, Ordering::Relaxed);
            let lines = ["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned()];

            let first = drain.add_dead_letters(&lines);

            let touched = durability == Durability::Power || !call.starts_with("sync");
            assert_eq!(first.is_err(), touched, "{call}");
            let text = || String::from_utf8(folder.get("dead.jsonl").unwrap()).unwrap();
            if touched {
                assert_eq!(text(), "{\"torn", "{call}: none of them");
                drain.add_dead_letters(&lines).unwrap();
            }
            assert_eq!(text(), "{\"torn\n{\"a\":1}\n{\"b\":2}\n", "{call}");
        }
    }
}

#[test]
fn a_full_file_of_dead_letters_whose_name_is_held_takes_more() {
    let folder = new_folder();
    folder.put("dead.jsonl", &[b'\n'; 1 << 20]);
    let is_held = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&is_held);
    // As a program that shows the file does on Windows.
    let watched = Watched::new(&folder, move |call, _| match call {
        "rename" if held.load(Ordering::Relaxed) => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(()),
    });
    let store = open_in(watched, Options::default());
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut add = |line: &str| drain.add_dead_letters(&[line.to_owned()]).unwrap();
    let ends_with = |name, text: &[u8]| folder.get(name).unwrap().ends_with(text);

    add("1");
    add("2");
    assert!(ends_with("dead.jsonl", b"\n1\n2\n"));

    is_held.store(false, Ordering::Relaxed);
    add("3");
    assert!(ends_with("dead.1.jsonl", b"\n1\n2\n"));
    assert_eq!(folder.get("dead.jsonl").unwrap(), b"3\n");
}

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

#[test]
fn who_drains_next_knows_of_the_pace() {
    let folder = new_folder();
    let store = open(&folder);
    let drain = || store.try_drain().unwrap().unwrap();
    let notes = |drain: &Drain| drain.notes().collect::<Vec<_>>();
    let mut first = drain();
    assert_eq!(notes(&first).len(), 0);
    let said = [Note::Started(1), Note::HeldUntil(9), Note::Started(2)];
    said.into_iter().for_each(|note| first.note(note));
    drop(first);
    let mut second = drain();
    assert_eq!(notes(&second), said);
    (4..=5_000).for_each(|date| second.note(Note::Started(date)));
    drop(second);
    let mut torn = folder.get("drain.lock").unwrap();
    assert!(torn.len() <= 4096);
    // A crash in the midst of a note costs that one.
    torn.extend([1, 2, 3]);
    folder.put("drain.lock", &torn);
    let mut third = drain();
    assert_eq!(
        notes(&third),
        (4_937..=5_000).map(Note::Started).collect::<Vec<_>>()
    );
    third.note(Note::Started(5_001));
    drop(third);
    assert_eq!(notes(&drain()).last(), Some(&Note::Started(5_001)));
}

#[test]
fn what_could_not_be_noted_of_the_pace_is_noted_with_the_next() {
    let folder = new_folder();
    let is_full = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&is_full);
    let before = move |call: &str, name: &str| match call == "write"
        && name == "drain.lock"
        && fails.load(Ordering::Relaxed)
    {
        true => Err(failure()),
        false => Ok(()),
    };
    let store = open_in(Watched::new(&folder, before), Options::default());
    let mut drain = store.try_drain().unwrap().unwrap();
    for (date, full) in [(1, false), (2, true), (3, true), (4, false), (5, false)] {
        is_full.store(full, Ordering::Relaxed);
        drain.note(Note::Started(date));
    }
    drop(drain);
    let drain = open(&folder).try_drain().unwrap().unwrap();
    assert_eq!(
        drain.notes().collect::<Vec<_>>(),
        [1, 2, 3, 4, 5].map(Note::Started)
    );
}

#[test]
fn what_another_process_adds_is_counted_without_what_it_had_before() {
    let folder = new_folder();
    let read = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&read);
    let before = move |call: &str, bytes: &str| {
        if call == "read" {
            sum.fetch_add(bytes.parse().unwrap(), Ordering::Relaxed);
        }
        Ok(())
    };
    let writer = open(&folder);
    append_all(&writer, &["event"; 1_000]);
    let other = open_in(Watched::new(&folder, before), Options::default());
    assert_eq!(other.usage().events, 1_000);
    let first = read.swap(0, Ordering::Relaxed);
    for number in 1..=10 {
        append_all(&writer, &["event"]);
        assert_eq!(other.recount().unwrap().events, 1_000 + number);
    }
    let more = read.load(Ordering::Relaxed);
    assert!(more < first / 10, "{more} bytes after {first}");
    // Also past bytes that do not check, and a file that got shorter.
    let name = name_with(&folder, ".seg");
    drop(writer);
    let mut bytes = folder.get(&name).unwrap();
    let frames = frames(&bytes);
    bytes.truncate(frames[500].start);
    folder.put(&name, &bytes);
    let left = other.recount().unwrap().events;
    assert_eq!(left, 499, "a header before them");
    bytes.extend([0xF5, 0xC0, 7]);
    bytes.extend(folder.get(&name).unwrap()[frames[1].clone()].to_vec());
    folder.put(&name, &bytes);
    assert_eq!(other.recount().unwrap().events, 500);
}

#[test]
fn a_hundred_segments_take_a_few_descriptors_only() {
    // Given segments of one event each,
    let folder = new_folder();
    let options = Options {
        segment_bytes: 1,
        ..Options::default()
    };
    let store = open_in(Box::new(folder.clone()), options);
    append_all(&store, &["event"; 100]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    assert_eq!(all.len(), 100);
    // when all are attempted,
    drain.attempt(&all).unwrap();
    // then their acks are not held open.
    let open_acks = folder.open_handles(".ack");
    assert!(open_acks <= 8, "{open_acks}");
    drain.settle(&all).unwrap();
    assert_eq!(store.usage().events, 0);
}

#[test]
fn an_attempt_that_fails_again_and_again_is_noted_once() {
    let folder = new_folder();
    let is_full = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&is_full);
    let before = move |call: &str, name: &str| match call == "write"
        && name.ends_with(".ack")
        && fails.load(Ordering::Relaxed)
    {
        true => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        false => Ok(()),
    };
    let store = open_in(Watched::new(&folder, before), Options::default());
    append_all(&store, &["a", "b"]);
    let mut drain = store.try_drain().unwrap().unwrap();
    let all = positions(&read_all(&mut drain));
    is_full.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        drain.attempt(&all).unwrap_err();
    }
    is_full.store(false, Ordering::Relaxed);
    drain.attempt(&all).unwrap();
    let acks = folder.get(&name_with(&folder, ".ack")).unwrap();
    assert_eq!(frames(&acks).len(), 2, "a header and one attempt");
    let again = drain_all(&open(&folder.after_kill())).0;
    assert!(again.iter().all(|entry| entry.attempted));
}

#[test]
fn the_store_forgets_what_was_delivered() {
    let folder = new_folder();
    let options = Options {
        segment_bytes: 2000,
        ..Options::default()
    };
    let store = open_in(Box::new(folder.clone()), options);
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut sizes = Vec::new();
    for _ in 0..20 {
        for _ in 0..50 {
            append_all(&store, &["leader", "member", "other"]);
            let all = positions(&read_all(&mut drain));
            for group in all.chunks(3) {
                if group.len() == 3 && group[0].same_segment(group[2]) {
                    drain.merge(group[0], &group[1..2], 2.0).unwrap();
                }
            }
            drain.attempt(&all).unwrap();
            drain.settle(&all).unwrap();
        }
        assert_eq!(read_all(&mut drain).len(), 0);
        sizes.push(drain.size());
    }
    let (first, last) = (sizes[0], sizes[19]);
    assert!(first < 20 && last < 20, "{sizes:?}");
}

/// Bytes that are read and summed to go through a file.
fn work(bytes: &[u8]) -> u64 {
    let folder = MemoryFolder::default();
    folder.put("file", bytes);
    let mut scanner = scan::Scanner::new(Arc::from(folder.open("file").unwrap()));
    loop {
        let length = match scanner.peek(true).unwrap() {
            scan::Found::Nothing => return scanner.work(),
            scan::Found::Damage { .. } => continue,
            scan::Found::Frame { bytes, .. } => bytes.len(),
        };
        scanner.pass(length);
    }
}

/// Beginnings of frames that are half the file long; alone, or with a sound frame after each.
fn hostile(length: usize, with_sound: bool) -> Vec<u8> {
    let mut unit = vec![0xF5, 0xC0, 0xFF, b'E'];
    unit.extend_from_slice(&(length as u32 / 2).to_le_bytes());
    unit.extend_from_slice(&[0; 4]);
    if with_sound {
        format::put_commit(&mut unit, 1);
    }
    unit.repeat(length / unit.len())
}

#[test]
fn a_hostile_segment_costs_no_more_than_its_length() {
    for with_sound in [false, true] {
        let small = work(&hostile(1 << 16, with_sound));
        let large = work(&hostile(1 << 20, with_sound));
        assert!(large < 200 << 20, "{large} for 1 MiB");
        assert!(
            large < small * 16 * 2,
            "{small} for 64 KiB, {large} for 1 MiB"
        );
    }
}

#[test]
fn a_hostile_folder_is_read_a_few_times_and_not_once_for_each_fault() {
    const LENGTH: usize = 1 << 20;
    for with_sound in [false, true] {
        let folder = new_folder();
        let mut bytes = format::header_of(1);
        bytes.extend(hostile(LENGTH, with_sound));
        folder.put("00000000000000000001-1-00000000000000aa.seg", &bytes);
        let (reads, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (count, sum) = (Arc::clone(&reads), Arc::clone(&total));
        let before = move |call: &str, bytes: &str| {
            if call == "read" {
                count.fetch_add(1, Ordering::Relaxed);
                sum.fetch_add(bytes.parse().unwrap(), Ordering::Relaxed);
            }
            Ok(())
        };
        let store = open_in(Watched::new(&folder, before), Options::default());
        let mut drain = store.try_drain().unwrap().unwrap();
        assert!(read_all(&mut drain).is_empty());

        let damage = drain.take_damage();
        assert!(damage.len() <= 64);
        let length: u64 = damage.iter().map(|damage| damage.length).sum();
        assert!(length > LENGTH as u64 / 4, "all of it is told: {length}");
        // To count, to read, and to copy the first of what is damaged aside.
        let (reads, total) = (reads.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
        assert!(total < 8 * LENGTH as u64, "{total} bytes read");
        assert!(reads < 400, "{reads} reads");
    }
}

#[test]
fn a_sound_event_behind_hostile_bytes_is_given() {
    let folder = new_folder();
    append_all(&open(&folder), &["sound"]);
    let name = name_with(&folder, ".seg");
    let large = "x".repeat(100_000);
    folder.tamper(&name, |bytes| {
        bytes.truncate(bytes.len() - format::SEAL_LENGTH);
        let mut hostile = vec![0xF5, 0xC0, 0xFF, b'E'];
        hostile.extend_from_slice(&150_000u32.to_le_bytes());
        hostile.extend_from_slice(&[0; 4]);
        bytes.extend(hostile.repeat(10_000));
        format::put_event(bytes, 1, large.as_bytes());
        bytes.extend(hostile.repeat(10_000));
    });
    let (given, _) = drain_all(&open(&folder));
    assert_eq!(payloads(&given), ["sound", &large]);
}

#[test]
fn a_folder_of_version_1_0_0_is_read() {
    // As 1.0.0 wrote it: no byte for commits, and none are there.
    let folder = new_folder();
    let stem = "00000000000000000001-1-00000000000000aa";
    let mut segment = format::header_of(1);
    assert_eq!(segment.len(), format::PREFIX + 16);
    let mut offsets = Vec::new();
    for event in ["settled", "leader", "member", "member", "other"] {
        offsets.push(segment.len() as u32);
        format::put_event(&mut segment, 1, event.as_bytes());
    }
    let mut acks = format::header_of(1);
    format::put_offsets(&mut acks, format::Kind::Settle, &offsets[..1]);
    format::put_merge(&mut acks, 3.0, offsets[1], &offsets[2..4]);
    format::put_offsets(&mut acks, format::Kind::Attempt, &offsets[1..2]);
    folder.put(&format!("{stem}.seg"), &segment);
    folder.put(&format!("{stem}.ack"), &acks);

    let store = open_in(Box::new(folder.clone()), POWER);
    assert_eq!(store.usage().events, 4);
    let (given, damage) = drain_all(&store);

    assert_eq!(payloads(&given), ["leader", "other"]);
    assert!(given[0].attempted);
    assert_eq!(given[0].merged.as_ref().unwrap().members.len(), 2);
    assert!(damage.is_empty());
}

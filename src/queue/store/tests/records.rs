//! What became of events: on record before it counts, alone and merged.

use super::watched::{Watched, fail_once};
use super::*;
use crate::host::locks::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

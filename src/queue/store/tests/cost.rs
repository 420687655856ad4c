//! What the store costs: in time, memory and descriptors, whatever the folder holds.

use super::watched::Watched;
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

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

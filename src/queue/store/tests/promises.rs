//! What else the store promises: of dead letters, of the pace, of other processes and other versions.

use super::watched::{Watched, fail_once, failure};
use super::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
fn who_drains_next_knows_of_the_pace() {
    let folder = new_folder();
    let store = open(&folder);
    let drain = || store.try_drain().unwrap().unwrap();
    let notes = |drain: &mut Drain| drain.notes(1 << 50).collect::<Vec<_>>();
    let mut first = drain();
    assert_eq!(notes(&mut first).len(), 0);
    let said = [Note::Started(1), Note::HeldUntil(9), Note::Started(2)];
    said.into_iter().for_each(|note| first.note(note));
    drop(first);
    let mut second = drain();
    assert_eq!(notes(&mut second), said);
    (4..=5_000).for_each(|date| second.note(Note::Started(date)));
    drop(second);
    let mut torn = folder.get("drain.lock").unwrap();
    assert!(torn.len() <= 4096);
    // A crash in the midst of a note costs that one.
    torn.extend([1, 2, 3]);
    folder.put("drain.lock", &torn);
    let mut third = drain();
    assert_eq!(
        notes(&mut third),
        (4_937..=5_000).map(Note::Started).collect::<Vec<_>>()
    );
    third.note(Note::Started(5_001));
    drop(third);
    assert_eq!(notes(&mut drain()).last(), Some(&Note::Started(5_001)));
}

#[test]
fn a_request_that_seems_to_be_to_come_holds_up_nobody_for_long() {
    let folder = new_folder();
    let store = open(&folder);
    let mut first = store.try_drain().unwrap().unwrap();
    let said = [Note::Started(5), Note::Started(900), Note::HeldUntil(901)];
    said.into_iter().for_each(|note| first.note(note));
    drop(first);
    // The clock was set back.
    let seen = [Note::Started(5), Note::Started(7), Note::HeldUntil(901)];
    for date in [7, 8] {
        let mut next = store.try_drain().unwrap().unwrap();
        assert_eq!(next.notes(date).collect::<Vec<_>>(), seen);
    }
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
    let mut drain = open(&folder).try_drain().unwrap().unwrap();
    assert_eq!(
        drain.notes(9).collect::<Vec<_>>(),
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

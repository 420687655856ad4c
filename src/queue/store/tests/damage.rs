//! Every byte cut and flipped, and what else may lie in the folder.

use super::*;

const EVENTS: usize = 30;

/// A folder with one sealed segment of `EVENTS` events.
fn sealed() -> (MemoryFolder, Vec<String>) {
    let folder = new_folder();
    let store = open(&folder);
    let events: Vec<String> = (0..EVENTS)
        .map(|number| format!("{{\"event\":{number}}}"))
        .collect();
    for event in &events {
        store.append(7, event.as_bytes()).unwrap();
    }
    (folder, events)
}

#[test]
fn a_flipped_bit_of_a_segment_costs_the_event_it_hits_and_no_other() {
    let (folder, events) = sealed();
    let name = name_with(&folder, ".seg");
    let sound = folder.get(&name).unwrap();
    let frames = frames(&sound);
    assert_eq!(frames.len(), EVENTS + 2, "a header, the events, a seal");

    for byte in 0..sound.len() {
        for bit in 0..8 {
            let folder = new_folder();
            let mut bytes = sound.clone();
            bytes[byte] ^= 1 << bit;
            folder.put(&name, &bytes);

            let (given, damage) = drain_all(&open(&folder));

            let hit = frames
                .iter()
                .position(|frame| frame.contains(&byte))
                .unwrap();
            let mut expected = events.clone();
            if (1..=EVENTS).contains(&hit) {
                expected.remove(hit - 1);
            }
            assert_eq!(payloads(&given), expected, "byte {byte} bit {bit}");
            let reported = Damage {
                file: name.clone(),
                offset: frames[hit].start as u64,
                length: frames[hit].len() as u64,
                reason: "bytes that do not check",
            };
            assert_eq!(damage, [reported], "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn a_segment_cut_anywhere_gives_every_event_before_the_cut() {
    let (folder, events) = sealed();
    let name = name_with(&folder, ".seg");
    let sound = folder.get(&name).unwrap();
    let frames = frames(&sound);

    for length in 0..sound.len() {
        let folder = new_folder();
        folder.put(&name, &sound[..length]);

        let (given, damage) = drain_all(&open(&folder));

        let whole = frames.iter().filter(|frame| frame.end <= length).count();
        let expected = &events[..whole.saturating_sub(1).min(EVENTS)];
        assert_eq!(payloads(&given), expected, "cut at {length}");
        let at_a_boundary = length > 0 && frames.iter().any(|frame| frame.end == length);
        assert_eq!(damage.is_empty(), at_a_boundary, "cut at {length}");
    }
}

#[test]
fn damage_of_an_ack_file_brings_back_what_its_entry_settled_and_no_more() {
    let (folder, _) = sealed();
    let store = open(&folder);
    let mut drain = store.try_drain().unwrap().unwrap();
    let places: Vec<Position> = drain
        .read(100, 10_000)
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect();
    drain.settle(&[places[0]]).unwrap();
    drain.settle(&places[1..3]).unwrap();
    drain.attempt(&[places[3]]).unwrap();
    drain.merge(places[4], &places[5..7], 9.0).unwrap();
    drain.settle(&places[7..]).unwrap();
    drop((drain, store));
    let (segment, ack) = (name_with(&folder, ".seg"), name_with(&folder, ".ack"));
    let (segment_bytes, sound) = (folder.get(&segment).unwrap(), folder.get(&ack).unwrap());
    let frames = frames(&sound);
    assert_eq!(frames.len(), 6);

    let number = |entry: &Entry| -> usize {
        let text = String::from_utf8(entry.payload.clone()).unwrap();
        text.trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap()
    };
    // What comes back when these of the ack's frames are gone.
    let expected = |gone: &dyn Fn(usize) -> bool| {
        let back = |number: &usize| match number {
            0 => gone(1),
            1 | 2 => gone(2),
            3 | 4 => true,
            5 | 6 => gone(4),
            _ => gone(5),
        };
        (0..EVENTS).filter(back).collect::<Vec<_>>()
    };
    let check = |bytes: &[u8], gone: &dyn Fn(usize) -> bool, damaged: bool, case: &str| {
        let folder = new_folder();
        folder.put(&segment, &segment_bytes);
        folder.put(&ack, bytes);
        let store = open(&folder);
        let (given, damage) = drain_all(&store);
        assert_eq!(
            given.iter().map(number).collect::<Vec<_>>(),
            expected(gone),
            "{case}"
        );
        let third = given.iter().find(|entry| number(entry) == 3).unwrap();
        assert_eq!(third.attempted, !gone(3), "{case}");
        let leader = given.iter().find(|entry| number(entry) == 4).unwrap();
        assert_eq!(leader.merged.is_none(), gone(4), "{case}");
        assert_eq!(!damage.is_empty(), damaged, "{case}");
        assert!(damage.iter().all(|damage| damage.file == ack), "{case}");
    };

    for byte in 0..sound.len() {
        let hit = frames
            .iter()
            .position(|frame| frame.contains(&byte))
            .unwrap();
        for bit in 0..8 {
            let mut bytes = sound.clone();
            bytes[byte] ^= 1 << bit;
            check(
                &bytes,
                &|frame| frame == hit,
                true,
                &format!("byte {byte} bit {bit}"),
            );
        }
        let at_a_boundary = byte == 0 || frames.iter().any(|frame| frame.end == byte);
        let cut = |frame: usize| frames[frame].end > byte;
        check(
            &sound[..byte],
            &cut,
            !at_a_boundary,
            &format!("cut at {byte}"),
        );
    }
}

#[test]
fn a_damaged_leader_gives_its_members_back() {
    let (folder, events) = sealed();
    let store = open(&folder);
    let mut drain = store.try_drain().unwrap().unwrap();
    let places: Vec<Position> = drain
        .read(100, 10_000)
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect();
    drain.merge(places[0], &places[1..3], 3.0).unwrap();
    drop((drain, store));
    let name = name_with(&folder, ".seg");
    let hit = frames(&folder.get(&name).unwrap())[1].start + 20;
    folder.tamper(&name, |bytes| bytes[hit] ^= 4);

    let (given, damage) = drain_all(&open(&folder));

    assert_eq!(payloads(&given), events[1..]);
    assert!(given.iter().all(|entry| entry.merged.is_none()));
    assert_eq!(damage.len(), 1);
}

#[test]
fn the_tail_of_a_living_segment_is_no_damage_until_an_event_follows_it() {
    let folder = new_folder();
    let store = open(&folder);
    store.append(1, b"one").unwrap();
    let name = name_with(&folder, ".seg");
    let mut half = Vec::new();
    format::put_event(&mut half, 1, b"a frame on its way");
    half.truncate(20);
    folder.tamper(&name, |bytes| bytes.extend_from_slice(&half));
    let mut drain = store.try_drain().unwrap().unwrap();
    assert_eq!(payloads(&drain.read(10, 100).unwrap()), ["one"]);
    assert!(drain.take_damage().is_empty());

    store.append(2, b"two").unwrap();

    assert_eq!(payloads(&drain.read(10, 100).unwrap()), ["two"]);
    assert_eq!(drain.take_damage().len(), 1);
    assert!(drain.take_damage().is_empty(), "reported once");
}

#[test]
fn a_torn_write_that_was_taken_back_and_written_anew_is_read_whole() {
    let folder = new_folder();
    let store = open(&folder);
    store.append(1, b"one").unwrap();
    let name = name_with(&folder, ".seg");
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut torn = Vec::new();
    format::put_event(&mut torn, 9, b"torn");
    torn.truncate(21);
    folder.tamper(&name, |bytes| bytes.extend_from_slice(&torn));
    assert_eq!(payloads(&drain.read(10, 100).unwrap()), ["one"]);

    folder.tamper(&name, |bytes| bytes.truncate(bytes.len() - 21));
    store.append(2, b"two").unwrap();
    store.append(3, b"three").unwrap();

    assert_eq!(payloads(&drain.read(10, 100).unwrap()), ["two", "three"]);
    assert!(drain.take_damage().is_empty());
}

#[test]
fn what_has_no_sound_record_is_kept_under_another_name() {
    let (folder, events) = sealed();
    let stem = "00000000000000000001-1-00000000000000aa";
    folder.put(&format!("{stem}.seg"), b"not a segment at all");
    folder.put("00000000000000000002-1-00000000000000aa.seg", b"");

    let (given, damage) = drain_all(&open(&folder));

    assert_eq!(payloads(&given), events);
    assert_eq!(
        folder.get(&format!("{stem}.seg.unknown")).unwrap(),
        b"not a segment at all"
    );
    let reasons: Vec<_> = damage.iter().map(|damage| damage.reason).collect();
    assert_eq!(
        reasons,
        [
            "bytes that do not check",
            "no record in it checks",
            "an empty file"
        ]
    );
}

#[test]
fn a_large_file_without_a_record_is_passed_in_one_go() {
    // With a look at all of it for each piece that is read, this would take minutes.
    let (folder, events) = sealed();
    let stem = "00000000000000000001-1-00000000000000aa";
    folder.put(&format!("{stem}.seg"), &vec![0; 32 << 20]);

    let (given, damage) = drain_all(&open(&folder));

    assert_eq!(payloads(&given), events);
    assert_eq!((damage[0].offset, damage[0].length), (0, 32 << 20));
}

#[test]
fn a_folder_of_a_later_version_is_refused_in_words_and_left_alone() {
    for ending in ["seg", "ack"] {
        let (folder, _) = sealed();
        let name = format!("00000000000000000001-1-00000000000000aa.{ending}");
        folder.put(&name, &format::header_of(2));
        let before = folder.names();

        let opened = Store::open(Box::new(folder.clone()), Options::default());

        let words = opened.err().unwrap().to_string();
        assert!(
            words.contains(&name) && words.contains("later version"),
            "{words}"
        );
        assert_eq!(folder.names(), before);
    }
}

#[test]
fn a_segment_of_a_later_version_that_comes_while_this_one_drains_is_left_alone() {
    let (folder, events) = sealed();
    let store = open(&folder);
    let stem = "00000000000000000001-1-00000000000000aa";
    let (segment, ack) = (format!("{stem}.seg"), format!("{stem}.ack"));
    let old = name_with(&folder, ".seg").replace(".seg", ".ack");
    folder.put(&segment, &format::header_of(2));
    folder.put(&ack, &format::header_of(2));

    let (given, damage) = drain_all(&store);

    assert_eq!(payloads(&given), events);
    assert_eq!(folder.get(&segment), Some(format::header_of(2)));
    assert_eq!(folder.get(&ack), Some(format::header_of(2)));
    assert_eq!(damage.len(), 1);
    assert_eq!(
        damage[0].reason,
        "a later version of the format, left alone"
    );

    // An ack file of a later version may say that these events were delivered.
    folder.put(&old, &format::header_of(2));
    assert!(drain_all(&store).0.is_empty());
    assert_eq!(folder.get(&old), Some(format::header_of(2)));
}

#[test]
fn a_header_of_a_later_version_behind_events_gives_none_of_them_twice() {
    let (folder, events) = sealed();
    let name = name_with(&folder, ".seg");
    let mut bytes = folder.get(&name).unwrap();
    let third = frames(&bytes)[2].start;
    bytes.splice(third..third, format::header_of(2));
    folder.put(&name, &bytes);

    let store = open(&folder);
    let mut drain = store.try_drain().unwrap().unwrap();
    let given = drain.read(100, 10_000).unwrap();
    assert_eq!(payloads(&given), events);
    let positions: Vec<_> = given.iter().map(|entry| entry.position).collect();
    drain.settle(&positions).unwrap();
    assert!(drain.read(100, 10_000).unwrap().is_empty());
    let damage = drain.take_damage();
    assert_eq!((damage.len(), damage[0].offset), (1, third as u64));
    drop((drain, store));
    assert!(drain_all(&open(&folder)).0.is_empty());
}

#[test]
fn foreign_files_are_left_alone() {
    let (folder, events) = sealed();
    let foreign = [
        "notes.txt",
        "holiday.seg",
        "holiday.ack",
        "1-2-3.seg",
        "x.tmp",
        ".hidden",
    ];
    for name in foreign {
        folder.put(name, b"mine");
    }
    let store = open(&folder);
    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = drain.read(100, 10_000).unwrap();
    assert_eq!(payloads(&entries), events);
    drain
        .settle(
            &entries
                .iter()
                .map(|entry| entry.position)
                .collect::<Vec<_>>(),
        )
        .unwrap();
    assert!(drain.read(1, 1).unwrap().is_empty());
    for name in foreign {
        assert_eq!(folder.get(name).as_deref(), Some(&b"mine"[..]), "{name}");
    }
    assert_eq!(folder.names().len(), foreign.len() + 1, "and the lock");
}

#[test]
fn what_crashes_leave_behind_is_cleared_away() {
    let folder = new_folder();
    let stem = "00000000000000000001-1-00000000000000aa";
    folder.put(&format!("{stem}.tmp"), b"begun");
    folder.put(&format!("{stem}.ack"), b"its segment is gone");

    let (given, _) = drain_all(&open(&folder));

    assert!(given.is_empty());
    assert_eq!(folder.names(), ["drain.lock"]);
}

#[test]
fn a_segment_cut_off_behind_its_acks_hides_no_event_of_another() {
    // Given a segment of which all but one event is settled, and another with events of its own,
    let (folder, _) = sealed();
    let first = name_with(&folder, ".seg");
    {
        let store = open(&folder);
        let mut drain = store.try_drain().unwrap().unwrap();
        let entries = drain.read(EVENTS - 1, 1 << 20).unwrap();
        let places: Vec<Position> = entries.iter().map(|entry| entry.position).collect();
        drain.settle(&places).unwrap();
        for _ in 0..5 {
            store.append(8, b"of another").unwrap();
        }
    }
    // when the first is cut off in its first event,
    let cut = folder.get(&first).unwrap()[..40].to_vec();
    folder.put(&first, &cut);

    // then those of the other are there, and counted.
    let store = open(&folder);
    assert!(store.held_segments());
    assert_eq!(store.usage().events, 5);
    let (given, damage) = drain_all(&store);
    assert_eq!(payloads(&given), ["of another"; 5]);
    assert_eq!(damage.len(), 1);
    assert_eq!(store.usage().events, 5);
}

//! What the store does when nothing goes wrong.

use super::*;

#[test]
fn an_event_comes_back_after_a_restart_until_it_is_settled() {
    let folder = new_folder();
    let store = open(&folder);
    store.append(10, b"one").unwrap();
    store.append(20, b"two").unwrap();
    assert_eq!(store.usage().events, 2);
    assert!(!store.held_segments());
    drop(store);

    let store = open(&folder);
    assert!(store.held_segments());
    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = drain.read(10, 1000).unwrap();
    assert_eq!(payloads(&entries), ["one", "two"]);
    assert_eq!(entries[1].at_ms, 20);
    drain.settle(&[entries[0].position]).unwrap();
    assert!(drain.read(10, 1000).unwrap().is_empty());
    assert_eq!(store.usage().events, 1);
    drop((drain, store));

    let store = open(&folder);
    assert_eq!(store.usage().events, 1);
    assert_eq!(payloads(&drain_all(&store).0), ["two"]);
}

#[test]
fn one_drains_at_a_time() {
    let folder = new_folder();
    let (first, second) = (open(&folder), open(&folder));
    let drain = first.try_drain().unwrap();
    assert!(drain.is_some());
    assert!(first.try_drain().unwrap().is_none());
    assert!(second.try_drain().unwrap().is_none());
    drop(drain);
    assert!(second.try_drain().unwrap().is_some());
}

#[test]
fn a_segment_goes_when_all_its_events_are_settled() {
    let folder = new_folder();
    let store = Store::open(
        Box::new(folder.clone()),
        Options {
            segment_bytes: 200,
            ..Options::default()
        },
    )
    .unwrap();
    for number in 0..20 {
        store
            .append(1, format!("event {number:03}").as_bytes())
            .unwrap();
    }
    let segments = || {
        folder
            .names()
            .iter()
            .filter(|name| name.ends_with(".seg"))
            .count()
    };
    assert!(segments() > 3);

    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = drain.read(100, 10_000).unwrap();
    assert_eq!(entries.len(), 20);
    let places: Vec<Position> = entries.iter().map(|entry| entry.position).collect();
    drain.settle(&places).unwrap();

    assert_eq!(segments(), 1, "the one that is written stays");
    assert_eq!(store.usage().events, 0);
    drop(store);
    assert!(drain.read(1, 1).unwrap().is_empty());
    assert_eq!(folder.names(), ["drain.lock"]);
}

#[test]
fn a_merge_survives_a_restart_and_its_members_settle_with_their_leader() {
    let folder = new_folder();
    let store = open(&folder);
    for payload in ["a", "b", "c", "d"] {
        store.append(1, payload.as_bytes()).unwrap();
    }
    let mut drain = store.try_drain().unwrap().unwrap();
    let places: Vec<Position> = drain
        .read(10, 100)
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect();
    drain.merge(places[1], &[places[2]], 2.0).unwrap();
    drain.merge(places[0], &[places[1]], 6.5).unwrap();
    drain.attempt(&[places[0]]).unwrap();
    assert!(
        drain.merge(places[0], &[places[3]], 7.0).is_err(),
        "the leader was attempted"
    );
    drop((drain, store));

    let store = open(&folder);
    assert_eq!(store.usage().events, 4);
    let mut drain = store.try_drain().unwrap().unwrap();
    let entries = drain.read(10, 100).unwrap();
    assert_eq!(payloads(&entries), ["a", "d"]);
    assert!(entries[0].attempted && !entries[1].attempted);
    let merge = entries[0].merged.clone().unwrap();
    assert_eq!(merge.value, 6.5);
    assert_eq!(merge.members.len(), 2);
    assert_eq!(drain.reread(entries[0].position).unwrap(), entries[0]);
    drain.settle(&[entries[0].position]).unwrap();
    assert_eq!(store.usage().events, 1);
    drop((drain, store));

    assert_eq!(payloads(&drain_all(&open(&folder)).0), ["d"]);
}

#[test]
fn members_behind_the_reader_settle_with_their_leader_too() {
    let folder = new_folder();
    let store = open(&folder);
    for payload in ["leader", "member", "other"] {
        store.append(1, payload.as_bytes()).unwrap();
    }
    let mut drain = store.try_drain().unwrap().unwrap();
    let places: Vec<Position> = drain
        .read(10, 100)
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect();
    drain.merge(places[0], &[places[1]], 2.0).unwrap();
    drop(drain);
    let mut drain = store.try_drain().unwrap().unwrap();
    let leader = drain.read(1, 100).unwrap();

    drain.settle(&[leader[0].position]).unwrap();

    assert_eq!(store.usage().events, 1);
    assert_eq!(payloads(&drain.read(10, 100).unwrap()), ["other"]);
}

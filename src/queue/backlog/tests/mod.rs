//! The backlog alone: time and lanes are arguments, so that nothing waits.

mod model;

use super::window::{LANE_EVENTS, WINDOW_EVENTS};
use super::*;
use crate::delivery::lanes::LaneId;
use crate::queue::coalesce::CoalesceKey;
use crate::queue::health;
use crate::queue::store::Position;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Lanes that others have, and events that are only in the store.
#[derive(Default)]
pub struct Outside {
    busy: HashSet<LaneId>,
    /// How often an event was read again.
    reloads: usize,
    coalesces: bool,
}

impl Resources for Outside {
    fn may_use(&mut self, lane: LaneId) -> bool {
        !self.busy.contains(&lane)
    }

    fn reload(&mut self, position: Position) -> Option<Content> {
        self.reloads += 1;
        self.coalesces.then(|| Content {
            payload: payload(position),
            coalesce_key: coalesce_key(),
        })
    }
}

fn payload(position: Position) -> Vec<u8> {
    format!("{position:?}").into_bytes()
}

fn coalesce_key() -> Option<Arc<CoalesceKey>> {
    Some(Arc::new(CoalesceKey {
        may_join: true,
        attributes: String::new(),
        all_else: String::new(),
    }))
}

/// An event of a lane; `at`: its place in the store, and its age.
fn event(at: u32, lane: LaneId) -> NewItem {
    let position = Position::new(1, at);
    NewItem {
        position,
        at_ms: u64::from(at),
        enqueued: i64::from(at),
        lane,
        tenant: None,
        fits_a_batch: true,
        attempted: false,
        value: 1.0,
        members: Vec::new(),
        payload: payload(position),
        coalesce_key: None,
    }
}

/// Events 1, 2, 3, … of these lanes.
fn backlog(lanes: &[LaneId]) -> Backlog {
    let mut backlog = Backlog::default();
    for (at, lane) in lanes.iter().enumerate() {
        backlog.add(event(at as u32 + 1, *lane));
    }
    backlog
}

fn at_most(events: usize) -> Limits {
    Limits {
        events,
        bytes: 1 << 20,
    }
}

fn choose(backlog: &mut Backlog, now: Duration, events: usize) -> Option<Choice> {
    backlog.choose(now, at_most(events), false, &mut Outside::default())
}

fn numbers(choice: &Option<Choice>) -> Vec<u64> {
    let items = choice.iter().flat_map(|choice| &choice.items);
    items.map(|chosen| chosen.item.number).collect()
}

fn items(choice: Choice) -> Vec<Item> {
    choice.items.into_iter().map(|chosen| chosen.item).collect()
}

/// The request failed: its events rest until then.
fn fail(backlog: &mut Backlog, choice: Choice, until: Duration) {
    let lanes = choice.lanes();
    let group = Group {
        failures: choice.group.failures + 1,
        rests_until: until,
        ..choice.group.clone()
    };
    backlog.put_back_as(items(choice), group);
    backlog.finished(&lanes);
}

#[test]
fn events_go_in_their_order_and_one_of_a_lane_at_a_time() {
    let mut backlog = backlog(&[7, 7, 8]);
    let first = choose(&mut backlog, SECOND, 1);
    assert_eq!(numbers(&first), [1]);
    let second = choose(&mut backlog, SECOND, 1);
    assert_eq!(numbers(&second), [3], "lane 7 is in use");
    assert!(choose(&mut backlog, SECOND, 1).is_none());

    backlog.finished(&first.unwrap().lanes());

    assert_eq!(numbers(&choose(&mut backlog, SECOND, 1)), [2]);
    backlog.finished(&HashSet::from([7, 8]));
    assert!(backlog.is_empty() && backlog.lanes.is_empty());
}

#[test]
fn a_batch_takes_many_of_a_lane_in_their_order() {
    let mut backlog = backlog(&[7, 8, 7, 9, 7]);
    let choice = choose(&mut backlog, SECOND, 4);
    assert_eq!(numbers(&choice), [1, 2, 3, 4]);
    assert!(choice.unwrap().batch);
}

#[test]
fn what_fits_no_batch_goes_alone_and_tenants_go_apart() {
    let mut backlog = Backlog::default();
    for (at, (tenant, fits_a_batch)) in [
        (None, true),
        (Some("t"), true),
        (None, true),
        (None, false),
        (None, true),
    ]
    .into_iter()
    .enumerate()
    {
        backlog.add(NewItem {
            tenant: tenant.map(Arc::from),
            fits_a_batch,
            ..event(at as u32 + 1, at as u64)
        });
    }
    let mut sent = Vec::new();
    while let Some(choice) = choose(&mut backlog, SECOND, 10) {
        sent.push((choice.batch, numbers(&Some(choice))));
    }
    assert_eq!(
        sent,
        [(true, vec![1, 3, 5]), (true, vec![2]), (false, vec![4])]
    );
}

#[test]
fn a_batch_is_no_larger_than_it_may_be_but_for_one_event() {
    let mut backlog = backlog(&[1, 2, 3]);
    let bytes = payload(Position::new(1, 1)).len();
    for expected in [vec![1, 2], vec![3]] {
        let limits = Limits {
            events: 10,
            bytes: 2 * bytes,
        };
        let choice = backlog.choose(SECOND, limits, false, &mut Outside::default());
        assert_eq!(numbers(&choice), expected);
    }
    backlog.add(event(4, 4));
    let limits = Limits {
        events: 10,
        bytes: 1,
    };
    let choice = backlog.choose(SECOND, limits, false, &mut Outside::default());
    assert_eq!(numbers(&choice), [4]);
}

#[test]
fn what_failed_rests_and_others_go_on() {
    let mut backlog = backlog(&[7, 8, 7]);
    let bad = choose(&mut backlog, SECOND, 1).unwrap();
    fail(&mut backlog, bad, 5 * SECOND);

    assert_eq!(numbers(&choose(&mut backlog, 2 * SECOND, 1)), [2]);
    assert!(
        choose(&mut backlog, 2 * SECOND, 1).is_none(),
        "3 is behind 1"
    );
    assert_eq!(backlog.next_rest(2 * SECOND), Some(5 * SECOND));
    let again = choose(&mut backlog, 5 * SECOND, 1);
    assert_eq!(numbers(&again), [1]);
    assert_eq!(again.unwrap().group.failures, 1);
}

#[test]
fn those_that_failed_and_those_that_did_not_go_by_turns() {
    let mut backlog = backlog(&[1, 2, 3, 4]);
    for _ in 0..2 {
        let bad = choose(&mut backlog, SECOND, 1).unwrap();
        fail(&mut backlog, bad, SECOND * 2);
    }
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.extend(numbers(&choose(&mut backlog, 3 * SECOND, 1)));
    }
    assert_eq!(sent, [1, 3, 2, 4]);
}

#[test]
fn groups_go_by_turns() {
    // Given many that fail again and again, one by one, and one that stands behind them,
    let mut backlog = backlog(&[1, 2, 3]);
    for _ in 0..3 {
        let bad = choose(&mut backlog, SECOND, 1).unwrap();
        fail(&mut backlog, bad, 2 * SECOND);
    }
    // then each has its turn.
    let mut sent = Vec::new();
    for _ in 0..6 {
        let choice = choose(&mut backlog, 2 * SECOND, 1);
        sent.extend(numbers(&choice));
        fail(&mut backlog, choice.unwrap(), SECOND);
    }
    assert_eq!(sent, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn the_order_in_a_lane_outlives_failures_and_divisions() {
    let mut backlog = backlog(&[7, 7, 7, 7]);
    let batch = choose(&mut backlog, SECOND, 10).unwrap();
    let lanes = batch.lanes();
    let (even, odd): (Vec<_>, Vec<_>) = items(batch)
        .into_iter()
        .partition(|item| item.number % 2 == 0);
    let refused = Group {
        refused: true,
        ..Group::default()
    };
    backlog.put_back_as(even, refused.clone());
    backlog.put_back_as(odd, refused);
    backlog.finished(&lanes);

    let mut sent = Vec::new();
    while let Some(choice) = choose(&mut backlog, SECOND, 10) {
        sent.extend(choice.items.iter().map(|chosen| chosen.item.number));
        backlog.finished(&choice.lanes());
    }
    assert_eq!(sent, [1, 2, 3, 4]);
}

#[test]
fn in_an_outage_one_event_of_a_batch_asks_whether_the_service_answers() {
    let mut backlog = backlog(&[1, 2, 3]);
    let batch = choose(&mut backlog, SECOND, 10).unwrap();
    let group = Group {
        failures: health::OUTAGE,
        ..Group::default()
    };
    let lanes = batch.lanes();
    backlog.put_back_as(items(batch), group);
    backlog.finished(&lanes);
    let mut resources = Outside::default();
    let choice = backlog.choose(SECOND, at_most(10), true, &mut resources);
    assert_eq!(numbers(&choice).len(), 1);
    assert!(!choice.unwrap().batch);
    let rest = backlog.choose(SECOND, at_most(10), false, &mut resources);
    assert_eq!(numbers(&rest).len(), 2);
}

#[test]
fn an_outage_that_is_over_ends_the_rests_that_it_caused() {
    let mut backlog = backlog(&[1, 2]);
    for contradicted in [0, 1] {
        let choice = choose(&mut backlog, SECOND, 1).unwrap();
        let lanes = choice.lanes();
        let group = Group {
            failures: 1,
            contradicted,
            rests_until: 100 * SECOND,
            ..Group::default()
        };
        backlog.put_back_as(items(choice), group);
        backlog.finished(&lanes);
    }
    backlog.end_rests(2 * SECOND);
    assert_eq!(numbers(&choose(&mut backlog, 2 * SECOND, 1)), [1]);
    assert!(choose(&mut backlog, 2 * SECOND, 1).is_none());
}

#[test]
fn a_witness_speaks_for_its_group() {
    let mut backlog = backlog(&[1, 2, 3]);
    let batch = choose(&mut backlog, SECOND, 10).unwrap();
    let lanes = batch.lanes();
    let mut items = items(batch);
    let probe = items.remove(0);
    let group = Group {
        rests_until: 60 * SECOND,
        refused: true,
        ..Group::default()
    };
    let id = backlog.put_back_as(items, group.clone());
    let group = Group {
        rests_until: Duration::ZERO,
        probe_of: Some(id),
        ..group
    };
    backlog.put_back_as(vec![probe], group);
    backlog.finished(&lanes);

    let first = choose(&mut backlog, SECOND, 10);
    assert_eq!(numbers(&first), [1]);
    assert!(choose(&mut backlog, SECOND, 10).is_none());

    // If it is taken, the others are looked at by halves.
    backlog.probe_passed(id);
    let others = choose(&mut backlog, SECOND, 10).unwrap();
    assert!(others.group.by_halves);
    let lanes = others.lanes();
    let group = others.group.clone();
    let id = backlog.put_back_as(self::items(others), group);
    backlog.finished(&lanes);

    // If it is refused, they are dead with it.
    assert_eq!(backlog.take_group(id).len(), 2);
    assert!(backlog.take_group(id).is_empty());
    backlog.finished(&first.unwrap().lanes());
    assert!(backlog.is_empty() && backlog.groups.is_empty() && backlog.lanes.is_empty());
}

#[test]
fn a_lane_that_somebody_else_has_is_asked_for_once_and_fills_no_window() {
    let mut resources = Outside::default();
    resources.busy.insert(7);
    let mut backlog = Backlog::default();
    backlog.add(event(1, 7));
    assert!(
        backlog
            .choose(SECOND, at_most(1), false, &mut resources)
            .is_none()
    );
    for at in 2..9_000 {
        backlog.add(event(at, 7));
    }
    assert!(!backlog.is_full());
    assert_eq!((backlog.loaded, backlog.loaded_bytes), (0, 0));
    backlog.add(event(9_000, 8));
    let other = backlog.choose(SECOND, at_most(1), false, &mut resources);
    assert_eq!(numbers(&other), [9_000]);

    resources.busy.clear();
    assert!(
        backlog
            .choose(SECOND, at_most(1), false, &mut resources)
            .is_none()
    );
    backlog.lane_is_free(7);
    assert_eq!(
        numbers(&backlog.choose(SECOND, at_most(1), false, &mut resources)),
        [1]
    );
}

#[test]
fn what_stands_behind_trouble_makes_room_for_others() {
    // Given lanes whose first events rest, with so many behind them that the window is full,
    let mut backlog = backlog(&[1, 2, 3, 4, 5]);
    for _ in 0..5 {
        let choice = choose(&mut backlog, SECOND, 1).unwrap();
        fail(&mut backlog, choice, 100 * SECOND);
    }
    for at in 0..WINDOW_EVENTS as u32 {
        backlog.add(event(6 + at, u64::from(at % 5) + 1));
    }
    assert!(backlog.is_full());
    assert!(choose(&mut backlog, SECOND, 1).is_none());

    // when nothing of it can go,
    assert!(backlog.make_room());

    // then more can be read, and goes.
    assert!(!backlog.is_full() && !backlog.make_room());
    backlog.add(event(10_000, 6));
    let good = choose(&mut backlog, SECOND, 1);
    assert_eq!(good.unwrap().items[0].item.lane, 6);
    // And nothing is lost.
    assert_eq!(backlog.len(), 5 + WINDOW_EVENTS);
}

#[test]
fn what_was_unloaded_is_merged_all_the_same() {
    let mut resources = Outside {
        coalesces: true,
        ..Outside::default()
    };
    resources.busy.insert(7);
    let mut backlog = Backlog::default();
    for at in 1..=5_000 {
        backlog.add(NewItem {
            coalesce_key: coalesce_key(),
            ..event(at, 7)
        });
    }
    assert!(
        backlog
            .choose(SECOND, at_most(1), false, &mut resources)
            .is_none()
    );
    resources.busy.clear();
    backlog.lane_is_free(7);
    let mut requests = 0;
    let mut events = 0;
    while let Some(choice) = backlog.choose(SECOND, at_most(1), false, &mut resources) {
        requests += 1;
        events += choice.items[0].absorbed.len() + 1;
        backlog.finished(&choice.lanes());
    }
    assert_eq!(events, 5_000);
    assert!(requests <= 6, "{requests}");
    assert_eq!((backlog.loaded, backlog.loaded_bytes), (0, 0));
}

#[test]
fn only_what_is_alike_and_was_never_sent_is_merged() {
    let alike = |attributes: &str, all_else: &str| {
        Some(Arc::new(CoalesceKey {
            may_join: true,
            attributes: attributes.into(),
            all_else: all_else.into(),
        }))
    };
    let mut backlog = Backlog::default();
    for (at, (coalesce_key, attempted, segment, value)) in [
        (alike("", ""), false, 1, 1.0),
        (alike("genre", ""), false, 1, 1.0), // other attributes: passed over
        (alike("", ""), true, 1, 1.0),       // sent before
        (alike("", ""), false, 1, 0.1),      // 1 + 0.1 is no exact sum
        (alike("", ""), false, 1, 2.0),
        (alike("", ""), false, 2, 1.0), // in another segment: nothing behind it either
        (alike("", ""), false, 1, 1.0),
    ]
    .into_iter()
    .enumerate()
    {
        backlog.add(NewItem {
            position: Position::new(segment, at as u32),
            attempted,
            value,
            coalesce_key,
            ..event(at as u32 + 1, 7)
        });
    }
    let choice = choose(&mut backlog, SECOND, 1).unwrap();
    let absorbed: Vec<_> = choice.items[0]
        .absorbed
        .iter()
        .map(|it| it.number)
        .collect();
    assert_eq!(absorbed, [5]);

    // What changes the user ends it.
    let mut backlog = Backlog::default();
    for (at, all_else) in [(1, "ann"), (2, "bea"), (3, "ann")] {
        backlog.add(NewItem {
            coalesce_key: alike("", all_else),
            ..event(at, 7)
        });
    }
    let choice = choose(&mut backlog, SECOND, 1).unwrap();
    assert!(choice.items[0].absorbed.is_empty());
}

#[test]
fn the_oldest_and_those_too_old_are_taken_wherever_they_are() {
    let mut backlog = backlog(&[7, 7, 8, 8]);
    backlog.add(NewItem {
        members: vec![Position::new(1, 99)],
        ..event(0, 9)
    });
    let choice = choose(&mut backlog, SECOND, 1).unwrap();
    fail(&mut backlog, choice, 100 * SECOND);
    assert_eq!(backlog.oldest(), Some(0));

    // What stands for others is spared as long as there is another.
    let dropped: Vec<_> = std::iter::from_fn(|| backlog.take_oldest(true))
        .map(|item| item.number)
        .collect();
    assert_eq!(dropped, [1, 2, 3, 4, 5]);
    assert!(backlog.groups.is_empty() && backlog.lanes.is_empty());

    let mut backlog = self::backlog(&[7, 7, 8, 8]);
    let choice = choose(&mut backlog, SECOND, 1).unwrap();
    fail(&mut backlog, choice, 100 * SECOND);
    let old: Vec<_> = backlog
        .take_older_than(3)
        .iter()
        .map(|it| it.number)
        .collect();
    assert_eq!(old, [1, 2]);
    assert_eq!(numbers(&choose(&mut backlog, SECOND, 10)), [3, 4]);
}

#[test]
fn a_lane_that_nothing_waits_for_is_forgotten() {
    let mut resources = Outside::default();
    resources.busy.insert(7);
    let mut backlog = backlog(&[7]);
    backlog.choose(SECOND, at_most(1), false, &mut resources);
    backlog.take_older_than(100);
    assert!(!backlog.has_lane(7));
    backlog.lane_is_free(7);
    assert!(backlog.lanes.is_empty());
}

#[test]
fn of_one_lane_no_more_is_in_memory_than_is_soon_needed() {
    let mut backlog = Backlog::default();
    for at in 1..=100_000 {
        backlog.add(NewItem {
            coalesce_key: Some(Arc::new(CoalesceKey {
                may_join: true,
                attributes: format!("{{\"page\":\"{at}\"}}"),
                all_else: String::new(),
            })),
            ..event(at, 7)
        });
    }
    let held = |it: &Item| it.payload.is_some() || it.coalesce_key.is_some();
    let in_memory = backlog.items.values().filter(|it| held(it)).count();
    assert!(in_memory <= LANE_EVENTS, "{in_memory}");
    assert!(!backlog.is_full());
}

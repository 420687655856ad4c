//! What is in memory, and what is taken out unsent.

use super::*;
use crate::queue::backlog::window::{LANE_EVENTS, WINDOW_EVENTS};

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
        backlog.add(Item {
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
fn the_oldest_and_those_too_old_are_taken_wherever_they_are() {
    let mut backlog = backlog(&[7, 7, 8, 8]);
    backlog.add(Item {
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
        backlog.add(Item {
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

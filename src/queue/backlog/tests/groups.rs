//! What failed, or was refused, rests by itself and goes by turns.

use super::*;
use crate::queue::health;

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

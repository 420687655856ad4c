//! What a request carries, and in which order.

use super::*;

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
        backlog.add(Item {
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
        backlog.add(Item {
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
        backlog.add(Item {
            coalesce_key: alike("", all_else),
            ..event(at, 7)
        });
    }
    let choice = choose(&mut backlog, SECOND, 1).unwrap();
    assert!(choice.items[0].absorbed.is_empty());
}

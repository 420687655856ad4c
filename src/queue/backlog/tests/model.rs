//! Random histories: every event ends once, in its lane's order, and none is stuck once the trouble is over.

use super::*;
use crate::queue::backlog::window::WINDOW_EVENTS;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    Add {
        lane: LaneId,
        coalesces: bool,
        fits_a_batch: bool,
    },
    /// Somebody else takes a lane, or gives it back.
    Take(LaneId),
    Release(LaneId),
    Choose {
        events: usize,
        is_outage: bool,
    },
    /// One of the requests under way ends.
    End(usize, Outcome),
    /// So many tenths of a second pass.
    Pass(u32),
    Expire(i64),
    DropOldest,
    MakeRoom,
    EndRests,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Delivered,
    /// It rests for so many tenths of a second.
    Failed(u32),
    FailedInHalves,
    Refused,
    Probe,
    Again,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Delivered),
        2 => (0..100u32).prop_map(Outcome::Failed),
        1 => Just(Outcome::FailedInHalves),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::Probe),
        1 => Just(Outcome::Again),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lane = || 0..5u64;
    let step = prop_oneof![
        10 => (lane(), any::<bool>(), prop::bool::weighted(0.9)).prop_map(
            |(lane, coalesces, fits_a_batch)| Step::Add { lane, coalesces, fits_a_batch }
        ),
        2 => lane().prop_map(Step::Take),
        3 => lane().prop_map(Step::Release),
        8 => (1..6usize, any::<bool>())
            .prop_map(|(events, is_outage)| Step::Choose { events, is_outage }),
        8 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::End(which, outcome)),
        3 => (0..50u32).prop_map(Step::Pass),
        1 => (0..200i64).prop_map(Step::Expire),
        1 => Just(Step::DropOldest),
        1 => Just(Step::MakeRoom),
        1 => Just(Step::EndRests),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Default)]
struct Model {
    backlog: Backlog,
    resources: Outside,
    now: Duration,
    added: u32,
    /// By their place in the store, which is also their order.
    waiting: HashMap<u32, LaneId>,
    under_way: Vec<Choice>,
    ended: BTreeSet<u32>,
}

fn place(item: &Item) -> u32 {
    item.at_ms as u32
}

impl Model {
    fn act(&mut self, step: Step) {
        match step {
            Step::Add {
                lane,
                coalesces,
                fits_a_batch,
            } => {
                self.added += 1;
                let at = self.added;
                self.waiting.insert(at, lane);
                self.backlog.add(Item {
                    fits_a_batch,
                    coalesce_key: coalesces.then(coalesce_key).flatten(),
                    ..event(at, lane)
                });
            }
            Step::Take(lane) => {
                // Not one that the queue has.
                if !self.under_way.iter().any(|it| it.lanes().contains(&lane)) {
                    self.resources.busy.insert(lane);
                }
            }
            Step::Release(lane) => self.release(lane),
            Step::Choose { events, is_outage } => self.choose(events, is_outage),
            Step::End(which, outcome) => self.end(which, outcome),
            Step::Pass(tenths) => self.now += SECOND * tenths / 10,
            Step::Expire(before) => {
                for item in self.backlog.take_older_than(before) {
                    self.is_over(&item);
                }
            }
            Step::DropOldest => {
                if let Some(item) = self.backlog.take_oldest(true) {
                    self.is_over(&item);
                }
            }
            Step::MakeRoom => {
                // As if the window were full.
                let loaded = std::mem::replace(&mut self.backlog.loaded, WINDOW_EVENTS);
                if loaded > 0 {
                    assert!(self.backlog.make_room());
                } else {
                    self.backlog.loaded = 0;
                }
            }
            Step::EndRests => self.backlog.end_rests(self.now),
        }
        self.check();
    }

    fn release(&mut self, lane: LaneId) {
        if self.resources.busy.remove(&lane) {
            self.backlog.lane_is_free(lane);
        }
    }

    fn choose(&mut self, events: usize, is_outage: bool) {
        let limits = at_most(events);
        let Some(choice) = self
            .backlog
            .choose(self.now, limits, is_outage, &mut self.resources)
        else {
            return;
        };
        assert!(choice.items.len() <= events);
        assert!(!choice.batch || events > 1);
        let lanes = choice.lanes();
        for lane in &lanes {
            assert!(!self.resources.busy.contains(lane), "it is somebody else's");
            let is_used = self.under_way.iter().any(|it| it.lanes().contains(lane));
            assert!(!is_used, "never two of a lane");
        }
        let mut before: BTreeSet<u32> = BTreeSet::new();
        for chosen in &choice.items {
            let mine = place(&chosen.item);
            let earlier = self
                .waiting
                .iter()
                .filter(|(at, lane)| **lane == chosen.item.lane && **at < mine);
            for (at, _) in earlier {
                assert!(before.contains(at), "{mine} goes before {at}");
            }
            for item in std::iter::once(&chosen.item).chain(&chosen.absorbed) {
                assert!(before.insert(place(item)), "chosen twice");
                assert_eq!(item.lane, chosen.item.lane);
            }
        }
        for at in before {
            assert!(self.waiting.contains_key(&at));
        }
        // As the sender does it: what is merged is one from here on, and on record as sent.
        let items = choice.items.into_iter().map(|mut chosen| {
            let members = chosen.absorbed.iter().map(|it| it.position);
            chosen.item.members.extend(members);
            chosen.item.attempted = true;
            for member in chosen.absorbed.drain(..) {
                self.waiting.remove(&place(&member));
            }
            chosen
        });
        self.under_way.push(Choice {
            items: items.collect(),
            batch: choice.batch,
            group: choice.group,
        });
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        if self.under_way.is_empty() {
            return;
        }
        let choice = self.under_way.swap_remove(which % self.under_way.len());
        let lanes = choice.lanes();
        let group = choice.group.clone();
        let mut items = items(choice);
        let failed = Group {
            failures: group.failures + 1,
            last_failed: self.now,
            ..group.clone()
        };
        match outcome {
            Outcome::Delivered => {
                if let Some(id) = group.probe_of {
                    self.backlog.probe_passed(id);
                }
                items.iter().for_each(|item| self.is_over(item));
            }
            Outcome::Failed(tenths) => {
                let rests_until = self.now + SECOND * tenths / 10;
                let group = Group {
                    rests_until,
                    ..failed
                };
                self.backlog.put_back_as(items, group);
            }
            Outcome::FailedInHalves => {
                let half = items.split_off(items.len().div_ceil(2));
                self.backlog.put_back_as(items, failed.clone());
                self.backlog.put_back_as(half, failed);
            }
            Outcome::Refused if items.len() == 1 => {
                let dead_with_probe = group.probe_of.map(|id| self.backlog.take_group(id));
                items.extend(dead_with_probe.unwrap_or_default());
                items.iter().for_each(|item| self.is_over(item));
            }
            Outcome::Refused | Outcome::Probe => {
                let rest = items.split_off(1);
                let refused = Group {
                    refused: true,
                    probe_of: None,
                    rests_until: self.now + SECOND,
                    ..group
                };
                let id = self.backlog.put_back_as(rest, refused.clone());
                let probe = Group {
                    probe_of: Some(id),
                    rests_until: Duration::ZERO,
                    ..refused
                };
                self.backlog.put_back_as(items, probe);
            }
            Outcome::Again if group.failures > 0 || group.refused => {
                self.backlog.put_back_as(items, group);
            }
            Outcome::Again => self.backlog.put_back(items),
        }
        self.backlog.finished(&lanes);
    }

    fn is_over(&mut self, item: &Item) {
        let at = place(item);
        self.waiting.remove(&at);
        assert!(self.ended.insert(at), "{at} ends once");
        for member in &item.members {
            let name = format!("{member:?}");
            let at = (1..=self.added).find(|at| format!("{:?}", Position::new(1, *at)) == name);
            assert!(self.ended.insert(at.unwrap()), "a member ends once");
        }
    }

    /// What the backlog says of itself is so.
    fn check(&self) {
        let backlog = &self.backlog;
        let loaded = |in_group: bool| {
            backlog
                .items
                .values()
                .filter(move |it| it.payload.is_some() && it.group.is_some() == in_group)
        };
        let bytes = |in_group| loaded(in_group).map(|it| it.bytes).sum::<usize>();
        assert_eq!(backlog.loaded, loaded(false).count());
        assert_eq!(backlog.loaded_bytes, bytes(false));
        assert_eq!(backlog.resting_bytes, bytes(true));
        assert_eq!(backlog.ages.len(), backlog.items.len());
        for (id, group) in &backlog.groups {
            assert!(!group.numbers.is_empty());
            for number in &group.numbers {
                assert_eq!(backlog.items[number].group, Some(*id));
            }
        }
        for (lane, it) in &backlog.lanes {
            assert!(!it.numbers.is_empty() || it.in_flight || it.busy);
            let first = it.numbers.first();
            let may_go = first.is_some_and(|first| {
                !it.in_flight && !it.busy && backlog.items[first].group.is_none()
            });
            for number in &it.numbers {
                assert_eq!(backlog.items[number].lane, *lane);
                let is_head = backlog.heads.contains(number);
                assert_eq!(is_head, may_go && first == Some(number), "{number}");
            }
        }
        let of_lanes: usize = backlog.lanes.values().map(|it| it.numbers.len()).sum();
        assert_eq!(of_lanes, backlog.items.len());
    }

    /// Now everything succeeds.
    fn finish(mut self) {
        for lane in 0..5 {
            self.release(lane);
        }
        let mut requests = 0;
        while !self.backlog.is_empty() || !self.under_way.is_empty() {
            self.now += 100 * SECOND;
            self.choose(3, false);
            assert!(!self.under_way.is_empty(), "something is stuck");
            self.end(0, Outcome::Delivered);
            self.check();
            requests += 1;
            assert!(requests <= 2 * self.added);
        }
        assert_eq!(self.ended.len(), self.added as usize);
        assert!(self.waiting.is_empty());
        let backlog = &self.backlog;
        assert!(backlog.lanes.is_empty() && backlog.groups.is_empty() && backlog.heads.is_empty());
    }
}

fn cases(default: u32) -> u32 {
    let asked = std::env::var("TROPHY_TEST_CASES").ok();
    asked
        .and_then(|asked| asked.parse().ok())
        .unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_event_ends_once_in_its_lanes_order_whatever_comes(coalesces: bool, steps in steps()) {
        let mut model = Model::default();
        model.resources.coalesces = coalesces;
        for step in steps {
            model.act(step);
        }
        model.finish();
    }
}

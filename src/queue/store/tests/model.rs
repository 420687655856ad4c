//! Random histories against a simple model.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Append {
        writer: usize,
        length: usize,
    },
    Read {
        most: usize,
    },
    Attempt(Vec<Index>),
    Merge {
        leader: Index,
        members: Vec<Index>,
        value: f64,
    },
    Settle(Vec<Index>),
    Recount,
    /// Another drain takes over.
    Hand,
    /// All stores are closed and opened again.
    Restart,
    /// The process dies.
    Kill,
    /// The machine dies: of what was not synced, chance decides what stays.
    PowerCut(u64),
}

fn steps(crash: impl Strategy<Value = Step>) -> impl Strategy<Value = Vec<Step>> {
    let indices = || prop::collection::vec(any::<Index>(), 1..4);
    let step = prop_oneof![
        12 => (0..2usize, 0..80usize).prop_map(|(writer, length)| Step::Append { writer, length }),
        6 => (1..6usize).prop_map(|most| Step::Read { most }),
        3 => indices().prop_map(Step::Attempt),
        3 => (any::<Index>(), indices(), -9.0..9.0)
            .prop_map(|(leader, members, value)| Step::Merge { leader, members, value }),
        5 => indices().prop_map(Step::Settle),
        1 => Just(Step::Recount),
        1 => Just(Step::Hand),
        1 => Just(Step::Restart),
        1 => crash,
    ];
    prop::collection::vec(step, 1..120)
}

fn xorshift(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 8
    }
}

/// What must be true of an event, by its number.
#[derive(Clone, Debug, Default)]
struct Known {
    writer: usize,
    settled: bool,
    attempted: bool,
    leader: Option<usize>,
    merged: Option<(f64, Vec<usize>)>,
    /// What no power cut undoes: it came to its end, was sent so, or was sent as part of another.
    ended: bool,
    sent: Option<Option<(f64, Vec<usize>)>>,
    sent_with: Option<usize>,
}

struct Model {
    folder: MemoryFolder,
    options: Options,
    stores: Vec<Store>,
    drain: Option<Drain>,
    events: Vec<Known>,
    /// Of this drain: the event's number.
    given: BTreeMap<Position, usize>,
    /// A power cut may have taken what was not synced: what is not certain is learned anew.
    unsure: bool,
}

impl Model {
    fn new(durability: Durability, merges: bool) -> Model {
        let mut model = Model {
            folder: new_folder(),
            options: Options {
                durability,
                segment_bytes: 400,
                merges,
            },
            stores: Vec::new(),
            drain: None,
            events: Vec::new(),
            given: BTreeMap::new(),
            unsure: false,
        };
        model.start();
        model
    }

    fn start(&mut self) {
        let store = || Store::open(Box::new(self.folder.clone()), self.options).unwrap();
        self.stores = vec![store(), store()];
        self.hand();
    }

    fn hand(&mut self) {
        self.drain = None;
        self.drain = Some(self.stores[1].try_drain().unwrap().unwrap());
        self.given.clear();
    }

    fn crash(&mut self, after: MemoryFolder) {
        self.drain = None;
        self.stores.clear();
        self.folder = after;
        self.start();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append { writer, length } => {
                let payload = format!("{} {}", self.events.len(), "x".repeat(length));
                self.stores[writer].append(3, payload.as_bytes()).unwrap();
                self.events.push(Known {
                    writer,
                    ..Known::default()
                });
            }
            Step::Read { most } => drop(self.read(most)),
            Step::Attempt(chosen) => {
                let places = self.choose(&chosen);
                self.drain().attempt(&places).unwrap();
                for place in places {
                    self.attempt(self.given[&place]);
                }
            }
            Step::Merge {
                leader,
                members,
                value,
            } => {
                let Some(&leader) = self.choose(&[leader]).first() else {
                    return;
                };
                let members = self.choose(&members);
                self.merge(leader, &members, value);
            }
            Step::Settle(chosen) => {
                let places = self.choose(&chosen);
                self.drain().settle(&places).unwrap();
                let numbers: Vec<usize> = places.iter().map(|place| self.given[place]).collect();
                // Members are settled with their leader only.
                let open = numbers
                    .iter()
                    .filter(|number| self.events[**number].leader.is_none());
                for number in open.copied().collect::<Vec<_>>() {
                    self.settle(number);
                }
            }
            Step::Recount => {
                let before = self.stores[1].usage();
                let after = self.stores[1].recount().unwrap();
                assert!(
                    after.events >= before.events,
                    "the other's events are added"
                );
                if !self.unsure {
                    let unsettled = self.events.iter().filter(|event| !event.settled).count();
                    assert_eq!(after.events, unsettled as u64);
                }
            }
            Step::Hand => self.hand(),
            Step::Restart => {
                self.drain = None;
                self.stores.clear();
                self.start();
            }
            Step::Kill => self.crash(self.folder.after_kill()),
            Step::PowerCut(seed) => {
                self.unsure = true;
                let mut random = xorshift(seed);
                self.crash(
                    self.folder
                        .after_power_cut(|below| random() as usize % below),
                );
                self.learn();
            }
        }
    }

    fn drain(&mut self) -> &mut Drain {
        self.drain.as_mut().unwrap()
    }

    fn choose(&self, chosen: &[Index]) -> Vec<Position> {
        let places: Vec<Position> = self.given.keys().copied().collect();
        if places.is_empty() {
            return Vec::new();
        }
        let mut chosen: Vec<Position> = chosen.iter().map(|index| *index.get(&places)).collect();
        chosen.sort();
        chosen.dedup();
        chosen
    }

    fn merge(&mut self, leader: Position, members: &[Position], value: f64) {
        let all: Vec<usize> = members.iter().map(|member| self.given[member]).collect();
        let lead = self.given[&leader];
        let free = |number: &usize| {
            let event = &self.events[*number];
            !event.settled && !event.attempted && event.leader.is_none()
        };
        let in_order = members.iter().all(|member| *member > leader);
        let result = self.drain.as_mut().unwrap().merge(leader, members, value);
        if !in_order || !free(&lead) || !all.iter().all(free) {
            assert!(
                result.is_err(),
                "an attempted, settled, merged or earlier event"
            );
        } else if result.is_ok() {
            let (_, mut whole) = self.events[lead].merged.take().unwrap_or_default();
            for number in all {
                whole.push(number);
                whole.extend(self.events[number].merged.take().unwrap_or_default().1);
            }
            for number in &whole {
                self.events[*number].leader = Some(lead);
            }
            self.events[lead].merged = Some((value, whole));
        }
    }

    fn attempt(&mut self, number: usize) {
        let event = &mut self.events[number];
        if event.settled || event.leader.is_some() || event.attempted {
            return;
        }
        event.attempted = true;
        event.sent = Some(event.merged.clone());
        for member in event.merged.clone().unwrap_or_default().1 {
            self.events[member].sent_with = Some(number);
        }
    }

    fn settle(&mut self, number: usize) {
        let mut all = self.events[number].merged.take().unwrap_or_default().1;
        all.push(number);
        for number in all {
            self.events[number].settled = true;
            self.events[number].ended = true;
        }
    }

    /// What the drain gives next is checked against what is known of it.
    fn read(&mut self, most: usize) -> usize {
        let entries = self.drain().read(most, 300).unwrap();
        for entry in &entries {
            let number = self.number(entry);
            let event = self.events[number].clone();
            assert!(!event.settled, "{number} was settled");
            assert!(event.leader.is_none(), "{number} is part of another");
            assert_eq!(entry.attempted, event.attempted, "{number}");
            let (value, members) = entry
                .merged
                .as_ref()
                .map_or((0.0, 0), |it| (it.value, it.members.len()));
            let (known_value, known) = event
                .merged
                .as_ref()
                .map_or((0.0, 0), |(value, all)| (*value, all.len()));
            assert_eq!(value, known_value, "{number}");
            // Also some that were lost.
            assert!(
                members == known || self.may_lose() && members > known,
                "{number}: {members} and {known}"
            );
            let same_writer = |other: &&usize| self.events[**other].writer == event.writer;
            assert!(
                self.given
                    .values()
                    .filter(same_writer)
                    .all(|other| *other < number),
                "in order, once"
            );
            self.given.insert(entry.position, number);
        }
        let damage = self.drain().take_damage();
        assert!(self.unsure || damage.is_empty(), "{damage:?}");
        entries.len()
    }

    /// A power cut may have taken what was only written.
    fn may_lose(&self) -> bool {
        self.unsure && self.options.durability == Durability::Process
    }

    fn number(&self, entry: &Entry) -> usize {
        let text = String::from_utf8(entry.payload.clone()).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    /// After a power cut: what had to come back has; the rest is taken as it is.
    fn learn(&mut self) {
        let mut entries = Vec::new();
        while let batch = self.drain().read(7, 10_000).unwrap()
            && !batch.is_empty()
        {
            entries.extend(batch);
        }
        let lost = |event: &Known| Known {
            settled: true,
            attempted: false,
            leader: None,
            merged: None,
            ..event.clone()
        };
        let before = std::mem::take(&mut self.events);
        self.events = before.iter().map(lost).collect();
        for entry in entries {
            let number = self.number(&entry);
            assert!(self.events[number].settled, "{number} came back twice");
            self.events[number].settled = false;
            self.events[number].attempted = entry.attempted;
            let Some(Merge { value, members }) = entry.merged else {
                continue;
            };
            let reread = |place: &Position| {
                let entry = self.drain.as_ref().unwrap().reread(*place);
                let is_lost = self.may_lose() && entry.is_err();
                (!is_lost).then(|| self.number(&entry.unwrap()))
            };
            let members: Vec<usize> = members.iter().filter_map(reread).collect();
            for member in &members {
                assert!(self.events[*member].settled, "{member} came back twice");
                self.events[*member].settled = false;
                self.events[*member].leader = Some(number);
            }
            self.events[number].merged = Some((value, members));
        }
        for (number, (before, after)) in before.iter().zip(&self.events).enumerate() {
            let may_be_lost = before.ended || self.may_lose();
            assert!(may_be_lost || !after.settled, "{number} is lost");
            if after.settled {
                continue;
            }
            // An attempt is synced, and the merges before it: who was sent comes back as it was sent.
            if let Some(leader) = before.sent_with {
                assert_eq!(after.leader, Some(leader), "{number} was sent so");
            }
            if let Some(sent) = &before.sent {
                assert!(after.attempted, "{number} was attempted");
                assert_eq!(&after.merged, sent, "{number} was attempted so");
            }
        }
        self.hand();
    }

    /// In the end, everything acknowledged and not settled is given.
    fn finish(mut self) {
        self.take(Step::Restart);
        while self.read(5) > 0 {}
        let given: std::collections::BTreeSet<usize> = self.given.values().copied().collect();
        for (number, event) in self.events.iter().enumerate() {
            assert_eq!(
                given.contains(&number),
                !event.settled && event.leader.is_none(),
                "{number}: {event:?}"
            );
        }
        let places: Vec<Position> = self.given.keys().copied().collect();
        self.drain().settle(&places).unwrap();
        self.drain().read(1, 1).unwrap();
        assert_eq!(self.stores[1].usage(), Usage::default());
        let mut names = self.folder.names();
        if self.may_lose() {
            // What a power cut has left of a file.
            names.retain(|name| !name.ends_with(".unknown"));
        }
        assert_eq!(names, ["drain.lock"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(200), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_with_kills_gives_what_is_not_settled_in_order(steps in steps(Just(Step::Kill))) {
        let mut model = Model::new(Durability::Process, false);
        steps.into_iter().for_each(|step| model.take(step));
        model.finish();
    }

    #[test]
    fn any_history_with_power_cuts_loses_no_event(steps in steps(any::<u64>().prop_map(Step::PowerCut))) {
        let mut model = Model::new(Durability::Power, false);
        steps.into_iter().for_each(|step| model.take(step));
        model.finish();
    }

    #[test]
    fn where_events_are_merged_any_history_with_power_cuts_may_lose_some_and_counts_none_twice(
        steps in steps(any::<u64>().prop_map(Step::PowerCut)),
    ) {
        let mut model = Model::new(Durability::Process, true);
        steps.into_iter().for_each(|step| model.take(step));
        model.finish();
    }
}

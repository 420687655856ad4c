//! Events that failed or were refused together: they rest by themselves, and are sent again together.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Backlog, Item};

/// Events that were sent together and came back.
#[derive(Debug, Clone, Default)]
pub struct Group {
    pub numbers: BTreeSet<u64>,
    /// It is not sent before this.
    pub rests_until: Duration,
    /// Failures in a row.
    pub failures: u32,
    /// How many of them came although another request had succeeded since the one before: then it is not the
    /// service that is in trouble, but the group.
    pub contradicted: u32,
    pub last_failed: Duration,
    /// The service refused it, and it is searched for those that are to blame.
    pub refused: bool,
    /// What was thought to be wrong with all of it was not: now it is searched by halves.
    pub by_halves: bool,
    /// If its one event is refused alone, so are those of that group: they have in common what is wrong.
    pub witness_for: Option<u64>,
}

impl Backlog {
    /// Puts items back as a group, to be sent again together. Returns its id.
    pub fn put_back_as(&mut self, items: Vec<Item>, group: Group) -> u64 {
        if items.is_empty() {
            return 0;
        }
        self.last_group += 1;
        let id = self.last_group;
        let numbers = items.iter().map(|item| item.number).collect();
        for mut item in items {
            item.group = Some(id);
            self.insert(item);
        }
        self.groups.insert(id, Group { numbers, ..group });
        id
    }

    /// A group's witness was not refused: there is more to be found out.
    pub fn witness_passed(&mut self, id: u64) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.by_halves = true;
            group.rests_until = Duration::ZERO;
        }
    }

    /// Takes out the items of a group.
    pub fn take_group(&mut self, id: u64) -> Vec<Item> {
        let numbers = self.groups.get(&id).map(|group| group.numbers.clone());
        let numbers = numbers.unwrap_or_default();
        numbers
            .into_iter()
            .filter_map(|number| self.remove(number))
            .collect()
    }

    /// When a group that rests may be sent again, if any does.
    pub fn next_rest(&self, now: Duration) -> Option<Duration> {
        let rests = self.groups.values().map(|group| group.rests_until);
        rests.filter(|until| *until > now).min()
    }

    /// The service answers again: those that failed with it need not rest any longer.
    pub fn end_rests(&mut self, now: Duration) {
        for group in self.groups.values_mut() {
            if group.contradicted == 0 {
                group.rests_until = group.rests_until.min(now);
            }
        }
    }

    pub(super) fn leave_group(&mut self, item: &Item) {
        if let Some(id) = item.group
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.numbers.remove(&item.number);
            if group.numbers.is_empty() {
                self.groups.remove(&id);
            }
        }
    }
}

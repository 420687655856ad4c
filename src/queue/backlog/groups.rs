//! Events that failed or were refused together: they rest by themselves, and are sent again together.

use std::collections::BTreeSet;
use std::time::Duration;

use super::item::{Group, Item};
use super::window::Backlog;

impl Backlog {
    /// Puts items back as a group, to be sent again together. Returns its id.
    pub fn put_back_as(&mut self, items: Vec<Item>, group: Group) -> u64 {
        if items.is_empty() {
            return 0;
        }
        self.last_group += 1;
        let id = self.last_group;
        let mut numbers = BTreeSet::new();
        numbers.extend(items.iter().map(|item| item.number));
        for mut item in items {
            item.group = Some(id);
            self.insert(item);
        }
        self.groups.insert(id, Group { numbers, ..group });
        id
    }

    /// A group's probe was not refused: there is more to be found out.
    pub fn probe_passed(&mut self, id: u64) {
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

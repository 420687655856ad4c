//! The choice of what the next request carries: in their order, one event of a lane behind another, and those that
//! failed by turns with those that did not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::item::{Choice, Chosen, Group, Item, Limits, Resources};
use super::window::Backlog;
use crate::delivery::lanes::LaneId;
use crate::queue::coalesce;
use crate::queue::health;

impl Backlog {
    /// Chooses what the next request carries.
    pub fn choose(
        &mut self,
        now: Duration,
        limits: Limits,
        is_outage: bool,
        resources: &mut impl Resources,
    ) -> Option<Choice> {
        // Where nothing succeeds, what was not tried yet may be all that can.
        let choice = match self.chose_group || is_outage {
            true => self
                .choose_fresh(limits, resources)
                .or_else(|| self.choose_group(now, limits, is_outage, resources)),
            false => self
                .choose_group(now, limits, is_outage, resources)
                .or_else(|| self.choose_fresh(limits, resources)),
        }?;
        self.chose_group = choice.group.failures > 0 || choice.group.refused;
        Some(choice)
    }

    fn choose_group(
        &mut self,
        now: Duration,
        limits: Limits,
        is_outage: bool,
        resources: &mut impl Resources,
    ) -> Option<Choice> {
        let mut due: Vec<u64> = self
            .groups
            .iter()
            .filter(|(_, group)| group.rests_until <= now)
            .map(|(id, _)| *id)
            .collect();
        // By turns.
        let later = due.partition_point(|id| *id <= self.last_chosen);
        due.rotate_left(later);
        for id in due {
            let Some(group) = self.groups.get(&id).cloned() else {
                continue;
            };
            let mut limits = limits;
            let mut numbers: Vec<u64> = group.numbers.iter().copied().collect();
            if is_outage && group.failures >= health::OUTAGE && numbers.len() > 1 {
                // Does the service answer at all? One event tells; not always the same one.
                limits.events = 1;
                let at = group.failures as usize % numbers.len();
                numbers.rotate_left(at);
            }
            let mut picked = Picked::new(limits);
            for number in numbers {
                self.pick(number, &mut picked, resources);
            }
            if let Some(choice) = self.take_picked(picked, group) {
                self.last_chosen = id;
                return Some(choice);
            }
        }
        None
    }

    /// In the order of their numbers: what stands first in its lane, and then what stands behind that.
    fn choose_fresh(&mut self, limits: Limits, resources: &mut impl Resources) -> Option<Choice> {
        let mut picked = Picked::new(limits);
        let mut followers: BTreeSet<u64> = BTreeSet::new();
        let mut last_head = 0;
        while !picked.is_full() {
            let head = self.heads.range(last_head + 1..).next().copied();
            let follower = followers.first().copied();
            let Some(number) = head.into_iter().chain(follower).min() else {
                break;
            };
            if head == Some(number) {
                last_head = number;
            }
            followers.remove(&number);
            if self.pick(number, &mut picked, resources) {
                followers.extend(self.follower(number, &picked));
            }
        }
        self.take_picked(picked, Group::default())
    }

    /// What stands behind a picked item in its lane, if it may be picked, too.
    fn follower(&self, number: u64, picked: &Picked) -> Option<u64> {
        let lane = self.lanes.get(&self.items.get(&number)?.lane)?;
        let mut behind = lane.numbers.range(number + 1..);
        let next = *behind.find(|number| !picked.absorbed.contains_key(number))?;
        self.items.get(&next)?.group.is_none().then_some(next)
    }

    /// Picks an item, if it can go with those that are picked, and nothing before it in its lane stays behind.
    fn pick(&mut self, number: u64, picked: &mut Picked, resources: &mut impl Resources) -> bool {
        let Some(item) = self.items.get(&number) else {
            return false;
        };
        let Some(lane) = self.lanes.get(&item.lane) else {
            return false;
        };
        let mut before = lane.numbers.range(..number).rev();
        let is_next = before
            .find(|number| !picked.absorbed.contains_key(number))
            .is_none_or(|number| picked.numbers.contains(number));
        if picked.is_full() || lane.in_flight || lane.busy || !is_next || !picked.takes(item) {
            return false;
        }
        let lane = item.lane;
        if !picked.lanes.contains(&lane) && !resources.may_use(lane) {
            self.lane_is_busy(lane);
            return false;
        }
        self.reload_lane(lane, number, resources);
        let Some(item) = self.items.get(&number) else {
            return false;
        };
        picked.add(item);
        for member in self.joinable(number, picked) {
            picked.absorbed.insert(member, number);
        }
        true
    }

    /// Those behind an item in its lane that differ from it in value only. Never one that was attempted: its key
    /// may be used up. Sums do not mind the order; but what comes after a change of the user's fields stays after
    /// it.
    fn joinable(&self, number: u64, picked: &Picked) -> Vec<u64> {
        let mut members = Vec::new();
        let Some(leader) = self.items.get(&number) else {
            return members;
        };
        let Some(coalesce_key) = &leader.coalesce_key else {
            return members;
        };
        if !coalesce_key.may_join || leader.attempted {
            return members;
        }
        let Some(lane) = self.lanes.get(&leader.lane) else {
            return members;
        };
        let mut sum = leader.value;
        for number in lane.numbers.range(number + 1..) {
            let Some(item) = self.items.get(number) else {
                continue;
            };
            let Some(other) = &item.coalesce_key else {
                break;
            };
            if other.all_else != coalesce_key.all_else {
                break;
            }
            let alike = other.may_join && other.attributes == coalesce_key.attributes;
            let is_own = !item.attempted && item.members.is_empty();
            if !alike || !is_own || picked.absorbed.contains_key(number) {
                continue;
            }
            if !item.position.same_segment(leader.position) {
                break;
            }
            if let Some(more) = coalesce::exact_sum(sum, item.value) {
                sum = more;
                members.push(*number);
            }
        }
        members
    }

    fn take_picked(&mut self, picked: Picked, group: Group) -> Option<Choice> {
        if picked.numbers.is_empty() {
            return None;
        }
        let mut absorbed: HashMap<u64, BTreeMap<u64, Item>> = HashMap::new();
        for (member, leader) in &picked.absorbed {
            if let Some(item) = self.take(*member) {
                let followers = absorbed.entry(*leader).or_default();
                followers.insert(item.number, item);
            }
        }
        let mut items = Vec::with_capacity(picked.numbers.len());
        for number in &picked.numbers {
            let Some(mut item) = self.take(*number) else {
                continue;
            };
            item.group = None;
            let absorbed = absorbed.remove(number).unwrap_or_default();
            items.push(Chosen {
                item,
                absorbed: absorbed.into_values().collect(),
            });
        }
        for lane in picked.lanes {
            let it = self.lanes.entry(lane).or_default();
            it.in_flight = true;
            self.lane_changed(lane);
        }
        Some(Choice {
            batch: picked.limits.events > 1 && picked.fits_a_batch,
            items,
            group,
        })
    }
}

/// What goes into the next request, so far.
struct Picked {
    limits: Limits,
    numbers: BTreeSet<u64>,
    /// Those that are to be merged, each with its leader.
    absorbed: HashMap<u64, u64>,
    lanes: HashSet<LaneId>,
    bytes: usize,
    tenant: Option<Arc<str>>,
    fits_a_batch: bool,
}

impl Picked {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            numbers: BTreeSet::new(),
            absorbed: HashMap::new(),
            lanes: HashSet::new(),
            bytes: 0,
            tenant: None,
            fits_a_batch: true,
        }
    }

    fn is_full(&self) -> bool {
        self.numbers.len() >= self.limits.events || !self.fits_a_batch
    }

    fn takes(&self, item: &Item) -> bool {
        self.numbers.is_empty()
            || item.fits_a_batch
                && item.tenant == self.tenant
                && self.bytes + item.bytes <= self.limits.bytes
    }

    fn add(&mut self, item: &Item) {
        self.numbers.insert(item.number);
        self.lanes.insert(item.lane);
        self.bytes += item.bytes;
        self.tenant.clone_from(&item.tenant);
        self.fits_a_batch = item.fits_a_batch;
    }
}

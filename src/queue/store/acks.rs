//! What became of a segment's events: the state, and the file that keeps it.

use super::damage::MOST_REPORTS;
use super::folder::{File, Folder, write_all};
use super::format::{self, Frame, Kind};
use super::scan::{Found, Scanner};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// By offsets in the segment.
#[derive(Default)]
pub struct Acks {
    pub settled: BTreeSet<u32>,
    attempted: BTreeSet<u32>,
    /// What is sent as one, by numbers that mean nothing.
    sets: HashMap<u32, Set>,
    next_set: u32,
    led_by: HashMap<u32, u32>,
    set_of: HashMap<u32, u32>,
}

#[derive(Default)]
struct Set {
    leader: u32,
    value: f64,
    /// Also some that have left it: those of which `set_of` says something else.
    members: Vec<u32>,
}

impl Acks {
    /// Everything that is settled with this one: itself, and its members.
    pub fn settle(&mut self, offset: u32) -> Vec<u32> {
        let mut settled = self.dissolve(offset);
        settled.push(offset);
        self.set_of.remove(&offset);
        for offset in &settled {
            self.attempted.remove(offset);
        }
        settled
    }

    pub fn attempt(&mut self, offset: u32) {
        self.attempted.insert(offset);
    }

    pub fn attempted(&self, offset: u32) -> bool {
        self.attempted.contains(&offset)
    }

    /// A member that led others brings them along. Of two sets the smaller one is moved, so that no history
    /// costs more than its length, whatever its order.
    pub fn merge(&mut self, leader: u32, members: &[u32], value: f64) {
        // A merge of events that are settled, or in another order, was never made.
        let sound = |member: &&u32| **member > leader && !self.settled.contains(member);
        let members: Vec<u32> = members.iter().filter(sound).copied().collect();
        if members.is_empty() {
            return;
        }
        let mut set = match self.led_by.remove(&leader) {
            Some(set) => set,
            None => {
                self.next_set += 1;
                self.sets.insert(self.next_set, Set::default());
                self.next_set
            }
        };
        // It leads members of its own: who led it is damaged, and was dissolved.
        self.set_of.remove(&leader);
        for member in members {
            if let Some(led) = self.led_by.remove(&member) {
                set = self.unite(set, led);
            }
            if self.set_of.insert(member, set) != Some(set)
                && let Some(set) = self.sets.get_mut(&set)
            {
                set.members.push(member);
            }
        }
        if let Some(merged) = self.sets.get_mut(&set) {
            merged.leader = leader;
            merged.value = value;
            self.led_by.insert(leader, set);
        }
    }

    fn unite(&mut self, one: u32, other: u32) -> u32 {
        let length = |set: &u32| self.sets.get(set).map_or(0, |set| set.members.len());
        let (large, small) = match length(&one) < length(&other) {
            true => (other, one),
            false => (one, other),
        };
        let moved = self.sets.remove(&small).unwrap_or_default().members;
        if let Some(set) = self.sets.get_mut(&large) {
            for member in moved {
                if self.set_of.get(&member) == Some(&small) {
                    self.set_of.insert(member, large);
                    set.members.push(member);
                }
            }
        }
        large
    }

    /// The value of what this event leads, and its members in order.
    pub fn merged(&self, leader: u32) -> Option<(f64, Vec<u32>)> {
        let number = self.led_by.get(&leader)?;
        let set = self.sets.get(number)?;
        Some((set.value, self.members_of(*number, set)))
    }

    fn members_of(&self, number: u32, set: &Set) -> Vec<u32> {
        let stayed = |member: &u32| self.set_of.get(member) == Some(&number);
        let mut members = BTreeSet::new();
        members.extend(set.members.iter().copied().filter(stayed));
        members.into_iter().collect()
    }

    pub fn leads(&self, leader: u32) -> bool {
        self.led_by.contains_key(&leader)
    }

    pub fn leader_of(&self, member: u32) -> Option<u32> {
        let set = self.sets.get(self.set_of.get(&member)?)?;
        Some(set.leader)
    }

    /// The members of a leader, which has none from here on.
    pub fn dissolve(&mut self, leader: u32) -> Vec<u32> {
        let Some(number) = self.led_by.remove(&leader) else {
            return Vec::new();
        };
        let set = self.sets.remove(&number).unwrap_or_default();
        let members = self.members_of(number, &set);
        for member in &members {
            self.set_of.remove(member);
        }
        members
    }

    fn apply(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Settle(offsets) => {
                for offset in offsets {
                    let settled = self.settle(offset);
                    self.settled.extend(settled);
                }
            }
            Frame::Attempt(offsets) => self.attempted.extend(offsets),
            Frame::Merge {
                value,
                leader,
                members,
            } if value.is_finite() && !self.settled.contains(&leader) => {
                self.merge(leader, &members, value);
            }
            Frame::Dissolve { leader } => drop(self.dissolve(leader)),
            _ => {}
        }
    }

    /// How much it remembers, beside what is settled.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.attempted.len() + self.sets.len() + self.led_by.len() + self.set_of.len()
    }
}

/// An ack file as it was found.
#[derive(Default)]
pub struct Loaded {
    pub acks: Acks,
    pub length: u64,
    /// Where its last sound frame ends.
    pub sound: u64,
    /// Offset and length.
    pub damage: Vec<(u64, u64)>,
    /// Events were merged in it, once.
    pub held_merges: bool,
    /// Of a later version: nothing of it was used.
    pub unknown: bool,
}

/// Reads an ack file; an absent one says nothing.
pub fn load(folder: &dyn Folder, name: &str) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let file = match folder.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        file => file?,
    };
    let mut scanner = Scanner::new(Arc::from(file));
    loop {
        let length = match scanner.peek(true)? {
            Found::Nothing => break,
            Found::Damage { offset, length } => {
                let is_last = loaded.damage.len() == MOST_REPORTS;
                match loaded.damage.last_mut() {
                    Some(last) if is_last => last.1 += length,
                    _ => loaded.damage.push((offset, length)),
                }
                continue;
            }
            Found::Frame { kind, bytes, .. } => match format::read(bytes, kind) {
                Frame::Header { version, .. } if version != format::VERSION => {
                    return Ok(Loaded {
                        unknown: true,
                        ..Loaded::default()
                    });
                }
                frame => {
                    loaded.held_merges |= kind == Kind::Merge;
                    loaded.acks.apply(frame);
                    bytes.len()
                }
            },
        };
        scanner.pass(length);
        loaded.sound = scanner.offset();
    }
    loaded.length = scanner.offset();
    Ok(loaded)
}

/// Appends to an ack file. What could not be written is kept and goes with the next write.
pub struct Log {
    name: String,
    file: Option<Box<dyn File>>,
    /// Where the file ends, and the next write begins.
    length: u64,
    /// Where a crash left part of a frame at its end. It goes before the next is written, or bytes that a
    /// power cut leaves behind it might complete it.
    torn: Option<u64>,
    pending: Vec<u8>,
    /// Attempts among it: one that fails again is not noted twice.
    unwritten: BTreeSet<u32>,
    /// Whether the file's name is safe against power loss.
    named: bool,
    /// A merge was written and not synced since.
    merged: bool,
}

impl Log {
    /// Of a file that was found so long, and sound up to there.
    pub fn new(name: String, length: u64, sound: u64) -> Log {
        Log {
            name,
            file: None,
            length,
            torn: (sound < length).then_some(sound),
            pending: Vec::new(),
            unwritten: BTreeSet::new(),
            named: false,
            merged: false,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn settle(&mut self, folder: &dyn Folder, offsets: &[u32]) -> io::Result<()> {
        format::put_offsets(&mut self.pending, Kind::Settle, offsets);
        self.write(folder)
    }

    pub fn attempt(&mut self, folder: &dyn Folder, offsets: &[u32]) -> io::Result<()> {
        let unwritten = &mut self.unwritten;
        let new: Vec<u32> = offsets
            .iter()
            .copied()
            .filter(|it| unwritten.insert(*it))
            .collect();
        if !new.is_empty() {
            format::put_offsets(&mut self.pending, Kind::Attempt, &new);
        }
        self.write(folder)
    }

    /// All or nothing: a merge that was not written has not happened.
    pub fn merge(
        &mut self,
        folder: &dyn Folder,
        value: f64,
        leader: u32,
        members: &[u32],
    ) -> io::Result<()> {
        self.merged = true;
        self.write_or_drop(folder, |pending| {
            format::put_merge(pending, value, leader, members);
        })
    }

    /// All or nothing, too.
    pub fn dissolve(&mut self, folder: &dyn Folder, leader: u32) -> io::Result<()> {
        self.write_or_drop(folder, |pending| format::put_dissolve(pending, leader))
    }

    fn write_or_drop(
        &mut self,
        folder: &dyn Folder,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let before = self.pending.len();
        put(&mut self.pending);
        self.write(folder)
            .inspect_err(|_| self.pending.truncate(before))
    }

    /// Goes with the next write: the same will be found out again if there is none.
    pub fn dissolve_later(&mut self, leader: u32) {
        format::put_dissolve(&mut self.pending, leader);
    }

    /// There is a merge that a power cut may take.
    pub fn has_unsynced_merge(&self) -> bool {
        self.merged
    }

    /// The file is closed, so that it can be removed everywhere; the next write opens it again.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Makes all that was written here safe against power loss.
    pub fn sync(&mut self, folder: &dyn Folder) -> io::Result<()> {
        if self.length > 0 {
            open(&mut self.file, folder, &self.name)?.sync_data()?;
        }
        if !self.named {
            folder.sync()?;
            self.named = true;
        }
        self.merged = false;
        Ok(())
    }

    /// Writes what could not be written before.
    pub fn flush(&mut self, folder: &dyn Folder) -> io::Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            self.write(folder)
        }
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn write(&mut self, folder: &dyn Folder) -> io::Result<()> {
        let file = open(&mut self.file, folder, &self.name)?;
        if let Some(sound) = self.torn {
            file.truncate(sound)?;
            self.length = sound;
            file.sync_data()?;
            self.torn = None;
        }
        let mut first = Vec::new();
        let bytes = if self.length == 0 {
            format::put_header(&mut first, false);
            first.extend_from_slice(&self.pending);
            &first
        } else {
            &self.pending
        };
        match write_all(file, bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.pending.clear();
                self.unwritten.clear();
                Ok(())
            }
            Err(error) => {
                // If this fails too, a torn frame stays; the reader finds the next one behind it.
                if file.truncate(self.length).is_err() {
                    self.length = file.size().unwrap_or(self.length);
                }
                Err(error)
            }
        }
    }
}

/// The file, which is made if it is not there.
fn open<'a>(
    file: &'a mut Option<Box<dyn File>>,
    folder: &dyn Folder,
    name: &str,
) -> io::Result<&'a dyn File> {
    let file = match file {
        Some(file) => file,
        none => none.insert(folder.append(name)?),
    };
    Ok(&**file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_were_merged_in_any_order_are_members_of_the_last_leader() {
        let mut acks = Acks::default();
        acks.merge(30, &[40], 1.0);
        acks.merge(10, &[20], 2.0);
        acks.merge(10, &[30, 50], 3.0);
        assert_eq!(acks.merged(10), Some((3.0, vec![20, 30, 40, 50])));
        assert!(
            [20, 30, 40, 50]
                .iter()
                .all(|it| acks.leader_of(*it) == Some(10))
        );
        assert!(!acks.leads(30));

        assert_eq!(acks.settle(10), [20, 30, 40, 50, 10]);
        assert_eq!(acks.size(), 0);
    }

    #[test]
    fn a_merge_that_makes_no_sense_was_never_made() {
        let mut acks = Acks::default();
        acks.merge(20, &[10, 20], 1.0);
        assert_eq!(acks.merged(20), None);
        for (leader, members) in [(10, [20]), (20, [10])].into_iter().cycle().take(1000) {
            acks.merge(leader, &members, 1.0);
        }
        assert_eq!(acks.merged(10), Some((1.0, vec![20])));
        assert_eq!(acks.size(), 3);
    }

    #[test]
    fn a_long_chain_of_merges_moves_each_event_a_few_times() {
        // Each leader becomes the only member of the next: with lists that are copied, 10¹⁰ steps.
        let mut acks = Acks::default();
        let events = 100_000;
        for leader in (0..events).rev() {
            acks.merge(leader, &[leader + 1], 1.0);
        }
        assert_eq!(acks.merged(0).unwrap().1.len(), events as usize);
        assert_eq!(acks.sets.len(), 1);
    }
}

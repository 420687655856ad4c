//! The power fails at any system call: in the middle of an append, of a settlement, of a folder being cleared, and
//! while what an earlier cut left is being read.

use super::watched::Watched;
use super::*;
use crate::host::locks::lock;
use std::collections::BTreeSet;
use std::sync::Mutex;

const POWER: Options = Options {
    durability: Durability::Power,
    segment_bytes: 400,
    merges: false,
};
/// So many outcomes of each cut are looked at: which changes are lost is chance.
const OUTCOMES: u64 = 2;

/// What is true when the power fails, whatever is lost.
#[derive(Clone, Default)]
struct Known {
    /// Were appended: the numbers below.
    acknowledged: usize,
    /// May be settled: the call that settles them has begun.
    settling: BTreeSet<usize>,
    /// Lines of dead letters that are on record.
    dead: Vec<String>,
}

struct Cut {
    call: String,
    known: Known,
    folder: MemoryFolder,
}

fn xorshift(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) as usize % below
    }
}

fn numbers(entry: &Entry, drain: &Drain) -> Vec<usize> {
    let number = |entry: &Entry| {
        let text = String::from_utf8(entry.payload.clone()).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let members = entry.merged.iter().flat_map(|merge| &merge.members);
    let members = members.map(|place| number(&drain.reread(*place).unwrap()));
    std::iter::once(number(entry)).chain(members).collect()
}

/// A folder whose power fails before the calls for which `fails` says so: `cuts` gets what is left then.
fn failing(
    folder: &MemoryFolder,
    known: &Arc<Mutex<Known>>,
    cuts: &Arc<Mutex<Vec<Cut>>>,
    mut fails: impl FnMut(u64) -> bool + Send + 'static,
) -> Box<dyn Folder> {
    let (inner, known, cuts) = (folder.clone(), Arc::clone(known), Arc::clone(cuts));
    let state = Mutex::new((0, move |call| fails(call)));
    Watched::new(folder, move |call, file| {
        let mut state = lock(&state);
        let number = state.0;
        state.0 += 1;
        if (state.1)(number) {
            for outcome in 0..OUTCOMES {
                lock(&cuts).push(Cut {
                    call: format!("call {number}, {call} {file}, outcome {outcome}"),
                    known: lock(&known).clone(),
                    folder: inner.after_power_cut(xorshift(number * OUTCOMES + outcome)),
                });
            }
        }
        Ok(())
    })
}

/// Two writers append, one of them drains: events are merged, attempted, settled, set aside.
fn live(folder: &MemoryFolder, known: &Arc<Mutex<Known>>, cuts: &Arc<Mutex<Vec<Cut>>>) {
    let watched = || failing(folder, known, cuts, |_| true);
    let stores = [watched(), watched()].map(|folder| Store::open(folder, POWER).unwrap());
    let mut drain = stores[0].try_drain().unwrap().unwrap();
    let mut open: Vec<(Position, usize)> = Vec::new();
    for number in 0..40 {
        let payload = format!("{number} {}", "x".repeat(number * 7 % 90));
        stores[number % 2].append(1, payload.as_bytes()).unwrap();
        lock(known).acknowledged = number + 1;
        if number % 5 != 4 {
            continue;
        }
        let entries = drain.read(6, 10_000).unwrap();
        let new = entries
            .iter()
            .map(|entry| (entry.position, numbers(entry, &drain)[0]));
        open.extend(new.collect::<Vec<_>>());
        let places: Vec<Position> = open.iter().map(|(place, _)| *place).collect();
        // Of those that follow each other in a segment.
        if let [.., leader, member] = places[..]
            && leader.segment == member.segment
            && drain.merge(leader, &[member], 2.0).is_ok()
        {
            let (_, number) = open.pop().unwrap();
            let last = open.len() - 1;
            drain.attempt(&[leader]).unwrap();
            lock(known).settling.extend([number, open[last].1]);
            drain.settle(&[leader]).unwrap();
            open.pop();
        }
        if let Some((place, number)) = open.pop() {
            let line = format!("{{\"dead\":{number}}}");
            drain.add_dead_letters(std::slice::from_ref(&line)).unwrap();
            lock(known).dead.push(line);
            lock(known).settling.insert(number);
            drain.settle(&[place]).unwrap();
        }
        let settled: Vec<_> = open.drain(..open.len() / 2).collect();
        let places: Vec<Position> = settled.iter().map(|(place, _)| *place).collect();
        drain.attempt(&places).unwrap();
        lock(known)
            .settling
            .extend(settled.iter().map(|(_, number)| *number));
        drain.settle(&places).unwrap();
    }
}

/// What had to come back has, once, in the order in which each writer appended it.
fn check(cut: &Cut) {
    let store = Store::open(Box::new(cut.folder.clone()), POWER).unwrap();
    let mut drain = store.try_drain().unwrap().unwrap();
    let (mut given, mut last) = (BTreeSet::new(), [None; 2]);
    loop {
        let entries = drain.read(7, 10_000).unwrap();
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            let all = numbers(entry, &drain);
            let before = &mut last[all[0] % 2];
            assert!(
                *before < Some(all[0]),
                "{}: {} after {before:?}",
                cut.call,
                all[0]
            );
            *before = Some(all[0]);
            for number in all {
                assert!(given.insert(number), "{}: {number} came twice", cut.call);
            }
        }
    }
    for number in 0..cut.known.acknowledged {
        assert!(
            given.contains(&number) || cut.known.settling.contains(&number),
            "{}: {number} is lost",
            cut.call
        );
    }
    let letters = ["dead.1.jsonl", "dead.jsonl"].map(|name| cut.folder.get(name));
    let letters: Vec<u8> = letters.into_iter().flatten().flatten().collect();
    let letters = String::from_utf8_lossy(&letters).into_owned();
    for line in &cut.known.dead {
        assert!(letters.contains(line), "{}: {line} is lost", cut.call);
    }
}

#[test]
fn the_power_may_fail_at_any_call_and_again_while_the_rest_is_read() {
    let folder = new_folder();
    let (known, cuts) = (Arc::default(), Arc::default());
    live(&folder, &known, &cuts);
    let cuts = std::mem::take(&mut *lock(&cuts));
    assert!(cuts.len() > 500, "{}", cuts.len());

    let again: Arc<Mutex<Vec<Cut>>> = Arc::default();
    for (number, cut) in cuts.iter().enumerate() {
        check(cut);
        // Of the calls that read it, one.
        let known = Arc::new(Mutex::new(cut.known.clone()));
        let at = number as u64 * 7 % 40;
        let watched = failing(&cut.folder, &known, &again, move |call| call == at);
        let store = Store::open(watched, POWER).unwrap();
        drain_all(&store);
    }
    let again = std::mem::take(&mut *lock(&again));
    assert!(again.len() > 500, "{}", again.len());
    again.iter().for_each(check);
}

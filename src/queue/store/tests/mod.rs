//! The store against crashes, damage, failing system calls and a model: all of it twice, also with a folder
//! as strict as that of Windows.
#![allow(clippy::duplicate_mod)]

#[cfg(unix)]
mod intruders;
mod strict;
mod usual;

use super::*;

/// How many random cases are tried: fewer where a machine is slow.
fn cases(usual: u32) -> u32 {
    let asked = std::env::var("TROPHY_TEST_CASES").ok();
    asked.and_then(|it| it.parse().ok()).unwrap_or(usual)
}

fn open(folder: &MemoryFolder) -> Store {
    Store::open(Box::new(folder.clone()), Options::default()).unwrap()
}

fn payloads(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| String::from_utf8(entry.payload.clone()).unwrap())
        .collect()
}

fn name_with(folder: &MemoryFolder, ending: &str) -> String {
    folder
        .names()
        .into_iter()
        .find(|name| name.ends_with(ending))
        .unwrap()
}

/// The frames of a file: from, to.
fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let format::Step::Frame { length, .. } = format::step(&bytes[at..], true) {
        frames.push(at..at + length);
        at += length;
    }
    assert_eq!(at, bytes.len());
    frames
}

/// Everything a new drain gives, and what it found damaged.
fn drain_all(store: &Store) -> (Vec<Entry>, Vec<Damage>) {
    let mut drain = store.try_drain().unwrap().unwrap();
    let mut entries = Vec::new();
    loop {
        let batch = drain.read(7, 10_000).unwrap();
        if batch.is_empty() {
            return (entries, drain.take_damage());
        }
        entries.extend(batch);
    }
}

const POWER: Options = Options {
    durability: Durability::Power,
    segment_bytes: 1 << 20,
    merges: false,
};

fn open_in(folder: Box<dyn Folder>, options: Options) -> Store {
    Store::open(folder, options).unwrap()
}

fn append_all(store: &Store, events: &[&str]) {
    for event in events {
        store.append(1, event.as_bytes()).unwrap();
    }
}

fn read_all(drain: &mut Drain) -> Vec<Entry> {
    drain.read(1000, 1 << 20).unwrap()
}

fn positions(entries: &[Entry]) -> Vec<Position> {
    entries.iter().map(|entry| entry.position).collect()
}

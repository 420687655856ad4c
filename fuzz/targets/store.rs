//! Segments, acknowledgements and dead letters as arbitrary bytes between sound ones: the folder can be opened, and
//! what a naive reader finds in it, byte by byte, is what the drain gives, in the same order.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trophy::queue::store::{Durability, Folder, MemoryFolder, Options, Store};

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Header {
        version: Version,
        commits: bool,
    },
    Event {
        at_ms: u64,
        payload: &'a [u8],
    },
    Commit(u32),
    Seal(u32),
    /// A sound frame of any kind but those above, with any body.
    Other(u8, &'a [u8]),
    /// The last piece cut off after so many bytes.
    Cut(u16),
    /// A byte of what there is so far, changed.
    Flip(u16, u8),
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Version {
    This,
    Any(u32),
}

#[derive(Arbitrary, Debug)]
enum Ack<'a> {
    /// The event of this number, counted round.
    Settle(u8),
    Attempt(u8),
    SettleAt(u32),
    Flip(u16, u8),
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    power: bool,
    pieces: Vec<Piece<'a>>,
    acks: Vec<Ack<'a>>,
    dead: &'a [u8],
    appended: &'a [u8],
}

const STEM: &str = "00000000000000000001-1-0123456789abcdef";
const MARKER: [u8; 3] = [0xF5, 0xC0, 0xFF];

fuzz_target!(|input: Input<'_>| {
    let mut segment = frame(b'H', &header(1, input.power));
    let mut last = segment.len();
    for piece in &input.pieces {
        let bytes = match piece {
            Piece::Header {
                version: Version::This,
                commits,
            } => frame(b'H', &header(1, *commits)),
            Piece::Header {
                version: Version::Any(version),
                commits,
            } => frame(b'H', &header(*version, *commits)),
            Piece::Event { at_ms, payload } => {
                frame(b'E', &[&at_ms.to_le_bytes()[..], payload].concat())
            }
            Piece::Commit(length) => frame(b'C', &length.to_le_bytes()),
            Piece::Seal(events) => frame(b'Z', &events.to_le_bytes()),
            Piece::Other(kind, body) if !b"HECZ".contains(kind) => frame(*kind, body),
            Piece::Other(..) => continue,
            Piece::Cut(by) => {
                segment.truncate(
                    segment
                        .len()
                        .saturating_sub(usize::from(*by))
                        .max(last.min(segment.len())),
                );
                continue;
            }
            Piece::Flip(at, to) => {
                let at = usize::from(*at) % segment.len().max(1);
                segment[at] ^= to;
                continue;
            }
            Piece::Raw(bytes) => bytes.to_vec(),
        };
        last = segment.len();
        segment.extend(bytes);
    }

    let events = naive_events(&segment);
    let mut ack = Vec::new();
    for line in &input.acks {
        let offset_of = |number: u8| {
            let event = events
                .as_ref()
                .and_then(|all| all.get(usize::from(number) % all.len().max(1)));
            event.map_or(0, |(offset, _)| *offset as u32)
        };
        match line {
            Ack::Settle(number) => ack.extend(frame(b'S', &offset_of(*number).to_le_bytes())),
            Ack::Attempt(number) => ack.extend(frame(b'A', &offset_of(*number).to_le_bytes())),
            Ack::SettleAt(offset) => ack.extend(frame(b'S', &offset.to_le_bytes())),
            Ack::Flip(at, to) if !ack.is_empty() => {
                let at = usize::from(*at) % ack.len();
                ack[at] ^= to;
            }
            Ack::Flip(..) => {}
            Ack::Raw(bytes) => ack.extend_from_slice(bytes),
        }
    }
    let frames_of_ack = frames(&ack);
    let is_plain = frames_of_ack
        .iter()
        .all(|(_, kind, _)| b"SA".contains(kind));
    let settled: BTreeSet<usize> = frames_of_ack
        .iter()
        .filter(|(_, kind, _)| *kind == b'S')
        .flat_map(|(_, _, body)| {
            body.as_chunks::<4>()
                .0
                .iter()
                .map(|it| u32::from_le_bytes(*it) as usize)
        })
        .collect();

    let folder = MemoryFolder::default();
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.append(name).unwrap();
        let mut left = bytes;
        while !left.is_empty() {
            left = &left[file.write(left).unwrap()..];
        }
    };
    put(&format!("{STEM}.seg"), &segment);
    put(&format!("{STEM}.ack"), &ack);
    put("dead.jsonl", input.dead);

    let durability = if input.power {
        Durability::Power
    } else {
        Durability::Process
    };
    let options = Options {
        durability,
        ..Options::default()
    };
    let store = match Store::open(Box::new(folder.clone()), options) {
        Ok(store) => store,
        // Of a later version; then nothing was touched.
        Err(error) => {
            assert!(error.to_string().contains("later version"), "{error}");
            let file = folder.open(&format!("{STEM}.seg")).unwrap();
            assert_eq!(file.size().unwrap(), segment.len() as u64);
            return;
        }
    };
    store.append(7, input.appended).unwrap();
    let mut drain = store.try_drain().unwrap().expect("nobody else drains");
    let mut given = Vec::new();
    let mut positions = Vec::new();
    loop {
        let read = drain.read(3, 1 << 20).unwrap();
        if read.is_empty() {
            break;
        }
        positions.extend(read.iter().map(|entry| entry.position));
        given.extend(read.into_iter().map(|entry| entry.payload));
    }
    if let Some(events) = events.filter(|_| is_plain) {
        let mut expected: Vec<Vec<u8>> = events
            .into_iter()
            .filter(|(offset, _)| !settled.contains(offset))
            .map(|(_, payload)| payload)
            .collect();
        expected.push(input.appended.to_vec());
        assert_eq!(given, expected);
    }
    drain.add_dead_letters(&["{}".to_owned()]).unwrap();
    drain.settle(&positions).unwrap();
    assert!(drain.read(3, 1 << 20).unwrap().is_empty());
    drain.take_damage();
    drop(drain);
    drop(store);

    // What was settled is not given again.
    if let Ok(store) = Store::open(Box::new(folder), options) {
        let mut drain = store.try_drain().unwrap().expect("nobody else drains");
        assert!(drain.read(3, 1 << 20).unwrap().is_empty());
    }
});

fn header(version: u32, commits: bool) -> Vec<u8> {
    let mut body = version.to_le_bytes().to_vec();
    body.extend_from_slice(b"trophy queue");
    if commits {
        body.push(1);
    }
    body
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = MARKER.to_vec();
    frame.push(kind);
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let sum = crc32c::crc32c(&[&frame[3..], body].concat());
    frame.extend_from_slice(&sum.to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Offset, kind and body of each sound frame: from every byte it is tried whether one begins there.
fn frames(bytes: &[u8]) -> Vec<(usize, u8, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 12 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        let sum = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        let is_sound = bytes[at..at + 3] == MARKER
            && length <= (16 << 20) + 8
            && at + 12 + length <= bytes.len()
            && crc32c::crc32c(
                &[&bytes[at + 3..at + 8], &bytes[at + 12..at + 12 + length]].concat(),
            ) == sum;
        if is_sound {
            found.push((at, bytes[at + 3], &bytes[at + 12..at + 12 + length]));
            at += 12 + length;
        } else {
            at += 1;
        }
    }
    found
}

/// The events of a segment; `None` if it is of another version, or holds no sound frame.
fn naive_events(segment: &[u8]) -> Option<Vec<(usize, Vec<u8>)>> {
    let frames = frames(segment);
    let version = |body: &[u8]| body.first_chunk().map(|it| u32::from_le_bytes(*it));
    let is_other = |kind: u8, body: &[u8]| kind == b'H' && version(body).is_some_and(|it| it != 1);
    if frames.is_empty() || frames.iter().any(|(_, kind, body)| is_other(*kind, body)) {
        return None;
    }
    let events = frames
        .iter()
        .filter(|(_, kind, body)| *kind == b'E' && body.len() >= 8);
    Some(
        events
            .map(|(offset, _, body)| (*offset, body[8..].to_vec()))
            .collect(),
    )
}

//! The bytes on disk, as pure functions. This screen is the whole format.
//!
//! ```text
//! <folder>/                                        0700, its files 0600
//!   <created ms, 20 digits>-<pid>-<16 hex>.seg     events, appended by one Store, in order
//!   <created ms, 20 digits>-<pid>-<16 hex>.ack     what became of them, appended by the drainer
//!   <created ms, 20 digits>-<pid>-<16 hex>.tmp     a segment that is being made
//!   *.unknown                                      has no sound record: kept, and not looked at again
//!   drain.lock                                     locked by the one process that drains; in it u64 … : Unix ms
//!                                                  at which the last requests started, or, with the highest bit,
//!                                                  until when the service asked for none (1.0.0: empty)
//!   dead.jsonl, dead.1.jsonl                       events the service refused, at most 1 MiB each
//!   damaged/<file>.<offset>                        bytes that did not check, at most 64 files of 64 KiB
//!
//! .seg and .ack are frames, one after the other. Numbers are little-endian, offsets count from the
//! start of the segment and point at an event's frame.
//!
//!   frame    marker F5 C0 FF │ kind u8 │ length u32 │ CRC32C u32 of kind, length, body │ body
//!   H header   version u32 = 1 │ "trophy queue" │ commits u8    the first frame; the same in every version
//!   E event    at_ms u64 │ payload, at most 16 MiB
//!   C commit   length u32                              what lies before it is synced (see below)
//!   Z seal     events u32                              the last frame of a segment that is full
//!   S settle   offset u32 …                            never given again; a leader takes its members along
//!   A attempt  offset u32 …                            written before the event is sent the first time
//!   M merge    value f64 │ leader u32 │ member u32 …   the members are sent as part of the leader
//!   D dissolve leader u32                              its members are events of their own again
//! ```
//!
//! The marker's bytes cannot occur in UTF-8, so it is found again after any damage and a flipped bit
//! costs one frame. Bytes that do not check are damage once a sound frame follows them, or nobody
//! writes there any more; until then they may be a frame on its way. A segment is locked as long as it
//! is written to. It goes when all its events are settled, and then its .ack: in between the folder is
//! synced, lest a power cut bring back the events and not what became of them.
//!
//! Where `commits` is 1 ("power"; 1.0.0 wrote no such byte, which is 0), an event is given once a C frame
//! covers it, so that none is sent whose sync then fails. A seal covers all before it. Of a segment that is
//! locked no more, the drainer syncs and gives the rest: nobody was told of it.
//!
//! An .ack file that cannot be read for an I/O error keeps its segment's events back until it can. What in
//! it does not check is lost by itself: what was settled so is sent again under its own key, which counts
//! once; a merge that is lost so was never made.

use super::sums::Sums;

pub const VERSION: u32 = 1;
pub const MAX_PAYLOAD: usize = 16 << 20;
pub const PREFIX: usize = 12;
pub const EVENT_PREFIX: usize = PREFIX + 8;
pub const SEAL_LENGTH: usize = PREFIX + 4;
/// More than any version's header has.
pub const MOST_HEADER: usize = 256;

const MARKER: [u8; 3] = [0xF5, 0xC0, 0xFF];
const NAME: &[u8] = b"trophy queue";
const MAX_BODY: usize = MAX_PAYLOAD + 8;

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Header = b'H',
    Event = b'E',
    Commit = b'C',
    Seal = b'Z',
    Settle = b'S',
    Attempt = b'A',
    Merge = b'M',
    Dissolve = b'D',
    /// Sound, but of a later library: passed over.
    Other = 0,
}

/// What a sound frame says.
#[derive(Debug, PartialEq)]
pub enum Frame<'a> {
    Header {
        version: u32,
        commits: bool,
    },
    Event {
        at_ms: u64,
        payload: &'a [u8],
    },
    Commit {
        length: u32,
    },
    Seal {
        events: u32,
    },
    Settle(Vec<u32>),
    Attempt(Vec<u32>),
    Merge {
        value: f64,
        leader: u32,
        members: Vec<u32>,
    },
    Dissolve {
        leader: u32,
    },
    Other,
}

/// What the bytes at hand begin with.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A sound frame of this length.
    Frame { kind: Kind, length: usize },
    /// No sound frame begins in this many bytes, at least one.
    Skip(usize),
    /// No telling without the bytes that follow.
    More,
    /// There are no more.
    End,
}

/// Appends the frame of an event.
pub fn put_event(out: &mut Vec<u8>, at_ms: u64, payload: &[u8]) {
    put(out, Kind::Event, &[&at_ms.to_le_bytes(), payload]);
}

/// `commits` if events are given only once a commit covers them.
pub fn put_header(out: &mut Vec<u8>, commits: bool) {
    let commits: &[u8] = if commits { &[1] } else { &[] };
    put(out, Kind::Header, &[&VERSION.to_le_bytes(), NAME, commits]);
}

#[cfg(test)]
pub fn header_of(version: u32) -> Vec<u8> {
    let mut header = Vec::new();
    put(&mut header, Kind::Header, &[&version.to_le_bytes(), NAME]);
    header
}

pub fn put_commit(out: &mut Vec<u8>, length: u32) {
    put(out, Kind::Commit, &[&length.to_le_bytes()]);
}

pub fn put_dissolve(out: &mut Vec<u8>, leader: u32) {
    put(out, Kind::Dissolve, &[&leader.to_le_bytes()]);
}

pub fn put_seal(out: &mut Vec<u8>, events: u32) {
    put(out, Kind::Seal, &[&events.to_le_bytes()]);
}

/// `kind` is Settle or Attempt.
pub fn put_offsets(out: &mut Vec<u8>, kind: Kind, offsets: &[u32]) {
    put(out, kind, &[&offsets_bytes(offsets)]);
}

pub fn put_merge(out: &mut Vec<u8>, value: f64, leader: u32, members: &[u32]) {
    let parts: [&[u8]; 3] = [
        &value.to_le_bytes(),
        &leader.to_le_bytes(),
        &offsets_bytes(members),
    ];
    put(out, Kind::Merge, &parts);
}

fn offsets_bytes(offsets: &[u32]) -> Vec<u8> {
    offsets
        .iter()
        .flat_map(|offset| offset.to_le_bytes())
        .collect()
}

fn put(out: &mut Vec<u8>, kind: Kind, body: &[&[u8]]) {
    let start = out.len();
    let length: usize = body.iter().map(|part| part.len()).sum();
    out.reserve(PREFIX + length);
    out.extend_from_slice(&MARKER);
    out.push(kind as u8);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for part in body {
        out.extend_from_slice(part);
    }
    let crc = checksum(&out[start..]);
    out[start + 8..start + PREFIX].copy_from_slice(&crc.to_le_bytes());
}

/// Over a whole frame but its marker and the checksum itself.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[3..8]), &frame[PREFIX..])
}

/// Looks at the front of `bytes`; `at_end` if the file has no more than these.
pub fn step(bytes: &[u8], at_end: bool) -> Step {
    step_in(bytes, 0, at_end, &mut Sums::default())
}

/// The same of the bytes from there on in a window whose sums these are.
pub fn step_in(window: &[u8], start: usize, at_end: bool, sums: &mut Sums) -> Step {
    if window.len() <= start {
        return if at_end { Step::End } else { Step::More };
    }
    match check(window, start, sums) {
        Checked::Sound { kind, length } => return Step::Frame { kind, length },
        Checked::Short if !at_end => return Step::More,
        _ => {}
    }
    let mut from = start + 1;
    while let Some(candidate) = find(window, from) {
        match check(window, candidate, sums) {
            Checked::Sound { .. } => return Step::Skip(candidate - start),
            Checked::Short if !at_end => return Step::Skip(candidate - start),
            _ => from = candidate + 1,
        }
    }
    Step::Skip(window.len() - start)
}

enum Checked {
    Sound { kind: Kind, length: usize },
    Short,
    Bad,
}

fn check(window: &[u8], at: usize, sums: &mut Sums) -> Checked {
    let bytes = &window[at..];
    let known = bytes.len().min(MARKER.len());
    if bytes[..known] != MARKER[..known] {
        return Checked::Bad;
    }
    let (Some(length), Some(crc)) = (u32_at(bytes, 4), u32_at(bytes, 8)) else {
        return Checked::Short;
    };
    let length = length as usize;
    if length > MAX_BODY {
        return Checked::Bad;
    }
    let whole = PREFIX + length;
    if bytes.len() < whole {
        return Checked::Short;
    }
    let head = crc32c::crc32c(&bytes[3..8]);
    if sums.append(head, window, at + PREFIX, at + whole) != crc {
        return Checked::Bad;
    }
    let kind = match bytes[3] {
        b'H' => Kind::Header,
        b'E' => Kind::Event,
        b'C' => Kind::Commit,
        b'Z' => Kind::Seal,
        b'S' => Kind::Settle,
        b'A' => Kind::Attempt,
        b'M' => Kind::Merge,
        b'D' => Kind::Dissolve,
        _ => Kind::Other,
    };
    Checked::Sound {
        kind,
        length: whole,
    }
}

/// The length of the frame that begins with these bytes, if it is sound.
pub fn frame_length(prefix: &[u8]) -> Option<usize> {
    let length = u32_at(prefix, 4)? as usize;
    (length <= MAX_BODY).then_some(PREFIX + length)
}

/// Where a marker may begin.
fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    Some(from + rest.iter().position(|byte| *byte == MARKER[0])?)
}

/// Takes a sound frame apart, as `step` measured it.
pub fn read(frame: &[u8], kind: Kind) -> Frame<'_> {
    let body = frame.get(PREFIX..).unwrap_or_default();
    let whole = match kind {
        Kind::Header => u32_at(body, 0).map(|version| Frame::Header {
            version,
            commits: body.get(4 + NAME.len()) == Some(&1),
        }),
        Kind::Event => body
            .split_first_chunk()
            .map(|(at_ms, payload)| Frame::Event {
                at_ms: u64::from_le_bytes(*at_ms),
                payload,
            }),
        Kind::Commit => u32_at(body, 0).map(|length| Frame::Commit { length }),
        Kind::Seal => u32_at(body, 0).map(|events| Frame::Seal { events }),
        Kind::Settle => Some(Frame::Settle(offsets(body))),
        Kind::Attempt => Some(Frame::Attempt(offsets(body))),
        Kind::Merge => body.split_first_chunk().and_then(|(value, rest)| {
            Some(Frame::Merge {
                value: f64::from_le_bytes(*value),
                leader: u32_at(rest, 0)?,
                members: offsets(&rest[4..]),
            })
        }),
        Kind::Dissolve => u32_at(body, 0).map(|leader| Frame::Dissolve { leader }),
        Kind::Other => None,
    };
    whole.unwrap_or(Frame::Other)
}

/// Whether a file that begins with these bytes is not for this version to read.
pub fn is_of_later_version(start: &[u8]) -> bool {
    match step(start, true) {
        Step::Frame {
            kind: Kind::Header,
            length,
        } => {
            matches!(read(&start[..length], Kind::Header), Frame::Header { version, .. } if version > VERSION)
        }
        _ => false,
    }
}

/// How many events a full segment holds, from its last `SEAL_LENGTH` bytes.
pub fn sealed_events(tail: &[u8]) -> Option<u32> {
    match step(tail, true) {
        Step::Frame {
            kind: Kind::Seal,
            length,
        } => match read(&tail[..length], Kind::Seal) {
            Frame::Seal { events } => Some(events),
            _ => None,
        },
        _ => None,
    }
}

fn offsets(body: &[u8]) -> Vec<u32> {
    let (numbers, _) = body.as_chunks::<4>();
    numbers
        .iter()
        .map(|number| u32::from_le_bytes(*number))
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|number| u32::from_le_bytes(*number))
}

/// When a segment was made, from its file's name without the ending; `None` if the name is foreign.
pub fn created_ms(stem: &str) -> Option<u64> {
    let mut parts = stem.split('-');
    let (created, pid, random) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ours = parts.next().is_none()
        && created.len() == 20
        && digits(created)
        && digits(pid)
        && random.len() == 16
        && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    if ours { created.parse().ok() } else { None }
}

pub fn stem(created_ms: u64, pid: u32, random: u64) -> String {
    format!("{created_ms:020}-{pid}-{random:016x}")
}

//! The end: what was acknowledged against what was counted.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use trophy_sandbox::Sandbox;

use crate::books::{Books, OfService, Overlap, Said};
use crate::hosts::{QUEUES, queue_of};
use crate::trouble::Trouble;

/// A host that says that it ends may be heard later than the service sees its next request.
const SLACK: Duration = Duration::from_secs(2);
/// The hosts' `attempt_timeout_in_seconds`: then the library gives a request up, and after a pause sends it again, and a
/// service that the machine keeps waiting may notice late.
const ATTEMPT: Duration = Duration::from_secs(2);
/// A thread that the machine lets wait between its decision and its write is late by this at most. What is closer
/// together than that explains is above the limit.
const LATE_US: u64 = 100_000;
const SECOND_US: u64 = 1_000_000;
/// A failure of each kind is shown so often.
const SHOWN: usize = 10;

pub struct Verdict {
    pub figures: Value,
    /// What must be nothing, each with examples.
    broken: Vec<(&'static str, Vec<String>)>,
}

pub fn judge(books: &Books, sandbox: &Sandbox, trouble: &Trouble, disk: &Path) -> Verdict {
    let said = books.said();
    let service = books.service();
    let ledger = sandbox.ledger();
    let dead = dead_letters(disk);

    let mut lost = Vec::new();
    let mut refused = 0;
    for (key, is_refused) in &said.keys {
        let times = service.counted.get(key).copied().unwrap_or(0);
        let is_dead = *is_refused && dead.contains(key.as_str());
        refused += u64::from(is_dead);
        if times == 0 && !is_dead {
            lost.push(key.clone());
        }
    }
    let mut twice: Vec<String> = service
        .counted
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(key, times)| format!("{key}: {times} times"))
        .collect();
    // One of each user may have been kept and not said, when its process was killed.
    for (user, acknowledged) in &said.unkeyed {
        let total = service.totals.get(user).copied().unwrap_or(0.0) as u64;
        let words = format!("{user}: {acknowledged} acknowledged, {total} counted");
        if total < *acknowledged {
            lost.push(words);
        } else if total > acknowledged + 1 {
            twice.push(words);
        }
    }
    let counted = ledger["events"].as_u64().unwrap_or(0);
    let (parallel, after_an_end, given_up) = parallel(&said, &service);
    let (above, by_late_threads, most) = above_the_limit(&said);
    let requests: u64 = ledger["requests"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, times)| times.as_u64())
        .sum();

    let mut struck: Map<String, Value> = trouble
        .struck
        .iter()
        .filter(|(_, times)| **times > 0)
        .map(|(name, times)| (name.clone(), json!(times)))
        .collect();
    for (name, times) in &said.notes {
        struck.insert(name.clone(), json!(times));
    }
    let processes = struck.remove("processes").unwrap_or_default();
    let figures = json!({
        "events acknowledged": said.acknowledged,
        "lost": lost.len(),
        "counted twice": twice.len(),
        "out of order in their lane": service.out_of_order.len(),
        "parallel in a lane": parallel.len(),
        "requests above the limit in any second": above.len(),
        "other failures": said.failures.len(),
        "requests above the limit by less than a late thread explains": by_late_threads,
        "counted": counted,
        "refused, and on record as dead": refused,
        "sent again and not counted again": ledger["replayed"],
        "requests": requests,
        "processes": processes,
        "acknowledged by queue": said.by_queue,
        "seen under way at once with what a killed process left": after_an_end,
        "seen under way at once with what its sender had given up": given_up,
        "most requests of a queue in a second": most,
        "faults": struck,
    });
    let broken = vec![
        ("lost", lost),
        ("counted twice", twice),
        ("out of order", service.out_of_order.clone()),
        ("parallel in a lane", parallel),
        ("above the limit", above),
        ("failures", said.failures.clone()),
    ];
    Verdict { figures, broken }
}

/// The keys of all dead letters.
fn dead_letters(disk: &Path) -> HashSet<String> {
    let mut keys = HashSet::new();
    for queue in QUEUES {
        for name in ["dead.jsonl", "dead.1.jsonl"] {
            let text = std::fs::read_to_string(disk.join(queue.name).join(name));
            for line in text.unwrap_or_default().lines() {
                let letter: Value = serde_json::from_str(line).unwrap_or_default();
                if let Some(key) = find_key(&letter) {
                    keys.insert(key.to_owned());
                }
            }
        }
    }
    keys
}

fn find_key(letter: &Value) -> Option<&str> {
    let fields = letter.as_object()?;
    let own = fields.get("idempotencyKey").and_then(Value::as_str);
    own.or_else(|| fields.values().find_map(find_key))
}

/// Those that the library is to blame for, and how many there were because a process or client had ended with a
/// request under way, or had given one up, of which the service did not know yet.
fn parallel(said: &Said, service: &OfService) -> (Vec<String>, usize, usize) {
    let queue = |client: &str| {
        let name = client.split('/').nth(1).unwrap_or_default();
        queue_of(name).to_owned()
    };
    let had_ended = |overlap: &&Overlap| {
        let of = queue(&overlap.older.0);
        said.ends.iter().any(|(ended, at)| {
            *ended == of && *at + SLACK >= overlap.older.1 && *at <= overlap.newer.1 + SLACK
        })
    };
    let had_given_up = |overlap: &&Overlap| {
        let late = Duration::from_micros(LATE_US);
        overlap.older.0 == overlap.newer.0 && overlap.newer.1 - overlap.older.1 + late >= ATTEMPT
    };
    let (after_an_end, others): (Vec<_>, Vec<_>) = service.overlaps.iter().partition(had_ended);
    let (given_up, broken): (Vec<_>, Vec<_>) = others.into_iter().partition(had_given_up);
    let words = |overlap: &Overlap| {
        format!(
            "{:?}: {} came {:?} after {}, which left {:?} later",
            overlap.lane,
            overlap.newer.0,
            overlap.newer.1 - overlap.older.1,
            overlap.older.0,
            overlap.left.map(|left| left - overlap.newer.1),
        )
    };
    (
        broken.into_iter().map(words).collect(),
        after_an_end.len(),
        given_up.len(),
    )
}

/// The seconds in which a client's queue sent more than it may; how many there are if no thread is ever late; and
/// the most of each queue.
fn above_the_limit(said: &Said) -> (Vec<String>, usize, Value) {
    let mut above = Vec::new();
    let mut strictly = 0;
    let mut most = Map::new();
    for (client, times) in &said.sent {
        let name = client.split('/').nth(1).unwrap_or_default();
        let Some(queue) = QUEUES.iter().find(|queue| queue.name == queue_of(name)) else {
            above.push(format!("{client} is none of the hosts"));
            continue;
        };
        let mut times = times.clone();
        times.sort_unstable();
        for (first, start) in times.iter().enumerate() {
            let within = |us| times[first..].partition_point(|time| time - start < us);
            let many = within(SECOND_US);
            strictly += usize::from(many > queue.requests_per_second);
            if within(SECOND_US - LATE_US) > queue.requests_per_second {
                let since: Vec<u64> = times[first..first + many]
                    .iter()
                    .map(|time| (time - start) / 1_000)
                    .collect();
                above.push(format!("{client}: {many} in a second, at {since:?} ms"));
            }
            let so_far = most.get(queue.name).and_then(Value::as_u64).unwrap_or(0);
            most.insert(queue.name.to_owned(), json!(so_far.max(many as u64)));
        }
    }
    for queue in QUEUES {
        if let Some(most) = most.get_mut(queue.name) {
            *most = format!("{most} of {}", queue.requests_per_second).into();
        }
    }
    let by_late_threads = strictly.saturating_sub(above.len());
    (above, by_late_threads, most.into())
}

/// Prints the figures; whether all is as promised.
pub fn print(verdict: &Verdict, seed: u64, lived: Duration, whole: Duration) -> bool {
    println!(
        "seed {seed}: {} s, and {} s until the rest was delivered",
        lived.as_secs(),
        (whole - lived).as_secs()
    );
    for (name, value) in verdict.figures.as_object().into_iter().flatten() {
        match value.as_object() {
            None => println!("{value:>12}  {name}"),
            Some(parts) => {
                println!("              {name}:");
                for (part, value) in parts {
                    println!("{value:>18}  {part}");
                }
            }
        }
    }
    for (what, examples) in &verdict.broken {
        for example in examples.iter().take(SHOWN) {
            println!("{what}: {example}");
        }
    }
    verdict
        .broken
        .iter()
        .all(|(_, examples)| examples.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trophy_sandbox::{Lane, Observer, Options};

    use super::*;
    use crate::page::Page;

    /// What of the run is broken, by what was heard of it.
    fn broken(books: &Arc<Books>) -> Vec<&'static str> {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let folder = std::env::temp_dir().join(format!("trophy-soak-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let page = Page::new(&folder.join("page")).unwrap();
        let trouble = Trouble::new(1, &sandbox, &page, books);
        let verdict = judge(books, &sandbox, &trouble, &folder);
        let broken = verdict.broken.into_iter();
        let broken = broken.filter(|(_, examples)| !examples.is_empty());
        broken.map(|(what, _)| what).collect()
    }

    fn lane(user: &str) -> Lane {
        Lane {
            user: user.to_owned(),
            ..Lane::default()
        }
    }

    #[test]
    fn a_run_in_which_all_is_well_is_well() {
        let books = Arc::new(Books::default());
        for number in 1..4 {
            let key = format!("q-shared-0-{number}");
            books.hear("shared-0", &format!("a {key}"));
            books.arrived(number, "soak/shared-0/1/0", &[lane("u")]);
            books.counted(&lane("u"), Some(&key), 1.0);
            books.left(number);
            books.hear(
                "shared-0",
                &format!("r 7 soak/shared-0/1/0 {}", number * 51_000),
            );
        }
        // Of two, one counts for both; of the other user's, one was kept and not said.
        books.hear("merged-0", "u one");
        books.hear("merged-0", "u one");
        books.hear("merged-0", "u other");
        books.counted(&lane("one"), Some("2f9c"), 2.0);
        books.counted(&lane("other"), Some("3a01"), 2.0);
        assert_eq!(broken(&books), [""; 0]);
        assert_eq!((books.acknowledged(), books.events_counted()), (6, 5));
    }

    #[test]
    fn each_broken_promise_is_seen() {
        let seen = |hear: &dyn Fn(&Books)| {
            let books = Arc::new(Books::default());
            hear(&books);
            broken(&books)
        };
        assert_eq!(
            seen(&|books| books.hear("shared-0", "a q-shared-0-1")),
            ["lost"]
        );
        assert_eq!(seen(&|books| books.hear("merged-0", "u one")), ["lost"]);
        // One that the service refuses, and that is no dead letter.
        assert_eq!(
            seen(&|books| books.hear("shared-0", "p q-shared-0-1")),
            ["lost"]
        );
        let twice = |books: &Books| {
            books.counted(&lane("u"), Some("2f9c"), 1.0);
            books.counted(&lane("u"), Some("2f9c"), 1.0);
        };
        assert_eq!(seen(&twice), ["counted twice"]);
        let too_much = |books: &Books| {
            books.hear("merged-0", "u one");
            books.counted(&lane("one"), Some("2f9c"), 3.0);
        };
        assert_eq!(seen(&too_much), ["counted twice"]);
        let disorder = |books: &Books| {
            books.counted(&lane("u"), Some("q-shared-0-2"), 1.0);
            books.counted(&lane("u"), Some("q-shared-0-1"), 1.0);
        };
        assert_eq!(seen(&disorder), ["out of order"]);
        let parallel = |books: &Books| {
            books.arrived(1, "soak/shared-0/1/0", &[lane("u"), lane("v")]);
            books.arrived(2, "soak/shared-1/1/0", &[lane("v")]);
        };
        assert_eq!(seen(&parallel), ["parallel in a lane"]);
        let left_by_one_that_was_killed = |books: &Books| {
            books.arrived(1, "soak/shared-0/1/0", &[lane("u")]);
            books.note_end("shared");
            books.arrived(2, "soak/shared-1/1/0", &[lane("u")]);
        };
        assert_eq!(seen(&left_by_one_that_was_killed), [""; 0]);
        let again_at_once = |books: &Books| {
            books.arrived(1, "soak/single-0/1/0", &[lane("u")]);
            books.arrived(2, "soak/single-0/1/0", &[lane("u")]);
        };
        assert_eq!(seen(&again_at_once), ["parallel in a lane"]);
        // 21 of 20.
        let too_fast = |books: &Books| {
            for number in 0..21 {
                books.hear(
                    "shared-0",
                    &format!("r 7 soak/shared-0/1/0 {}", number * 44_000),
                );
            }
        };
        assert_eq!(seen(&too_fast), ["above the limit"]);
        assert_eq!(
            seen(&|books| books.hear("shared-0", "! a callback")),
            ["failures"]
        );
    }
}

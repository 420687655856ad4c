//! A process that goes on for long takes no more memory, descriptors or threads than at first: whatever fails.
//!
//! 20,000 events; `TROPHY_TEST_EVENTS` for others, and `TROPHY_FIGURES` for a file to which the figures go.
#![cfg(target_os = "linux")]

mod c_programs;
mod service;

use std::process::Command;

use c_programs::{build, succeed, surround, text};
use serde_json::json;
use service::*;

/// What glibc's heap grows and shrinks by, whatever the program does.
const NOISE_KB: i64 = 3_000;

/// What is in use of it differs by what happens to be under way, and by the buffers of each connection that is kept.
const HEAP_NOISE_KB: i64 = 200;
const CONNECTION_KB: i64 = 80;

struct Taken {
    memory_kb: i64,
    /// -1: nobody knows.
    heap_kb: i64,
    descriptors: i64,
    threads: i64,
}

fn taken(output: &str, when: &str) -> Taken {
    let line = output.lines().find(|line| line.starts_with(when)).unwrap();
    let numbers = line.split(' ').skip(1).map(|it| it.parse().unwrap());
    let [memory_kb, heap_kb, descriptors, threads] = numbers.collect::<Vec<_>>()[..] else {
        panic!("{line}");
    };
    Taken {
        memory_kb,
        heap_kb,
        descriptors,
        threads,
    }
}

#[test]
fn memory_descriptors_and_threads_do_not_grow_with_what_was_done() {
    let events = std::env::var("TROPHY_TEST_EVENTS").unwrap_or_else(|_| "20000".to_owned());
    let service = Service::start();
    for (seed, mut fault) in [
        json!({"fault": "close_before", "probability": 0.02}),
        json!({"fault": "close_after", "probability": 0.02}),
        json!({"fault": "reset", "probability": 0.02}),
        json!({"fault": "status_after", "status": 500, "probability": 0.02}),
        json!({"fault": "rate_limited", "retryAfter": "0", "probability": 0.02}),
        json!({"fault": "status_before", "status": 403, "body": "<html>", "probability": 0.02}),
        json!({"fault": "cut", "bytes": 100, "probability": 0.02}),
    ]
    .into_iter()
    .enumerate()
    {
        fault["seed"] = seed.into();
        service.fault(fault);
    }
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("flat");
    build("flat", &executable);
    let mut program = Command::new(&executable);
    surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);
    // One heap: how many there are depends on which threads happened to meet.
    program.env("MALLOC_ARENA_MAX", "1");
    program.arg(folder.path().join("queue")).arg(&events);

    let output = text(&succeed(&mut program));

    println!("{output}");
    let (half, end) = (taken(&output, "half"), taken(&output, "end"));
    if let Ok(file) = std::env::var("TROPHY_FIGURES") {
        let figures = json!({
            "events": events.parse::<u64>().unwrap(),
            "calls that failed": output.lines().find_map(|line| line.strip_prefix("failures ")?.parse::<u64>().ok()),
            "memory after a half, KB": half.memory_kb,
            "memory at the end, KB": end.memory_kb,
            "of it in use after a half, KB": half.heap_kb,
            "of it in use at the end, KB": end.heap_kb,
            "descriptors after a half": half.descriptors,
            "descriptors at the end": end.descriptors,
            "threads after a half": half.threads,
            "threads at the end": end.threads,
        });
        std::fs::write(file, figures.to_string()).unwrap();
    }
    assert!(
        end.memory_kb - half.memory_kb < NOISE_KB,
        "{} KB more",
        end.memory_kb - half.memory_kb
    );
    let connections = (end.descriptors - half.descriptors).max(0);
    assert!(
        half.heap_kb < 0
            || end.heap_kb - half.heap_kb < HEAP_NOISE_KB + connections * CONNECTION_KB,
        "{} KB more are in use",
        end.heap_kb - half.heap_kb
    );
    // Connections come and go; none is forgotten.
    assert!(
        end.descriptors <= half.descriptors + 8,
        "{}",
        end.descriptors
    );
    // The program's own, and the queue's.
    for taken in [half, end] {
        assert!(taken.threads <= 2, "{}", taken.threads);
    }
}

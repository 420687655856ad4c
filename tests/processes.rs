//! Real processes, killed and forked, through the C API; the service says what it counted.
#![cfg(unix)]

mod c_programs;
mod service;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use c_programs::{build, launch, succeed, surround, text};
use serde_json::json;
use service::*;

const KILLS: u64 = 100;

#[test]
fn what_was_acknowledged_before_kill_9_counts_once() {
    let service = Service::start();
    for (seed, fault) in [
        json!({"fault": "close_before", "probability": 0.1}),
        json!({"fault": "close_after", "probability": 0.2}),
        json!({"fault": "status_after", "status": 500, "probability": 0.2}),
        json!({"fault": "delay", "ms": 20, "probability": 0.2}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        fault["seed"] = seed.into();
        service.fault(fault);
    }
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    let executable = folder.path().join("killed");
    build("killed", &executable);

    let mut acknowledged = HashSet::new();
    let mut next = 0;
    for round in 0..KILLS {
        let mut program = Command::new(&executable);
        surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);
        program.arg(&queue).arg(next.to_string());
        let mut program = program.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap()).lines();
        // At a moment of no meaning: after so many events, and in the middle of another.
        let until = (round * 7_919 % 211) as usize;
        let mut said = 0;
        for line in lines.map_while(Result::ok) {
            said += 1;
            if said == until + 1 {
                program.kill().unwrap();
            }
            // What was said before the kill, to the end of the pipe.
            if let Ok(number) = line.parse::<u64>() {
                acknowledged.insert(number);
                next = number + 1;
            } else {
                panic!("{line}");
            }
        }
        program.wait().unwrap();
        // One may have been kept and not said.
        next += 1;
    }
    service.0.clear_faults();
    let client = service.client(json!({"queue": {"path": queue, "requests_per_second": 1000}}));
    let ending = client.flush(PATIENCE.as_millis() as i64).unwrap();

    assert!(ending.is_done(), "{ending:?} {}", client.stats().unwrap());
    let counted = service.counted();
    assert!(acknowledged.len() > 5_000, "{}", acknowledged.len());
    for number in &acknowledged {
        assert_eq!(counted.get(&number.to_string()), Some(&1), "{number}");
    }
    assert!(counted.values().all(|count| *count <= 1));
}

#[test]
fn forked_children_and_their_parent_share_a_client() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("forked");
    build("forked", &executable);
    let Some(mut program) = launch(&executable) else {
        return;
    };
    surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);
    let output = succeed(&mut program);
    println!("{}", text(&output));
    assert!(text(&output).contains("ok     "));

    let counted = service.counted();
    let of = |name: &str| counted.get(name).copied().unwrap_or(0);
    assert_eq!((of("before-0"), of("parent-0")), (15, 15));
    for child in 0..20 {
        assert_eq!(of(&format!("child-{child}")), 15, "{child}");
    }
    assert_eq!(of("forked"), 34);
    assert_eq!(service.most_in_flight(), 1, "of one lane");
}

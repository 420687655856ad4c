//! Real processes, killed and forked, through the C API; the service says what it counted.
#![cfg(unix)]

mod c_programs;
mod service;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use c_programs::{
    build, executable, is_native, launch_forking, on_windows, start, succeed, surround, text,
};
use serde_json::json;
use service::*;

/// Fewer where a program starts slowly.
fn kills() -> u64 {
    if is_native() { 100 } else { 10 }
}

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
    let executable = executable(folder.path(), "killed");
    build("killed", &executable);

    let mut acknowledged = HashSet::new();
    let mut next = 0;
    for round in 0..kills() {
        let mut program = start(&executable);
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
    assert!(
        acknowledged.len() as u64 > 50 * kills(),
        "{}",
        acknowledged.len()
    );
    for number in &acknowledged {
        assert_eq!(counted.get(&number.to_string()), Some(&1), "{number}");
    }
    assert!(counted.values().all(|count| *count <= 1));
    // Nobody else reads it. wine shows the administrators of a Windows machine as the group.
    let others = if on_windows() { 0o007 } else { 0o077 };
    let mode = std::fs::metadata(&queue).unwrap().permissions().mode();
    assert_eq!(mode & others, 0, "{mode:o}");
}

/// How long processes are killed: ten minutes before a release.
fn seconds_of_kills() -> u64 {
    let asked = std::env::var("TROPHY_TEST_KILL_SECONDS").ok();
    asked.and_then(|it| it.parse().ok()).unwrap_or(10)
}

/// A process that enqueues events of its own users into a queue that it shares.
fn share(executable: &Path, service: &Service, queue: &Path, arguments: &[&str]) -> Child {
    let mut program = start(executable);
    surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);
    program.arg(queue).args(arguments).stdout(Stdio::piped());
    program.spawn().unwrap()
}

#[test]
fn three_processes_on_one_folder_may_be_killed_at_any_time() {
    let service = Service::start();
    for (seed, fault) in [
        json!({"fault": "close_before", "probability": 0.05}),
        json!({"fault": "close_after", "probability": 0.1}),
        json!({"fault": "status_after", "status": 500, "probability": 0.1}),
        json!({"fault": "rate_limited", "retryAfter": "0", "probability": 0.05}),
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
    let executable = executable(folder.path(), "shared_queue");
    build("shared_queue", &executable);

    // Given three processes, each of which is killed at a moment of no meaning and followed by another,
    let end = Instant::now() + Duration::from_secs(seconds_of_kills());
    let keep_killing = |place: u64| {
        let mut acknowledged: HashMap<String, u64> = HashMap::new();
        let (mut kills, mut all_said) = (0, 0);
        // On a slow machine later, once there is something to count.
        let is_over = |kills, said| Instant::now() > end && kills > 1 && said > 33;
        while !is_over(kills, all_said) {
            let name = format!("{place}-{kills}");
            let mut program = share(&executable, &service, &queue, &[&name]);
            let lines = BufReader::new(program.stdout.take().unwrap()).lines();
            let until = ((kills * 7_919 + place * 31) % 977) as usize;
            for (said, line) in lines.map_while(Result::ok).enumerate() {
                if said == until || is_over(kills + 1, all_said) {
                    program.kill().unwrap();
                }
                all_said += 1;
                // What was said before the kill, to the end of the pipe.
                let number: u64 = line.parse().unwrap_or_else(|_| panic!("{line}"));
                *acknowledged.entry(format!("{name}-{number}")).or_default() += 1;
            }
            program.wait().unwrap();
            kills += 1;
        }
        (acknowledged, kills)
    };
    let (mut acknowledged, mut kills) = (HashMap::new(), 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|place| scope.spawn(move || keep_killing(place)))
            .collect();
        for thread in threads {
            let (more, times) = thread.join().unwrap();
            acknowledged.extend(more);
            kills += times;
        }
    });
    // when one delivers what is left,
    service.0.clear_faults();
    let client = service.client(json!({
        "queue": {"path": queue, "coalesce": true, "requests_per_second": 1000}
    }));
    flush(&client);

    // then each event that was acknowledged has counted once. One a process may have been kept and not said.
    let totals = service.totals();
    for (user, count) in &acknowledged {
        let total = totals.get(user).copied().unwrap_or(0.0) as u64;
        assert!(
            (*count..=count + 1).contains(&total),
            "{user}: {total}, not {count}"
        );
    }
    let counted: f64 = totals.values().sum();
    let said: u64 = acknowledged.values().sum();
    assert!(
        counted as u64 <= said + kills,
        "{counted} of {said}, {kills} kills"
    );
    assert!(kills > 3 && said > 100, "{kills} kills, {said} events");
}

/// All threads of a process are stopped, where there is a `/proc` to tell.
fn stands_still(id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next();
        state.is_some_and(|state| state.starts_with('T'))
    })
}

#[test]
fn a_stopped_process_hands_the_queue_over_once_it_is_killed() {
    if on_windows() {
        println!(
            "skipped: wine's locks and those of the test, which is another process, know nothing of each other"
        );
        return;
    }
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    let executable = executable(folder.path(), "shared_queue");
    build("shared_queue", &executable);
    // Given a process that delivers the queue, and is stopped,
    let mut holder = share(&executable, &service, &queue, &["holder", "once"]);
    wait_until("it delivers", || service.events() == 1);
    let signal = |name: &str| {
        let id = holder.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    };
    signal("-STOP");
    // The signal is on its way, and a busy machine lets its threads run on for a while.
    wait_until("it stands still", || stands_still(holder.id()));
    // then another appends, and its events wait.
    let client = service.client(fast(json!({"path": queue})));
    for number in 0..10 {
        enqueue(&client, number);
    }
    let ending = client.flush(1_500).unwrap();
    assert_eq!(service.events(), 1);
    // The first is counted; that this is on record, the process may have been stopped too soon for.
    assert!((10..=11).contains(&ending.undelivered), "{ending:?}");
    // Once it is killed, the other takes over.
    signal("-KILL");
    holder.wait().unwrap();
    flush(&client);
    assert_eq!(service.events(), 11);
}

#[test]
fn forked_children_and_their_parent_share_a_client() {
    if on_windows() {
        println!("skipped: Windows has no fork");
        return;
    }
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let executable = executable(folder.path(), "forked");
    build("forked", &executable);
    let Some(mut program) = launch_forking(&executable) else {
        return;
    };
    surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);
    program.arg(folder.path().join("queue"));
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

//! A small file system of the test's own under a queue, through the C API: full, also while deliveries are put on
//! record, without names left, read-only.
#![cfg(target_os = "linux")]

mod c_programs;
mod service;

use std::process::Command;

use c_programs::{build, succeed, surround, text};
use service::*;

/// How a command gets mounts of its own: as root, or as a user who may have a namespace.
const APART: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];

const MOUNT: &str =
    r#"mount -t tmpfs -o size=400k,nr_inodes=40,mode=700 trophy-test "$0" && exec "$@""#;

fn apart(arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(arguments).args(["sh", "-c", MOUNT]);
    command
}

#[test]
fn a_disk_that_is_full_or_read_only_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let can_mount = |arguments: &&&[&str]| {
        let tried = apart(arguments).arg(&disk).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(arguments) = APART.iter().find(can_mount) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let service = Service::start();
    let executable = folder.path().join("disk-program");
    build("disk", &executable);
    let mut program = apart(arguments);
    surround(&mut program, &service.0.url(), &service.0.admin_url(), KEY);

    let output = text(&succeed(program.arg(&disk).arg(&executable).arg(&disk)));

    let acknowledged: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "))
        .collect();
    assert!(acknowledged.len() > 80, "{output}");
    let counted = service.counted();
    for number in &acknowledged {
        assert_eq!(counted.get(*number), Some(&1), "{number}");
    }
    // Nor does one count that was refused.
    assert_eq!(counted.len(), acknowledged.len());
    // Of some it was not on record that they were delivered.
    let replayed = service.0.ledger()["replayed"].as_u64().unwrap();
    assert!(replayed > 0, "{replayed}");
    for line in output.lines().filter(|line| line.starts_with("ok")) {
        println!("{line}");
    }
}

//! A file system of the test's own under a queue, through the C API: full, also while deliveries are put on record,
//! without names left, read-only; one that breaks under the queue's open files; and a quota.
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

/// Its first argument is the image. The device goes with the mount.
const MOUNT_IMAGE: &str = r#"image=$1; shift; mkfs.ext4 -q -F -b 1024 "$image" 8M &&
    mount -o loop,errors=remount-ro "$image" "$0" &&
    test -e "/sys/fs/ext4/$(basename "$(readlink "/sys/dev/block/$(mountpoint -d "$0")")")/trigger_fs_error" &&
    exec "$@""#;

fn apart(arguments: &[&str], mount: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(arguments).args(["sh", "-c", mount]);
    command
}

fn works(command: &mut Command) -> bool {
    let tried = command.arg("true").output();
    tried.is_ok_and(|tried| tried.status.success())
}

fn surrounded<'a>(program: &'a mut Command, service: &Service) -> &'a mut Command {
    surround(program, &service.0.url(), &service.0.admin_url(), KEY)
}

/// Each event that the program says was acknowledged counted once, and none that was refused. Returns how many.
fn check_counted(service: &Service, output: &str) -> usize {
    let acknowledged: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "))
        .collect();
    let counted = service.counted();
    for number in &acknowledged {
        assert_eq!(counted.get(*number), Some(&1), "{number}");
    }
    let many = counted.values().filter(|count| **count > 0).count();
    assert_eq!(many, acknowledged.len());
    for line in output.lines().filter(|line| line.starts_with("ok")) {
        println!("{line}");
    }
    acknowledged.len()
}

/// Events of which it was not on record that they were delivered: they came again, and did not count again.
fn replayed(service: &Service) -> u64 {
    service.0.ledger()["replayed"].as_u64().unwrap()
}

#[test]
fn a_disk_that_is_full_or_read_only_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let can_mount = |arguments: &&&[&str]| works(apart(arguments, MOUNT).arg(&disk));
    let Some(arguments) = APART.iter().find(can_mount) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let service = Service::start();
    let executable = folder.path().join("disk-program");
    build("disk", &executable);
    let mut program = apart(arguments, MOUNT);
    surrounded(&mut program, &service);

    let output = text(&succeed(program.arg(&disk).arg(&executable).arg(&disk)));

    assert!(check_counted(&service, &output) > 80, "{output}");
    assert!(replayed(&service) > 0);
}

#[test]
fn a_disk_that_breaks_under_open_files_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let image = folder.path().join("image");
    if !works(apart(&["--mount"], MOUNT_IMAGE).arg(&disk).arg(&image)) {
        println!("skipped: no image of ext4 can be mounted and broken here");
        return;
    }
    let service = Service::start();
    let executable = folder.path().join("disk-program");
    build("broken_disk", &executable);
    let mut program = apart(&["--mount"], MOUNT_IMAGE);
    surrounded(&mut program, &service)
        .args([&disk, &image, &executable])
        .args([&disk, &image]);

    let output = text(&succeed(&mut program));

    assert_eq!(check_counted(&service, &output), 70, "{output}");
    assert!(replayed(&service) >= 4);
}

#[test]
fn a_quota_that_is_reached_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start();
    let executable = folder.path().join("quota");
    build("quota", &executable);
    let mut program = Command::new(&executable);
    surrounded(&mut program, &service);

    let output = text(&succeed(program.arg(folder.path())));

    if let Some(why) = output.lines().find(|line| line.starts_with("skipped:")) {
        println!("{why}");
        return;
    }
    assert!(check_counted(&service, &output) > 130, "{output}");
    assert_eq!(replayed(&service), 100);
}

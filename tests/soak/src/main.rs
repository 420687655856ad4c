//! The long run: several processes of `client.c` on shared queues and queues of their own, against the sandbox, with
//! every trouble at random; and at the end what was acknowledged compared with what the service counted.
//!
//!   trophy-soak EVENTS SEED SECONDS FOLDER
//!
//! It ends once so many events are acknowledged, or after so many seconds, and writes its figures to
//! FOLDER/soak.json. The seed decides what is done when; what the machine makes of it is the machine's.

mod books;
mod figures;
mod hosts;
mod page;
mod trouble;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trophy_sandbox::{Options, Sandbox};

use books::Books;
use hosts::{Hosts, QUEUES};
use page::Page;
use trouble::Trouble;

/// So much room have all the queues, where a disk of our own can be had.
const DISK_BYTES: u64 = 64 << 20;

struct Asked {
    events: u64,
    seed: u64,
    seconds: u64,
    folder: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [events, seed, seconds, folder] = &arguments[..] else {
        eprintln!("usage: trophy-soak EVENTS SEED SECONDS FOLDER");
        return ExitCode::from(2);
    };
    let (Ok(events), Ok(seed), Ok(seconds)) = (events.parse(), seed.parse(), seconds.parse())
    else {
        eprintln!("trophy-soak: EVENTS, SEED and SECONDS are numbers");
        return ExitCode::from(2);
    };
    let asked = Asked {
        events,
        seed,
        seconds,
        folder: folder.into(),
    };
    match run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("trophy-soak: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all that was promised is so.
fn run(asked: &Asked) -> Result<bool, String> {
    println!(
        "{} events, seed {}, {} s at most",
        asked.events, asked.seed, asked.seconds
    );
    let work = asked.folder.join("soak");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work).map_err(|why| format!("{}: {why}", work.display()))?;
    let work = std::fs::canonicalize(&work).map_err(|why| why.to_string())?;
    let disk = Disk::mount(work.join("disk"))?;
    if !disk.is_own {
        println!("skipped: a full disk: no file system can be mounted here");
    }

    let books = Arc::new(Books::default());
    let sandbox = Sandbox::start(Options {
        observer: Some(Arc::clone(&books) as _),
        ..Options::default()
    })?;
    let page = Page::new(&work.join("page")).map_err(|why| why.to_string())?;
    let hosts = Hosts::new(&work, &disk.folder, &sandbox, Arc::clone(&books))?;
    page.set_mean_pause(mean_pause(asked));
    let mut trouble = Trouble::new(asked.seed, &sandbox, &page, &books);

    let start = Instant::now();
    let end = start + Duration::from_secs(asked.seconds);
    std::thread::scope(|scope| {
        hosts.start(scope, asked.seed);
        let mut told = start;
        while books.acknowledged() < asked.events && Instant::now() < end {
            trouble.go_on(&hosts, disk.is_own.then_some(disk.folder.as_path()));
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                println!(
                    "{:6} s: {} acknowledged, {} counted",
                    start.elapsed().as_secs(),
                    books.acknowledged(),
                    books.counted()
                );
            }
        }
        trouble.end(&hosts);
        page.stop();
    });
    let lived = start.elapsed();
    // What is left in the folders, with no trouble but the poison.
    page.go_on();
    std::thread::scope(|scope| {
        for queue in QUEUES {
            scope.spawn(|| hosts.deliver_the_rest(queue));
        }
    });
    let verdict = figures::judge(&books, &sandbox, &trouble, &disk.folder);
    let all_is_well = figures::print(&verdict, asked.seed, lived, start.elapsed());
    let file = asked.folder.join("soak.json");
    std::fs::write(&file, format!("{:#}\n", verdict.figures))
        .map_err(|why| format!("{}: {why}", file.display()))?;
    drop(sandbox);
    Ok(all_is_well)
}

/// Between two bursts of a hundred events, so that all of them take most of the time there is.
fn mean_pause(asked: &Asked) -> Duration {
    const BURST: f64 = 100.0;
    /// Of the time that is asked for; the rest is for what goes slowly under trouble.
    const SHARE: f64 = 0.5;
    let hosts: usize = QUEUES.iter().map(|queue| queue.hosts).sum();
    // Each has two threads.
    let bursts = asked.events as f64 / BURST / (2 * hosts) as f64;
    Duration::from_secs_f64(asked.seconds as f64 * SHARE / bursts.max(1.0))
}

/// A file system of our own, small, gone with the run.
struct Disk {
    folder: PathBuf,
    is_own: bool,
}

impl Disk {
    fn mount(folder: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let size = format!("size={DISK_BYTES},mode=700");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "trophy-soak"])
            .arg(&folder)
            .output();
        let is_own = mount.is_ok_and(|mount| mount.status.success());
        Ok(Self { folder, is_own })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_own {
            unmount(&self.folder);
        }
    }
}

fn unmount(folder: &Path) {
    // If it fails, the file system goes with the namespace it was mounted in.
    let _ = Command::new("umount").arg("-l").arg(folder).status();
}

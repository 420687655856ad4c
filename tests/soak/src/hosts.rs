//! The processes that use the library: each is followed by another with the same name, until the run is over.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use rustix::process::{Pid, Signal, kill_process};
use trophy_sandbox::Sandbox;

use crate::books::Books;

pub struct Queue {
    pub name: &'static str,
    pub hosts: usize,
    pub requests_per_second: usize,
    /// The other options of the queue.
    options: &'static str,
}

pub const QUEUES: &[Queue] = &[
    Queue {
        name: "shared",
        hosts: 3,
        requests_per_second: 20,
        options: r#""delivery": "batch", "batch_size": 400, "max_bytes": 4000000, "max_events": 8000"#,
    },
    Queue {
        name: "auto",
        hosts: 2,
        requests_per_second: 50,
        options: r#""max_bytes": 2000000, "max_events": 4000"#,
    },
    Queue {
        name: "single",
        hosts: 1,
        requests_per_second: 200,
        options: r#""delivery": "single", "max_bytes": 500000, "max_events": 1000"#,
    },
    Queue {
        name: "merged",
        hosts: 2,
        requests_per_second: 20,
        options: r#""coalesce": true, "max_bytes": 2000000, "max_events": 4000"#,
    },
    Queue {
        name: "power",
        hosts: 1,
        requests_per_second: 10,
        options: r#""durability": "power", "max_bytes": 2000000, "max_events": 4000"#,
    },
];

/// The queue that a host's name tells.
pub fn queue_of(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

pub struct Hosts {
    executable: PathBuf,
    libraries: PathBuf,
    page: PathBuf,
    disk: PathBuf,
    urls: [String; 2],
    books: Arc<Books>,
    slots: Vec<Slot>,
    is_over: AtomicBool,
}

struct Slot {
    queue: usize,
    name: String,
    /// The process that runs here; none between two.
    running: Mutex<Option<Pid>>,
}

impl Hosts {
    /// Compiles the program, and keeps a copy of the library beside it that no build replaces.
    pub fn new(
        work: &Path,
        disk: &Path,
        sandbox: &Sandbox,
        books: Arc<Books>,
    ) -> Result<Self, String> {
        let built = std::env::current_exe().map_err(|why| why.to_string())?;
        let built = built.with_file_name("libtrophy.so");
        for name in ["libtrophy.so", "libtrophy.so.1"] {
            std::fs::copy(&built, work.join(name))
                .map_err(|why| format!("{}: {why}", built.display()))?;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let executable = work.join("client");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(&compiler)
            .args(["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"])
            .arg("-I")
            .arg(root.join("../../include"))
            .arg(root.join("client.c"))
            .arg("-o")
            .arg(&executable)
            .arg("-L")
            .arg(work)
            .args(["-ltrophy", "-pthread", "-ldl"])
            .status()
            .map_err(|why| format!("{compiler}: {why}"))?;
        if !compiled.success() {
            return Err(format!("{compiler} failed"));
        }
        let mut slots = Vec::new();
        for (queue, kind) in QUEUES.iter().enumerate() {
            slots.extend((0..kind.hosts).map(|number| Slot {
                queue,
                name: format!("{}-{number}", kind.name),
                running: Mutex::default(),
            }));
        }
        Ok(Self {
            executable,
            libraries: work.to_owned(),
            page: work.join("page"),
            disk: disk.to_owned(),
            urls: [sandbox.url(), sandbox.admin_url()],
            books,
            slots,
            is_over: AtomicBool::new(false),
        })
    }

    fn spawn(&self, queue: &Queue, name: &str, life: u64, seed: &str) -> Child {
        let mut command = Command::new(&self.executable);
        for variable in ["http_proxy", "https_proxy", "all_proxy"] {
            command
                .env_remove(variable)
                .env_remove(variable.to_uppercase());
        }
        command
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("TROPHY_BASE_URL", &self.urls[0])
            .env("TROPHY_ADMIN_BASE_URL", &self.urls[1])
            .arg(&self.page)
            .arg(self.disk.join(queue.name))
            .args([name, &life.to_string(), seed])
            .arg(format!(
                "\"requests_per_second\": {}, {}",
                queue.requests_per_second, queue.options
            ))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Hears what a process says until it and its children are gone.
    fn hear(&self, name: &str, process: &mut Child) {
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        for line in lines.map_while(Result::ok) {
            self.books.hear(name, &line);
        }
    }

    /// Keeps a process in each slot.
    pub fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, seed: u64) {
        for (number, slot) in self.slots.iter().enumerate() {
            scope.spawn(move || {
                for life in 1.. {
                    let of_life =
                        fastrand::Rng::with_seed(seed ^ life << 8 ^ number as u64).u32(1..);
                    let mut running = slot.running.lock().expect("no panic");
                    if self.is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let kind = &QUEUES[slot.queue];
                    let mut process = self.spawn(kind, &slot.name, life, &of_life.to_string());
                    *running = Pid::from_raw(process.id() as i32);
                    drop(running);
                    self.books.note("processes");
                    self.hear(&slot.name, &mut process);
                    // Before it is waited for: then another process may get its number.
                    *slot.running.lock().expect("no panic") = None;
                    let status = process.wait().expect("a process ends");
                    if status.signal() != Some(Signal::KILL.as_raw()) && !status.success() {
                        self.books.fail(format!("{} ended: {status}", slot.name));
                    }
                }
            });
        }
    }

    /// No process is followed by another any more; none is killed.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            self.signal(slot, Signal::CONT);
        }
    }

    fn signal(&self, slot: &Slot, signal: Signal) -> bool {
        let mut running = slot.running.lock().expect("no panic");
        let Some(pid) = *running else { return false };
        let is_there = kill_process(pid, signal).is_ok();
        if signal == Signal::KILL {
            self.books.note_end(QUEUES[slot.queue].name);
            *running = None;
        }
        is_there
    }

    /// Kills one: by preference the one that drains its queue.
    pub fn kill_one(&self, random: &mut fastrand::Rng) {
        let queue = random.usize(0..QUEUES.len());
        let of_queue: Vec<&Slot> = self.slots.iter().filter(|it| it.queue == queue).collect();
        let drainer = drainer(&self.disk.join(QUEUES[queue].name));
        let drains = |slot: &&&Slot| {
            let running = slot.running.lock().expect("no panic");
            running.is_some() && *running == drainer
        };
        let found = of_queue.iter().find(drains).copied();
        let prefers = random.u8(..) < 200;
        let (slot, what) = match found.filter(|_| prefers) {
            Some(slot) => (slot, "kill -9 of the one that drains"),
            None => (of_queue[random.usize(0..of_queue.len())], "kill -9"),
        };
        if self.signal(slot, Signal::KILL) {
            self.books.note(what);
        }
    }

    /// Stops one for a while.
    pub fn stop_one(&self, random: &mut fastrand::Rng) -> usize {
        let number = random.usize(0..self.slots.len());
        if self.signal(&self.slots[number], Signal::STOP) {
            self.books.note("stopped for a while");
        }
        number
    }

    pub fn let_go_on(&self, number: usize) {
        self.signal(&self.slots[number], Signal::CONT);
    }

    pub fn deliver_the_rest(&self, queue: &Queue) {
        let name = format!("{}-rest", queue.name);
        let mut process = self.spawn(queue, &name, 0, "-");
        self.hear(&name, &mut process);
        let status = process.wait().expect("a process ends");
        if !status.success() {
            self.books.fail(format!("{name} ended: {status}"));
        }
    }
}

/// Who holds the lock of the folder's drain.
fn drainer(folder: &Path) -> Option<Pid> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(folder.join("drain.lock")).ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let ending = format!(":{inode}");
    let line = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|words| words.get(5).is_some_and(|file| file.ends_with(&ending)))?;
    Pid::from_raw(line.get(4)?.parse().ok()?)
}

//! A fork in a model: that of the system. A model's threads are all run by one of the system's, so a child has each of
//! them as it was at that moment, with the locks that it held. From there on only the one that forked goes on in the
//! child, and those that it starts: what waits for another waits for ever, and fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use shuttle::current::TaskId;
use shuttle::scheduler::{Schedule, Scheduler, Task};

use super::{Order, orders, run_in_many_orders};

/// The process that runs the models.
static PARENT: AtomicU32 = AtomicU32::new(0);
/// The thread that forks, and the youngest that there was before.
static FORKING: AtomicUsize = AtomicUsize::new(0);
static YOUNGEST: AtomicUsize = AtomicUsize::new(0);

/// How a child ends in which something failed, and one in which nobody can go on.
const FAILED: i32 = 1;
const STUCK: i32 = 2;
/// Seconds after which a child is ended that neither goes on nor waits.
const LONGEST: u32 = 100;

/// Runs a model that forks, as [`super::in_many_orders`] does others, but a fifth as often, since each time a process is
/// made; one such model at a time.
pub fn in_many_orders(model: impl Fn() + Send + Sync + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    PARENT.store(std::process::id(), Ordering::SeqCst);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        run_in_many_orders(model, orders() / 5, Forked)
    }));
    if let Err(panic) = ran {
        if is_child() {
            end_child(STUCK);
        }
        resume_unwind(panic);
    }
}

/// Forks here. The child runs `child` and ends; then the parent goes on.
pub fn fork(child: impl FnOnce()) {
    FORKING.store(shuttle::current::me().into(), Ordering::SeqCst);
    // SAFETY: the child is a copy of a program with one thread that is at work: the test's other threads wait for this
    // one, and hold no lock.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: a plain system call.
        unsafe { libc::alarm(LONGEST) };
        let Err(panic) = catch_unwind(AssertUnwindSafe(child)) else {
            end_child(0);
        };
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        say(words.unwrap_or("no words"));
        end_child(FAILED);
    }
    let mut status = 0;
    // SAFETY: room for the answer.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => {}
        (true, STUCK) => panic!("a child waits for a thread that it does not have"),
        _ => panic!("a child failed: {status:#x}"),
    }
}

fn is_child() -> bool {
    std::process::id() != PARENT.load(Ordering::SeqCst)
}

fn end_child(code: i32) -> ! {
    // SAFETY: a plain system call.
    unsafe { libc::_exit(code) }
}

/// Not by `eprint`, which a test's own output catches.
fn say(words: &str) {
    let line = format!("a child failed: {words}\n");
    // SAFETY: so many bytes, borrowed for the call.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

struct Forked;

impl Order for Forked {
    fn of<S: Scheduler + 'static>(&self, scheduler: S) -> impl Scheduler + 'static {
        OnlyOwn(scheduler)
    }
}

/// Chooses in a child among its own threads only.
struct OnlyOwn<S>(S);

impl<S: Scheduler> Scheduler for OnlyOwn<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        YOUNGEST.store(0, Ordering::SeqCst);
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let id = |task: &&Task| usize::from(task.id());
        if !is_child() {
            // Who is started can run at once, so each is seen here.
            let youngest = runnable.iter().map(id).max().unwrap_or(0);
            YOUNGEST.fetch_max(youngest, Ordering::SeqCst);
            return self.0.next_task(runnable, current, is_yielding);
        }
        let (forking, youngest) = (
            FORKING.load(Ordering::SeqCst),
            YOUNGEST.load(Ordering::SeqCst),
        );
        let is_own = |task: &&Task| id(task) == forking || id(task) > youngest;
        let own: Vec<&Task> = runnable.iter().copied().filter(is_own).collect();
        if own.is_empty() {
            end_child(STUCK);
        }
        self.0.next_task(&own, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

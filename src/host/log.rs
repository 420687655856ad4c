//! The log callback: the one global of the library, and its only way to say anything. That no line holds a key is its
//! writers' affair: `delivery/api_key.rs` shows none, and blots it out of what a server said.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use arc_swap::ArcSwapOption;

use crate::host::sys;

/// How much is logged. A level includes those above it.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// Something was lost or refused: a dead event, a damaged file, a bug in the library.
    Error = 1,
    /// Something to look at: a paused queue, a call given up, a rate limit met.
    Warn = 2,
    /// Turning points: a client made or closed, a queue taken over.
    Info = 3,
    /// Each attempt of each request.
    Debug = 4,
}

impl LogLevel {
    /// The level of a number from C; a larger one means everything.
    pub fn from_number(number: i32) -> Self {
        match number {
            i32::MIN..=0 => Self::Off,
            1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4.. => Self::Debug,
        }
    }
}

/// What the host wants to be called with.
pub type Sink = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

type Lines = Vec<(LogLevel, String)>;

struct Slot {
    sink: Sink,
    /// Readers of another generation are gone without letting go of the slot.
    generation: u32,
}

static LEVEL: AtomicI32 = AtomicI32::new(LogLevel::Off as i32);
static SLOT: ArcSwapOption<Slot> = ArcSwapOption::const_empty();

thread_local! {
    static LOGGING: Cell<bool> = const { Cell::new(false) };
    /// The lines that a [`Deferred`] keeps, if there is one. Without a destructor, so that they are kept while a thread,
    /// or the process, ends, too: [`Deferred`] empties it.
    static DEFERRED: ManuallyDrop<RefCell<Option<Lines>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Replaces the sink. When it returns, the sink before it is not running in any thread and never
/// will, unless the caller is inside it.
pub fn set(level: LogLevel, sink: Option<Sink>) {
    let level = if sink.is_some() { level } else { LogLevel::Off };
    LEVEL.store(level as i32, Ordering::SeqCst);
    let before = SLOT.swap(sink.map(|sink| {
        Arc::new(Slot {
            sink,
            generation: sys::generation(),
        })
    }));
    if let Some(before) = before
        && !LOGGING.get()
        && before.generation == sys::generation()
        && !sys::is_process_ending()
    {
        while Arc::strong_count(&before) > 1 {
            std::thread::yield_now();
        }
    }
}

/// Registers what a thread has for its look at the slot, which takes the lock of the system's loader: at the beginning of
/// a thread of the library, and never later. All else that has a destructor is std's, which is early too.
pub fn prepare_thread() {
    drop(SLOT.load());
}

pub fn enabled(level: LogLevel) -> bool {
    level as i32 <= LEVEL.load(Ordering::Relaxed)
}

/// Logs what `message` makes, which is not called when nobody listens.
pub fn log(level: LogLevel, message: impl FnOnce() -> String) {
    if !enabled(level) || LOGGING.get() {
        return;
    }
    let Some(slot) = SLOT.load_full() else { return };
    let Some(message) = keep(level, one_line(message())) else {
        return;
    };
    LOGGING.set(true);
    let _guard = Logging;
    (slot.sink)(level, &message);
}

/// What a server says may hold line breaks, which would look like lines of ours, and what moves a terminal.
fn one_line(message: String) -> String {
    let is_unfit = |it: char| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}');
    if !message.contains(is_unfit) {
        return message;
    }
    let mut line = String::with_capacity(message.len() + 16);
    for it in message.chars() {
        match is_unfit(it) {
            true => line.extend(it.escape_default()),
            false => line.push(it),
        }
    }
    line
}

/// Keeps this thread's lines until it is dropped: for code that holds a lock, since the host's callback may call the
/// library, or wait for a thread that does.
#[must_use]
pub struct Deferred {
    /// There was one already, which keeps them.
    is_inner: bool,
}

pub fn defer() -> Deferred {
    let is_first = DEFERRED.with(|lines| {
        let mut lines = lines.borrow_mut();
        let is_first = lines.is_none();
        lines.get_or_insert_default();
        is_first
    });
    Deferred {
        is_inner: !is_first,
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if self.is_inner {
            return;
        }
        let lines = DEFERRED.with(|lines| lines.take());
        for (level, message) in lines.unwrap_or_default() {
            log(level, || message);
        }
    }
}

/// Gives a line to the [`Deferred`] of this thread, or back if there is none.
fn keep(level: LogLevel, message: String) -> Option<String> {
    let mut line = Some(message);
    DEFERRED.with(|lines| {
        if let Some(lines) = &mut *lines.borrow_mut() {
            lines.extend(line.take().map(|message| (level, message)));
        }
    });
    line
}

/// Whether this thread is inside the log callback.
pub fn is_logging() -> bool {
    LOGGING.get()
}

struct Logging;

impl Drop for Logging {
    fn drop(&mut self) {
        LOGGING.set(false);
    }
}

pub fn error(message: impl FnOnce() -> String) {
    log(LogLevel::Error, message);
}

pub fn warn(message: impl FnOnce() -> String) {
    log(LogLevel::Warn, message);
}

pub fn info(message: impl FnOnce() -> String) {
    log(LogLevel::Info, message);
}

pub fn debug(message: impl FnOnce() -> String) {
    log(LogLevel::Debug, message);
}

//! The threads of the library. They can be waited for also where a library is unloaded: the destructors of a plug-in's
//! global objects run with the lock of the system's loader held (`DllMain`, `dlclose()`), without which no thread begins,
//! nor on Windows ends.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::locks::{Builder, Condvar, JoinHandle, Mutex, is_finished, lock, wait_until};
use super::{log, sys};

/// How long threads have to begin, once they are waited for: it may be that they cannot.
const BEGINNING: Duration = Duration::from_secs(3);

/// A thread of the library.
pub struct Thread {
    handle: JoinHandle<()>,
    beginning: Arc<Beginning>,
}

type Body = Box<dyn FnOnce() + Send>;

/// What the thread is to do, until it does it.
struct Beginning {
    body: Mutex<Option<Body>>,
    begun: Condvar,
}

impl Beginning {
    fn begin(&self) {
        let body = lock(&self.body).take();
        self.begun.notify_all();
        if let Some(body) = body {
            body();
        }
    }

    /// Waits until it has begun. One that has not by then will do nothing, and this is what it would have done.
    fn wait(&self, until: Instant) -> Option<Body> {
        let mut body = lock(&self.body);
        while body.is_some() && Instant::now() < until {
            body = wait_until(&self.begun, body, Some(until));
        }
        body.take()
    }
}

/// Starts a thread of the library. It takes no signals that are sent to the process, which are the host's:
/// its handlers run on its own threads.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let builder = Builder::new().name(name.to_owned());
    let beginning = Arc::new(Beginning {
        body: Mutex::new(Some(Box::new(body))),
        begun: Condvar::new(),
    });
    let own = Arc::clone(&beginning);
    let run = move || {
        log::prepare_thread();
        own.begin();
    };
    let handle = sys::with_signals_blocked(|| builder.spawn(run))?;
    Ok(Thread { handle, beginning })
}

impl Thread {
    pub fn is_finished(&self) -> bool {
        is_finished(&self.handle)
    }

    /// Waits until they have done all that they do.
    pub fn join_all(threads: Vec<Self>) {
        let until = Instant::now() + BEGINNING;
        for thread in threads {
            if thread.beginning.wait(until).is_none() {
                wait_for_end(thread.handle);
            }
        }
    }
}

#[cfg(not(windows))]
fn wait_for_end(handle: JoinHandle<()>) {
    // One that panicked has been logged.
    let _ = handle.join();
}

/// Of a thread that is done, its end is waited for a moment only.
#[cfg(windows)]
fn wait_for_end(handle: JoinHandle<()>) {
    const MOMENT: Duration = Duration::from_millis(10);
    while !sys::wait_for_thread(&handle, MOMENT) && !is_finished(&handle) {}
}

//! The threads of the library.

use std::io;

use super::with_signals_blocked;
use crate::host::locks::{Builder, JoinHandle, is_finished};

/// A thread of the library.
pub struct Thread {
    handle: JoinHandle<()>,
    #[cfg(windows)]
    body: windows::Body,
}

/// Starts a thread of the library. It takes no signals that are sent to the process, which are the host's:
/// its handlers run on its own threads.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let builder = Builder::new().name(name.to_owned());
    #[cfg(windows)]
    let (kept, body) = windows::Body::new(body);
    let handle = with_signals_blocked(|| builder.spawn(body))?;
    Ok(Thread {
        handle,
        #[cfg(windows)]
        body: kept,
    })
}

impl Thread {
    pub fn is_finished(&self) -> bool {
        is_finished(&self.handle)
    }

    /// Waits until it has done all that it does.
    #[cfg(not(windows))]
    pub fn join(self) {
        // One that panicked has been logged.
        let _ = self.handle.join();
    }

    /// Waits until it has done all that it does, and a moment more for its end. In `DllMain`, where a DLL's global
    /// objects are destroyed, no thread begins or ends: both take the loader's lock, which the caller holds. So one
    /// that has not begun by then never does anything.
    #[cfg(windows)]
    pub fn join(self) {
        loop {
            let is_over = windows::wait_for_end(&self.handle) || self.is_finished();
            if is_over || self.body.take().is_some() {
                return;
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::io::AsRawHandle;
    use std::sync::Arc;

    use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
    use windows_sys::Win32::System::Threading::WaitForSingleObject;

    use crate::host::locks::{JoinHandle, Mutex, lock};

    type Function = Box<dyn FnOnce() + Send>;

    /// What a thread is to do, until it begins.
    pub struct Body(Arc<Mutex<Option<Function>>>);

    impl Body {
        /// Also what the thread runs.
        pub fn new(body: impl FnOnce() + Send + 'static) -> (Self, impl FnOnce() + Send) {
            let body: Function = Box::new(body);
            let kept = Self(Arc::new(Mutex::new(Some(body))));
            let other = Self(Arc::clone(&kept.0));
            let run = move || {
                if let Some(body) = other.take() {
                    body();
                }
            };
            (kept, run)
        }

        pub fn take(&self) -> Option<Function> {
            lock(&self.0).take()
        }
    }

    /// False if it has not ended after a moment.
    pub fn wait_for_end(handle: &JoinHandle<()>) -> bool {
        const MILLISECONDS: u32 = 10;
        // SAFETY: a valid handle, which is open as long as it is borrowed.
        unsafe { WaitForSingleObject(handle.as_raw_handle(), MILLISECONDS) == WAIT_OBJECT_0 }
    }
}

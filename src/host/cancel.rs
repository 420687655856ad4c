//! The cancel token of one call: whoever holds a clone can end the call from another thread, whatever it waits for.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::host::locks::{Condvar, Mutex, lock, wait_until};

/// Shared by the thread that makes a call and those that may cancel it: clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The socket the call uses at the moment, shut down by [`CancelToken::cancel`].
    socket: Option<Arc<TcpStream>>,
}

/// The call was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl CancelToken {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_cancelled(&self) -> bool {
        lock(&self.0.state).cancelled
    }

    /// Ends the call: wakes its waits and shuts its socket down. Again does nothing.
    pub fn cancel(&self) {
        let mut state = lock(&self.0.state);
        state.cancelled = true;
        if let Some(socket) = state.socket.take() {
            // An error means that the socket is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// The call uses `socket` from here on. It must not, once cancelled.
    pub fn attach(&self, socket: Arc<TcpStream>) -> Result<(), Cancelled> {
        let mut state = lock(&self.0.state);
        if state.cancelled {
            return Err(Cancelled);
        }
        state.socket = Some(socket);
        Ok(())
    }

    /// The call no longer uses its socket, which may go back to the pool. True: it was cancelled before.
    pub fn detach(&self) -> bool {
        let mut state = lock(&self.0.state);
        state.socket = None;
        state.cancelled
    }

    /// Lets [`Self::wait`] look at its condition again.
    pub fn wake(&self) {
        // Taken, so that a wait that has looked and does not sleep yet hears it.
        drop(lock(&self.0.state));
        self.0.changed.notify_all();
    }

    /// Waits until `is_ready`; false if `until` passed first (`None`: never).
    pub fn wait(
        &self,
        until: Option<Instant>,
        is_ready: impl Fn() -> bool,
    ) -> Result<bool, Cancelled> {
        let mut state = lock(&self.0.state);
        loop {
            if state.cancelled {
                return Err(Cancelled);
            }
            if is_ready() {
                return Ok(true);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(false);
            }
            state = wait_until(&self.0.changed, state, until);
        }
    }

    /// Waits until `until`, or until cancelled.
    pub fn sleep_until(&self, until: Instant) -> Result<(), Cancelled> {
        self.wait(Some(until), || false).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::time::Duration;

    #[test]
    fn cancel_ends_a_sleep_and_a_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let token = CancelToken::new();
        token.attach(Arc::clone(&socket)).unwrap();

        // On Windows a shutdown wakes nobody: there a read is short, and looks for a cancel.
        let reader = std::thread::spawn(move || match cfg!(unix) {
            true => (&*socket).read(&mut [0]).map_err(|e| e.kind()),
            false => Ok(0),
        });
        let sleeper = {
            let token = token.clone();
            std::thread::spawn(move || {
                token.sleep_until(Instant::now() + Duration::from_secs(3600))
            })
        };
        token.cancel();

        assert_eq!(reader.join().unwrap(), Ok(0));
        assert_eq!(sleeper.join().unwrap(), Err(Cancelled));
    }

    #[test]
    fn a_cancelled_call_gets_no_further_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let token = CancelToken::new();
        token.cancel();
        assert_eq!(token.attach(Arc::new(socket)), Err(Cancelled));
    }
}

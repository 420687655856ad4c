//! The cancel switch of one call: whoever holds it can end the call from another thread, whatever it waits for.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::host::locks::{deadline, lock, wait_until};

/// Shared by the thread that makes a call and those that may cancel it: clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The lane that the call waited for is its own.
    granted: bool,
    /// The socket the call uses at the moment, shut down by [`Control::cancel`].
    socket: Option<Arc<TcpStream>>,
}

/// The call was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl Control {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the two are one switch.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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

    /// Waits for `pause`, or until cancelled.
    pub fn sleep(&self, pause: Duration) -> Result<(), Cancelled> {
        let until = deadline(pause);
        let mut state = lock(&self.0.state);
        loop {
            if state.cancelled {
                return Err(Cancelled);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(());
            }
            state = wait_until(&self.0.changed, state, until);
        }
    }

    /// Hands the call the lane that it waits for.
    pub fn grant(&self) {
        lock(&self.0.state).granted = true;
        self.0.changed.notify_all();
    }

    /// Waits for [`Control::grant`]; false if `until` passed first.
    pub fn wait_for_grant(&self, until: Instant) -> Result<bool, Cancelled> {
        let mut state = lock(&self.0.state);
        loop {
            if state.cancelled {
                return Err(Cancelled);
            }
            if state.granted {
                return Ok(true);
            }
            if until <= Instant::now() {
                return Ok(false);
            }
            state = wait_until(&self.0.changed, state, Some(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn cancel_ends_a_sleep_and_a_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let control = Control::new();
        control.attach(Arc::clone(&socket)).unwrap();

        let reader = std::thread::spawn(move || (&*socket).read(&mut [0]).map_err(|e| e.kind()));
        let sleeper = {
            let control = control.clone();
            std::thread::spawn(move || control.sleep(Duration::from_secs(3600)))
        };
        control.cancel();

        assert_eq!(reader.join().unwrap(), Ok(0));
        assert_eq!(sleeper.join().unwrap(), Err(Cancelled));
    }

    #[test]
    fn a_cancelled_call_gets_no_further_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let control = Control::new();
        control.cancel();
        assert_eq!(control.attach(Arc::new(socket)), Err(Cancelled));
    }
}

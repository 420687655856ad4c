//! The system calls that std does not offer, and the only `unsafe` outside `ffi`: noticing a fork,
//! sockets that must not wait or wait for one another, and a thread that takes no signals.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the one that loaded the library. What a process made
/// (threads, connections, locks) belongs to its generation and is not touched in another.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Starts a thread of the library. It takes no signals that are sent to the process, which are the host's:
/// its handlers run on its own threads.
pub fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    with_signals_blocked(|| builder.spawn(body))
}

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use super::GENERATION;
    use crate::host::sys_files::list;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::Once;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    /// From here on a forked child has a generation of its own. `pthread_atfork` rather than
    /// `getpid()`, which is a system call for every event.
    pub fn watch_forks() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: `in_child` only touches atomics and a lock that this thread took before the fork, and
            // calls close(), as a child of a threaded process may. The library is linked with -z nodelete,
            // so it outlives dlclose().
            unsafe {
                libc::pthread_atfork(
                    Some(list::before_fork),
                    Some(list::after_fork_in_parent),
                    Some(in_child),
                )
            };
        });
    }

    unsafe extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        list::after_fork_in_child();
    }

    /// What a thread must hear itself: its own faults, which crash reporters handle, and what profilers
    /// and the garbage collectors of the host's language (Go's, Mono's, Boehm's) stop threads with.
    const OF_A_THREAD: &[libc::c_int] = &[
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGABRT,
        libc::SIGPROF,
        libc::SIGURG,
        libc::SIGXCPU,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::SIGPWR,
    ];

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn real_time() -> impl Iterator<Item = libc::c_int> {
        libc::SIGRTMIN()..=libc::SIGRTMAX()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn real_time() -> impl Iterator<Item = libc::c_int> {
        std::iter::empty()
    }

    /// A new thread inherits the mask of the one that makes it.
    pub(super) fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
        // SAFETY: both sets are made by sigfillset and pthread_sigmask before they are read.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            for signal in OF_A_THREAD.iter().copied().chain(real_time()) {
                libc::sigdelset(&mut all, signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            let result = action();
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
            result
        }
    }

    /// Reads from a socket what there is, and waits for nothing ([`io::ErrorKind::WouldBlock`]).
    pub fn read_now(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        receive(stream, buffer, libc::MSG_DONTWAIT)
    }

    /// Reads a byte from a socket, if there is one, and leaves it there.
    pub fn peek_now(stream: &TcpStream) -> io::Result<usize> {
        receive(stream, &mut [0], libc::MSG_DONTWAIT | libc::MSG_PEEK)
    }

    fn receive(stream: &TcpStream, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
        // SAFETY: a buffer of that length, borrowed for the call.
        let amount = unsafe {
            let start = buffer.as_mut_ptr().cast();
            libc::recv(stream.as_raw_fd(), start, buffer.len(), flags)
        };
        usize::try_from(amount).map_err(|_| io::Error::last_os_error())
    }

    /// Writes to a socket what it has room for, and waits for nothing ([`io::ErrorKind::WouldBlock`]).
    pub fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        /// A peer that is gone is an error, not a signal. Apple's sockets have an option for that, which
        /// socket2 sets.
        #[cfg(not(target_vendor = "apple"))]
        const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        #[cfg(target_vendor = "apple")]
        const FLAGS: libc::c_int = libc::MSG_DONTWAIT;
        // SAFETY: bytes of that length, borrowed for the call.
        let amount = unsafe {
            let start = bytes.as_ptr().cast();
            libc::send(stream.as_raw_fd(), start, bytes.len(), FLAGS)
        };
        usize::try_from(amount).map_err(|_| io::Error::last_os_error())
    }

    /// Sockets to be waited for together.
    #[derive(Default)]
    pub struct PollSet(Vec<libc::pollfd>);

    impl PollSet {
        /// Adds a socket to be waited for, until it has room to write in or something to read. The
        /// socket must stay open until after [`Self::wait`].
        pub fn add(&mut self, socket: &impl AsFd, to_write: bool) {
            self.0.push(libc::pollfd {
                fd: socket.as_fd().as_raw_fd(),
                events: if to_write {
                    libc::POLLOUT
                } else {
                    libc::POLLIN
                },
                revents: 0,
            });
        }

        /// Waits until one of them is ready, or until `timeout` (`None`: for ever) has passed, or less.
        pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            // Rounded up: a moment early would be one more look at them all.
            let milliseconds = timeout.map_or(-1, |timeout| {
                timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32
            });
            // SAFETY: so many valid pollfds, borrowed for the call.
            let polled = unsafe {
                let many = self.0.len() as libc::nfds_t;
                libc::poll(self.0.as_mut_ptr(), many, milliseconds)
            };
            match polled {
                -1 => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                    error => Err(error),
                },
                _ => Ok(()),
            }
        }

        /// Whether the socket added as this one is ready, or has failed.
        pub fn is_ready(&self, index: usize) -> bool {
            self.0.get(index).is_some_and(|it| it.revents != 0)
        }
    }

    /// Waits until a non-blocking connect has ended, well or badly; false if `timeout` passed first.
    pub fn poll_writable(socket: &impl AsFd, timeout: Duration) -> io::Result<bool> {
        let mut set = PollSet::default();
        set.add(socket, true);
        set.wait(Some(timeout))?;
        Ok(set.is_ready(0))
    }
}

#[cfg(not(unix))]
pub use elsewhere::*;

/// Windows has neither fork nor signals for threads, nor flags for one read or write.
#[cfg(not(unix))]
mod elsewhere {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;

    pub fn watch_forks() {}

    pub fn read_now(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        now(stream, |mut stream| stream.read(buffer))
    }

    pub fn peek_now(stream: &TcpStream) -> io::Result<usize> {
        now(stream, |stream| stream.peek(&mut [0]))
    }

    pub fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        now(stream, |mut stream| stream.write(bytes))
    }

    fn now<T>(
        stream: &TcpStream,
        action: impl FnOnce(&TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        stream.set_nonblocking(true)?;
        let result = action(stream);
        stream.set_nonblocking(false)?;
        result
    }
}

#[cfg(not(unix))]
fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
    action()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leaves_the_signals_of_the_process_to_the_host() {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = spawn("test", move || {
            // SAFETY: the set is made before it is read.
            let blocked = unsafe {
                let mut now = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut now);
                let signals = [libc::SIGTERM, libc::SIGCHLD, libc::SIGSEGV, libc::SIGXCPU];
                signals.map(|signal| libc::sigismember(&now, signal))
            };
            tell.send(blocked).unwrap();
        });
        thread.unwrap().join().unwrap();
        assert_eq!(told.recv(), Ok([1, 1, 0, 0]));
    }
}

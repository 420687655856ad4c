//! The system calls that std does not offer, and the only `unsafe` outside `ffi`: noticing a fork,
//! staying loaded, sockets that must not wait or wait for one another, and threads that take no signals.
#![allow(unsafe_code)]

pub mod files;
mod generation;

pub use generation::generation;

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use super::files::list;
    use super::generation::GENERATION;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;
    use std::sync::Once;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    /// From here on a forked child has a generation of its own. `pthread_atfork` rather than
    /// `getpid()`, which is a system call for every event. And the library stays loaded.
    pub fn adapt_to_process() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: `in_child` only touches atomics and a lock that this thread took before the fork, and
            // calls close(), as a child of a threaded process may. The library stays loaded, so it outlives
            // dlclose().
            unsafe {
                libc::pthread_atfork(
                    Some(list::before_fork),
                    Some(list::after_fork_in_parent),
                    Some(in_child),
                )
            };
            stay_loaded();
        });
    }

    /// As `-z nodelete` has it where there is ELF (build.rs).
    #[cfg(not(target_vendor = "apple"))]
    fn stay_loaded() {}

    /// Apple's linker knows no such flag, so the library opens itself once more. A failure is that of a program
    /// that it is linked into, which stays anyway.
    #[cfg(target_vendor = "apple")]
    fn stay_loaded() {
        // SAFETY: an address of this library, and room for the answer, whose name is read only if there is one.
        unsafe {
            let mut said = std::mem::zeroed::<libc::Dl_info>();
            if libc::dladdr(adapt_to_process as *const libc::c_void, &mut said) != 0 {
                let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
                libc::dlopen(said.dli_fname, flags);
            }
        }
    }

    unsafe extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        list::after_fork_in_child();
    }

    /// The threads of a process live until its end.
    pub fn is_process_ending() -> bool {
        false
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
    pub fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
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

    /// Reads a byte from a socket, if there is one, and leaves it there; waits for nothing
    /// ([`io::ErrorKind::WouldBlock`]).
    pub fn peek_now(stream: &TcpStream) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
        let mut byte = 0_u8;
        // SAFETY: a buffer of that length, borrowed for the call.
        let amount = unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
        usize::try_from(amount).map_err(|_| io::Error::last_os_error())
    }

    /// Waits until one of the sockets has room to write in, or has failed; at most for `timeout`. Says which.
    pub fn wait_until_writable(
        sockets: &[&impl AsRawFd],
        timeout: Duration,
    ) -> io::Result<Vec<bool>> {
        let mut polled: Vec<_> = sockets
            .iter()
            .map(|socket| libc::pollfd {
                fd: socket.as_raw_fd(),
                events: libc::POLLOUT,
                revents: 0,
            })
            .collect();
        // SAFETY: so many valid pollfds, borrowed for the call.
        let amount = unsafe {
            let many = polled.len() as libc::nfds_t;
            libc::poll(polled.as_mut_ptr(), many, super::milliseconds(timeout))
        };
        if amount < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(polled.iter().map(|it| it.revents != 0).collect())
    }

    /// Whether a non-blocking connect has only begun.
    pub fn is_connecting(error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::EINPROGRESS)
            || error.kind() == io::ErrorKind::Interrupted
    }
}

/// Rounded up: a moment early would be one more look.
fn milliseconds(timeout: std::time::Duration) -> i32 {
    let milliseconds = timeout.as_micros().div_ceil(1000);
    i32::try_from(milliseconds).unwrap_or(i32::MAX)
}

#[cfg(windows)]
pub use windows::*;

/// Windows has neither fork nor signals for threads.
#[cfg(windows)]
mod windows {
    use std::io;
    use std::net::TcpStream;
    use std::os::windows::io::{AsRawHandle, AsRawSocket};
    use std::sync::Once;
    use std::time::Duration;
    use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
    use windows_sys::Win32::Networking::WinSock::{
        POLLRDNORM, POLLWRNORM, SOCKET, WSAPOLLFD, WSAPoll,
    };
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };
    use windows_sys::Win32::System::Threading::WaitForSingleObject;

    /// From here on `FreeLibrary` leaves the library loaded: its threads and thread-locals would outlive its
    /// code. (`-z nodelete` is ELF's.)
    pub fn adapt_to_process() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let inside: fn() = adapt_to_process;
            let mut module = std::ptr::null_mut();
            // SAFETY: an address of this module, not a name, as the flag says, and room for the answer. There is
            // no failure for an address that is being run.
            unsafe {
                GetModuleHandleExW(
                    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                    inside as *const u16,
                    &mut module,
                )
            };
        });
    }

    // As windows-link declares what windows-sys has; this it has not.
    #[cfg_attr(
        target_arch = "x86",
        link(
            name = "ntdll.dll",
            kind = "raw-dylib",
            modifiers = "+verbatim",
            import_name_type = "undecorated"
        )
    )]
    #[cfg_attr(
        not(target_arch = "x86"),
        link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")
    )]
    unsafe extern "system" {
        fn RtlDllShutdownInProgress() -> u8;
    }

    /// The destructors of DLLs run, and this is the last thread: `ExitProcess` has ended the others wherever they
    /// were, with locks that nobody lets go of. So nothing of theirs may be waited for.
    pub fn is_process_ending() -> bool {
        // SAFETY: it only tells.
        unsafe { RtlDllShutdownInProgress() != 0 }
    }

    /// Whether it ends within that time.
    pub fn wait_for_thread(thread: &impl AsRawHandle, timeout: Duration) -> bool {
        // SAFETY: a valid handle, which is open as long as it is borrowed.
        let waited =
            unsafe { WaitForSingleObject(thread.as_raw_handle(), timeout.as_millis() as u32) };
        waited == WAIT_OBJECT_0
    }

    /// The socket is non-blocking, so that this waits for nothing.
    pub fn peek_now(stream: &TcpStream) -> io::Result<usize> {
        stream.peek(&mut [0])
    }

    pub fn wait_until_writable(
        sockets: &[&impl AsRawSocket],
        timeout: Duration,
    ) -> io::Result<Vec<bool>> {
        poll(sockets, POLLWRNORM, timeout)
    }

    /// Waits until there is something to read; at most for `timeout`.
    pub fn wait_until_readable(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        poll(&[stream], POLLRDNORM, timeout).map(drop)
    }

    /// Waits until there is room to write in, or something to read; at most for `timeout`.
    pub fn wait_until_either(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        poll(&[stream], POLLRDNORM | POLLWRNORM, timeout).map(drop)
    }

    fn poll(
        sockets: &[&impl AsRawSocket],
        events: i16,
        timeout: Duration,
    ) -> io::Result<Vec<bool>> {
        let mut polled: Vec<_> = sockets
            .iter()
            .map(|socket| WSAPOLLFD {
                fd: socket.as_raw_socket() as SOCKET,
                events,
                revents: 0,
            })
            .collect();
        // SAFETY: so many valid structures, borrowed for the call.
        let amount = unsafe {
            let many = polled.len() as u32;
            WSAPoll(polled.as_mut_ptr(), many, super::milliseconds(timeout))
        };
        if amount < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(polled.iter().map(|it| it.revents != 0).collect())
    }

    pub fn is_connecting(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock
    }
}

/// Windows has none.
#[cfg(windows)]
pub fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
    action()
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn a_thread_leaves_the_signals_of_the_process_to_the_host() {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = crate::host::threads::spawn("test", move || {
            // SAFETY: the set is made before it is read.
            let blocked = unsafe {
                let mut now = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut now);
                let signals = [libc::SIGTERM, libc::SIGCHLD, libc::SIGSEGV, libc::SIGXCPU];
                signals.map(|signal| libc::sigismember(&now, signal))
            };
            tell.send(blocked).unwrap();
        });
        crate::host::threads::Thread::join_all(vec![thread.unwrap()]);
        assert_eq!(told.recv(), Ok([1, 1, 0, 0]));
    }
}

//! Connecting to the first of a host's addresses that answers: they are tried one after the other, each 250 ms
//! after the one before, or as soon as that has failed (RFC 8305). One thread looks after them all.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::current::Current;
use super::exchange::Kind;
use super::fault::Fault;
use crate::host::sys;

/// RFC 8305, section 5.
const HEAD_START: Duration = Duration::from_millis(250);
/// How soon a cancelled call notices.
const SLICE: Duration = Duration::from_millis(10);

pub struct Winner {
    /// Non-blocking.
    pub stream: TcpStream,
    pub address: SocketAddr,
    /// All those that were tried before it are still silent; none has failed.
    pub is_flawless: bool,
}

/// Connects to one of them, within the exchange's time.
pub fn connect(addresses: &[SocketAddr], current: &Current) -> Result<Winner, Fault> {
    let mut waiting = addresses.iter();
    let mut running: Vec<(Socket, SocketAddr)> = Vec::new();
    let mut failed = None;
    let mut next_start = Instant::now();
    loop {
        current.check_cancelled()?;
        let left = current.left()?;
        let until_start = next_start.saturating_duration_since(Instant::now());
        if (running.is_empty() || until_start.is_zero())
            && let Some(address) = waiting.next()
        {
            match start(*address) {
                Ok(socket) => {
                    running.push((socket, *address));
                    next_start = Instant::now() + HEAD_START;
                }
                Err(error) => failed = Some((*address, error)),
            }
            continue;
        }
        if running.is_empty() {
            return Err(unreachable(failed, current.option()));
        }
        let mut pause = left.min(SLICE);
        if !waiting.as_slice().is_empty() {
            pause = pause.min(until_start);
        }
        let sockets: Vec<_> = running.iter().map(|(socket, _)| socket).collect();
        let ready = sys::wait_until_writable(&sockets, pause)
            .map_err(|error| current.socket_failed(&error))?;
        // From the end, so that a removal moves only those that have been looked at.
        for (index, is_ready) in ready.into_iter().enumerate().rev() {
            let (socket, address) = &running[index];
            let address = *address;
            match socket.take_error() {
                Ok(None) if !is_ready => {}
                Ok(None) => {
                    return Ok(Winner {
                        stream: running.swap_remove(index).0.into(),
                        address,
                        is_flawless: failed.is_none(),
                    });
                }
                Ok(Some(error)) | Err(error) => {
                    failed = Some((address, error));
                    running.swap_remove(index);
                    next_start = Instant::now();
                }
            }
        }
    }
}

/// Begins to connect, without a wait.
fn start(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if !sys::is_connecting(&error) => Err(error),
        _ => Ok(socket),
    }
}

fn unreachable(failed: Option<(SocketAddr, io::Error)>, option: &str) -> Fault {
    let reason = match failed {
        Some((address, error)) => {
            format!("could not connect to {address}: {error}; check `{option}` and the network")
        }
        None => "the host has no address".to_owned(),
    };
    Fault::new(Kind::Network, reason)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::exchange::Exchange;
    use super::*;
    use crate::api::operations::Method;
    use crate::host::cancel::CancelToken;
    use std::net::TcpListener;

    /// A listener of that address of the loopback whose queue is full, so that a connect to it hangs.
    fn silent(address: &str) -> (SocketAddr, Vec<Socket>) {
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = new();
        let any: SocketAddr = address.parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = vec![listener];
        for _ in 0..4 {
            let filler = new();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            kept.push(filler);
        }
        (address.as_socket().unwrap(), kept)
    }

    fn race(
        addresses: &[SocketAddr],
        within: Duration,
        control: &CancelToken,
    ) -> Result<Winner, Fault> {
        let exchange = Exchange {
            method: Method::Get,
            url: "",
            url_option: "base_url",
            headers: &[],
            body: None,
            deadline: Instant::now() + within,
            deadline_option: "",
            connect_timeout: within,
            max_response_bytes: 0,
            probe: false,
        };
        connect(addresses, &Current::begin(&exchange, control, None))
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn addresses_that_say_nothing_cost_the_next_a_quarter_of_a_second_each() {
        let [(first, _kept), (second, _also)] = ["127.0.0.2:0", "127.0.0.3:0"].map(silent);
        let listener = TcpListener::bind("127.0.0.4:0").unwrap();
        let answers = listener.local_addr().unwrap();
        let begun = Instant::now();
        let winner = race(&[first, second, answers], LONG, &CancelToken::new()).unwrap();
        assert!(begun.elapsed() >= 2 * HEAD_START);
        assert_eq!(winner.address, answers);
        assert!(winner.is_flawless);
    }

    #[test]
    fn an_address_that_refuses_costs_the_next_nothing_and_is_noticed() {
        let refuses = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        refuses.bind(&any.into()).unwrap();
        let refusing = refuses.local_addr().unwrap().as_socket().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answers = listener.local_addr().unwrap();
        let winner = race(&[refusing, answers], LONG, &CancelToken::new()).unwrap();
        assert_eq!(winner.address, answers);
        assert!(!winner.is_flawless);

        let fault = race(&[refusing], LONG, &CancelToken::new())
            .map(drop)
            .unwrap_err();
        assert_eq!(fault.kind, Kind::Network);
        assert!(fault.reason.contains(&refusing.to_string()), "{fault}");
    }

    #[test]
    fn a_race_without_a_winner_ends_at_its_deadline_and_when_it_is_cancelled() {
        let [(first, _kept), (second, _also)] = ["127.0.0.2:0", "127.0.0.3:0"].map(silent);
        let within = Duration::from_millis(300);
        let fault = race(&[first, second], within, &CancelToken::new());
        assert_eq!(fault.map(drop).unwrap_err().kind, Kind::Timeout);

        let control = CancelToken::new();
        std::thread::scope(|scope| {
            let racing = scope.spawn(|| race(&[first, second], LONG, &control).map(drop));
            control.cancel();
            assert_eq!(racing.join().unwrap().unwrap_err().kind, Kind::Cancelled);
        });
    }
}

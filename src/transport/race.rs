//! Connecting to the first of a host's addresses that answers: they are tried one after the other, each 250 ms
//! after the one before, or as soon as that has failed (RFC 8305). One thread looks after them all.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::Kind;
use super::current::Current;
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
            return Err(unreachable(failed));
        }
        let mut pause = left.min(SLICE);
        if !waiting.as_slice().is_empty() {
            pause = pause.min(until_start);
        }
        let sockets: Vec<_> = running.iter().map(|(socket, _)| socket).collect();
        let ready =
            sys::poll(&sockets, true, pause).map_err(|error| current.socket_failed(&error))?;
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

fn unreachable(failed: Option<(SocketAddr, io::Error)>) -> Fault {
    let reason = match failed {
        Some((address, error)) => {
            format!("could not connect to {address}: {error}; check the URL and the network")
        }
        None => "the host has no address".to_owned(),
    };
    Fault::new(Kind::Network, reason)
}

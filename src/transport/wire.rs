//! A socket as ureq's innermost transport: TLS and tunnels stand upon it. What is written is gathered, so that
//! a request's head and body leave in one system call, with TLS as well.

use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

use super::current::{Current, Phase};
use super::exchange::Kind;
use super::fault::Fault;
use super::socket::Socket;

/// A request larger than this goes out in parts.
const MOST_GATHERED: usize = 16 * 1024;

#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    buffers: LazyBuffers,
    gathered: Vec<u8>,
    /// The server takes no more of the request. It may have answered all the same: a 413, say.
    refused: Option<Fault>,
    /// The last read filled all the room there was, so that there may be more to read.
    may_hold_more: bool,
}

impl Wire {
    pub fn new(socket: Socket, buffers: LazyBuffers) -> Self {
        Self {
            socket,
            buffers,
            gathered: Vec::new(),
            refused: None,
            may_hold_more: false,
        }
    }

    fn flush(&mut self, current: &Current) -> Result<(), Fault> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = match self.refused {
            Some(_) => Ok(()),
            None => self.socket.write_all(&self.gathered, current),
        };
        // Afterwards: on a busy machine the thread may have waited before its write.
        if current.phase.get() >= Phase::Send && current.sent_at.get().is_none() {
            current.sent_at.set(Some(std::time::Instant::now()));
        }
        self.gathered.clear();
        match written {
            Err(fault) if fault.kind == Kind::Network && current.sent.get() => {
                self.refused = Some(fault);
                Ok(())
            }
            written => written,
        }
    }

    fn receive(&mut self, current: &Current) -> Result<bool, Fault> {
        if current.phase.get() == Phase::Done {
            return Err(Fault::new(Kind::Network, "nothing is awaited"));
        }
        self.flush(current)?;
        if current.phase.get() == Phase::Send {
            current.phase.set(Phase::Receive);
        }
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            let reason = "the reply has a line without an end";
            return Err(Fault::new(Kind::InvalidResponse, reason));
        }
        let most = room.len();
        let amount = match (self.socket.read(room, current), &mut self.refused) {
            (Ok(0) | Err(_), refused @ Some(_)) if !current.answering.get() => {
                return refused.take().map_or(Ok(false), Err);
            }
            (read, _) => read?,
        };
        self.may_hold_more = amount == most;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let current = Current::get()?;
        let output = &self.buffers.output()[..amount];
        self.gathered.extend_from_slice(output);
        // A handshake's last word, an alert say, is followed by no read.
        if current.phase.get() == Phase::Handshake || self.gathered.len() >= MOST_GATHERED {
            self.flush(&current)?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        Ok(self.receive(&*Current::get()?)?)
    }

    /// Whether it is silent, and nothing is left of the last exchange. One that is taken out of the pool can be
    /// shut down by a cancel from here on.
    fn is_open(&mut self) -> bool {
        let Ok(current) = Current::get() else {
            return false;
        };
        let is_clean =
            self.refused.is_none() && self.gathered.is_empty() && self.buffers.input().is_empty();
        let must_look = current.probe.get() || self.may_hold_more;
        let is_taken = current.phase.get() == Phase::Start;
        is_clean
            && (!must_look || self.socket.is_quiet())
            && (!is_taken || self.socket.attach(&current).is_ok())
    }
}

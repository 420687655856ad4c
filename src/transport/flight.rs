//! One exchange under way on one connection.

use std::time::Instant;

use super::current::{Current, Fault, Phase};
use super::incoming::{Head, Reader};
use super::pool::{Connection, Pool};
use super::{Failure, Kind, Reply};

/// So often, an exchange that must not wait reads at a time: others have their turn.
const MOST_READS: usize = 32;

pub struct Flight {
    current: Current,
    /// None when it has landed.
    connection: Option<Connection>,
    request: Vec<u8>,
    /// So many bytes of the request have been taken by the connection.
    written: usize,
    /// The server takes no more of the request. It may have answered all the same: a 413, say.
    refused: Option<Fault>,
    reader: Reader,
}

impl Flight {
    pub fn new(
        connection: Connection,
        request: Vec<u8>,
        max_response_bytes: u64,
        current: Current,
    ) -> Self {
        current.phase.set(Phase::Send);
        Self {
            current,
            connection: Some(connection),
            request,
            written: 0,
            refused: None,
            reader: Reader::new(max_response_bytes),
        }
    }

    /// By then, it has to be advanced: to be told that its time is over.
    pub fn deadline(&self) -> Instant {
        self.current.deadline
    }

    /// The socket to wait for.
    #[cfg(unix)]
    pub fn socket(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.connection.as_ref().map(|it| it.wire.socket().fd())
    }

    /// Whether it waits for room to write in; else, for something to read.
    pub fn is_writing(&self) -> bool {
        self.current.phase.get() == Phase::Send
    }

    /// True: the reply is whole. False: nothing can be done now without a wait.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        let Some(connection) = &mut self.connection else {
            return Ok(false);
        };
        let current = &self.current;
        if current.phase.get() == Phase::Send {
            if current.sent_at.get().is_none() {
                current.sent_at.set(Some(Instant::now()));
            }
            match write(connection, &self.request, &mut self.written, current) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(fault) if fault.kind == Kind::Network && current.sent.get() => {
                    self.refused = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
            current.phase.set(Phase::Receive);
            // The reply cannot be there yet.
            if !current.waits {
                return Ok(false);
            }
        }
        let mut reads = 0;
        while !self.reader.is_whole() {
            if !current.waits && reads == MOST_READS {
                return current.left().map(|_| false);
            }
            reads += 1;
            let room = connection.input.room();
            let most = room.len();
            let read = connection.wire.read(room, current);
            let amount = match (read, &mut self.refused) {
                (Ok(None), _) => return Ok(false),
                (Ok(Some(0)) | Err(_), refused @ Some(_)) if !current.answering.get() => {
                    return refused.take().map_or(Ok(false), Err);
                }
                (read, _) => read?.unwrap_or_default(),
            };
            if amount == 0 {
                self.reader.end()?;
                break;
            }
            current.answering.set(true);
            connection.input.fill(amount);
            connection.may_hold_more = amount == most;
            let used = self.reader.read(connection.input.bytes())?;
            connection.input.consume(used);
        }
        Ok(true)
    }

    /// Its end: gives up the connection, and says what came of it.
    pub(super) fn land(
        &mut self,
        result: Result<(), Fault>,
        pool: &Pool,
    ) -> Result<Reply, Failure> {
        // Once detached, nobody can shut the connection down; who cancelled the call before that did so.
        let is_cancelled = self.current.control.detach();
        let Some(mut connection) = self.connection.take() else {
            return Err(Failure::unsent(Fault::cancelled(), "the connection"));
        };
        let keeps = result.is_ok()
            && self.reader.keeps_connection()
            && connection.input.is_empty()
            && self.refused.is_none()
            && !is_cancelled
            && connection.wire.is_clean();
        let reply = result.and_then(|()| self.reader.finish());
        let landed = match reply {
            Ok((head, body)) => Ok(self.reply(head, body)),
            Err(fault) => Err(self.failure(fault, &connection)),
        };
        if keeps {
            connection.input.shrink();
            pool.put(connection);
        }
        landed
    }

    fn reply(&self, head: Head, body: Vec<u8>) -> Reply {
        Reply {
            status: head.status,
            retry_after: head.retry_after,
            rate_limit_reset: head.rate_limit_reset,
            sent_at: self.current.sent_at.get(),
            body,
        }
    }

    fn failure(&self, fault: Fault, connection: &Connection) -> Failure {
        let head = self.reader.head().cloned();
        let answered = self.reader.status();
        let kind = match fault.kind {
            Kind::Network | Kind::Tls if answered.is_some() => Kind::InvalidResponse,
            kind => kind,
        };
        let Head {
            retry_after,
            rate_limit_reset,
            ..
        } = head.unwrap_or_default();
        let answering = self.current.answering.get();
        Failure {
            kind,
            sent: self.current.sent.get(),
            sent_at: self.current.sent_at.get(),
            answered,
            retry_after,
            rate_limit_reset,
            stale: kind == Kind::Network && connection.reused && !answering,
            message: format!("{}: {}", connection.origin.name(), fault.reason),
        }
    }
}

/// True when all is written; false: there is no room yet.
fn write(
    connection: &mut Connection,
    request: &[u8],
    written: &mut usize,
    current: &Current,
) -> Result<bool, Fault> {
    while *written < request.len() {
        match connection.wire.write(&request[*written..], current)? {
            Some(amount) => *written += amount,
            None => return Ok(false),
        }
    }
    connection.wire.flush(current)
}

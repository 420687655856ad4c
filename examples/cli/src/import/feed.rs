//! The second reading: rows go into the queue as there is room, and are waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trophy::client::Client;
use trophy::error::Status;

use super::check::{Checked, Checker};
use super::ledger::{Fate, Ledger};
use super::place::Place;
use super::refused::Refused;
use super::row::{At, Row, Wrong};
use super::rows::Rows;
use super::window::{Ends, Name, Waiting, Window};
use crate::dead_letters;
use crate::failure::Failure;
use crate::progress::{Position, Progress, Style};
use crate::session::Session;
use crate::signals::Interrupt;
use crate::stats::Stats;
use crate::waiting;
use crate::wording;

/// Between two looks at what there is to see.
const LOOK_MS: i64 = 50;
/// Rows that are taken before the next look, where there is room.
const ROWS_A_LOOK: u32 = 512;
const PATIENCE: Duration = Duration::from_secs(1);

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Interrupted,
    /// The service refuses the key.
    Paused,
}

pub struct Feed<'a> {
    session: &'a Session,
    checked: &'a Checked,
    ledger: Arc<Ledger>,
    refused: Arc<Refused>,
    window: Arc<Window>,
    queue: String,
    /// Nobody else's events are in it.
    is_own_queue: bool,
    interrupt: Interrupt,
    progress: Progress,
    waiting: waiting::Waiting,
    /// What the queue held at the last look.
    undelivered: u64,
}

impl<'a> Feed<'a> {
    pub fn new(
        session: &'a Session,
        checked: &'a Checked,
        place: &Place,
        style: Style,
    ) -> Result<Self, Failure> {
        let ledger = Arc::new(Ledger::open(&place.ledger())?);
        let refused = Arc::new(Refused::open(&place.refused())?);
        Ok(Self {
            session,
            checked,
            window: Arc::new(Window::new(Arc::clone(&ledger), Arc::clone(&refused))),
            ledger,
            refused,
            queue: place.queue.to_string_lossy().into_owned(),
            is_own_queue: place.is_own_queue(),
            interrupt: Interrupt::listen()?,
            progress: Progress::begin(style, "importing", PATIENCE),
            waiting: waiting::Waiting::new(session),
            undelivered: 0,
        })
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    pub fn first_refusal(&self) -> Option<Status> {
        self.window.first_refusal()
    }

    /// `rows` are those that were checked, from the beginning.
    pub fn run(
        &mut self,
        rows: &mut Rows,
        checker: &Checker,
        place: &Place,
    ) -> Result<End, Failure> {
        let trusts_queue = place.trusts_queue();
        if trusts_queue {
            self.recall(rows, checker)?;
        }
        let mut session = self.session.clone();
        session.queue(&self.queue);
        let client = session.open()?;
        client.on_delivery(Some(Arc::new(Ends(Arc::clone(&self.window)))));
        let end = self.act(rows, checker, &client, place, trusts_queue);
        let closed = client.close(0);
        client.on_delivery(None);
        let end = end?;
        closed.map_err(|error| wording::CLIENT.failure(error))?;
        self.refused.check()?;
        Ok(end)
    }

    fn act(
        &mut self,
        rows: &mut Rows,
        checker: &Checker,
        client: &Client,
        place: &Place,
        trusts_queue: bool,
    ) -> Result<End, Failure> {
        if !trusts_queue {
            if let Some(end) = self.begin_again(rows, checker, client)? {
                return Ok(end);
            }
            place.trust_queue()?;
        }
        self.send(rows, checker, client)
    }

    pub fn finish(self) {
        self.progress.end();
    }

    /// Rows that were begun in an earlier run and are in the queue still, but for those that had just ended when the
    /// process was killed.
    fn recall(&self, rows: &mut Rows, checker: &Checker) -> Result<(), Failure> {
        for fate in self.ledger.begun()? {
            let Some(row) = rows.next() else { break };
            let row = self.keyed(checker, row?);
            if fate != Fate::Queued {
                continue;
            }
            if self.is_refused(row.at) {
                self.ledger.end(row.at.row, Fate::Refused);
            } else if let Ok((name, row)) = named(row) {
                self.window.add(name, row);
            }
        }
        Ok(())
    }

    /// Rows that were begun in an earlier run go into the queue once more, under their keys.
    fn begin_again(
        &mut self,
        rows: &mut Rows,
        checker: &Checker,
        client: &Client,
    ) -> Result<Option<End>, Failure> {
        for fate in self.ledger.begun()? {
            let Some(row) = rows.next() else { break };
            let row = self.keyed(checker, row?);
            if fate != Fate::Queued {
                continue;
            }
            while !self.window.has_room() {
                if let Some(end) = self.look(client, LOOK_MS)? {
                    return Ok(Some(end));
                }
            }
            if let Some(end) = self.enqueue(client, row, false)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// It was written, and the process was killed before it was marked.
    fn is_refused(&self, at: At) -> bool {
        self.refused.last_row == Some(at.row)
    }

    fn send(
        &mut self,
        rows: &mut Rows,
        checker: &Checker,
        client: &Client,
    ) -> Result<End, Failure> {
        let mut until_look = 0;
        loop {
            if until_look == 0 || !self.window.has_room() {
                until_look = ROWS_A_LOOK;
                let wait_ms = if self.window.has_room() { 0 } else { LOOK_MS };
                if let Some(end) = self.look(client, wait_ms)? {
                    return Ok(end);
                }
                continue;
            }
            until_look -= 1;
            let Some(row) = rows.next() else { break };
            if let Some(end) = self.enqueue(client, self.keyed(checker, row?), true)? {
                return Ok(end);
            }
        }
        while !self.is_done(client)? {
            if let Some(end) = self.look(client, LOOK_MS)? {
                return Ok(end);
            }
        }
        Ok(End::Done)
    }

    /// What is in the queue twice since a process was killed is waited for too, where the folder goes at the end.
    fn is_done(&self, client: &Client) -> Result<bool, Failure> {
        if !self.window.is_empty() || !self.is_own_queue {
            return Ok(self.window.is_empty());
        }
        let ending = client
            .flush(0)
            .map_err(|error| wording::CLIENT.failure(error))?;
        Ok(ending.undelivered == 0)
    }

    fn keyed(&self, checker: &Checker, row: Row) -> Row {
        let mut row = checker.check(row);
        if let Ok(event) = &mut row.event {
            event.give_key(&self.checked.digest, row.at.row);
        }
        row
    }

    /// Into the queue with it, once there is room; or to the refused, if it is no event. `is_new`: it was not begun by
    /// an earlier run.
    fn enqueue(&mut self, client: &Client, row: Row, is_new: bool) -> Result<Option<End>, Failure> {
        let at = row.at;
        if self.is_refused(at) {
            self.mark_refused(at, is_new)?;
            return Ok(None);
        }
        let (name, row) = match named(row) {
            Ok(named) => named,
            Err(wrong) => {
                let mark = || self.mark_refused(at, is_new);
                self.refused.add_wrong(at, &wrong, mark)?;
                return Ok(None);
            }
        };
        let mut was_empty = false;
        loop {
            self.window.add(name.clone(), row.clone());
            let Err(error) = client.event_enqueue(&row.event.args()) else {
                if is_new {
                    self.ledger.begin(at.row)?;
                }
                return Ok(None);
            };
            self.window.take_back(&name);
            if error.status != Status::QueueFull {
                return Err(wording::CLIENT.failure(error));
            }
            if was_empty {
                // It does not fit into an empty queue.
                let why = (error.status.name(), error.message.as_str());
                let mark = || self.mark_refused(at, is_new);
                self.refused.add(at, &row.event, why, mark)?;
                return Ok(None);
            }
            if let Some(end) = self.look(client, LOOK_MS)? {
                return Ok(Some(end));
            }
            was_empty = self.undelivered == 0;
        }
    }

    fn mark_refused(&self, at: At, is_new: bool) -> Result<(), Failure> {
        self.ledger.end(at.row, Fate::Refused);
        match is_new {
            true => self.ledger.begin(at.row),
            false => Ok(()),
        }
    }

    /// Waits a moment for what is in the queue, and shows how far it is.
    fn look(&mut self, client: &Client, wait_ms: i64) -> Result<Option<End>, Failure> {
        let ending = client
            .flush(wait_ms)
            .map_err(|error| wording::CLIENT.failure(error))?;
        if ending.undelivered == 0 && !self.window.is_empty() {
            self.settle(client)?;
        }
        self.undelivered = ending.undelivered;
        let stats = Stats::of(client)?;
        let counts = self.ledger.counts();
        let waits_for = self.waiting.look(&stats, ending.undelivered);
        self.progress.show(&Position {
            done: counts.delivered + counts.refused,
            total: Some(self.checked.rows),
            refused: counts.refused,
            waits_for,
        });
        if self.interrupt.is_asked() {
            return Ok(Some(End::Interrupted));
        }
        Ok(stats.paused.then_some(End::Paused))
    }

    /// The queue is empty. Ends that were not heard of were another process's, or of one that was killed.
    fn settle(&self, client: &Client) -> Result<(), Failure> {
        // Those that are heard of at this moment.
        let ending = client
            .flush(1_000)
            .map_err(|error| wording::CLIENT.failure(error))?;
        if ending.undelivered > 0 || self.window.is_empty() {
            return Ok(());
        }
        let mut dead = HashMap::new();
        for line in dead_letters::list(&self.queue)? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            // A queue that was named may hold the same row for another tenant.
            if line["tenant"].as_str() != self.session.tenant() {
                continue;
            }
            let text = |pointer: &str| {
                let text = line.pointer(pointer).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let name = Name {
                idempotency_key: text("/event/idempotencyKey"),
                metric: text("/event/key"),
                user_id: text("/event/user/id"),
            };
            dead.insert(name, (text("/error/code"), text("/error/message")));
        }
        self.window.settle(&dead);
        Ok(())
    }
}

/// Of a row that is an event: what it is called, and what is remembered of it.
fn named(row: Row) -> Result<(Name, Waiting), Wrong> {
    let (at, event) = (row.at, row.event?);
    match Name::of(&event) {
        Some(name) => Ok((name, Waiting { at, event })),
        None => Err(event.wrong("user: has no \"id\"".to_owned())),
    }
}

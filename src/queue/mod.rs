//! The queue: an event is kept when `enqueue` returns, and delivered by threads of the queue's own within the
//! service's limits, through crashes and days offline. Only `store` knows the disk; `backlog`, `pacer`, `outcome`,
//! `refusal`, `health` and `age` are rules without effects. The way in: [`Queue`].

mod age;
mod backlog;
mod batch_size;
mod coalesce;
mod dead;
mod health;
mod outcome;
pub mod pacer;
mod plan;
mod record;
mod refusal;
mod requests;
mod room;
mod sender;
mod sending;
mod settling;
pub mod store;
#[cfg(test)]
mod tests;
mod threads;
mod throughput;
mod work;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use sender::Sender;
use store::{MemoryFolder, OsFolder, Store};

use crate::api::event::EventArgs;
use crate::delivery::Delivery;
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::locks::{Mutex, lock};
use crate::host::log;
use crate::options::{Durability, QueueOptions};

/// One process's end of a queue. It comes to life with the first event.
pub struct Queue {
    delivery: Arc<Delivery>,
    sender: OnceLock<Arc<Sender>>,
    opening: Mutex<()>,
}

impl Queue {
    pub fn new(delivery: Arc<Delivery>) -> Self {
        Self {
            delivery,
            sender: OnceLock::new(),
            opening: Mutex::default(),
        }
    }

    /// Opens the folder, if there is to be one, and begins to deliver what it holds.
    pub fn open_at_start(&self) -> Result<(), Error> {
        if self.has_folder() {
            let sender = self.sender()?;
            if sender.store.held_segments() {
                sender.ensure_thread();
            }
        }
        Ok(())
    }

    fn has_folder(&self) -> bool {
        self.delivery.options.queue.path.is_some()
    }

    fn sender(&self) -> Result<&Arc<Sender>, Error> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let _lines = log::defer();
        let _opening = lock(&self.opening);
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let store = open(&self.delivery.options.queue)?;
        let sender = Sender::new(Arc::clone(&self.delivery), store);
        Ok(self.sender.get_or_init(|| Arc::new(sender)))
    }

    /// The sender, if there can be something to deliver: events of other processes, too.
    fn sender_of_events(&self) -> Result<Option<&Arc<Sender>>, Error> {
        match self.has_folder() {
            true => self.sender().map(Some),
            false => Ok(self.sender.get()),
        }
    }

    /// Keeps an event. The answer is `{"idempotencyKey":"…"}`.
    pub fn enqueue(&self, args: &EventArgs<'_>, tenant: Option<&str>) -> Result<String, Error> {
        let insecure = self.delivery.options.allow_insecure_http;
        let (record, answer) = record::write(args, tenant, insecure, &self.delivery.random)?;
        self.sender()?.keep(&record)?;
        Ok(answer)
    }

    /// Waits until nothing is left to deliver; returns how much is.
    pub fn flush(&self, until: Option<Instant>) -> Result<u64, Error> {
        let sender = self.sender_of_events()?;
        Ok(sender.map_or(0, |sender| sender.flush(until)))
    }

    pub fn undelivered(&self) -> u64 {
        self.sender.get().map_or(0, |sender| sender.undelivered())
    }

    /// Has a thread deliver what is left, which another process may have put there, unless it is `until` already. True:
    /// nothing is left, nor to notify the host of.
    pub fn finish(&self, until: Option<Instant>) -> bool {
        let Some(sender) = self.sender.get() else {
            return true;
        };
        let is_finished = sender.has_notified() && sender.undelivered() == 0;
        if !is_finished && until.is_none_or(|until| until > Instant::now()) {
            sender.ensure_thread();
        }
        is_finished
    }

    /// A new key: what was paused goes on.
    pub fn resume(&self) {
        if let Some(sender) = self.sender.get() {
            sender.resume();
        }
    }

    /// The host has dispatched callbacks: there may be room for more.
    pub fn look_again(&self) {
        if let Some(sender) = self.sender.get() {
            sender.look_again();
        }
    }

    pub fn now(&self) -> Now {
        self.sender
            .get()
            .map_or_else(Now::default, |sender| sender.now())
    }

    pub fn is_stopped(&self) -> bool {
        self.sender.get().is_some_and(|sender| sender.is_stopped())
    }

    pub fn stop(&self) {
        if let Some(sender) = self.sender.get() {
            sender.stop();
        }
    }

    pub fn join(&self) {
        if let Some(sender) = self.sender.get() {
            sender.join();
        }
    }
}

/// Segments are small enough that the caps have a meaning, since room comes from whole ones, and large
/// enough to be few.
fn segment_bytes(max_bytes: u64) -> u64 {
    (max_bytes / 8).clamp(1 << 10, 1 << 20)
}

fn open(options: &QueueOptions) -> Result<Store, Error> {
    let store_options = store::Options {
        durability: match options.durability {
            Durability::Process => store::Durability::Process,
            Durability::Power => store::Durability::Power,
        },
        segment_bytes: segment_bytes(options.max_bytes),
        merges: options.coalesce,
    };
    let Some(path) = &options.path else {
        return Store::open(Box::new(MemoryFolder::default()), store_options)
            .map_err(|error| sender::storage("no queue could be made in memory", &error));
    };
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(
            Status::Storage,
            format!(
                "options_json: queue.path: the folder {} cannot be used: {error}",
                path.display()
            ),
        )
    };
    let folder = OsFolder::new(path).map_err(|error| failed(&error))?;
    if folder.is_open_to_all() {
        log::warn(|| {
            format!(
                "queue: every user of this machine may write to {}, and so take events away or add some; \
                 make it private to this user",
                path.display()
            )
        });
    }
    Store::open(Box::new(folder), store_options).map_err(|error| failed(&error))
}

//! The durable queue, as the client sees it: an event is kept when `enqueue` returns, and delivered
//! by threads of its own within the service's limits.

mod backlog;
mod bell;
pub mod pacer;
mod record;
mod sender;
pub mod store;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

pub use bell::Bell;
use sender::Sender;
use store::{MemoryFolder, OsFolder, Store};

use crate::api::event::EventArgs;
use crate::api::request::MakeKey;
use crate::delivery::callback::DeliveryCallback;
use crate::delivery::engine::Engine;
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::locks::lock;
use crate::options::{ClientOptions, Durability, QueueOptions};

/// One process's end of a queue. It comes to life with the first event.
#[derive(Default)]
pub struct Queue {
    sender: OnceLock<Arc<Sender>>,
    /// Who is to hear of deliveries, until there is a sender that tells them.
    opening: Mutex<Option<Arc<dyn DeliveryCallback>>>,
}

impl Queue {
    /// Opens the folder, if there is to be one, and begins to deliver what it holds.
    pub fn open_at_start(&self, engine: &Arc<Engine>) -> Result<(), Error> {
        if engine.options.queue.path.is_some() {
            let sender = self.sender(&engine.options)?;
            if sender.store.held_segments() {
                sender.staff(engine);
            }
        }
        Ok(())
    }

    fn sender(&self, options: &ClientOptions) -> Result<&Arc<Sender>, Error> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let mut callback = lock(&self.opening);
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let store = open(&options.queue)?;
        let sender = Sender::new(
            store,
            &options.queue,
            options.knows_admin_api(),
            callback.take(),
        );
        Ok(self.sender.get_or_init(|| Arc::new(sender)))
    }

    /// Keeps an event. The answer is `{"idempotencyKey":"…"}`.
    pub fn enqueue(
        &self,
        engine: &Arc<Engine>,
        args: &EventArgs<'_>,
        tenant: Option<&str>,
        make_key: &dyn MakeKey,
    ) -> Result<String, Error> {
        let options = &engine.options;
        let (record, key) = record::write(args, tenant, options.allow_insecure_http, make_key)?;
        self.sender(options)?.keep(engine, &record)?;
        // Room for what C wants behind it, and no more.
        let mut answer = String::with_capacity(20 + key.len());
        answer.push_str("{\"idempotencyKey\":");
        answer.push_str(&key);
        answer.push('}');
        Ok(answer)
    }

    pub fn on_delivery(&self, engine: &Engine, callback: Option<Arc<dyn DeliveryCallback>>) {
        let mut opening = lock(&self.opening);
        match self.sender.get() {
            None => *opening = callback,
            Some(sender) => {
                drop(opening);
                sender.set_callback(engine, callback);
            }
        }
    }

    /// Waits until nothing is left to deliver; returns how much is.
    pub fn flush(&self, engine: &Arc<Engine>, until: Option<Instant>) -> u64 {
        self.sender
            .get()
            .map_or(0, |sender| sender.flush(engine, until))
    }

    pub fn undelivered(&self) -> u64 {
        self.sender.get().map_or(0, |sender| sender.undelivered())
    }

    pub fn is_drained(&self) -> bool {
        let has_told = self.sender.get().is_none_or(|sender| sender.has_told());
        has_told && self.undelivered() == 0
    }

    /// A new key: what was paused goes on.
    pub fn resume(&self, engine: &Arc<Engine>) {
        if let Some(sender) = self.sender.get() {
            sender.resume(engine);
        }
    }

    /// The host has dispatched callbacks: there may be room for more.
    pub fn look_again(&self) {
        if let Some(sender) = self.sender.get() {
            sender.bell.ring();
        }
    }

    pub fn now(&self) -> Now {
        self.sender
            .get()
            .map_or_else(Now::default, |sender| sender.now())
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
    Store::open(Box::new(folder), store_options).map_err(|error| failed(&error))
}

//! The folder of a queue: which it is, and what lies in it. The only file that knows the library's store.

use std::path::Path;

use trophy::error::Status;
use trophy::queue::store::{self, OsFolder, Store};

use crate::failure::Failure;
use crate::session::variable;

pub struct Held {
    pub events: u64,
    pub bytes: u64,
}

/// The folder that was named.
pub fn path(given: Option<&str>) -> Result<String, Failure> {
    named(given)
        .ok_or_else(|| Failure::usage("no queue; name its folder with --queue or TROPHY_QUEUE"))
}

/// The folder that was named, if one was.
pub fn named(given: Option<&str>) -> Option<String> {
    given
        .map(str::to_owned)
        .or_else(|| variable("TROPHY_QUEUE"))
}

/// The library would make it.
pub fn need(path: &str) -> Result<(), Failure> {
    if Path::new(path).is_dir() {
        return Ok(());
    }
    Err(Failure::status(
        Status::Storage,
        format!("there is no queue at {path}; `trophy enqueue` makes one"),
    ))
}

/// No key, no network: it only looks.
pub fn held(path: &str) -> Result<Held, Failure> {
    need(path)?;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::status(
            Status::Storage,
            format!("the queue {path} cannot be read: {error}"),
        )
    };
    let folder = OsFolder::new(path).map_err(|error| failed(&error))?;
    let store =
        Store::open(Box::new(folder), store::Options::default()).map_err(|error| failed(&error))?;
    let usage = store.usage();
    Ok(Held {
        events: usage.events,
        bytes: usage.bytes,
    })
}

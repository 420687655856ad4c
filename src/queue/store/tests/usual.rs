//! A folder as on Unix.

#[path = "cost.rs"]
mod cost;
#[path = "damage.rs"]
mod damage;
#[path = "faults.rs"]
mod faults;
#[path = "life.rs"]
mod life;
#[path = "model.rs"]
mod model;
#[path = "power.rs"]
mod power;
#[path = "promises.rs"]
mod promises;
#[path = "records.rs"]
mod records;
#[path = "removal.rs"]
mod removal;
#[path = "sync.rs"]
mod sync;
#[path = "watched.rs"]
mod watched;

use super::*;

fn new_folder() -> MemoryFolder {
    MemoryFolder::default()
}

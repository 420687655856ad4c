//! A folder as on Unix.

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
#[path = "watched.rs"]
mod watched;

use super::*;

fn new_folder() -> MemoryFolder {
    MemoryFolder::default()
}

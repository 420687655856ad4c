//! A local Trophy: the service's two APIs with real state in memory, and faults on demand.
//!
//! ```
//! let sandbox = trophy_sandbox::Sandbox::start(trophy_sandbox::Options::default())?;
//! assert!(sandbox.url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), String>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod sandbox;

pub use ledger::{Lane, Observer};
pub use limits::Rates;
pub use sandbox::{Options, Sandbox};

mod connection;
mod dots;
mod server;
mod tls;

mod call;
mod control;
mod faults;
mod ledger;
mod limits;
mod operations;
mod page;
mod pulse;
mod requests;
mod service;

mod by_id;
mod clock;
mod effects;
mod ids;
mod world;
mod world_file;

mod achievements;
mod admin;
mod events;
mod leaderboards;
mod metrics;
mod points;
mod preferences;
mod ranking;
mod streaks;
mod summaries;
mod users;
mod views;
mod wrapped;

//! libtrophy: one native library with a C ABI for Trophy, the hosted gamification service.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo)
)]

// In the order to read them: the boundary, the rules, what acts on them, and what that needs.
mod ffi;

pub mod operations;
pub mod request;
pub mod event;
pub mod options;
pub mod json;
pub mod error;
pub mod retry;
pub mod webhook;

pub mod client;
pub mod engine;
pub mod calls;
pub mod lanes;
pub mod worker;
pub mod driver;
pub mod callback;
pub mod control;
pub mod queue;
pub mod transport;

pub mod stats;
pub mod log;
pub mod panics;
pub mod random;
pub mod per_process;
pub mod sync;
pub mod sys;

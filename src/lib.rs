//! libtrophy: one native library with a C ABI for Trophy, the hosted gamification service.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo)
)]

// In the order to read them: the boundary, the client, the ways a request can go, and what they stand on.
mod ffi;

pub mod client;
pub mod error;
pub mod options;

pub mod calls;
pub mod queue;

pub mod delivery;

pub mod api;
pub mod transport;

pub mod host;

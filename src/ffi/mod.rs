//! The boundary: C on one side, safe Rust on the other, and nothing else. The only room with `unsafe`
//! (besides `host/sys`).
//!
//! Each exported function is written by hand, turns its pointers into values, makes one call, and turns
//! the result back, inside one [`boundary`](boundary::boundary). What all of them rely on, and what the
//! header asks of its callers:
//!
//! - text is NULL or NUL-terminated, and stays as it is during the call;
//! - a client came from `trophy_client_new` or `trophy_client_for_tenant` and is not freed yet;
//! - an out-parameter is NULL or may be written to;
//! - a callback is a C function that returns, and may be called with its `user_data` from any thread.
//!
//! A number from C is an integer here, never an enum: C may pass any.
#![allow(unsafe_code)]

mod boundary;
mod call;
mod callback;
mod client;
mod events;
mod json;
mod library;
mod operations;
mod pointers;
mod queue;
mod webhooks;

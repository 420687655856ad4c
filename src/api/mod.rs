//! The service as data and rules: its operations, what a request must look like, what an answer asks of us.
//! No I/O, no threads, no clock: functions of values. The ways in: [`request`] and [`webhook`].

pub mod answer;
pub mod event;
pub mod json;
pub mod operations;
pub mod path;
pub mod request;
pub mod retry;
pub mod url;
pub mod user;
pub mod webhook;

//! What goes into an exchange and what comes out of it, as the other rooms see it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::api::operations::Method;

#[derive(Clone, Default)]
pub struct Settings {
    /// `http://user:password@host:port` or `https://…`; none: the usual environment variables; empty:
    /// no proxy, whatever they say.
    pub proxy: Option<String>,
    /// Trusted certificates, PEM, instead of all others.
    pub ca_file: Option<PathBuf>,
    /// Trust the machine's own certificate authorities, not Mozilla's as of the library's making; `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` are obeyed.
    pub has_system_roots: bool,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// Sent where a request has no `User-Agent` of its own.
    pub user_agent: String,
}

pub struct Exchange<'a> {
    pub method: Method,
    pub url: &'a str,
    /// The option that the URL comes from, for messages.
    pub url_option: &'static str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    /// When this attempt ends, whatever it is doing then.
    pub deadline: Instant,
    /// The option that sets that, for messages.
    pub deadline_option: &'static str,
    /// For look-up, connect, proxy and TLS together.
    pub connect_timeout: Duration,
    pub max_response_bytes: u64,
    /// Look whether a kept connection is still open, however lately it was used.
    pub probe: bool,
}

/// What is kept of a reply's head.
#[derive(Debug, Default)]
pub struct Head {
    pub status: u16,
    /// Where the status is no success, as is the next.
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
    pub date: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
}

#[derive(Debug)]
pub struct Reply {
    pub head: Head,
    /// When the request went out.
    pub sent_at: Option<Instant>,
    /// Has a spare byte of capacity, so that a NUL can follow without a copy.
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// False: provably, no byte of the request was written to the wire.
    pub sent: bool,
    /// When the request went out, as far as it did.
    pub sent_at: Option<Instant>,
    /// The status, if its line had arrived before the reply failed.
    pub answered: Option<u16>,
    /// Empty if it had not arrived.
    pub head: Head,
    /// The connection was a kept one, and failed before the first byte of an answer.
    pub stale: bool,
    /// For a person: what, where, what to do. Never a header or a key.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Network,
    Timeout,
    Tls,
    /// An answer came, its status at least, but not a whole one, or not HTTP, or too much of it.
    InvalidResponse,
    Cancelled,
    /// The URL or a header cannot be sent; callers check both before.
    InvalidRequest,
}

//! Why an exchange failed, on its way out through ureq.

use std::fmt;

use super::exchange::Kind;

#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    pub reason: String,
}

impl Fault {
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
        }
    }

    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the call was cancelled")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for ureq::Error {
    fn from(fault: Fault) -> Self {
        ureq::Error::Other(Box::new(fault))
    }
}

//! What the sender has in hand: a request under way, and what is to be put on record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Group, Item};
use super::store::Position;
use crate::error::Error;
use crate::host::cancel::CancelToken;

/// How often the folder is looked at for the drain lock, while another process drains.
pub const LOOK: Duration = Duration::from_millis(500);

/// A request under way.
pub(super) struct Sending {
    pub id: u64,
    pub items: Vec<Item>,
    pub batch: bool,
    /// What was known of them as a group.
    pub group: Group,
    /// Which of the queue's keys it was sent with.
    pub keys: u64,
    /// Something of it was sent before.
    pub is_retry: bool,
    pub cancel: CancelToken,
    /// When its making began.
    pub begun: Instant,
    /// When it may go out.
    pub due: Instant,
}

/// What is to be put on record.
pub(super) struct Unrecorded {
    pub dead: Dead,
    /// The log has it that this could not be done.
    pub is_logged: bool,
}

pub(super) enum Dead {
    Refused(Item, Arc<Reason>),
    /// A record that is no event, and what there is to say of it.
    Unreadable(Position, Vec<String>),
}

/// Shared by the events that are dead together: a refusal may be long.
pub(super) struct Reason {
    pub error: Error,
    pub outcome: Arc<str>,
}

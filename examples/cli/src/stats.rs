//! What a client has done so far, as `trophy_client_stats` tells it.

use serde::Deserialize;
use trophy::client::Client;

use crate::failure::Failure;
use crate::wording;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    pub queued: u64,
    pub in_flight: u64,
    pub delivered: u64,
    pub dead: u64,
    pub expired: u64,
    pub dropped: u64,
    pub requests: u64,
    pub rate_limited: u64,
    pub paused: bool,
}

impl Stats {
    pub fn of(client: &Client) -> Result<Self, Failure> {
        let text = client
            .stats()
            .map_err(|error| wording::CLIENT.failure(error))?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Events that have come to their end, whichever.
    pub fn ended(&self) -> u64 {
        self.delivered + self.dead + self.expired + self.dropped
    }
}

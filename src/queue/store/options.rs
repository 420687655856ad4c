//! What a store is to promise, and what it holds.

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub durability: Durability,
    /// A segment is full at this size; one event may exceed it.
    pub segment_bytes: u64,
    /// Events are merged: then a power cut must not make one that was sent look as if it never was, whatever else it
    /// takes. Another could be merged into it, and would not count.
    pub merges: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Process,
            segment_bytes: 1 << 20,
            merges: false,
        }
    }
}

/// What an event survives once `append` has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process: it was written to the operating system.
    Process,
    /// A loss of power: it was synced to the disk.
    Power,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Not settled, as far as this process knows.
    pub events: u64,
    /// Segments and their ack files.
    pub bytes: u64,
}

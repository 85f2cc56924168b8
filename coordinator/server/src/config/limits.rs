//! How much one peer may ask of this coordinator.
//!
//! A limit is for peers that have to say who they are: this machine's own are
//! not counted. Messages alone have one size for everybody. Not here: the
//! counting (`auth`).

use std::fmt;

/// The smallest and the largest limit on messages, in bytes. What agents send in their daily work
/// must fit, and no message is worth more memory.
pub(super) const MESSAGES: std::ops::RangeInclusive<u64> = (16 << 10)..=(4 << 20);

/// How much one peer may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second over a long time.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// The longest message, in bytes.
    pub message: usize,
    /// Connections from one address at once.
    pub connections: u32,
    /// Calls over one connection at once, streams among them.
    pub streams: u32,
}

impl Default for Limits {
    /// Far above what an agent, a host or a script asks for, far below what a loop does.
    fn default() -> Self {
        Self {
            per_second: 1000,
            burst: 4000,
            message: molt_proto::MAX_COMMAND_BYTES,
            connections: 4096,
            streams: 4096,
        }
    }
}

impl fmt::Display for Limits {
    /// In one line, for `serve` to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, burst, message, connections, streams } = self;
        write!(
            f,
            "{per_second} requests/s of a peer, {burst} at once, {message} bytes a message, \
             {connections} connections from an address, {streams} calls over each"
        )
    }
}

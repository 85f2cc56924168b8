//! The coordinator's rules as pure functions over one value.
//!
//! Nothing here reads a clock, a socket, a file or a random number: the caller
//! brings the time and what it observed. Not here: how records are stored, how
//! commands travel, what a forge or a host does.

pub mod id;
pub mod scope;

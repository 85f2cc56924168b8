//! The coordinator's rules as pure functions over one value.
//!
//! [`board::Board`] is all coordination state of a fleet; every other room is
//! one noun of it. Nothing here reads a clock, a socket, a file or a random
//! number: the caller brings the time and what it observed. Not here: how
//! records are stored, how commands travel, what a forge or a host does.

pub mod access;
pub mod audit;
pub mod board;
pub mod build;
pub mod claim;
pub mod fault;
pub mod gate;
pub mod hold;
pub mod host;
pub mod id;
pub mod job;
pub mod lock;
pub mod message;
pub mod name;
pub mod plan;
pub mod policy;
pub mod pull;
mod repo;
pub mod report;
pub mod retention;
mod schedule;
pub mod scope;
pub mod session;
pub mod slot;
pub mod task;
pub mod train;
mod wait;

//! GitHub as a forge, against what GitHub itself has said and against a simulation of it.
//!
//! Nothing here reaches another machine: recordings are read from `recordings`, the simulator
//! listens on loopback, and its repositories are real git behind `git http-backend`.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has no verdict")]

mod client;
mod contract;
mod doctor;
mod forge;
mod replay;
mod sim;
mod story;
mod webhooks;

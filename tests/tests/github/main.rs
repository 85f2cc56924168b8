//! GitHub as a forge, against what GitHub itself has said and against a simulation of it.
//!
//! Nothing here reaches another machine: recordings are read from `recordings`, the simulator
//! listens on loopback, and its repositories are real git behind `git http-backend`.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has no verdict")]

mod client;
mod contract;
mod doctor;
mod folders;
mod forge;
mod outside;
mod replay;
mod sim;
mod story;
mod webhooks;

#[path = "../e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::print_stdout,
    reason = "shared with e2e, which uses all of it"
)]
mod harness;

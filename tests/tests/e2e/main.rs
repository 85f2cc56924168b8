//! The whole product from outside: real processes, a real repository, and what
//! people and scripts see of them.
//!
//! Each module shows one part of the job; `harness` is the fleet that they are
//! shown on. Nothing here rests on time passing: a test waits for what the watch
//! stream or the files of the product say, within a bound that only a failure
//! reaches. Not here: rules of one room, which its crate tests.

#![expect(clippy::expect_used, reason = "a broken fixture is a failed test")]
#![expect(clippy::print_stdout, reason = "a failed test says its seed and its last words")]

mod harness;

mod approvals;
mod bad_input;
mod builds;
mod claims;
mod contract;
mod crash;
mod daemons;
mod demo;
mod events;
mod guard;
mod identity;
mod locks;
mod logs;
mod messages;
mod methods;
mod readme;
mod reports;
mod scenarios;
mod service;
mod sessions;
mod signs;
mod tasks;
mod train;
mod transfer;
mod upgrade;
mod waiting;
mod why;

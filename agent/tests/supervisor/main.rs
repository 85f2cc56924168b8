//! Runs under real supervisors and the machine's ledger, with real processes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod deaths;
mod ends;
mod ledger;
mod records;
mod support;

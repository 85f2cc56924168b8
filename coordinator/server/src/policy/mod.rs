//! `molt.toml`: read, checked against a tree, and proposed for a new repository.
//!
//! Every key is honoured or is an error that names it, with its line and the
//! nearest known one; all findings are told at once. Not here: what the rules
//! mean (`molt_domain::policy`) and which commit's file is in force.

pub(crate) mod amount;
mod check;
pub(crate) mod document;
mod finding;
mod gates;
mod init;
mod propose;
mod read;
mod scopes;
#[cfg(test)]
mod tests;
mod tracked;

pub use check::{Outcome, Report, check, run_check};
pub use finding::{Finding, Problem, Severity};
pub use init::{InitError, init};
pub use propose::propose;
pub(crate) use read::text;
pub use read::{DEFAULT_TIMEOUT, FORMAT, read, read_bytes};

pub use molt_domain::policy::POLICY_FILE as FILE;

/// The longest policy, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

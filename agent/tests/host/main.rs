//! Wrappers and the daemon as real processes, against the coordinator's own
//! rules behind a small server that can be told to fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apart;
mod daemon;
mod fleet;
mod import;
mod jobs;
mod orphans;
mod place;
mod prime;
mod scaffold;
mod sessions;
mod wrap;

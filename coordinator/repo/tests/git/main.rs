//! Real git, real folders: mirrors, merges, changed paths, checkouts.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails the test")]

mod changes;
mod compare;
mod fixture;
mod history;
mod merge;
mod mirror;
mod rebase;
mod worktree;

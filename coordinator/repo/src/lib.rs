//! Git as the coordinator sees it: mirrors, merges without a checkout, changed paths.
//!
//! Objects are read by libgit2; merges, working trees and the network are the
//! `git` program's, run with a scrubbed environment. Everything here blocks:
//! async callers go through `spawn_blocking`. Not here: where changes are
//! proposed and landed (`molt-forge`), what a changed path means (`molt-domain`).

mod access;
mod changes;
mod compare;
mod error;
mod fingerprint;
mod history;
mod inputs;
mod merge;
mod mirror;
mod oid;
mod path;
mod program;
mod rebase;
mod worktree;

pub use access::{Access, Variables};
pub use changes::{Change, ChangedPath, Entry};
pub use compare::{After, Before};
pub use error::RepoError;
pub use fingerprint::fingerprint;
pub use history::changes;
pub use inputs::{InputDigest, Inputs};
pub use merge::{CandidateIdentity, Merge, Method};
pub use mirror::Mirror;
pub use oid::{InvalidOid, Oid};
pub use path::TreePath;
pub use program::{Call, Finished, Git, GitError, GitFailure, Place, Version};
pub use worktree::{Checkout, InvalidKeptFolder, KeptFolder, TreeState};

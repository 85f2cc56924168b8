//! The fence: a chain of commits beside the base, one for each landing or withdrawal.
//!
//! Its tip says who decided last. Since the chain only grows, a landing that
//! expects an older tip is dead for good, and a tip that descends from a
//! landing's own commit proves that the landing took effect.

use serde::{Deserialize, Serialize};

use crate::{ForgeError, Oid};

/// The ref that every landing moves together with its base.
pub(crate) const FENCE_REF: &str = "refs/molt/fence";

/// Who moved the fence, and for what: the content of a fence commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FenceRecord {
    /// The board's epoch: a board that was restored from a copy has a higher one.
    pub epoch: u64,
    /// The number of the board's commit that decided.
    pub n: u64,
    /// The leader's term.
    pub term: u64,
    /// The intent that is carried out, or withdrawn.
    pub intent: String,
}

/// A commit of the fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceCommit {
    /// Its id.
    pub commit: Oid,
    /// What it says.
    pub record: FenceRecord,
}

/// One step of the fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceMove {
    /// Where the fence must stand before; `None` for the very first step.
    pub expected: Option<Oid>,
    /// Where it stands after. Its parent is the expected commit.
    pub next: FenceCommit,
}

impl FenceRecord {
    /// The commit message: one line, so that `git log --oneline` shows the chain.
    pub(crate) fn to_message(&self) -> Result<String, ForgeError> {
        serde_json::to_string(self).map_err(|error| ForgeError::Output {
            command: "commit-tree",
            detail: format!("a fence record cannot be written: {error}"),
        })
    }
}

/// Reads the record from what `git cat-file commit` prints.
pub(crate) fn parse(commit: &Oid, printed: &str) -> Result<FenceRecord, ForgeError> {
    let message = printed.split_once("\n\n").map_or("", |(_, message)| message);
    serde_json::from_str(message.trim_end()).map_err(|error| ForgeError::UnreadableFence {
        commit: commit.clone(),
        detail: error.to_string(),
    })
}

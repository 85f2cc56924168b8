//! Landings and their outcomes.

use serde::{Deserialize, Serialize};

use crate::github::GithubError;
use crate::{Branch, FenceCommit, FenceMove, GitError, Oid};

/// A candidate about to become its branch's head. Stored as an intent before it
/// is carried out, so that whoever comes next can settle it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// The branch.
    pub branch: Branch,
    /// Where the branch must stand before.
    pub expected_base: Oid,
    /// What it becomes: a descendant of the expected base.
    pub candidate: Oid,
    /// The fence's step, made together with the branch's.
    pub fence: FenceMove,
}

/// A step of the branch that a change's head is on, from a named commit to any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadMove {
    /// The branch.
    pub branch: Branch,
    /// Where it must stand before.
    pub from: Oid,
    /// Where it stands then.
    pub to: Oid,
    /// Which of both somebody pushed: it keeps a name at the forge.
    pub pushed: Oid,
}

/// What a step of a head's branch came to.
#[derive(Debug)]
pub enum HeadMoved {
    /// It stands where it was to go.
    Moved,
    /// It did not move, because it stood elsewhere.
    Elsewhere {
        /// Where; `None` if the branch is gone.
        now: Option<Oid>,
    },
    /// It stands where it stood, and may not be moved.
    Declined {
        /// In the forge's words.
        reason: String,
    },
    /// The answer was lost. Moving it again is safe: it tells what became of the first.
    Unknown {
        /// What was heard instead of an answer.
        why: Unheard,
    },
}

/// What was heard of a step in place of an answer, from whoever was to make it.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The git program.
    #[error(transparent)]
    Git(#[from] GitError),
    /// GitHub's API.
    #[error(transparent)]
    Github(#[from] GithubError),
}

/// What a landing came to.
#[derive(Debug)]
pub enum Landed {
    /// Base and fence moved.
    Moved,
    /// Nothing moved, because the base or the fence stood elsewhere.
    Refused {
        /// The base; `None` if the branch is gone.
        base_now: Option<Oid>,
        /// The fence.
        fence_now: Option<FenceCommit>,
    },
    /// The answer was lost: settle the landing.
    Unknown {
        /// What was heard instead of an answer.
        why: Unheard,
    },
}

/// What a withdrawal came to.
#[derive(Debug)]
pub enum Withdrawn {
    /// The fence moved.
    Moved,
    /// Nothing moved, because the fence stood elsewhere.
    Refused {
        /// The fence.
        fence_now: Option<FenceCommit>,
    },
    /// The answer was lost. Withdrawing again is safe: the move is the same.
    Unknown {
        /// What was heard instead of an answer.
        why: Unheard,
    },
}

/// Where a branch and the fence stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The branch's head; `None` if the branch is gone.
    pub base: Option<Oid>,
    /// The fence; `None` before the first landing.
    pub fence: Option<FenceCommit>,
}

/// What became of a landing whose answer was lost, or whose leader was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The branch holds the candidate.
    Landed,
    /// The fence stands where the landing expects it: it may happen yet. Only
    /// a withdrawal makes it certain that it does not.
    Open,
    /// The fence is past the landing, which can never happen any more.
    Dead(ReadBack),
    /// The fence made the landing's step, but the branch does not hold the
    /// candidate: somebody rewrote it. A person must look.
    Rewritten(ReadBack),
}

//! How a commit without an answer gets one.
//!
//! After [`CommitError::Unknown`] the commit may have been applied, may be lost, or may still be
//! on its way. Reading the head does not help: the commit could arrive right after. A *barrier*
//! does: an empty commit with a new id that compares the same leadership and the same head.
//! Exactly one of the two can pass that compare, so whichever moved the head decides for both.

use std::future::Future;

use thiserror::Error;

use crate::commit::Commit;
use crate::head::{CommitId, Head};
use crate::store::{Cause, CommitError, Leadership, Store};

/// What became of a commit, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "whether the commit applied decides what the board looks like"]
pub enum Settled {
    /// It was applied, once.
    Applied(Head),
    /// It was not applied and never will be; a barrier moved the head. The same changes may be
    /// tried again as a new commit on this head.
    Lost(Head),
}

/// Why a commit cannot be settled by this leader, or was refused at once.
#[derive(Debug, Error)]
pub enum SettleError {
    /// The leadership is over: step down. If the commit's outcome was unknown it stays so to
    /// this leader; the next one finds the truth in what it loads.
    #[error("deposed: another candidate took the lead after term {term}")]
    Deposed {
        /// The term that is over.
        term: u64,
    },
    /// The head is neither the expected one nor made by the commit or its barriers: someone
    /// commits beside this caller under the same leadership, which is a bug. Load again.
    #[error("head is commit {} ({}), made by none of this caller's commits", .head.number, .head.id)]
    Overtaken {
        /// The store's head.
        head: Head,
    },
    /// The store refused the commit before it did anything; it was not applied and never will
    /// be. [`settle`] itself never answers this.
    #[error("store is unavailable")]
    Unavailable(#[source] Cause),
}

/// Sends barriers on `expected` until it is definite what became of the commit `lost`, whose
/// answer was [`CommitError::Unknown`]. Between two attempts it awaits `pause`, which is given
/// the number of attempts so far; dropping the future gives up and leaves the outcome unknown.
///
/// # Errors
///
/// See [`SettleError`].
pub async fn settle<P, F>(
    store: &dyn Store,
    leadership: &Leadership,
    expected: &Head,
    lost: CommitId,
    mut pause: P,
) -> Result<Settled, SettleError>
where
    P: FnMut(u32) -> F,
    F: Future<Output = ()>,
{
    // The barriers whose own answer was unknown: one of them may be what moved the head.
    let mut unanswered = Vec::new();
    let mut attempts = 0;
    loop {
        let barrier = Commit::barrier(leadership, expected);
        let id = barrier.id();
        match store.commit(leadership, expected, barrier).await {
            Ok(head) => return Ok(Settled::Lost(head)),
            Err(CommitError::Moved { head }) if head.id == lost => {
                return Ok(Settled::Applied(head));
            }
            Err(CommitError::Moved { head }) if unanswered.contains(&head.id) => {
                return Ok(Settled::Lost(head));
            }
            Err(CommitError::Moved { head }) => return Err(SettleError::Overtaken { head }),
            Err(CommitError::Deposed { term }) => return Err(SettleError::Deposed { term }),
            Err(CommitError::Unknown(_)) => unanswered.push(id),
            // The barrier is out, but the commit before it may still be on its way.
            Err(CommitError::Unavailable(_)) => {}
        }
        attempts += 1;
        pause(attempts).await;
    }
}

/// Commits, and settles the outcome if the answer is unknown: the caller always learns what
/// became of its commit, unless it has been deposed.
///
/// # Errors
///
/// See [`SettleError`].
pub async fn commit_and_settle<P, F>(
    store: &dyn Store,
    leadership: &Leadership,
    expected: &Head,
    commit: Commit,
    pause: P,
) -> Result<Settled, SettleError>
where
    P: FnMut(u32) -> F,
    F: Future<Output = ()>,
{
    let id = commit.id();
    match store.commit(leadership, expected, commit).await {
        Ok(head) => Ok(Settled::Applied(head)),
        Err(CommitError::Deposed { term }) => Err(SettleError::Deposed { term }),
        Err(CommitError::Moved { head }) => Err(SettleError::Overtaken { head }),
        Err(CommitError::Unavailable(cause)) => Err(SettleError::Unavailable(cause)),
        Err(CommitError::Unknown(_)) => settle(store, leadership, expected, id, pause).await,
    }
}

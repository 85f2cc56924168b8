//! What can go wrong at GitHub, by who can act on it.

use std::time::Duration;

use super::operation::Operation;
use super::place::Slug;

/// Which of GitHub's limits was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests in an hour: nothing more until it is counted anew.
    Primary,
    /// Too much at once, or too much written.
    Secondary,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primary => "rate limit",
            Self::Secondary => "secondary rate limit",
        })
    }
}

/// Why a request did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No answer came, or half of one: whether something changed is not known.
    #[error("no answer: {reason}")]
    Unanswered {
        /// What came instead.
        reason: String,
    },
    /// GitHub is in trouble: whether something changed is not known.
    #[error("github answered {status}")]
    Outage {
        /// The status.
        status: u16,
    },
    /// Too much was asked: nothing more is, for so long.
    #[error("{limit} of github: nothing more for {}s", wait.as_secs())]
    Cooldown {
        /// Which limit.
        limit: Limit,
        /// How long.
        wait: Duration,
    },
    /// GitHub does not know who we are: mend key or token.
    #[error("github refused the credentials: {message}")]
    Unauthorized {
        /// GitHub's words.
        message: String,
    },
    /// The App is suspended here: the repository's owner lets it in again.
    #[error("the app's installation is suspended: {message}")]
    Suspended {
        /// GitHub's words.
        message: String,
    },
    /// A right is missing: whoever installed the App grants it.
    #[error("not allowed: {message}")]
    Forbidden {
        /// GitHub's words.
        message: String,
    },
    /// It is not there, or not for us.
    #[error("not found: {message}")]
    Missing {
        /// GitHub's words.
        message: String,
    },
    /// It was there, and is not any more.
    #[error("gone: {message}")]
    Gone {
        /// GitHub's words.
        message: String,
    },
    /// Another repository has this name now: mend the address, or say that it is another one.
    #[error(
        "{name} is another repository now: its id is {id}, and ours has {expected}: name ours in \
         `github` of its [[repo]], or give that one a `name` of its own"
    )]
    Replaced {
        /// Its name.
        name: Box<Slug>,
        /// Its id.
        id: u64,
        /// The id of the one that had the name before.
        expected: u64,
    },
    /// It is at another address, where nobody could be asked: mend the address.
    #[error("moved to {}", to.as_deref().unwrap_or("an unnamed place"))]
    Moved {
        /// Its address now.
        to: Option<String>,
    },
    /// It stands otherwise than the request expects.
    #[error("conflict: {message}")]
    Conflict {
        /// GitHub's words.
        message: String,
    },
    /// A rule of the repository is in the way.
    #[error("refused: {message}")]
    NotAllowed {
        /// GitHub's words.
        message: String,
    },
    /// The request makes no sense to GitHub as things are.
    #[error("invalid: {message}")]
    Invalid {
        /// GitHub's words.
        message: String,
    },
    /// It was done, and the answer is of another shape than expected: read it again by its id.
    #[error("done, and the answer cannot be read: {detail}")]
    Unreadable {
        /// What is wrong with it.
        detail: String,
    },
    /// A status that GitHub does not document.
    #[error("github answered {status}: {message}")]
    Unexpected {
        /// The status.
        status: u16,
        /// What came with it.
        message: String,
    },
}

impl Cause {
    /// Whether something may have changed all the same.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Outage { .. } | Self::Unreadable { .. })
    }

    /// Whether the same request may well succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Outage { .. })
    }
}

/// A request to GitHub that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct GithubError {
    /// What was asked.
    pub operation: Operation,
    /// Why it failed.
    pub cause: Cause,
}

impl GithubError {
    /// Whether this changed something, for all that is known.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        self.operation.effect.changes() && self.cause.is_unclear()
    }
}

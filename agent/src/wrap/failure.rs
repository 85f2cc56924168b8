//! Why a wrapper ended with a code of its own instead of its command's.

use crate::error::{Error, Exit, in_full};
use crate::ledger::LedgerError;
use crate::run::{FileError, InvalidSpec, ReapError, RunError};
use crate::supervisor::SpawnError;

/// A wrapper's own failure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Somebody else has it, and the wait is over.
    #[error("not acquired: {reason}")]
    NotAcquired {
        /// Who has it, or what ended the wait.
        reason: String,
    },
    /// What the command ran under was lost; the command is stopped.
    #[error("lost: {reason}; the command was stopped")]
    Lost {
        /// How.
        reason: String,
    },
    /// The coordinator or this host's daemon cannot be reached.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// Who, and since when.
        reason: String,
    },
    /// The build failed elsewhere and was not run again.
    #[error("{reason}")]
    FailedBefore {
        /// How it failed, and where its log is.
        reason: String,
    },
    /// The wrapper itself could not do its work.
    #[error("{reason}")]
    Wrapper {
        /// What it could not do.
        reason: String,
    },
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::FailedBefore { .. } => 1,
            Self::NotAcquired { .. } => 120,
            Self::Lost { .. } => 121,
            Self::Unavailable { .. } => 122,
            Self::Wrapper { .. } => 125,
        }
    }

    pub(super) fn not_acquired(reason: impl Into<String>) -> Self {
        Self::NotAcquired { reason: reason.into() }
    }

    pub(super) fn wrapper(reason: impl Into<String>) -> Self {
        Self::Wrapper { reason: reason.into() }
    }

    fn in_full(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Wrapper { reason: in_full(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = error.in_full();
        match error.exit() {
            Exit::Held | Exit::Empty | Exit::Queued => Self::NotAcquired { reason },
            Exit::Lost => Self::Lost { reason },
            Exit::Unavailable | Exit::Unknown => Self::Unavailable { reason },
            _ => Self::Wrapper { reason },
        }
    }
}

macro_rules! of_wrapper {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::in_full(&error)
            }
        })*
    };
}

of_wrapper!(FileError, LedgerError, RunError, ReapError, SpawnError, InvalidSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_means_for_the_wrapper_decides_the_code() {
        let refusal = |refusal| Error::Refused { refusal: Box::new(refusal), id: String::new() };
        use molt_domain::board::Refusal;
        let cycle = Refusal::WaitCycle { cycle: vec!["a".to_owned(), "b".to_owned()] };
        let lost = Refusal::Lost { what: "ses_0001".to_owned(), reason: "silence".to_owned() };
        let table = [
            (refusal(cycle), 120),
            (refusal(lost), 121),
            (Error::unavailable("away"), 122),
            (Error::Unknown { problem: "no answer".to_owned() }, 122),
            (Error::bug("odd"), 125),
            (Error::usage("no such lock"), 125),
        ];
        for (error, code) in table {
            let text = error.to_string();
            assert_eq!(Failure::from(error).code(), code, "{text}");
        }
    }
}

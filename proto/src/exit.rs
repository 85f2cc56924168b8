//! The exit codes of both programs: who must act.
//!
//! Not here: which error has which code beyond what a coordinator answers.

use std::process::ExitCode;

use molt_domain::board::Kind;

use crate::error::Failure;

/// What the exit code tells the caller. Scripts depend on every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, granted, already held, allowed.
    Ok = 0,
    /// A bug: report it.
    Bug = 1,
    /// Fix the command line or the file that it names.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// Held by someone else; nothing was acquired.
    Held = 4,
    /// The wait ended; the place in line is kept.
    Queued = 5,
    /// Fenced, expired or revoked: stop editing.
    Lost = 6,
    /// A gate failed or is pending.
    Gate = 7,
    /// Role, token or approval missing.
    Forbidden = 8,
    /// A precondition did not hold.
    Precondition = 9,
    /// Nothing changed, try again.
    Unavailable = 10,
    /// Sent, no answer; repeat the same command.
    Unknown = 11,
    /// Nothing ready, nothing new.
    Empty = 12,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Bug,
        Self::Usage,
        Self::NotFound,
        Self::Held,
        Self::Queued,
        Self::Lost,
        Self::Gate,
        Self::Forbidden,
        Self::Precondition,
        Self::Unavailable,
        Self::Unknown,
        Self::Empty,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it is the coordinator's or the guard's definite word, as opposed
    /// to a call that never got to one.
    #[must_use]
    pub const fn is_an_answer(self) -> bool {
        !matches!(self, Self::Bug | Self::Usage | Self::Unavailable | Self::Unknown)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Held => Self::Held,
            Kind::Lost => Self::Lost,
            Kind::NotFound => Self::NotFound,
            Kind::Empty => Self::Empty,
            Kind::Gate => Self::Gate,
            Kind::Forbidden => Self::Forbidden,
            Kind::Precondition => Self::Precondition,
            Kind::Usage => Self::Usage,
        }
    }
}

impl From<&Failure> for Exit {
    /// What a coordinator's answer means for whoever asked, or that there was none.
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Refused { .. } | Failure::Other { .. } => {
                failure.kind().map_or(Self::Bug, Self::from)
            }
            Failure::Unavailable { .. } => Self::Unavailable,
            Failure::Unknown { .. } => Self::Unknown,
            Failure::Compacted { .. } => Self::Precondition,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts depend on every number.
    #[test]
    fn the_codes_are_those_of_the_manual() {
        let words = [
            "Ok",
            "Bug",
            "Usage",
            "NotFound",
            "Held",
            "Queued",
            "Lost",
            "Gate",
            "Forbidden",
            "Precondition",
            "Unavailable",
            "Unknown",
            "Empty",
        ];
        for (index, (exit, word)) in Exit::ALL.into_iter().zip(words).enumerate() {
            assert_eq!(usize::from(exit.code()), index);
            assert_eq!(format!("{exit:?}"), word);
        }
    }

    #[test]
    fn every_kind_of_refusal_has_its_code() {
        let table = [
            (Kind::Held, 4),
            (Kind::Lost, 6),
            (Kind::NotFound, 3),
            (Kind::Empty, 12),
            (Kind::Gate, 7),
            (Kind::Forbidden, 8),
            (Kind::Precondition, 9),
            (Kind::Usage, 2),
        ];
        for (kind, code) in table {
            assert_eq!(Exit::from(kind).code(), code, "{kind:?}");
        }
    }
}

//! How a call ends: the exit codes, and errors by who must act.
//!
//! Not here: what is printed about them ([`crate::ui`]) and the refusals
//! themselves, which the domain words.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use molt_domain::board::{Kind, Refusal};

use crate::run::FileError;

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

/// Why a verb did not do what it was asked, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error("{problem}")]
    Usage {
        /// What is wrong with it.
        problem: String,
    },
    /// A file of this machine cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// No git repository where the command was run.
    #[error("no git worktree at {} or above it", folder.display())]
    NoWorktree {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A thing of that name is not there.
    #[error("no {kind} `{name}`{}", near(nearest.as_deref()))]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// The name given.
        name: String,
        /// The nearest that is there.
        nearest: Option<String>,
    },
    /// The rules said no.
    #[error("{refusal}")]
    Refused {
        /// What they said.
        refusal: Box<Refusal>,
        /// Its id, to ask why; empty where nothing was recorded.
        id: String,
    },
    /// The coordinator said no in words that only a newer program can read.
    #[error("{message}")]
    Told {
        /// What the caller can do about it.
        exit: Exit,
        /// What it said.
        message: String,
    },
    /// A fact that the command rests on is not so.
    #[error("{problem}")]
    Precondition {
        /// Which, and what to do about it.
        problem: String,
    },
    /// Nothing changed; the same command may work in a moment.
    #[error("{problem}")]
    Unavailable {
        /// What could not be reached or answered.
        problem: String,
    },
    /// The command was sent and nobody said what became of it.
    #[error("{problem}; it may have been carried out")]
    Unknown {
        /// What was heard last.
        problem: String,
    },
    /// The git program said no.
    #[error("`git {command}` failed: {said}")]
    Git {
        /// The command.
        command: String,
        /// Its last words.
        said: String,
    },
    /// Two programs disagree about what can be said: a bug.
    #[error("{problem}")]
    Bug {
        /// What should never be.
        problem: String,
    },
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(": did you mean `{nearest}`?"))
}

impl Error {
    /// A wrong command line.
    pub fn usage(problem: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into() }
    }

    /// A state that no coordinator of this version makes.
    pub fn bug(problem: impl Into<String>) -> Self {
        Self::Bug { problem: problem.into() }
    }

    /// Something that cannot be reached or answered now.
    pub fn unavailable(problem: impl Into<String>) -> Self {
        Self::Unavailable { problem: problem.into() }
    }

    /// For `map_err`: what was being done to which file.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File(FileError { doing, path, source })
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::File(_) | Self::NoWorktree { .. } => Exit::Usage,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Refused { refusal, .. } => refusal.kind().into(),
            Self::Told { exit, .. } => *exit,
            Self::Precondition { .. } => Exit::Precondition,
            Self::Unavailable { .. } | Self::Git { .. } => Exit::Unavailable,
            Self::Unknown { .. } => Exit::Unknown,
            Self::Bug { .. } => Exit::Bug,
        }
    }

    /// The stable word that programs may match on.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Usage { .. } => "usage".to_owned(),
            Self::File(_) => "file".to_owned(),
            Self::NoWorktree { .. } => "no_worktree".to_owned(),
            Self::NotFound { .. } => "not_found".to_owned(),
            Self::Refused { refusal, .. } => refusal.reason().to_ascii_lowercase(),
            Self::Told { .. } => "refused".to_owned(),
            Self::Precondition { .. } => "precondition".to_owned(),
            Self::Unavailable { .. } => "unavailable".to_owned(),
            Self::Unknown { .. } => "unknown".to_owned(),
            Self::Git { .. } => "git".to_owned(),
            Self::Bug { .. } => "bug".to_owned(),
        }
    }

    /// The message with all its causes.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/cli.md`: a change here breaks callers.
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

    #[test]
    fn causes_follow_the_message() {
        let source = io::Error::other("disk is full");
        let error = Error::file("write", Path::new("/tmp/x"))(source);
        assert_eq!(error.in_full(), "cannot write /tmp/x: disk is full");
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn a_missing_thing_names_the_nearest() {
        let nearest = Some("runtime".to_owned());
        let error = Error::NotFound { kind: "scope", name: "rutime".to_owned(), nearest };
        assert_eq!(error.to_string(), "no scope `rutime`: did you mean `runtime`?");
        assert_eq!(error.exit().code(), 3);
    }
}

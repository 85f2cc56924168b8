//! How a call ends: errors by who must act, and the exit code of each.
//!
//! Not here: what is printed about them ([`crate::ui`]) and the refusals
//! themselves, which the domain words.

use std::io;
use std::path::{Path, PathBuf};

use molt_domain::board::{Kind, Refusal};
pub use molt_proto::exit::Exit;

use crate::run::FileError;

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
    /// What happened right after where the caller is, is not kept any more.
    #[error("entries before {oldest} are not kept any more")]
    Compacted {
        /// The oldest entry that is kept.
        oldest: u64,
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

    /// Whether the session that asked is lost, resumed elsewhere or over.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.kind() == Kind::Lost)
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
            Self::Precondition { .. } | Self::Compacted { .. } => Exit::Precondition,
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
            Self::Compacted { .. } => "compacted".to_owned(),
            Self::Unavailable { .. } => "unavailable".to_owned(),
            Self::Unknown { .. } => "unknown".to_owned(),
            Self::Git { .. } => "git".to_owned(),
            Self::Bug { .. } => "bug".to_owned(),
        }
    }

    /// The message with all its causes.
    #[must_use]
    pub fn in_full(&self) -> String {
        in_full(self)
    }
}

/// An error's message with all its causes.
pub(crate) fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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

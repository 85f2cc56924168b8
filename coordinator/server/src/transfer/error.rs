//! Why state was not moved, and who must act.

use std::path::PathBuf;

use molt_domain::board::Refusal;
use molt_proto::exit::Exit;
use molt_store::{CampaignError, Cause, Format, LoadError, Rejected};

use super::archive::ArchiveError;
use super::sealed::SealedError;
use crate::config::ConfigError;
use crate::engine::OpenError;
use crate::store_place::PlaceError;

/// Why state was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// A store was not opened.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The lead of a store was not given.
    #[error("cannot take the lead of {place}")]
    Campaign {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: CampaignError,
    },
    /// Somebody serves the store.
    #[error("{place} is served by {leader}: stop it first, and every standby")]
    Served {
        /// Which.
        place: String,
        /// Who, as far as it is known.
        leader: String,
    },
    /// A store was not read.
    #[error("cannot read {place}")]
    Load {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// What was read does not verify.
    #[error("{place} does not verify")]
    Unsound {
        /// Where it was read.
        place: String,
        /// Why.
        #[source]
        source: Box<OpenError>,
    },
    /// There is no store.
    #[error("{place} has no records")]
    Nothing {
        /// Where.
        place: String,
    },
    /// The records are of a format that this program is too old for.
    #[error(
        "the records are of format {}, which needs a program of {}: use a newer one",
        .format.written, .format.min_writer
    )]
    Format {
        /// Their format.
        format: Format,
    },
    /// A backup does not read or does not verify.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The audit's segments.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// Something is there already.
    #[error("{place} is not empty: {found}; nothing is overwritten")]
    NotEmpty {
        /// Where.
        place: String,
        /// What is there.
        found: String,
    },
    /// Other work has begun there and not ended.
    #[error(
        "in {place} a {begun} has begun and not ended: end it by running it again, or give it up \
         with --again"
    )]
    Begun {
        /// Where.
        place: String,
        /// What.
        begun: String,
    },
    /// The records live on elsewhere.
    #[error("the records of {place} moved {to}")]
    Moved {
        /// From where.
        place: String,
        /// Where to.
        to: String,
    },
    /// The rules refuse what begins a new life.
    #[error("the board refuses: {0}")]
    Refused(Box<Refusal>),
    /// The board does not come to rest: a bug.
    #[error("the board does not come to rest after {steps} steps")]
    Restless {
        /// How many were made.
        steps: usize,
    },
    /// A commit is not within the limits: a bug.
    #[error("a commit could not be built")]
    Unbuildable(#[source] Cause),
    /// What was written is not what is read back.
    #[error("{place} differs from what was written: {found}")]
    Differs {
        /// Where.
        place: String,
        /// The first difference.
        found: String,
    },
    /// Another took the lead meanwhile, or writes beside this program.
    #[error("the lead of {place} was lost meanwhile: run it again once nobody serves it")]
    Deposed {
        /// Of which store.
        place: String,
    },
    /// A store does not take what is written.
    #[error("{place} takes no changes now: run the same again, and it goes on where it stopped")]
    Unavailable {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A file.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The caller was told to stop.
    #[error("interrupted: nothing was left behind")]
    Interrupted,
}

impl TransferError {
    /// The exit code that says who must act.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage(_) => Exit::Usage,
            Self::Place(place) => of_place(place),
            Self::Served { .. } => Exit::Held,
            Self::Campaign { source: CampaignError::Held { .. }, .. } => Exit::Held,
            Self::Campaign { source: CampaignError::Unavailable(_), .. }
            | Self::Load {
                source: LoadError::Unavailable(_) | LoadError::Deposed { .. }, ..
            }
            | Self::Deposed { .. }
            | Self::Unavailable { .. }
            | Self::Interrupted
            | Self::File { .. } => Exit::Unavailable,
            Self::Nothing { .. } => Exit::NotFound,
            Self::Campaign { .. }
            | Self::Load { .. }
            | Self::Unsound { .. }
            | Self::Format { .. }
            | Self::Archive(_)
            | Self::Sealed(_)
            | Self::NotEmpty { .. }
            | Self::Begun { .. }
            | Self::Moved { .. }
            | Self::Refused(_)
            | Self::Differs { .. } => Exit::Precondition,
            Self::Restless { .. } | Self::Unbuildable(_) => Exit::Bug,
        }
    }
}

/// The exit code for a store that was not opened.
pub(crate) fn of_place(error: &PlaceError) -> Exit {
    use molt_store::embedded::OpenError as Embedded;
    match error {
        PlaceError::Embedded { source, .. } => match source {
            Embedded::Held { .. } => Exit::Held,
            Embedded::Newer { .. } | Embedded::Foreign { .. } | Embedded::Damaged { .. } => {
                Exit::Precondition
            }
            Embedded::Io { .. } | Embedded::Sqlite { .. } => Exit::Unavailable,
        },
        #[cfg(feature = "etcd")]
        PlaceError::Etcd(error) => match error {
            molt_store::etcd::ConnectError::Barred { .. } => Exit::Precondition,
            molt_store::etcd::ConnectError::Credentials(_) => Exit::Forbidden,
            molt_store::etcd::ConnectError::Options(_) => Exit::Usage,
            _ => Exit::Unavailable,
        },
        _ => Exit::Usage,
    }
}

impl From<Rejected> for TransferError {
    fn from(rejected: Rejected) -> Self {
        Self::Unbuildable(rejected.into())
    }
}

impl From<serde_json::Error> for TransferError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unbuildable(error.into())
    }
}

//! Why a verb failed, and the exit code that says who must act.

use std::path::PathBuf;
use std::process::ExitCode;

use molt_domain::board::Kind;
use molt_proto::error::Failure;

use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::policy::InitError;
use crate::reconcile::TrainError;
use crate::serve::ServeError;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The coordinator's answer, or that there is none.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The service.
    #[error("cannot serve")]
    Serve(#[from] ServeError),
    /// The proposal.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The demonstration.
    #[error("the demonstration failed")]
    Demo(#[source] DemoError),
    /// The audit does not hold.
    #[error("{} does not verify", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// The machine has no threads or files left.
    #[error("cannot start")]
    Runtime {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The code of `docs/cli.md` that says who must act.
    pub(super) fn exit(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failure(failure) => of_failure(failure),
            Self::Serve(
                ServeError::Config(ConfigError::NotLoopback(_)) | ServeError::Config(_),
            ) => 2,
            Self::Serve(ServeError::Train(TrainError::Policy { .. } | TrainError::Name(_))) => 2,
            Self::Serve(_) | Self::File { .. } | Self::Runtime { .. } => 10,
            Self::Init(_) | Self::Usage(_) => 2,
            Self::Audit { .. } => 9,
            Self::Demo(_) => 1,
        })
    }
}

fn of_failure(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused { .. } | Failure::Other { .. } => match failure.kind() {
            Some(Kind::Usage) => 2,
            Some(Kind::NotFound) => 3,
            Some(Kind::Held) => 4,
            Some(Kind::Lost) => 6,
            Some(Kind::Gate) => 7,
            Some(Kind::Forbidden) => 8,
            Some(Kind::Precondition) => 9,
            Some(Kind::Empty) => 12,
            None => 1,
        },
        Failure::Unavailable { .. } => 10,
        Failure::Unknown { .. } => 11,
        Failure::Compacted { .. } => 9,
    }
}

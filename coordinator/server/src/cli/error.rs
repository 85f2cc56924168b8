//! Why a verb failed, and the exit code that says who must act.

use std::path::PathBuf;

use molt_proto::error::Failure;
use molt_proto::exit::Exit;
use molt_store::CampaignError;

use crate::auth::authority::AuthorityError;
use crate::demo::DemoError;
use crate::engine::OpenError;
use crate::lead::LeadError;
use crate::policy::InitError;
use crate::reconcile::TrainError;
use crate::serve::ServeError;
use crate::transfer::TransferError;

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
    /// The certificates.
    #[error(transparent)]
    Certs(#[from] AuthorityError),
    /// A backup, a restore or a migration.
    #[error(transparent)]
    Transfer(#[from] TransferError),
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
    /// The code that says who must act.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Failure(failure) => failure.into(),
            Self::Transfer(error) => error.exit(),
            Self::Serve(
                ServeError::Config(_)
                | ServeError::Tls(_)
                | ServeError::Lead(LeadError::Differs(_)),
            ) => Exit::Usage,
            Self::Serve(ServeError::Lead(LeadError::Train {
                source: TrainError::Policy { .. } | TrainError::Name(_),
                ..
            })) => Exit::Usage,
            Self::Serve(ServeError::Lead(LeadError::Board(
                OpenError::Unfinished { .. }
                | OpenError::Moved { .. }
                | OpenError::Campaign(CampaignError::Format { .. }),
            ))) => Exit::Precondition,
            Self::Serve(_) | Self::File { .. } | Self::Runtime { .. } => Exit::Unavailable,
            Self::Init(_) | Self::Usage(_) => Exit::Usage,
            Self::Certs(AuthorityError::Write { .. }) => Exit::Unavailable,
            Self::Certs(AuthorityError::Making(_)) => Exit::Bug,
            Self::Certs(_) => Exit::Usage,
            Self::Audit { .. } => Exit::Precondition,
            Self::Demo(_) => Exit::Bug,
        }
    }
}

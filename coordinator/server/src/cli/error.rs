//! Why a verb failed, and the exit code that says who must act.

use std::path::PathBuf;

use molt_proto::error::Failure;
use molt_proto::exit::Exit;
use molt_store::CampaignError;
use serde_json::{Value, json};

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
    /// The machine has no threads or files left.
    #[error("cannot start")]
    Runtime {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(": did you mean `{nearest}`?"))
}

impl Error {
    /// The stable word that programs may match on.
    pub(super) fn code(&self) -> String {
        if let Self::Failure(Failure::Refused { refusal, .. }) = self {
            return refusal.reason().to_ascii_lowercase();
        }
        let word = match self.exit() {
            Exit::Usage => "usage",
            Exit::NotFound => "not_found",
            Exit::Precondition => "precondition",
            Exit::Unavailable => "unavailable",
            Exit::Unknown => "unknown",
            Exit::Bug => "bug",
            _ => "refused",
        };
        word.to_owned()
    }

    /// What the document says about it: `message`, and of a refusal its facts and its id.
    pub(super) fn data(&self, message: &str) -> Value {
        let mut data = json!({ "message": message });
        if let (Self::Failure(Failure::Refused { refusal, id }), Value::Object(fields)) =
            (self, &mut data)
        {
            if let Ok(Value::Object(facts)) = serde_json::to_value(refusal) {
                fields.extend(facts);
            }
            fields.extend(id.iter().map(|id| ("why".to_owned(), json!(id))));
        }
        data
    }

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
            Self::NotFound { .. } => Exit::NotFound,
            Self::Demo(_) => Exit::Bug,
        }
    }
}

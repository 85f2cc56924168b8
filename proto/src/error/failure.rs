//! Failures, as a client takes them from what it is sent, or from what broke.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use molt_domain::board::{Kind, Refusal};
use molt_domain::id::RefusalId;
use rustls::AlertDescription;
use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

use super::{COMPACTED, DOMAIN, KINDS, STANDBY, UNAVAILABLE, UNKNOWN_OUTCOME};
use crate::v1;

/// Why a request was not answered as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The rules said no; nothing changed.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// The number under which it can be explained, if it has one.
        id: Option<RefusalId>,
    },
    /// Nothing changed: the same request may be sent again.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
        /// When to come back, if the coordinator said so.
        retry_after: Option<Duration>,
        /// The coordinator that leads, if the one that was asked does not.
        leader: Option<String>,
    },
    /// The request was sent and may have been carried out: repeat the same one.
    #[error("no definite answer: {reason}")]
    Unknown {
        /// What is known.
        reason: String,
    },
    /// The entries asked for are not kept any more.
    #[error("entries before {oldest} are not kept any more")]
    Compacted {
        /// The oldest that are.
        oldest: u64,
    },
    /// Nothing of the above, or a refusal that only a newer program can read.
    #[error("{message} ({code:?})")]
    Other {
        /// The status's code.
        code: Code,
        /// What can be done about it, if it is a refusal.
        kind: Option<Kind>,
        /// What it says.
        message: String,
    },
}

impl Failure {
    /// What can be done about a refusal; `None` when it is none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.kind()),
            Self::Other { kind, .. } => *kind,
            Self::Unavailable { .. } | Self::Unknown { .. } | Self::Compacted { .. } => None,
        }
    }

    fn told(code: Code, reason: &str, message: String, said: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| said.get(key).filter(|text| !text.is_empty());
        match reason {
            UNAVAILABLE | STANDBY => Self::Unavailable {
                reason: message,
                retry_after: text("retry_after_ms")
                    .and_then(|span| span.parse().ok())
                    .map(Duration::from_millis),
                leader: text("leader").cloned(),
            },
            UNKNOWN_OUTCOME => Self::Unknown { reason: message },
            COMPACTED => match text("oldest").and_then(|oldest| oldest.parse().ok()) {
                Some(oldest) => Self::Compacted { oldest },
                None => Self::Other { code, kind: None, message },
            },
            _ => {
                let refusal = text("refusal").and_then(|json| serde_json::from_str(json).ok());
                match refusal {
                    Some(refusal) => {
                        let id = text("id").and_then(|id| id.parse().ok());
                        Self::Refused { refusal: Box::new(refusal), id }
                    }
                    None => Self::Other { code, kind: text("kind").and_then(kind), message },
                }
            }
        }
    }

    /// What it means that one side did not believe the other: nothing was carried out.
    pub(crate) fn unproven(error: &rustls::Error) -> Option<Self> {
        let forbidden = |message| {
            let (code, kind) = (Code::Unauthenticated, Some(Kind::Forbidden));
            Some(Self::Other { code, kind, message })
        };
        match error {
            rustls::Error::InvalidCertificate(problem) => {
                forbidden(format!("the coordinator's certificate is not believed: {problem}"))
            }
            rustls::Error::AlertReceived(alert) if is_about_certificates(*alert) => {
                forbidden(format!("the coordinator does not take this certificate: {alert:?}"))
            }
            rustls::Error::InvalidMessage(_) => {
                let message = "the coordinator does not speak TLS: use http://".to_owned();
                let (code, kind) = (Code::InvalidArgument, Some(Kind::Usage));
                Some(Self::Other { code, kind, message })
            }
            _ => None,
        }
    }

    /// What a status means that no coordinator made: something between broke.
    fn broken(code: Code, message: String, unsent: bool) -> Self {
        match code {
            _ if unsent => Self::Unavailable { reason: message, retry_after: None, leader: None },
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
                Self::Unknown { reason: message }
            }
            code => Self::Other { code, kind: None, message },
        }
    }
}

fn kind(word: &String) -> Option<Kind> {
    KINDS.iter().find(|(_, known, _)| known == word).map(|&(kind, ..)| kind)
}

/// What broke the handshake of TLS or the connection after it.
fn tls_error(status: &Status) -> Option<&rustls::Error> {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error wraps is not among its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| wrapped.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Whether an alert is about the certificate that was shown, or that none was.
fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
}

/// Whether no connection was made, so that nothing can have been carried out.
fn is_unsent(status: &Status) -> bool {
    let causes = std::iter::successors(status.source(), |cause| (*cause).source());
    causes.into_iter().any(<dyn Error>::is::<ConnectError>)
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let (code, message) = (status.code(), status.message().to_owned());
        if let Some(failure) = tls_error(&status).and_then(Self::unproven) {
            return failure;
        }
        match status.get_details_error_info().filter(|info| info.domain == DOMAIN) {
            Some(info) => {
                Self::told(code, &info.reason, message, &info.metadata.into_iter().collect())
            }
            // What broke here, with a request on its way, is as unknown as a lost answer.
            None if status.source().is_some() && !is_unsent(&status) => {
                Self::Unknown { reason: message }
            }
            None => Self::broken(code, message, is_unsent(&status)),
        }
    }
}

impl From<v1::Failure> for Failure {
    fn from(failure: v1::Failure) -> Self {
        let v1::Failure { code, reason, message, metadata } = failure;
        let code = Code::from(code);
        if reason.is_empty() {
            return Self::broken(code, message, false);
        }
        Self::told(code, &reason, message, &metadata)
    }
}

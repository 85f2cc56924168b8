//! What a call that failed tells about what it did: nothing, nothing for ever, or who knows.

use std::error::Error as StdError;

use etcd_client::Error;
use thiserror::Error as ThisError;
use tonic::{Code, ConnectError, Status};

/// What every refusal by etcd itself begins with; a status that tonic makes does not.
const BY_ETCD: &str = "etcdserver: ";
/// What a member says that has nobody to propose to. It has proposed nothing then.
const DROPPED: &str = "raft proposal dropped";
const NO_LEADER: &str = "etcdserver: no leader";

/// A call to etcd that brought no answer, or a refusal.
#[derive(Debug, ThisError)]
#[error("etcd at {endpoint}: {reason}")]
pub struct Failure {
    pub(super) endpoint: String,
    pub(super) reason: String,
    pub(super) class: Class,
}

/// What a failed call has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing, and it never will: it did not reach a member that could take it. Another member
    /// may.
    NotSent,
    /// Nothing, for the reason given; asking again as it is does not help. One refusal proves
    /// less: see [`Refusal::Full`].
    Refused(Refusal),
    /// It was answered, with more than this client takes at once.
    TooLong,
    /// It was applied, or not, or will be.
    Unknown,
}

/// Why etcd refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The database has reached its quota. The change that reaches it first is applied *and*
    /// refused, so this alone does not prove that nothing was done.
    Full,
    /// The revision asked for is compacted.
    Compacted,
    /// The user, the password or the rights do not suffice.
    Rights,
    /// Anything else.
    Other,
}

impl Failure {
    /// What the call has done.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The failure of a call to `endpoint` with this error.
    pub(super) fn of(endpoint: &str, error: &Error) -> Self {
        let (class, reason) = match error {
            Error::GRpcStatus(status) => (classify(status), reason(status)),
            other => (Class::Unknown, other.to_string()),
        };
        Self { endpoint: endpoint.to_owned(), reason, class }
    }

    /// The failure of a call that had no answer in time.
    pub(super) fn late(endpoint: &str, class: Class) -> Self {
        Self { endpoint: endpoint.to_owned(), reason: "no answer in time".to_owned(), class }
    }

    /// A failure that happened before the call itself was sent: nothing of it was done.
    pub(super) fn before_the_call(mut self) -> Self {
        if self.class == Class::Unknown {
            self.class = Class::NotSent;
        }
        self
    }

    /// One failure for a call that was tried with several members.
    pub(super) fn all(failures: &[Self], class: Class) -> Self {
        let endpoints: Vec<_> = failures.iter().map(|failure| failure.endpoint.as_str()).collect();
        let mut reasons: Vec<_> = failures.iter().map(|failure| failure.reason.as_str()).collect();
        reasons.dedup();
        Self { endpoint: endpoints.join(", "), reason: reasons.join("; "), class }
    }
}

fn classify(status: &Status) -> Class {
    let text = status.message();
    if never_connected(status) || text == NO_LEADER || text.ends_with(DROPPED) {
        return Class::NotSent;
    }
    if status.code() == Code::OutOfRange && !text.starts_with(BY_ETCD) {
        return Class::TooLong;
    }
    // A status made on this side of the wire proves nothing about the other side.
    if status.source().is_some() || !text.starts_with(BY_ETCD) {
        return Class::Unknown;
    }
    match status.code() {
        Code::ResourceExhausted if text.contains("database space exceeded") => {
            Class::Refused(Refusal::Full)
        }
        Code::OutOfRange if text.contains("compacted") => Class::Refused(Refusal::Compacted),
        Code::Unauthenticated | Code::PermissionDenied => Class::Refused(Refusal::Rights),
        Code::InvalidArgument if is_about_rights(text) => Class::Refused(Refusal::Rights),
        Code::InvalidArgument
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::DataLoss => Class::Refused(Refusal::Other),
        _ => Class::Unknown,
    }
}

/// Whether the call waited for a connection that was never made. tonic wraps everything that
/// happens before there is one (names, TCP, TLS) into a [`ConnectError`], and hands it to the call
/// that waited for it without sending that call.
fn never_connected(status: &Status) -> bool {
    chain(status).any(<dyn StdError>::is::<ConnectError>)
}

/// What lies below a status, from the top down.
fn chain(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(status.source(), |error| (*error).source())
}

fn is_about_rights(text: &str) -> bool {
    ["authentication", "user name is empty", "auth store", "auth token"]
        .iter()
        .any(|part| text.contains(part))
}

/// The status in one line: what it says, and what lies deepest below.
fn reason(status: &Status) -> String {
    let text = status.message();
    let deepest = chain(status).last();
    match deepest.map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        _ if text.is_empty() => status.code().to_string(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    fn by_server(code: Code, text: &str) -> Class {
        classify(&Status::new(code, text))
    }

    fn on_this_side(
        mut status: Status,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Class {
        status.set_source(Arc::new(cause));
        classify(&status)
    }

    #[test]
    fn a_connection_that_was_never_made_sent_nothing() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let status = || Status::unavailable("tcp connect error");
        assert_eq!(on_this_side(status(), ConnectError(refused().into())), Class::NotSent);
        // The same words without the proof, and a connection that broke.
        assert_eq!(on_this_side(status(), refused()), Class::Unknown);
        assert_eq!(by_server(Code::Unavailable, "tcp connect error"), Class::Unknown);
    }

    #[test]
    fn who_has_no_leader_has_proposed_nothing() {
        assert_eq!(by_server(Code::Unavailable, "etcdserver: no leader"), Class::NotSent);
        assert_eq!(by_server(Code::Unknown, "raft proposal dropped"), Class::NotSent);
        for text in ["etcdserver: leader changed", "etcdserver: request timed out"] {
            assert_eq!(by_server(Code::Unavailable, text), Class::Unknown);
        }
    }

    #[test]
    fn a_refusal_counts_only_in_the_words_of_etcd() {
        for (code, text, refusal) in [
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", Refusal::Full),
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted",
                Refusal::Compacted,
            ),
            (Code::PermissionDenied, "etcdserver: permission denied", Refusal::Rights),
            (Code::InvalidArgument, "etcdserver: user name is empty", Refusal::Rights),
            (Code::InvalidArgument, "etcdserver: request is too large", Refusal::Other),
        ] {
            assert_eq!(by_server(code, text), Class::Refused(refusal), "{text}");
            let cause = io::Error::from(io::ErrorKind::BrokenPipe);
            assert_eq!(on_this_side(Status::new(code, text), cause), Class::Unknown, "{text}");
        }
        assert_eq!(by_server(Code::ResourceExhausted, "h2 protocol error"), Class::Unknown);
        let text = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        assert_eq!(by_server(Code::OutOfRange, text), Class::TooLong);
    }
}

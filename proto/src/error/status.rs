//! Statuses, as a coordinator sends them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use molt_domain::board::{Kind, Refusal};
use molt_domain::id::{RefusalId, millis};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{COMPACTED, DOMAIN, KINDS, STANDBY, UNAVAILABLE, UNKNOWN_OUTCOME, short};
use crate::v1;

fn kind(kind: Kind) -> (&'static str, Code) {
    let known = KINDS.iter().find(|(known, ..)| *known == kind);
    known.map_or(("", Code::Internal), |&(_, word, code)| (word, code))
}

fn build<const N: usize>(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: [(&str, String); N],
) -> Status {
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// A refusal as a status; `id` is the number under which it can be explained later.
#[must_use]
pub fn status(refusal: &Refusal, id: Option<RefusalId>) -> Status {
    let (word, code) = match refusal {
        Refusal::Unauthenticated { .. } => (kind(refusal.kind()).0, Code::Unauthenticated),
        _ => kind(refusal.kind()),
    };
    let (json, message) = short::told(refusal);
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let metadata = [("kind", word.to_owned()), ("refusal", json), ("id", id)];
    build(code, refusal.reason(), message, metadata)
}

/// That nothing changed and the same request may be sent again after `retry_after`.
#[must_use]
pub fn unavailable(reason: impl Into<String>, retry_after: Duration) -> Status {
    let wait = millis(retry_after).to_string();
    build(Code::Unavailable, UNAVAILABLE, reason, [("retry_after_ms", wait)])
}

/// That this coordinator does not lead, and the address of the one that does, if it is known.
#[must_use]
pub fn standby(leader: Option<&str>) -> Status {
    let message = match leader {
        Some(leader) => format!("this coordinator stands by: ask {leader}"),
        None => "this coordinator stands by, and no leader is known yet".to_owned(),
    };
    let leader = leader.unwrap_or_default().to_owned();
    build(Code::Unavailable, STANDBY, message, [("leader", leader)])
}

/// That this coordinator asks for the lead and does not get it, though no leader is known: why.
#[must_use]
pub fn hindered(reason: &str) -> Status {
    let message =
        format!("this coordinator cannot take the lead, and no leader is known: {reason}");
    build(Code::Unavailable, STANDBY, message, [("leader", String::new())])
}

/// That whether the request was carried out is not known: the same one is to be sent again.
#[must_use]
pub fn unknown_outcome(reason: impl Into<String>) -> Status {
    build(Code::Unknown, UNKNOWN_OUTCOME, reason, [])
}

/// That entries before number `oldest` are not kept any more.
#[must_use]
pub fn compacted(oldest: u64) -> Status {
    let message = format!("entries before {oldest} are not kept any more: read the state");
    build(Code::OutOfRange, COMPACTED, message, [("oldest", oldest.to_string())])
}

/// A status as a message, for a stream whose other answers go on.
#[must_use]
pub fn message(status: &Status) -> v1::Failure {
    let info = status.get_details_error_info();
    let (reason, metadata) = info.map_or_else(Default::default, |info| {
        (info.reason, info.metadata.into_iter().collect::<BTreeMap<_, _>>())
    });
    let message = status.message().to_owned();
    v1::Failure { code: status.code() as i32, reason, message, metadata }
}

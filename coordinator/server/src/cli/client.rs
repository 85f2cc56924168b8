//! The way to a coordinator.

use std::collections::VecDeque;
use std::time::Duration;

use molt_domain::board::{Invalid, Refusal};
use molt_proto::credentials::{Credentials, CredentialsError, Stub};
use molt_proto::error::Failure;
use molt_proto::v1;
use tonic::Status;

use super::CallArgs;
use super::error::Error;
use crate::reconcile::chain;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long the answer to who leads may take: a coordinator that is frozen is passed over.
const ANSWER: Duration = Duration::from_secs(5);

/// Coordinators that are asked who leads, at most: each may name another one.
const HOPS: usize = 6;

/// Connects to whoever leads, within a bounded time. What the environment has is shown to it.
pub(super) async fn connect(args: &CallArgs) -> Result<Stub, Error> {
    let credentials = Credentials::find(|name| std::env::var(name).ok(), |_| None)
        .map_err(|error| unusable(&error))?;
    let mut places: VecDeque<String> =
        args.coordinator.split(',').map(|place| url(place.trim(), "http")).collect();
    let mut last = Failure::Unavailable {
        reason: "no coordinator is named".to_owned(),
        retry_after: None,
        leader: None,
    };
    for _ in 0..HOPS {
        let Some(place) = places.pop_front() else { break };
        let endpoint = credentials.endpoint(&place).map_err(|error| unusable(&error))?;
        let endpoint = endpoint.connect_timeout(CONNECT);
        let mut stub = credentials.stub(endpoint.connect_lazy());
        // An empty question is refused by whoever leads, and changes nothing anywhere.
        let asked = tokio::time::timeout(ANSWER, stub.read(v1::Query::default())).await;
        let late = || Status::unknown(format!("no answer within {ANSWER:?}"));
        let answer = asked.unwrap_or_else(|_| Err(late()));
        let failure = match answer.map_err(Failure::from) {
            Ok(_) => return Ok(stub),
            Err(failure) => doubted(&credentials, &place, failure).await,
        };
        match failure {
            Failure::Unavailable { leader: Some(leader), .. } => {
                let scheme = place.split("://").next().unwrap_or("http");
                places.push_front(url(&leader, scheme));
                last = unavailable(format!("{place} names {leader}, which does not answer"));
            }
            Failure::Unavailable { reason, .. } | Failure::Unknown { reason } => {
                let place = place.strip_prefix("http://").unwrap_or(&place);
                last = unavailable(format!("no coordinator answers at {place}: {reason}"));
            }
            Failure::Refused { refusal, .. } if is_about_the_question(&refusal) => {
                return Ok(stub);
            }
            failure => return Err(failure.into()),
        }
    }
    Err(last.into())
}

/// A silence, or that the coordinator does not take this side's certificate.
async fn doubted(credentials: &Credentials, place: &str, failure: Failure) -> Failure {
    let silent = matches!(
        failure,
        Failure::Unavailable { leader: None, retry_after: None, .. } | Failure::Unknown { .. }
    );
    if !silent {
        return failure;
    }
    let (credentials, place) = (credentials.clone(), place.to_owned());
    let doubted = tokio::task::spawn_blocking(move || credentials.doubted(&place)).await;
    doubted.ok().flatten().unwrap_or(failure)
}

fn unavailable(reason: String) -> Failure {
    Failure::Unavailable { reason, retry_after: None, leader: None }
}

fn is_about_the_question(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Invalid(Invalid::Field { field, .. }) if field == "what")
}

/// An address as gRPC wants it; one that says no scheme has `scheme`.
fn url(place: &str, scheme: &str) -> String {
    if place.contains("://") { place.to_owned() } else { format!("{scheme}://{place}") }
}

fn unusable(error: &CredentialsError) -> Error {
    Error::Usage(chain(error))
}

/// Who runs an operator's verb: the name that the audit keeps where nobody is authenticated.
pub(super) fn operator_name() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.ok().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "root".to_owned())
}

/// The same as the caller of a command.
pub(super) fn operator() -> v1::Caller {
    v1::Caller { who: Some(v1::caller::Who::Operator(operator_name())) }
}

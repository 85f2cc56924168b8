//! Calls: convert, ask the engine, map errors. No rules here.

mod attend;
mod watch;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::Request;
use molt_domain::name::RepoName;
use molt_proto::convert::{self, Beat, Place};
use molt_proto::{error, granted, v1, view};
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status, Streaming};

use crate::engine::{Failure, Handle};
use crate::reconcile::Archive;

/// When a caller should come back after `Unavailable`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The coordinator's service.
#[derive(Debug, Clone)]
pub struct Service {
    handle: Handle,
    archive: Archive,
    remotes: Arc<BTreeMap<RepoName, String>>,
    stop: CancellationToken,
}

impl Service {
    /// The service in front of an engine. `remotes` says where each repository is fetched from.
    #[must_use]
    pub fn new(
        handle: Handle,
        archive: Archive,
        remotes: BTreeMap<RepoName, String>,
        stop: CancellationToken,
    ) -> Self {
        Self { handle, archive, remotes: Arc::new(remotes), stop }
    }

    /// Takes note of what a caller was granted, before anything is decided for it.
    async fn witness(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let told = granted::told(metadata).map_err(|invalid| refused(&invalid.into()))?;
        if let Some(fence) = told {
            self.handle.witness(fence).await;
        }
        Ok(())
    }

    async fn act_on(&self, command: v1::Command) -> Result<v1::Reply, Status> {
        let request = Request::try_from(command).map_err(|invalid| refused(&invalid.into()))?;
        let submitted = self
            .handle
            .submit(request, |reply, at| convert::reply(reply, at.board, at.now, at.term, at.rev));
        submitted.await.map_err(status)
    }
}

/// A failure of the engine as a status.
fn status(failure: Failure) -> Status {
    match failure {
        Failure::Refused { refusal, id } => error::status(&refusal, Some(id)),
        Failure::Unavailable(reason) => error::unavailable(reason, RETRY_AFTER),
        Failure::Unknown => error::unknown_outcome("whether the commit was made is not known"),
    }
}

/// Starts a task that ends with its caller's stream or with the service.
#[expect(clippy::disallowed_methods, reason = "the stream that it feeds is its owner")]
fn detach(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

fn refused(refusal: &molt_domain::board::Refusal) -> Status {
    error::status(refusal, None)
}

#[tonic::async_trait]
impl v1::coordinator_server::Coordinator for Service {
    async fn act(&self, call: tonic::Request<v1::Command>) -> Result<Response<v1::Reply>, Status> {
        self.witness(call.metadata()).await?;
        self.act_on(call.into_inner()).await.map(Response::new)
    }

    type SessionStream = Answers<v1::Outcome>;

    async fn session(
        &self,
        call: tonic::Request<Streaming<v1::Command>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.witness(call.metadata()).await?;
        let service = self.clone();
        let outcomes = call.into_inner().then(move |command| {
            let service = service.clone();
            async move {
                use v1::outcome::Outcome;
                let outcome = match service.act_on(command?).await {
                    Ok(reply) => Outcome::Reply(reply),
                    Err(status) => Outcome::Failure(error::message(&status)),
                };
                Ok(v1::Outcome { outcome: Some(outcome) })
            }
        });
        Ok(Response::new(Box::pin(outcomes)))
    }

    async fn read(&self, call: tonic::Request<v1::Query>) -> Result<Response<v1::View>, Status> {
        let query = call.into_inner();
        let read = self.handle.read(move |at| {
            view::view(at.board, &query, at.now, at.term, at.rev)
                .map_err(|refusal| refused(&refusal))
        });
        read.await.map_err(status)?.map(Response::new)
    }

    type WatchStream = Answers<v1::Entry>;

    async fn watch(
        &self,
        call: tonic::Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = call.into_inner();
        let history = self.handle.history();
        let after = if request.tail { history.last() } else { request.after };
        watch::entries(history, after).map(Response::new)
    }

    type AttendStream = Answers<v1::Attendance>;

    async fn attend(
        &self,
        call: tonic::Request<v1::AttendRequest>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let request = call.into_inner();
        let place = Place::try_from(&request).map_err(|invalid| refused(&invalid.into()))?;
        let stream = attend::until_settled(self.handle.clone(), place, self.stop.clone());
        stream.map(Response::new)
    }

    async fn beat(
        &self,
        call: tonic::Request<v1::BeatRequest>,
    ) -> Result<Response<v1::BeatReply>, Status> {
        self.witness(call.metadata()).await?;
        let beat = Beat::try_from(call.into_inner()).map_err(|invalid| refused(&invalid.into()))?;
        self.handle.beat(beat.host.clone(), beat.sessions.clone()).await;
        self.handle.submit(beat.request(), |_, _| ()).await.map_err(status)?;
        let remotes = Arc::clone(&self.remotes);
        let read = self
            .handle
            .read(move |at| view::beat_reply(at.board, &beat, &remotes, at.term, at.rev));
        read.await.map(Response::new).map_err(status)
    }

    type AuditStream = Answers<v1::Entry>;

    async fn audit(
        &self,
        call: tonic::Request<v1::AuditRequest>,
    ) -> Result<Response<Self::AuditStream>, Status> {
        let after = call.into_inner().after;
        watch::audit(self.handle.history(), &self.archive, after).await.map(Response::new)
    }
}

//! Calls: convert, ask the engine, map errors. No rules here.

mod attend;
mod guest;
mod host;
mod lapse;
mod log;
mod watch;
mod words;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::access::{Peer, Right};
use molt_domain::board::{Caller, Command, Request};
use molt_domain::name::RepoName;
use molt_proto::convert::{self, Place};
use molt_proto::{error, granted, v1, view};
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status, Streaming};

pub use self::words::worded;

use self::guest::Guest;
use self::host::Hosts;
use crate::auth::Gate;
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
    hosts: Hosts,
    stop: CancellationToken,
    gate: Gate,
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
        let gate = Gate::default();
        let hosts = Hosts::default();
        Self { handle, archive, remotes: Arc::new(remotes), hosts, stop, gate }
    }

    /// The same behind `gate`, whose counts outlive this service.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Takes note of what a caller was granted, before anything is decided for it.
    async fn witness(&self, guest: &Guest, metadata: &MetadataMap) -> Result<(), Status> {
        let told = granted::told(metadata).map_err(|invalid| refused(&invalid.into()))?;
        if let Some(fence) = told.filter(|_| guest.is_a_witness()) {
            self.handle.witness(fence).await;
        }
        Ok(())
    }

    async fn act_on(&self, peer: Peer, command: v1::Command) -> Result<v1::Reply, Status> {
        let request = Request::try_from(command).map_err(|invalid| refused(&invalid.into()))?;
        let request = Request { peer, ..request };
        let revokes = matches!(request.command, Command::RevokeToken { .. });
        let submitted = self
            .handle
            .submit(request, |reply, at| convert::reply(reply, at.board, at.now, at.term, at.rev));
        let reply = submitted.await;
        if revokes {
            // Whatever the answer is: one that is not known may have been carried out.
            self.gate.token_revoked();
        }
        reply.map_err(status)
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
        let guest = self.guest(&call).await?;
        self.witness(&guest, call.metadata()).await?;
        self.act_on(guest.peer, call.into_inner()).await.map(Response::new)
    }

    type SessionStream = Answers<v1::Outcome>;

    async fn session(
        &self,
        call: tonic::Request<Streaming<v1::Command>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let guest = self.guest(&call).await?;
        self.witness(&guest, call.metadata()).await?;
        let (service, caller) = (self.clone(), guest.clone());
        let outcomes = call.into_inner().then(move |command| {
            let (service, guest) = (service.clone(), caller.clone());
            async move {
                use v1::outcome::Outcome;
                let command = command.map_err(words::unreadable)?;
                let acted = match service.charge(&guest) {
                    Ok(()) => service.act_on(guest.peer, command).await,
                    Err(status) => Err(status),
                };
                let outcome = match acted {
                    Ok(reply) => Outcome::Reply(reply),
                    Err(status) => Outcome::Failure(error::message(&status)),
                };
                Ok(v1::Outcome { outcome: Some(outcome) })
            }
        });
        Ok(Response::new(self.while_good(&guest, Box::pin(outcomes))))
    }

    async fn read(&self, call: tonic::Request<v1::Query>) -> Result<Response<v1::View>, Status> {
        let peer = self.guest(&call).await?.peer;
        let query = call.into_inner();
        if let Ok(caller @ Caller::Session(_)) = convert::caller(query.caller.clone()) {
            // Who looks is there, and is not idle.
            self.handle.used(caller).await;
        }
        let read = self.handle.read(move |at| {
            if let Peer::Known(identity) = &peer {
                view::may_read(at.board, &query, identity).map_err(|refusal| refused(&refusal))?;
            }
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
        let guest = self.guest(&call).await?;
        guest.may(Right::Read, "watch")?;
        let entries = watch::entries(self.handle.history(), call.into_inner(), guest.sight())?;
        Ok(Response::new(self.while_good(&guest, entries)))
    }

    type AttendStream = Answers<v1::Attendance>;

    async fn attend(
        &self,
        call: tonic::Request<v1::AttendRequest>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let guest = self.guest(&call).await?;
        let request = call.into_inner();
        let place = Place::try_from(&request).map_err(|invalid| refused(&invalid.into()))?;
        self.may_attend(&guest, place).await?;
        let stream = attend::until_settled(self.handle.clone(), place, self.stop.clone())?;
        Ok(Response::new(self.while_good(&guest, stream)))
    }

    type HostStream = Answers<v1::HostHears>;

    async fn host(
        &self,
        call: tonic::Request<Streaming<v1::HostSays>>,
    ) -> Result<Response<Self::HostStream>, Status> {
        let guest = self.guest(&call).await?;
        self.witness(&guest, call.metadata()).await?;
        let stream = host::stream(self.clone(), guest.clone(), call.into_inner());
        Ok(Response::new(self.while_good(&guest, stream)))
    }

    type LogStream = Answers<v1::LogPart>;

    async fn log(
        &self,
        call: tonic::Request<v1::LogRequest>,
    ) -> Result<Response<Self::LogStream>, Status> {
        let guest = self.guest(&call).await?;
        let request = call.into_inner();
        self.may_read_log(&guest, &request.job).await?;
        let stream = log::stream(self.clone(), request);
        Ok(Response::new(self.while_good(&guest, stream)))
    }

    type AuditStream = Answers<v1::Entry>;

    async fn audit(
        &self,
        call: tonic::Request<v1::AuditRequest>,
    ) -> Result<Response<Self::AuditStream>, Status> {
        let guest = self.guest(&call).await?;
        guest.may(Right::Audit, "audit")?;
        guest.may_everywhere("audit")?;
        let after = call.into_inner().after;
        watch::audit(self.handle.history(), &self.archive, after).await.map(Response::new)
    }
}

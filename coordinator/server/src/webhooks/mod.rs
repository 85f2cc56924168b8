//! Taking in a forge's webhooks: what it says has changed is marked, and read again by whoever acts.
//!
//! A webhook decides nothing and is kept nowhere (see `molt_forge::github::webhook`), so this room
//! may refuse, forget and fall short: with no webhook at all everything still happens, only later.
//! What it must not do is cost the fleet: strangers reach it, so a request is looked at in the order
//! of what it costs, and bytes, connections and time are [`Bounds`]. A standby takes webhooks in as
//! the leader does; its marks are of use once it leads, and bounded until then.
//!
//! Not here: what a body says (`molt-forge`), and reading again what is dirty.

mod desk;
mod dirty;
mod tally;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use molt_forge::github::webhook::{MAX_BODY, Secrets};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use desk::Desk;
pub use desk::PATH;
pub use dirty::{DirtySet, MAX_MARKS};
use tally::Counts;

/// The longest head of a request, in bytes, and how much of a body is read at once.
const MAX_HEAD: usize = 64 << 10;

/// How long nobody is let in after the system had no room for another connection.
const PAUSE: Duration = Duration::from_secs(1);

/// What strangers may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest body, in bytes.
    pub body: usize,
    /// All bodies together, in bytes, while they are read and checked.
    pub bodies: usize,
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// How long a request's head may take, or the pause before it, and again how long its body.
    pub patience: Duration,
}

impl Default for Bounds {
    /// What GitHub sends at most, twice and more, and as long as it waits for an answer.
    fn default() -> Self {
        Self {
            body: MAX_BODY,
            bodies: 64 << 20,
            connections: 256,
            patience: Duration::from_secs(10),
        }
    }
}

/// A listener for webhooks.
#[derive(Debug)]
pub struct Webhooks {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
    bounds: Bounds,
}

impl Webhooks {
    /// Takes in what is signed with one of `secrets` from `listener`, which is bound to `address`.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        address: SocketAddr,
        secrets: Secrets,
        bounds: Bounds,
    ) -> Self {
        Self { listener, address, desk: Arc::new(Desk::new(secrets, bounds)), bounds }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is marked here, for whoever reads it again.
    #[must_use]
    pub fn dirty(&self) -> Arc<DirtySet> {
        self.desk.dirty()
    }

    /// Takes webhooks in until `stop`, then answers those that have begun. Whoever drops this cuts
    /// them off.
    pub async fn serve(self, stop: &CancellationToken) {
        let places = Arc::new(Semaphore::new(self.bounds.connections));
        let router = desk::router(self.desk.clone());
        let mut connections = JoinSet::new();
        while let Some((stream, place)) = self.next(&places, stop).await {
            let (router, patience, stop) = (router.clone(), self.bounds.patience, stop.clone());
            connections.spawn(async move {
                converse(stream, router, patience, &stop).await;
                drop(place);
            });
            // Those that have ended are not kept until the end.
            while connections.try_join_next().is_some() {}
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
        let Counts { accepted, coarse, refused } = self.desk.counts();
        info!(phase = "webhook", accepted, coarse, refused, "no more webhooks are taken in");
    }

    /// The next connection that there is a place for; `None` once `stop` is asked for.
    async fn next(
        &self,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let next = async {
            // Nobody closes the semaphore.
            let place = places.clone().acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, _)) => return Some((stream, place)),
                    Err(error) if is_of_the_peer(&error) => {}
                    Err(error) => {
                        warn!(phase = "webhook", %error, "no connection could be let in");
                        // The system does not say when there is room again.
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            next = next => next,
        }
    }
}

/// Whether it is only this peer that went away.
fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of one connection until it ends, or until the one that has begun when
/// `stop` is asked for.
async fn converse(stream: TcpStream, router: Router, patience: Duration, stop: &CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A stranger's connection, with nothing that was accepted and not marked.
        debug!(phase = "webhook", %error, "a connection broke off");
    }
}

//! The seat: calls go to the term that is served, or are answered with who leads.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use molt_proto::error;
use molt_proto::v1::coordinator_server::CoordinatorServer;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service as Call};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::auth::{Gate, Shown};
use crate::config::Limits;
use crate::rpc::{Service, worded};

/// Who answers calls at present.
#[derive(Clone)]
enum Sitting {
    /// This coordinator's term.
    Here(CoordinatorServer<Service>),
    /// Not this coordinator.
    Elsewhere(Away),
}

/// Why calls are not answered here.
#[derive(Debug, Clone)]
pub(super) enum Away {
    /// The lead is somebody else's, who is reached at this address.
    Leader(String),
    /// It is not known yet who leads.
    Unknown,
    /// Nobody is known to lead, and this coordinator cannot.
    Hindered {
        /// Why, which may name what the store is and where: told to whom the gate knows.
        reason: String,
        /// Says who that is.
        gate: Gate,
    },
}

/// The place from which a fleet is led, as one coordinator's clients see it.
///
/// Its health service says `SERVING` for the coordinator's service while it leads; the empty
/// service name stands for the program, which serves either way.
#[derive(Clone)]
pub struct Seat {
    /// The longest message that is read, in bytes.
    message: usize,
    sitting: watch::Sender<Sitting>,
    health: HealthReporter,
}

impl Default for Seat {
    fn default() -> Self {
        Self::new(Limits::default().message)
    }
}

impl Seat {
    /// A seat that nobody is known to sit on, where messages have so many bytes at most.
    #[must_use]
    pub fn new(message: usize) -> Self {
        let sitting = watch::Sender::new(Sitting::Elsewhere(Away::Unknown));
        Self { message, sitting, health: HealthReporter::new() }
    }

    /// The health service that tells whether this coordinator leads.
    #[must_use]
    pub fn health(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.health.clone()))
    }

    /// What calls are given to.
    #[must_use]
    pub fn switch(&self) -> Switch {
        Switch { sitting: self.sitting.subscribe() }
    }

    pub(super) async fn take(&self, service: Service) {
        let server = CoordinatorServer::new(service).max_decoding_message_size(self.message);
        self.sitting.send_replace(Sitting::Here(server));
        self.health.set_serving::<Switch>().await;
    }

    pub(super) async fn leave(&self, away: Away) {
        self.health.set_not_serving::<Switch>().await;
        self.sitting.send_replace(Sitting::Elsewhere(away));
    }
}

/// Gives each call to whoever sits when it arrives.
#[derive(Clone)]
pub struct Switch {
    sitting: watch::Receiver<Sitting>,
}

impl NamedService for Switch {
    const NAME: &'static str = CoordinatorServer::<Service>::NAME;
}

impl Call<Request<Body>> for Switch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sitting = self.sitting.borrow().clone();
        match sitting {
            Sitting::Here(mut server) => {
                Box::pin(async move { server.call(request).await.map(worded) })
            }
            Sitting::Elsewhere(away) => Box::pin(answered(&away, &request)),
        }
    }
}

fn answered(away: &Away, request: &Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    let status = match away {
        Away::Leader(leader) => error::standby(Some(leader)),
        Away::Unknown => error::standby(None),
        Away::Hindered { reason, gate } => hindered(reason, gate, request),
    };
    ready(Ok(status.into_http()))
}

/// Why nobody leads, for whom the gate knows by its certificate or lets in without one. Whether a
/// token is good only a leader could say, so its bearer is told no more than anybody.
fn hindered(reason: &str, gate: &Gate, request: &Request<Body>) -> Status {
    let metadata = MetadataMap::from_headers(request.headers().clone());
    let call = tonic::Request::from_parts(metadata, request.extensions().clone(), ());
    match gate.admit(&call).map(|admitted| admitted.shown) {
        Ok(Shown::Nothing | Shown::Certificate(_)) => error::hindered(reason),
        Ok(Shown::Token(_)) | Err(_) => error::standby(None),
    }
}

//! A coordinator: the product's `Lead` on a node of its own, with its calls from the network.
//!
//! Calls reach the seat as HTTP requests with their encoded messages, and answers leave it piece
//! by piece in order, so that the service, its conversions and its streams are the real ones.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use molt_coordinator::auth::Gate;
use molt_coordinator::clock::Clock;
use molt_coordinator::lead::{Ground, Lead, Seat, Switch};
use molt_coordinator::reconcile::Archive;
use molt_domain::policy::Spans;
use molt_store::Candidate;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::transport::server::TcpConnectInfo;

use crate::net::Net;
use crate::node::Node;
use crate::pipe::{self, Call, Doors};
use crate::referee::Referee;
use crate::store::{Remote, Shelf};

/// What all coordinators are made from.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) net: Net,
    pub(crate) doors: Doors,
    pub(crate) shelf: Shelf,
    pub(crate) referee: Referee,
    pub(crate) spans: Spans,
    pub(crate) scratch: Arc<tempfile::TempDir>,
}

/// A coordinator that has power.
pub(crate) struct Coordinator {
    pub(crate) node: Node,
    stop: CancellationToken,
    /// `Err`: why it cannot go on, which no fault of this run excuses.
    holding: JoinHandle<Result<(), String>>,
}

impl Coordinator {
    /// Starts coordinator `me`.
    pub(crate) fn start(me: usize, fleet: &Fleet) -> Self {
        let node = Node::new();
        let stop = CancellationToken::new();
        let (door, calls) = mpsc::unbounded_channel();
        fleet.doors.open(me, door);
        let folder = fleet.scratch.path().join(format!("c{me}"));
        let (fleet, stopped) = (fleet.clone(), stop.clone());
        let holding = node.spawn(async move { hold(me, &fleet, &folder, calls, &stopped).await });
        Self { node, stop, holding }
    }

    /// Tells it to stop in order.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<Result<(), String>> {
        if !self.holding.is_finished() {
            return None;
        }
        let ended = self.node.block_on(&mut self.holding);
        Some(ended.unwrap_or_else(|panic| Err(format!("it panicked: {panic}"))))
    }
}

async fn hold(
    me: usize,
    fleet: &Fleet,
    folder: &Path,
    calls: mpsc::UnboundedReceiver<Call>,
    stop: &CancellationToken,
) -> Result<(), String> {
    let Fleet { net, shelf, referee, spans, .. } = fleet.clone();
    let store = Remote::new(me, shelf, net, referee.clone(), spans.leader_ttl);
    let ground = Ground {
        candidate: Candidate::new(pipe::name(me), pipe::address(me)),
        spans,
        clock: Clock::Runtime { began: Instant::now() },
        archive: Archive::open(folder).map_err(|error| error.to_string())?.on_one_thread(),
        places: Arc::new([]),
        hints: Arc::default(),
        gate: Gate::default(),
    };
    let seat = Seat::default();
    let mut listening = JoinSet::new();
    listening.spawn(listen(me, seat.switch(), calls, referee));
    let lead = Lead::new(Arc::new(store), ground, seat);
    let held = match lead.campaign().await {
        Ok(standing) => lead.hold(standing, stop).await,
        Err(error) => Err(error),
    };
    // What is answered already leaves the machine.
    tokio::time::sleep(Duration::from_millis(50)).await;
    held.map_err(|error| in_full(&error))
}

/// Answers calls, each on its own.
async fn listen(
    me: usize,
    switch: Switch,
    mut calls: mpsc::UnboundedReceiver<Call>,
    referee: Referee,
) {
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            call = calls.recv() => {
                let Some(call) = call else { return };
                answering.spawn(answer(me, switch.clone(), call, referee.clone()));
            }
            Some(_) = answering.join_next() => {}
        }
    }
}

async fn answer(me: usize, mut switch: Switch, call: Call, referee: Referee) {
    let Call { request, mut answers } = call;
    let (mut parts, bytes) = request;
    // A host whose word is taken for who it is, as on loopback.
    let (local_addr, remote_addr) = (None, Some(SocketAddr::from(([127, 0, 0, 1], 1))));
    parts.extensions.insert(TcpConnectInfo { local_addr, remote_addr });
    // A beat's stream ends with its answer; what else a daemon would hear is not simulated.
    let (remembered, since) = (parts.uri.path().ends_with("/Read"), referee.ran(me));
    let most = if parts.uri.path().ends_with("/Host") { 1 } else { usize::MAX };
    let request =
        tonic::codegen::http::Request::from_parts(parts, Body::new(pipe::Whole::of(bytes)));
    let Ok(response) = switch.call(request).await;
    let (parts, mut body) = response.into_parts();
    answers.head(parts);
    for _ in 0..most {
        tokio::select! {
            biased;
            () = answers.hung_up() => return,
            frame = pipe::next_frame(&mut body) => match frame {
                Some(Ok(frame)) => {
                    if remembered && frame.is_data() {
                        referee.remembers(me, since);
                    }
                    answers.frame(frame);
                }
                Some(Err(_)) | None => break,
            }
        }
    }
    answers.end();
}

/// An error with its causes.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! Connections: gRPC calls of hosts as parcels, and answers as pieces that keep their order.
//!
//! The real client of `molt-proto` writes into one end, the real seat reads at the other. What
//! is lost on the way is silence to the client, except that a coordinator without power refuses.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body::Frame;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{request, response};
use tonic::codegen::{Body as _, Bytes, Service, http};

use crate::net::{Link, Net, Place, QUANTUM, Ticket};

/// What people call a coordinator.
pub(crate) fn name(coordinator: usize) -> String {
    format!("coordinator-{coordinator}")
}

/// Where clients reach it.
pub(crate) fn address(coordinator: usize) -> String {
    format!("coordinator-{coordinator}:7420")
}

/// Whose address it is.
pub(crate) fn whose(address: &str) -> Option<usize> {
    address.strip_prefix("coordinator-")?.strip_suffix(":7420")?.parse().ok()
}

/// A call that arrived.
pub(crate) struct Call {
    pub(crate) request: (request::Parts, Bytes),
    pub(crate) answers: Answers,
}

/// Where calls to each coordinator go.
#[derive(Clone, Default)]
pub(crate) struct Doors(Arc<Mutex<BTreeMap<usize, mpsc::UnboundedSender<Call>>>>);

impl Doors {
    pub(crate) fn open(&self, coordinator: usize, door: mpsc::UnboundedSender<Call>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(coordinator, door);
    }

    pub(crate) fn close(&self, coordinator: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&coordinator);
    }

    /// Hands a call over; gives its answers back where nobody listens.
    fn knock(&self, coordinator: usize, call: Call) -> Result<(), Box<Call>> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match doors.get(&coordinator) {
            Some(door) => door.send(call).map_err(|unsent| Box::new(unsent.0)),
            None => Err(Box::new(call)),
        }
    }
}

/// How long the peer of a machine that lost power takes to find a connection gone, in
/// milliseconds; that of a program whose machine lives is told at once.
const KEEPALIVE: u64 = 20_000;

/// A part of an answer.
enum Piece {
    Head(Box<response::Parts>),
    Frame(Frame<Bytes>),
    End,
    Broken,
}

/// The server's end of a call.
pub(crate) struct Answers {
    net: Net,
    link: Link,
    /// When it breaks, in the order of what breaks together.
    ticket: Ticket,
    /// `None`: the call is a repetition of the network's, or there is nothing more to say.
    pieces: Option<mpsc::UnboundedSender<Piece>>,
    hung_up: CancellationToken,
    /// When the last piece arrives.
    last: u64,
}

impl Answers {
    pub(crate) fn head(&mut self, parts: response::Parts) {
        self.piece("head", Piece::Head(Box::new(parts)));
    }

    pub(crate) fn frame(&mut self, frame: Frame<Bytes>) {
        self.piece("answer", Piece::Frame(frame));
    }

    /// Says that nothing more comes.
    pub(crate) fn end(mut self) {
        self.piece("end", Piece::End);
        self.pieces = None;
    }

    fn piece(&mut self, what: &'static str, piece: Piece) {
        let Some(pieces) = self.pieces.clone() else { return };
        let deed = move || drop(pieces.send(piece));
        match self.net.send_after(self.link, what, self.last, Box::new(deed)) {
            Some(due) => self.last = due,
            // What comes after a lost piece is lost too; the client is not told.
            None => self.pieces = None,
        }
    }

    /// Returns when the client is gone.
    pub(crate) async fn hung_up(&self) {
        self.hung_up.cancelled().await;
    }
}

impl Drop for Answers {
    /// A program that ends breaks its connections, behind what is under way on them.
    fn drop(&mut self) {
        let Some(pieces) = self.pieces.take() else { return };
        let at = self.last.max(self.net.now() + QUANTUM);
        let broken = Box::new(move || drop(pieces.send(Piece::Broken)));
        self.net.notice(self.ticket, at, Some(self.link), broken);
    }
}

/// The client's end of a connection to one coordinator.
#[derive(Clone)]
pub(crate) struct Pipe {
    pub(crate) net: Net,
    pub(crate) doors: Doors,
    pub(crate) host: usize,
    pub(crate) to: usize,
}

/// That no connection was made, or that it broke.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
pub(crate) struct Broken;

impl Service<http::Request<Body>> for Pipe {
    type Response = http::Response<Pieces>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let pipe = self.clone();
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(frame) = next_frame(&mut body).await {
                if let Ok(data) = frame.map_err(|_| Broken)?.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
            pipe.ask(parts, Bytes::from(bytes)).await
        })
    }
}

impl Pipe {
    async fn ask(
        self,
        parts: request::Parts,
        bytes: Bytes,
    ) -> Result<http::Response<Pieces>, Broken> {
        let (sender, mut pieces) = mpsc::unbounded_channel();
        let hung_up = CancellationToken::new();
        let guard =
            HangUp { pipe: self.clone(), ticket: self.net.ticket(), hung_up: hung_up.clone() };
        let what = verb(&parts);
        if self.net.repeats() {
            let ghost = self.answers(None, CancellationToken::new());
            self.send(what, (parts.clone(), bytes.clone()), ghost);
        }
        self.send(what, (parts, bytes), self.answers(Some(sender), hung_up));
        match pieces.recv().await {
            Some(Piece::Head(parts)) => {
                Ok(http::Response::from_parts(*parts, Pieces { pieces, _guard: guard }))
            }
            Some(Piece::Frame(_) | Piece::End | Piece::Broken) => Err(Broken),
            // Nobody tells a client that its request or the answer is lost.
            None => std::future::pending().await,
        }
    }

    fn answers(
        &self,
        pieces: Option<mpsc::UnboundedSender<Piece>>,
        hung_up: CancellationToken,
    ) -> Answers {
        let Self { net, host, to, .. } = self.clone();
        let link = (Place::Coordinator(to), Place::Host(host));
        Answers { ticket: net.ticket(), net, link, pieces, hung_up, last: 0 }
    }

    fn send(&self, what: &'static str, request: (request::Parts, Bytes), answers: Answers) {
        let Self { net, doors, host, to } = self.clone();
        let link = (Place::Host(host), Place::Coordinator(to));
        let deed = move || {
            if let Err(call) = doors.knock(to, Call { request, answers }) {
                let mut answers = call.answers;
                answers.piece("refused", Piece::Broken);
                answers.pieces = None;
            }
        };
        net.send(link, what, Box::new(deed));
    }
}

/// What is called, for the trace.
fn verb(parts: &request::Parts) -> &'static str {
    match parts.uri.path().rsplit('/').next() {
        Some("Act") => "act",
        Some("Read") => "read",
        Some("Host") => "beat",
        Some("Attend") => "attend",
        _ => "call",
    }
}

/// Tells the server that the client is gone; one that is not told finds out.
struct HangUp {
    pipe: Pipe,
    /// When it finds out, in the order of what is found out together.
    ticket: Ticket,
    hung_up: CancellationToken,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        let Self { pipe: Pipe { net, host, to, .. }, ticket, hung_up } = self;
        let (told, found) = (hung_up.clone(), hung_up.clone());
        net.notice(*ticket, net.now() + KEEPALIVE, None, Box::new(move || found.cancel()));
        let link = (Place::Host(*host), Place::Coordinator(*to));
        net.send(link, "hang up", Box::new(move || told.cancel()));
    }
}

/// The body of an answer, as it comes.
pub(crate) struct Pieces {
    pieces: mpsc::UnboundedReceiver<Piece>,
    _guard: HangUp,
}

impl tonic::codegen::Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match std::task::ready!(self.pieces.poll_recv(cx)) {
            Some(Piece::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Piece::End) => Poll::Ready(None),
            Some(Piece::Head(_) | Piece::Broken) => Poll::Ready(Some(Err(Broken))),
            // Nobody tells a client that the rest is lost.
            None => Poll::Pending,
        }
    }
}

/// A body that is there.
pub(crate) struct Whole(Option<Bytes>);

impl Whole {
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl tonic::codegen::Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The next frame of a body.
pub(crate) async fn next_frame(body: &mut Body) -> Option<Result<Frame<Bytes>, tonic::Status>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

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
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::codegen::http::{request, response};
use tonic::codegen::{Body as _, Bytes, Service, http};

use crate::net::{Net, Place};

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

/// A part of an answer.
enum Piece {
    Head(Box<response::Parts>),
    Frame(Frame<Bytes>),
    Refused,
}

/// The server's end of a call.
pub(crate) struct Answers {
    host: usize,
    /// `None`: the call is a repetition of the network's, or its connection broke.
    pieces: Option<mpsc::UnboundedSender<Piece>>,
    hung_up: CancellationToken,
    /// When the last piece arrives.
    last: u64,
}

impl Answers {
    pub(crate) fn head(&mut self, net: &Net, me: usize, parts: response::Parts) {
        self.piece(net, me, "head", Piece::Head(Box::new(parts)));
    }

    pub(crate) fn frame(&mut self, net: &Net, me: usize, frame: Frame<Bytes>) {
        self.piece(net, me, "answer", Piece::Frame(frame));
    }

    /// Says that nothing more comes.
    pub(crate) fn end(mut self, net: &Net, me: usize) {
        if let Some(pieces) = self.pieces.take() {
            let link = (Place::Coordinator(me), Place::Host(self.host));
            // A lost end leaves the connection open, as a cut does.
            let lost = pieces.clone();
            if net.send_after(link, "end", self.last, Box::new(move || drop(pieces))).is_none() {
                std::mem::forget(lost);
            }
        }
    }

    fn piece(&mut self, net: &Net, me: usize, what: &'static str, piece: Piece) {
        let Some(pieces) = self.pieces.clone() else { return };
        let link = (Place::Coordinator(me), Place::Host(self.host));
        let deed = move || drop(pieces.send(piece));
        match net.send_after(link, what, self.last, Box::new(deed)) {
            Some(due) => self.last = due,
            // What comes after a lost piece is lost too; the client is not told.
            None => std::mem::forget(self.pieces.take()),
        }
    }

    /// Returns when the client is gone.
    pub(crate) async fn hung_up(&self) {
        self.hung_up.cancelled().await;
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
        let guard = HangUp { pipe: self.clone(), _token: Some(hung_up.clone().drop_guard()) };
        let what = verb(&parts);
        if self.net.repeats() {
            let ghost = Answers {
                host: self.host,
                pieces: None,
                hung_up: CancellationToken::new(),
                last: 0,
            };
            self.send(what, (parts.clone(), bytes.clone()), ghost);
        }
        let answers = Answers { host: self.host, pieces: Some(sender), hung_up, last: 0 };
        self.send(what, (parts, bytes), answers);
        match pieces.recv().await {
            Some(Piece::Head(parts)) => {
                Ok(http::Response::from_parts(*parts, Pieces { pieces, _guard: guard }))
            }
            Some(Piece::Frame(_) | Piece::Refused) => Err(Broken),
            // Nobody tells a client that its request or the answer is lost.
            None => std::future::pending().await,
        }
    }

    fn send(&self, what: &'static str, request: (request::Parts, Bytes), answers: Answers) {
        let Self { net, doors, host, to } = self.clone();
        let link = (Place::Host(host), Place::Coordinator(to));
        let back = net.clone();
        let deed = move || {
            if let Err(call) = doors.knock(to, Call { request, answers }) {
                let mut answers = call.answers;
                answers.piece(&back, to, "refused", Piece::Refused);
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

/// Tells the server, in time, that the client is gone.
struct HangUp {
    pipe: Pipe,
    _token: Option<DropGuard>,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        let Pipe { net, host, to, .. } = &self.pipe;
        let token = self._token.take();
        net.send(
            (Place::Host(*host), Place::Coordinator(*to)),
            "hang up",
            Box::new(|| drop(token)),
        );
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
            Some(Piece::Head(_) | Piece::Refused) => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
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

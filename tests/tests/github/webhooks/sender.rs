//! Who sends webhooks: GitHub, or somebody who would like to be taken for it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::data::Payload;

/// How long an answer may take before the listener is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a listener for webhooks.
pub(super) struct Sender(TcpStream);

/// The headers of a request.
#[derive(Debug, Clone)]
pub(super) struct Head(String);

impl Head {
    /// Of a body of so many bytes.
    pub(super) fn of(event: &str, length: usize) -> Self {
        Self::unsized_of(event).with("Content-Length", &length.to_string())
    }

    /// Of a body that comes in pieces, until one is empty.
    pub(super) fn in_chunks(event: &str) -> Self {
        Self::unsized_of(event).with("Transfer-Encoding", "chunked")
    }

    fn unsized_of(event: &str) -> Self {
        Self(format!(
            "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n\
             Content-Type: application/json\r\nX-GitHub-Event: {event}\r\n\
             X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n"
        ))
    }

    /// With the signature.
    pub(super) fn signed(self, signature: &str) -> Self {
        self.with("X-Hub-Signature-256", signature)
    }

    /// With one more header.
    pub(super) fn with(self, name: &str, value: &str) -> Self {
        Self(format!("{}{name}: {value}\r\n", self.0))
    }
}

impl Sender {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        // A body does not wait for the acknowledgement of its head.
        stream.set_nodelay(true).expect("it is connected");
        Self(stream)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the listener reads");
    }

    pub(super) async fn head(&mut self, head: &Head) {
        self.send(format!("{}\r\n", head.0).as_bytes()).await;
    }

    /// Ends what is sent; answers can still come.
    pub(super) async fn cut(&mut self) {
        self.0.shutdown().await.expect("it is connected");
    }

    /// The next answer's status; `None` if the listener hung up. An answer has no body.
    pub(super) async fn answer(&mut self) -> Option<u16> {
        let answer = tokio::time::timeout(PATIENCE, self.read_answer()).await;
        answer.expect("it is answered or hung up on")
    }

    async fn read_answer(&mut self) -> Option<u16> {
        read_answer(&mut self.0).await
    }

    /// The answer to bytes of which the listener need not read all.
    pub(super) async fn answer_to(&mut self, bytes: &[u8]) -> Option<u16> {
        let (mut from, mut to) = self.0.split();
        let send = async {
            // Whoever has heard enough hangs up.
            drop(to.write_all(bytes).await);
            std::future::pending::<()>().await;
        };
        let answer = async {
            tokio::select! {
                answer = read_answer(&mut from) => answer,
                () = send => None,
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("it is answered or hung up on")
    }
}

async fn read_answer(from: &mut (impl AsyncRead + Unpin)) -> Option<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match from.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return None,
            Err(error) => panic!("half an answer: {error}"),
        }
    }
    let head = String::from_utf8(head).expect("a head is text").to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {head}"));
    assert!(status == 100 || head.contains("content-length: 0\r\n"), "it says more: {head}");
    Some(status)
}

/// Sends head and body over a connection of its own.
pub(super) async fn post(address: SocketAddr, head: &Head, body: &[u8]) -> Option<u16> {
    let mut sender = Sender::connect(address).await;
    sender.head(head).await;
    sender.send(body).await;
    sender.answer().await
}

/// Sends the head alone: the answer comes before the body is read, or not at all.
pub(super) async fn ask(address: SocketAddr, head: &Head) -> Option<u16> {
    let mut sender = Sender::connect(address).await;
    sender.head(head).await;
    sender.answer().await
}

/// Sends a payload as GitHub does.
pub(super) async fn deliver(address: SocketAddr, payload: &Payload) -> Option<u16> {
    let head = Head::of(&payload.event, payload.body.len()).signed(&payload.signature);
    post(address, &head, &payload.body).await
}

//! Webhooks as GitHub has sent them, delivered at a steady rate.
//!
//! Each comes over a connection of its own, at the moment when it is due, whatever became of those
//! before it: who is slow is not waited for, and the time that it makes others wait is its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock;

/// Where webhooks are sent.
pub(crate) const PATH: &str = "/webhooks/github";

/// The header that has a body's signature.
pub(crate) const SIGNATURE: &str = "x-hub-signature-256";

/// Deliveries in a second.
pub(crate) const RATE: u32 = 200;

/// How long GitHub waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Payloads, and what they are signed with.
#[derive(Debug)]
pub(crate) struct Deliveries {
    pub(crate) secret: String,
    payloads: Vec<Payload>,
}

#[derive(Debug, Clone)]
struct Payload {
    event: String,
    signature: String,
    body: Arc<[u8]>,
}

/// What the folder says of its payloads.
#[derive(Debug, Deserialize)]
struct Index {
    secret: String,
    payloads: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    file: String,
    event: String,
    #[serde(rename = "sha256_signature_with_fixture_secret")]
    signature: String,
}

impl Deliveries {
    /// The payloads that the tests have, with the signatures that are recorded beside them.
    pub(crate) fn recorded() -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/data/webhooks");
        let read = |name: &str| {
            let file = folder.join(name);
            std::fs::read(&file).with_context(|| file.display().to_string())
        };
        let Index { secret, payloads } = serde_json::from_slice(&read("index.json")?)?;
        let payload = |Entry { file, event, signature }: Entry| {
            Ok(Payload { event, signature, body: read(&file)?.into() })
        };
        let payloads = payloads.into_iter().map(payload).collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!payloads.is_empty(), "{}: no payloads", folder.display());
        Ok(Self { secret, payloads })
    }

    /// Delivers those with these numbers; how long each took, from when it was due until it was
    /// answered.
    pub(crate) async fn send(
        &self,
        to: SocketAddr,
        numbers: Range<u32>,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut due = tokio::time::interval(Duration::from_secs(1) / RATE);
        let mut sending = JoinSet::new();
        for (number, payload) in numbers.zip(self.payloads.iter().cycle()) {
            let (due, payload) = (due.tick().await.into_std(), payload.clone());
            sending.spawn(async move {
                payload.deliver(to, number).await?;
                anyhow::Ok(clock::now().duration_since(due))
            });
        }
        let mut took = Vec::with_capacity(sending.len());
        while let Some(sent) = sending.join_next().await {
            took.push(sent.context("a sender panicked")??);
        }
        Ok(took)
    }
}

impl Payload {
    async fn deliver(&self, to: SocketAddr, number: u32) -> anyhow::Result<()> {
        let Self { event, signature, body } = self;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: GitHub-Hookshot/bench\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {number:08x}-cc78-11e3-81ab-4c9367dc0958\r\n\
             {SIGNATURE}: {signature}\r\n\r\n",
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let answer = answer.with_context(|| format!("{event}: no answer in {PATIENCE:?}"))??;
        ensure!(answer.starts_with("HTTP/1.1 202 "), "{event}: answered {answer:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payloads_of_the_tests_are_read_with_their_signatures() {
        let Deliveries { payloads, .. } = Deliveries::recorded().unwrap();
        assert!(payloads.len() >= 30, "{}", payloads.len());
        assert!(payloads.iter().all(|it| it.signature.starts_with("sha256=")));
    }
}

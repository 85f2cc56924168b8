//! The peer that webhooks are sent to: the least that anybody has to do with one. It reads the body,
//! checks its signature, counts, and looks no further.
//!
//! It is this program once more, so that it has a processor's time and memory of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::Args;
use ring::hmac;
use tokio::net::TcpListener;

use crate::deliveries::{PATH, SIGNATURE};
use crate::process::Running;
use crate::watchers::{input_ended, say};

/// Take webhooks in until the input ends
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// What they are signed with
    #[arg(long, value_name = "TEXT")]
    secret: String,
}

impl Receive {
    /// Listens until the input ends, and says where.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say(&listener.local_addr()?.to_string());
        let router = Router::new().route(PATH, post(take)).with_state(key);
        tokio::select! {
            served = axum::serve(listener, router).into_future() => Ok(served?),
            ended = input_ended() => ended,
        }
    }
}

async fn take(State(key): State<Arc<hmac::Key>>, head: HeaderMap, body: Bytes) -> StatusCode {
    let signature = head.get(SIGNATURE).and_then(|value| unhex(value.to_str().ok()?));
    match signature.is_some_and(|signature| hmac::verify(&key, &body, &signature).is_ok()) {
        true => StatusCode::ACCEPTED,
        false => StatusCode::UNAUTHORIZED,
    }
}

/// The bytes of `sha256=` and hex digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("sha256=")?;
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// Starts one; where it listens.
pub(crate) async fn start(folder: &Path, secret: &str) -> anyhow::Result<(Running, SocketAddr)> {
    let log = folder.join("receiver.log");
    let mut command = Command::new(std::env::current_exe()?);
    let mut receiver = Running::listening(command.arg("receive").args(["--secret", secret]), &log)?;
    let address = async || std::fs::read_to_string(&log).ok()?.trim().parse().ok();
    let address = receiver.ready(address).await.context("the peer")?;
    Ok((receiver, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_hex_of_whole_bytes() {
        assert_eq!(unhex("sha256=00fF"), Some(vec![0, 255]));
        for wrong in ["00ff", "sha256=0", "sha256=0g", "sha256=ä"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}

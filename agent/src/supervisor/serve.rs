//! The supervisor's socket: several clients at once, none of which can hold up
//! the run.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Millis;
use crate::run::record::ExitRecord;
use crate::run::wire::{Reply, Report, Request};

/// A longer request is no request.
const LONGEST_REQUEST: usize = 64 * 1024;

/// What clients may see, as last published by the owner of the run.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) report: Report,
    pub(super) log_bytes: u64,
    pub(super) exit: Option<Box<ExitRecord>>,
}

/// What a client wants changed, for the owner of the run to decide.
#[derive(Debug)]
pub(super) enum Order {
    Stop { reason: String, reply: oneshot::Sender<Reply> },
    Extend { deadline: Millis, reply: oneshot::Sender<Reply> },
}

/// A socket that disappears with this value.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        // Whoever left it is dead: this process holds the run's lock.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays behind answers nobody, which clients take for an end.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Answers one client until it goes or the run has ended.
pub(super) async fn serve(
    stream: UnixStream,
    view: watch::Receiver<View>,
    orders: mpsc::Sender<Order>,
) {
    let (requests, replies) = stream.into_split();
    let client = Client { requests: BufReader::new(requests), replies, view, orders };
    // A client that went away has nobody to be told.
    drop(client.converse().await);
}

struct Client {
    requests: BufReader<OwnedReadHalf>,
    replies: OwnedWriteHalf,
    view: watch::Receiver<View>,
    orders: mpsc::Sender<Order>,
}

impl Client {
    async fn converse(mut self) -> io::Result<()> {
        while let Some(line) = self.next_line().await? {
            match serde_json::from_slice(&line) {
                Ok(Request::Status) => {
                    let reply = self.standing();
                    self.say(&reply).await?;
                }
                Ok(Request::Wait) => self.wait().await?,
                Ok(Request::Follow) => self.follow().await?,
                Ok(Request::Stop { reason }) => {
                    self.order(|reply| Order::Stop { reason, reply }).await?;
                }
                Ok(Request::Extend { deadline_ms: deadline }) => {
                    self.order(|reply| Order::Extend { deadline, reply }).await?;
                }
                Err(error) => self.say(&Reply::Refused { reason: error.to_string() }).await?,
            }
        }
        Ok(())
    }

    async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let chunk = self.requests.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            line.extend_from_slice(&chunk[..taken]);
            self.requests.consume(taken);
            if end.is_some() {
                return Ok(Some(line));
            }
            if line.len() > LONGEST_REQUEST {
                return Err(io::Error::other("the request has no end"));
            }
        }
    }

    fn standing(&self) -> Reply {
        let view = self.view.borrow();
        match &view.exit {
            Some(record) => Reply::Exit { record: record.clone() },
            None => Reply::Report(view.report.clone()),
        }
    }

    async fn wait(&mut self) -> io::Result<()> {
        let ended = self.view.wait_for(|view| view.exit.is_some()).await;
        let Some(record) = ended.ok().and_then(|view| view.exit.clone()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        self.say(&Reply::Exit { record }).await
    }

    async fn follow(&mut self) -> io::Result<()> {
        let mut told = 0;
        loop {
            let (bytes, exit) = {
                let view = self.view.borrow_and_update();
                (view.log_bytes, view.exit.clone())
            };
            if bytes > told {
                told = bytes;
                self.say(&Reply::Grown { bytes }).await?;
            }
            if let Some(record) = exit {
                return self.say(&Reply::Exit { record }).await;
            }
            self.view.changed().await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
    }

    /// Passes an order on. After the end there is nobody to decide it, and the
    /// end is the answer.
    async fn order(
        &mut self,
        order: impl FnOnce(oneshot::Sender<Reply>) -> Order,
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        if self.orders.send(order(sender)).await.is_ok()
            && let Ok(reply) = receiver.await
        {
            return self.say(&reply).await;
        }
        self.wait().await
    }

    async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.replies.write_all(&line).await
    }
}

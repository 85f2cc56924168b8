//! A wire with switchable faults: a TCP proxy on loopback that knows bytes and no protocol.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The most that is taken from a connection in one go.
const CHUNK: usize = 16 * 1024;

/// How many chunks of a connection wait at most in one direction.
const CHUNKS: usize = 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who connected to the target.
    Requests,
    /// From the target back.
    Answers,
}

impl Direction {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Requests, Self::Answers];

    fn index(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::Answers => 1,
        }
    }
}

/// What happens to bytes that go one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// They pass.
    #[default]
    Pass,
    /// They wait, and pass when the fault is over, even if who sent them is gone by then.
    Hold,
    /// They vanish, and nobody is told. A connection that lost bytes is cut as soon as this is
    /// over, since no protocol goes on with a hole in its stream.
    Swallow,
    /// They pass so much later, in their order and with their pauses.
    Delay(Duration),
    /// Connections are reset, those that come as well.
    Cut,
}

/// What was done so far to what goes one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that reached the other side, late ones too.
    pub passed: u64,
    /// Bytes that were made to wait by [`Fault::Hold`].
    pub held: u64,
    /// Bytes that vanished.
    pub swallowed: u64,
    /// Bytes that were made late by [`Fault::Delay`].
    pub delayed: u64,
    /// Connections that were reset for this direction's sake.
    pub cut: u64,
}

/// A proxy that runs until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: Wire,
    /// Aborted on drop, with every connection in it.
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts one on a free port of loopback that leads to `target` and lets everything pass.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), target).await
    }

    /// The same at another address of this machine.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start_at(address: IpAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let wire = Wire { target, ways: [Way::new(), Way::new()] };
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, wire.clone()));
        Ok(Self { address, wire, _accepting: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `http://ADDRESS:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens from now on to bytes that go this way.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.wire.way(direction).fault.send_replace(fault);
    }

    /// What happens from now on to all bytes.
    pub fn set_both(&self, fault: Fault) {
        for direction in Direction::BOTH {
            self.set(direction, fault);
        }
    }

    /// Lets everything pass.
    pub fn heal(&self) {
        self.set_both(Fault::Pass);
    }

    /// What was done so far to what goes this way.
    pub fn counts(&self, direction: Direction) -> Counts {
        *self.wire.way(direction).counts.borrow()
    }

    /// Waits until `enough` was done to what goes this way.
    pub async fn until(&self, direction: Direction, enough: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.wire.way(direction).counts.subscribe();
        match counts.wait_for(enough).await {
            Ok(counts) => *counts,
            // The sender lives as long as `self`.
            Err(_) => self.counts(direction),
        }
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Wire {
    target: SocketAddr,
    ways: [Way; 2],
}

#[derive(Clone, Debug)]
struct Way {
    fault: watch::Sender<Fault>,
    counts: watch::Sender<Counts>,
}

impl Way {
    fn new() -> Self {
        Self { fault: watch::Sender::default(), counts: watch::Sender::default() }
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(count);
    }

    /// Waits until this way is cut.
    async fn cut(&self) {
        let mut fault = self.fault.subscribe();
        if fault.wait_for(|fault| *fault == Fault::Cut).await.is_err() {
            // Nobody is left who could cut it.
            std::future::pending::<()>().await;
        }
        self.count(|counts| counts.cut += 1);
    }
}

impl Wire {
    fn way(&self, direction: Direction) -> &Way {
        &self.ways[direction.index()]
    }

    async fn cut(&self) {
        tokio::select! {
            () = self.way(Direction::Requests).cut() => {}
            () = self.way(Direction::Answers).cut() => {}
        }
    }
}

async fn accept(listener: TcpListener, wire: Wire) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that is gone before it was accepted needs nothing.
                if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, wire.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection ended.
enum End {
    /// Both sides said all they had to say.
    Closed,
    Cut,
}

async fn connection(mut client: TcpStream, wire: Wire) {
    let Ok(mut target) = TcpStream::connect(wire.target).await else { return reset(&client) };
    // One write, one packet, as the client sent it: delays are for the faults to make.
    if client.set_nodelay(true).and(target.set_nodelay(true)).is_err() {
        return;
    }
    let end = {
        let (from_client, to_client) = client.split();
        let (from_target, to_target) = target.split();
        let both = async {
            let requests = pump(from_client, to_target, wire.way(Direction::Requests));
            let answers = pump(from_target, to_client, wire.way(Direction::Answers));
            match tokio::try_join!(requests, answers) {
                Ok(_) => End::Closed,
                Err(Torn) => End::Cut,
            }
        };
        tokio::select! {
            biased;
            () = wire.cut() => End::Cut,
            end = both => end,
        }
    };
    if matches!(end, End::Cut) {
        reset(&client);
        reset(&target);
    }
}

/// Makes closing `stream` say that the connection broke.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection is closed, not reset");
    }
}

/// Bytes on their way.
struct Chunk {
    bytes: Vec<u8>,
    /// They pass not before then.
    due: Instant,
    /// Whether they were counted as held.
    held: bool,
}

/// A connection that lost bytes and cannot go on.
struct Torn;

/// Carries one direction of a connection to its end.
///
/// What was read is always delivered, also when who sent it is gone: packets under way do not
/// know that their sender died.
async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, way: &Way) -> Result<(), Torn> {
    let (chunks, queue) = mpsc::channel(CHUNKS);
    let ((), delivered) = tokio::join!(collect(from, chunks, way), deliver(queue, to, way));
    delivered
}

/// Takes what comes, the end as an empty chunk, until nobody delivers it any more.
async fn collect(mut from: ReadHalf<'_>, chunks: mpsc::Sender<Chunk>, way: &Way) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = chunks.closed() => return,
        };
        let length = length(count);
        let fault = *way.fault.borrow();
        let mut due = Instant::now();
        if let Fault::Delay(by) = fault {
            due += by;
            way.count(|counts| counts.delayed += length);
        }
        let held = fault == Fault::Hold;
        if held {
            way.count(|counts| counts.held += length);
        }
        let chunk = Chunk { bytes: buffer[..count].to_vec(), due, held };
        if chunks.send(chunk).await.is_err() || count == 0 {
            return;
        }
    }
}

async fn deliver(
    mut queue: mpsc::Receiver<Chunk>,
    mut to: WriteHalf<'_>,
    way: &Way,
) -> Result<(), Torn> {
    let mut faults = way.fault.subscribe();
    let mut holed = false;
    loop {
        let chunk = tokio::select! {
            chunk = queue.recv() => chunk,
            // A hole is mended by nobody: the connection ends when the fault does.
            _ = faults.wait_for(|fault| holed && *fault != Fault::Swallow) => {
                way.count(|counts| counts.cut += 1);
                return Err(Torn);
            }
        };
        let Some(mut chunk) = chunk else { break };
        sleep_until(chunk.due).await;
        let length = length(chunk.bytes.len());
        let fault = loop {
            let fault = *faults.borrow_and_update();
            if fault != Fault::Hold {
                break fault;
            }
            if !std::mem::replace(&mut chunk.held, true) {
                way.count(|counts| counts.held += length);
            }
            if faults.changed().await.is_err() {
                return Ok(());
            }
        };
        if fault == Fault::Swallow {
            holed = true;
            way.count(|counts| counts.swallowed += length);
        } else if holed {
            way.count(|counts| counts.cut += 1);
            return Err(Torn);
        } else {
            if to.write_all(&chunk.bytes).await.is_err() {
                return Ok(());
            }
            way.count(|counts| counts.passed += length);
        }
    }
    // An end is held as bytes are: the other side must not learn of it through a dead wire.
    if faults.wait_for(|fault| !matches!(fault, Fault::Hold | Fault::Swallow)).await.is_ok()
        && let Err(error) = to.shutdown().await
    {
        tracing::debug!(%error, "the other side was gone already");
    }
    if holed { Err(Torn) } else { Ok(()) }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

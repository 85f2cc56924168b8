//! Drives clients, ours and the peer's alike, and counts what they get done.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::clock;

/// This part of a turn comes before the counting: connections are made and caches filled.
const WARM_UP: u32 = 5;

/// Between two turns, so that what one leaves to be done is not done in the next.
const REST: Duration = Duration::from_millis(300);

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often ours and the peers take turns.
    pub(crate) rounds: usize,
    /// How long one turn lasts.
    pub(crate) turn: Duration,
}

impl Effort {
    /// The pause between two turns.
    pub(crate) async fn rest(self) {
        tokio::time::sleep(REST).await;
    }
}

/// A client that takes something and gives it back, again and again.
pub(crate) trait Pair: Send + 'static {
    /// Takes and gives back once; both answers are looked at.
    fn pair(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What clients got done in one turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// Pairs in a second, all clients together.
    pub(crate) rate: f64,
    /// The middle one of the times that a pair took, in microseconds.
    pub(crate) p50: f64,
    /// Pairs in all, those before the counting included.
    pub(crate) pairs: u64,
}

/// Lets `clients` work side by side for `span`; they are kept for the next turn.
pub(crate) async fn turn<P: Pair>(clients: &mut Vec<P>, span: Duration) -> anyhow::Result<Turn> {
    let start = clock::now();
    let (from, until) = (start + span / WARM_UP, start + span + span / WARM_UP);
    let mut working = JoinSet::new();
    for client in clients.drain(..) {
        working.spawn(work(client, from, until));
    }
    let (mut took, mut pairs) = (Vec::new(), 0);
    while let Some(done) = working.join_next().await {
        let (client, times, count) = done.context("a client panicked")??;
        clients.push(client);
        took.extend(times);
        pairs += count;
    }
    anyhow::ensure!(!took.is_empty(), "nobody got anything done in {span:?}");
    took.sort_unstable();
    let rate = took.len() as f64 / span.as_secs_f64();
    let p50 = took[took.len() / 2].as_secs_f64() * 1e6;
    Ok(Turn { rate, p50, pairs })
}

/// One client's work: itself, what each counted pair took, and how many pairs there were.
async fn work<P: Pair>(
    mut client: P,
    from: Instant,
    until: Instant,
) -> anyhow::Result<(P, Vec<Duration>, u64)> {
    let (mut times, mut pairs) = (Vec::new(), 0);
    let mut begun = clock::now();
    while begun < until {
        client.pair().await?;
        pairs += 1;
        let ended = clock::now();
        // Whole pairs inside the span: what straddles an edge is nobody's.
        if begun >= from && ended <= until {
            times.push(ended - begun);
        }
        begun = ended;
    }
    Ok((client, times, pairs))
}

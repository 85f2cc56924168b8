//! Claims while a thousand watch in another process, beside claims that nobody watches.
//!
//! The watchers are this program once more: they are ready when all their streams are open, and
//! tell what they saw when their input ends.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::Streaming;

use crate::agent::Agent;
use crate::clock;
use crate::coordinator::{Coordinator, NO_RENEWALS, Service, Store, channel, scope};
use crate::etcd::Etcd;
use crate::load::Effort;
use crate::process::Running;
use crate::report::{Bar, Row, Series};

/// Who watches, and the connections that they share.
const WATCHERS: usize = 1000;
const CONNECTIONS: usize = 20;

/// Claims in a second, and how many of them are a turn.
const RATE: u32 = 20;
const CLAIMS: u32 = 60;

/// How often both take turns.
const ROUNDS: usize = 5;

/// What the watchers say when all of them watch.
const READY: &str = "ready";

/// Measures claims with and without watchers; state goes into `folder`.
pub(crate) async fn measure(
    folder: &Path,
    program: &Path,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let etcd = Etcd::start(program, folder).await?;
    let service = Service { scopes: 1, store: Store::Etcd(&etcd), options: &NO_RENEWALS };
    let coordinator = Coordinator::start(folder, service).await?;
    let mut agent = Agent::join(coordinator.connect(1)?.remove(0), "claimant", "").await?;
    // What the first calls alone have to do is in no round.
    claims(&mut agent).await?;
    let (mut alone, mut watched, mut delays) =
        (Series::default(), Series::default(), Series::default());
    for round in 1..=ROUNDS {
        crate::report::progress(&format!("watchers: round {round} of {ROUNDS}"));
        effort.rest().await;
        alone.push(claims(&mut agent).await?);
        let watchers = start(&coordinator, folder).await?;
        effort.rest().await;
        watched.push(claims(&mut agent).await?);
        // Until the last entry has come to the last one.
        effort.rest().await;
        for delay in seen(watchers)? {
            delays.push(delay);
        }
    }
    let (claim, last) = ("on etcd: p50 of a watched claim", "on etcd: the last watcher hears");
    let how = format!(
        "{WATCHERS} watchers over {CONNECTIONS} connections in another process, {RATE} claims/s, \
         a call each, at no fixed moments, {ROUNDS} turns of {CLAIMS} claims"
    );
    let delay = format!("{how}; from the entry's wall time until all have it, each entry");
    Ok(vec![
        Row::new(claim, "us", watched, how).beside("unwatched", alone, Some(Bar::AtMost(1.2))),
        Row::new(last, "ms", delays, delay),
    ])
}

/// A turn of claims, each given back within its share of the time: the middle one of the times that
/// they took, in microseconds.
///
/// Where in its half of the share something happens changes from one to the next: nobody's claims
/// keep step with the beat in which watchers are woken.
async fn claims(agent: &mut Agent) -> anyhow::Result<f64> {
    let scopes = [scope(0)];
    let half = Duration::from_secs(1) / RATE / 2;
    let mut took = Vec::new();
    let mut halves = tokio::time::interval(half);
    for n in 0..CLAIMS {
        halves.tick().await;
        tokio::time::sleep(half.mul_f64(spread(n))).await;
        let begun = clock::now();
        agent.claim(&scopes).await?;
        took.push(begun.elapsed());
        halves.tick().await;
        tokio::time::sleep(half.mul_f64(spread(CLAIMS + n))).await;
        agent.release(&scopes).await?;
    }
    took.sort_unstable();
    Ok(took[took.len() / 2].as_secs_f64() * 1e6)
}

/// The fractional parts of multiples of the golden ratio: they fill 0 to 1 evenly, without a period.
fn spread(n: u32) -> f64 {
    (f64::from(n) * 0.618_033_988_75).fract()
}

/// Starts the watchers, and returns when all of them watch.
async fn start(coordinator: &Coordinator, folder: &Path) -> anyhow::Result<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("watch").args(["--address", &coordinator.address.to_string()]);
    let mut watchers = Running::listening(&mut command, &folder.join("watchers.log"))?;
    let log = folder.join("watchers.log");
    let is_ready = async || std::fs::read_to_string(&log).ok()?.starts_with(READY).then_some(());
    watchers.ready(is_ready).await.context("watchers")?;
    Ok(watchers)
}

/// What the watchers saw: each entry's delay until the last of them had it, in milliseconds.
fn seen(watchers: Running) -> anyhow::Result<Vec<f64>> {
    let said = watchers.finish()?;
    let told: Told = serde_json::from_str(said.lines().last().context("they said nothing")?)?;
    // The last claims may be under way to some of them.
    let enough = usize::try_from(CLAIMS)?;
    let missing = told.missing;
    anyhow::ensure!(
        missing == 0 && told.delays_ms.len() >= enough,
        "{missing} entries did not reach all watchers, {} did",
        told.delays_ms.len()
    );
    Ok(told.delays_ms)
}

/// Watch a coordinator until the input ends, and tell what was seen
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    address: SocketAddr,
    /// How many streams of entries
    #[arg(long, default_value_t = WATCHERS, value_name = "N")]
    count: usize,
    /// How many connections they share
    #[arg(long, default_value_t = CONNECTIONS, value_name = "N")]
    connections: usize,
}

/// What the watchers tell.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Each entry's delay until the last watcher had it.
    delays_ms: Vec<f64>,
    /// Entries that not all of them have.
    missing: usize,
}

/// Who of the watchers has which entry.
#[derive(Debug, Default)]
struct Seen {
    entries: HashMap<u64, Sight>,
}

/// One entry, as far as the watchers have it.
#[derive(Debug)]
struct Sight {
    /// When it happened, in wall milliseconds.
    happened: f64,
    /// When the last one got it.
    last: f64,
    by: usize,
}

impl Seen {
    /// Notes that one more watcher has an entry. Only the first one reads it: all others would
    /// cost the machine more than the entry itself.
    fn note(&mut self, entry: &v1::Entry) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Happened {
            wall: f64,
        }

        let now = clock::wall_ms();
        if let Some(sight) = self.entries.get_mut(&entry.seq) {
            (sight.last, sight.by) = (now, sight.by + 1);
            return Ok(());
        }
        let happened = serde_json::from_str::<Happened>(&entry.json)?.wall;
        self.entries.insert(entry.seq, Sight { happened, last: now, by: 1 });
        Ok(())
    }

    fn told(&self, watchers: usize) -> Told {
        let (all, some): (Vec<&Sight>, Vec<&Sight>) =
            self.entries.values().partition(|sight| sight.by == watchers);
        let delays_ms = all.iter().map(|sight| sight.last - sight.happened).collect();
        Told { delays_ms, missing: some.len() }
    }
}

impl Watch {
    /// Watches until the input ends.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let url = format!("http://{}", self.address);
        let mut watching = JoinSet::new();
        for n in 0..self.connections {
            let client = CoordinatorClient::new(channel(&url)?);
            for _ in (n..self.count).step_by(self.connections) {
                let request = v1::WatchRequest { tail: true, ..v1::WatchRequest::default() };
                let entries = client.clone().watch(request).await?.into_inner();
                watching.spawn(watch(entries, Arc::clone(&seen)));
            }
        }
        say(READY);
        tokio::select! {
            ended = input_ended() => ended?,
            Some(ended) = watching.join_next() => {
                ended??;
                anyhow::bail!("a stream of entries ended");
            }
        }
        let told = seen.lock().unwrap_or_else(PoisonError::into_inner).told(self.count);
        say(&serde_json::to_string(&told)?);
        Ok(())
    }
}

async fn watch(mut entries: Streaming<v1::Entry>, seen: Arc<Mutex<Seen>>) -> anyhow::Result<()> {
    while let Some(entry) = entries.message().await? {
        seen.lock().unwrap_or_else(PoisonError::into_inner).note(&entry)?;
    }
    Ok(())
}

/// Returns once whoever started this process has no more to say to it.
pub(crate) async fn input_ended() -> anyhow::Result<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let read = std::io::stdin().read_to_end(&mut Vec::new());
        // Nobody waits any more where the watchers failed.
        drop(sender.send(read.map(drop)));
    });
    Ok(receiver.await??)
}

/// Tells the process that started this one.
#[expect(clippy::print_stdout, reason = "what the process that started this one waits for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_when_the_last_watcher_has_it() {
        let mut seen = Seen::default();
        let entry =
            |seq| v1::Entry { seq, json: r#"{"wall":1.0}"#.to_owned(), ..v1::Entry::default() };
        for seq in [7, 7, 8] {
            seen.note(&entry(seq)).unwrap();
        }
        let told = seen.told(2);
        assert_eq!((told.delays_ms.len(), told.missing), (1, 1));
        assert!(told.delays_ms[0] > 1e9, "since 1970");
    }
}

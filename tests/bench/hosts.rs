//! Ten thousand sessions: what their heartbeats cost, what each costs in memory, and what a claim
//! costs among them.
//!
//! The hosts are simulated as the coordinator sees them: a connection and a stream each, on which
//! the sessions of the host are renewed when the coordinator wants it. Not here: what a daemon does
//! on its own machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use etcd_client::Client;
use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use molt_proto::v1::host_hears::Hears;
use molt_proto::v1::host_says::Says;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::agent::{Agent, Streamed};
use crate::clock;
use crate::coordinator::{Coordinator, NO_RENEWALS, Service, Store, scope};
use crate::etcd::Etcd;
use crate::load::{Effort, turn};
use crate::report::{Bar, Row, Series};
use crate::usage;

/// Hosts, and the sessions on each of them.
const HOSTS: usize = 100;
const ON_EACH: usize = 100;

/// The hosts that are there before memory is looked at, so that what is there once, and what
/// grows in large steps, is not counted for the sessions of the others.
const BEFORE: usize = 20;

/// Sessions of the small fleet, to compare the cost of a claim with.
const FEW: usize = 100;

/// Those of them that work side by side, in either fleet, and the connections that they share.
const TASKS: usize = 64;
const CONNECTIONS: usize = 8;

/// How many sessions join at once.
const JOIN_AT_ONCE: usize = 16;

/// How long only heartbeats are.
const WATCHED: Duration = Duration::from_secs(20);

/// What the beginning leaves to be done is done when nothing was written for so long, and within
/// so long.
const STILL: Duration = Duration::from_secs(3);
const STILL_WITHIN: Duration = Duration::from_secs(60);

/// Where a fleet's leader writes that it still leads.
const RENEWAL: &str = "/molt/v1/bench/renewal";

/// Measures a fleet of ten thousand; state goes into `folder`.
pub(crate) async fn measure(
    folder: &Path,
    program: &Path,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = heartbeats(&folder.join("heartbeats"), program).await?;
    rows.push(claims(folder, effort).await?);
    Ok(rows)
}

/// What heartbeats cost the coordinator and its etcd, and what a session costs.
async fn heartbeats(folder: &Path, program: &Path) -> anyhow::Result<Vec<Row>> {
    std::fs::create_dir_all(folder)?;
    let etcd = Etcd::start(program, folder).await?;
    let service = Service { scopes: 1, store: Store::Etcd(&etcd), options: &[] };
    let coordinator = Coordinator::start(folder, service).await?;
    let (pid, mut client) = (coordinator.process.id(), etcd.connect(1).await?.remove(0));
    crate::report::progress(&format!("hosts: {HOSTS} with {ON_EACH} sessions each"));
    let mut fleet = Fleet::default();
    let mut took = fleet.grow(&coordinator, sized(0..BEFORE)).await?;
    still(&mut client).await?;
    let before = usage::resident(pid)?;
    took += fleet.grow(&coordinator, sized(BEFORE..HOSTS)).await?;
    still(&mut client).await?;
    let (beats, _) = fleet.beats()?;
    let (cpu, written, begun) = (usage::cpu(pid)?, writes(&mut client).await?, clock::now());
    tokio::time::sleep(WATCHED).await;
    let share = (usage::cpu(pid)? - cpu).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    let written = writes(&mut client).await? - written;
    let grown = usage::resident(pid)?.saturating_sub(before);
    let (all, heartbeat) = fleet.beats()?;
    let beats = all - beats;
    let sessions = HOSTS * ON_EACH;
    let counted = (HOSTS - BEFORE) * ON_EACH;
    let how = format!(
        "{sessions} sessions, {HOSTS} hosts, a stream and a connection each, a heartbeat every \
         {heartbeat:?}, store on etcd, {beats} beats in {WATCHED:?}"
    );
    let memory = format!(
        "growth of what is in core over the last {counted} sessions, the audit of their joining \
         and their hosts' streams with them / {counted}; {how}"
    );
    let written_how = format!("revisions of etcd but those of the leader's own renewal; {how}");
    let joined = format!("{JOIN_AT_ONCE} at once, a call each, on etcd");
    let row = |name, unit, value, how: &str| Row::new(name, unit, Series::of(value), how);
    Ok(vec![
        row("10,000 sessions: processor", "% of a core", share, &how).keeps(Bar::AtMost(5.0)),
        row("10,000 sessions: etcd writes", "writes", written as f64, &written_how)
            .keeps(Bar::AtMost(0.0)),
        row("10,000 sessions: memory of each", "KB", grown as f64 / 1e3 / counted as f64, &memory)
            .keeps(Bar::AtMost(4.0)),
        row("10,000 sessions join", "s", took.as_secs_f64(), &joined),
    ])
}

/// What a claim costs among many sessions, beside the same among few.
async fn claims(folder: &Path, effort: Effort) -> anyhow::Result<Row> {
    let mut many = Side::new(&folder.join("many"), HOSTS * ON_EACH).await?;
    let mut few = Side::new(&folder.join("few"), FEW).await?;
    let (mut ours, mut peer) = (Series::default(), Series::default());
    for round in 1..=effort.rounds {
        let (among_many, among_few) = (many.cost(effort).await?, few.cost(effort).await?);
        crate::report::progress(&format!(
            "among many, round {round} of {}: {among_many:.0} us a pair, among few {among_few:.0}",
            effort.rounds
        ));
        ours.push(among_many);
        peer.push(among_few);
    }
    many.fleet.beats()?;
    few.fleet.beats()?;
    let Effort { rounds, turn } = effort;
    let how = format!(
        "{TASKS} sessions work, a stream of commands each, {CONNECTIONS} connections; the others \
         are on hosts of {ON_EACH} whose heartbeats go on; embedded store, {rounds} turns of \
         {turn:?}"
    );
    let row = Row::new("claim+release among 10,000 sessions", "us/pair", ours, how);
    Ok(row.beside("among 100", peer, Some(Bar::AtMost(1.3))))
}

/// A fleet of some size, with sessions that work.
struct Side {
    _coordinator: Coordinator,
    fleet: Fleet,
    tasks: Vec<Streamed>,
}

impl Side {
    async fn new(folder: &Path, sessions: usize) -> anyhow::Result<Self> {
        let service = Service { scopes: TASKS, store: Store::Embedded, options: &NO_RENEWALS };
        let coordinator = Coordinator::start(folder, service).await?;
        let connections = coordinator.connect(CONNECTIONS)?;
        let mut tasks = Vec::with_capacity(TASKS);
        for n in 0..TASKS {
            let client = connections[n % CONNECTIONS].clone();
            let mut agent = Agent::join(client, &format!("task-{n}"), "").await?;
            agent.scopes = vec![scope(n)];
            tasks.push(Streamed::open(agent).await?);
        }
        let others = sessions - TASKS;
        let sizes = (0..others.div_ceil(ON_EACH)).map(|n| (n, ON_EACH.min(others - n * ON_EACH)));
        let mut fleet = Fleet::default();
        fleet.grow(&coordinator, sizes).await?;
        Ok(Self { _coordinator: coordinator, fleet, tasks })
    }

    /// A turn: microseconds a pair.
    async fn cost(&mut self, effort: Effort) -> anyhow::Result<f64> {
        effort.rest().await;
        Ok(1e6 / turn(&mut self.tasks, effort.turn).await?.rate)
    }
}

fn sized(hosts: std::ops::Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    hosts.map(|host| (host, ON_EACH))
}

/// How often etcd was written, but for the leader's own renewal of its lead.
async fn writes(client: &mut Client) -> anyhow::Result<i64> {
    let found = client.get(RENEWAL, None).await?;
    let revision = found.header().context("an answer without a header")?.revision();
    Ok(revision - found.kvs().first().map_or(0, etcd_client::KeyValue::version))
}

/// Waits until nothing is written any more.
async fn still(client: &mut Client) -> anyhow::Result<()> {
    let until = clock::now() + STILL_WITHIN;
    let mut written = writes(client).await?;
    loop {
        tokio::time::sleep(STILL).await;
        let now = writes(client).await?;
        if now == written {
            return Ok(());
        }
        ensure!(clock::now() < until, "something is written for more than {STILL_WITHIN:?}");
        written = now;
    }
}

/// Hosts with their sessions, which are renewed until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    beating: JoinSet<anyhow::Result<()>>,
    tally: Arc<Tally>,
}

/// What the hosts have heard so far.
#[derive(Debug, Default)]
struct Tally {
    answers: AtomicU64,
    heartbeat_ms: AtomicU64,
}

impl Fleet {
    /// Lets hosts, each with so many sessions, come in; how long the joining took.
    async fn grow(
        &mut self,
        coordinator: &Coordinator,
        hosts: impl Iterator<Item = (usize, usize)>,
    ) -> anyhow::Result<Duration> {
        let begun = clock::now();
        let connections = coordinator.connect(JOIN_AT_ONCE)?;
        let mut joining = JoinSet::new();
        let hosts: Vec<(usize, usize)> = hosts.collect();
        for (n, client) in connections.into_iter().enumerate() {
            let own: Vec<_> = hosts.iter().copied().skip(n).step_by(JOIN_AT_ONCE).collect();
            joining.spawn(join(client, own));
        }
        let mut joined = Vec::new();
        while let Some(some) = joining.join_next().await {
            joined.extend(some.context("a host panicked")??);
        }
        let took = begun.elapsed();
        for (n, beat) in joined.into_iter().enumerate() {
            self.renew(coordinator, beat, n)?;
        }
        Ok(took)
    }

    /// Renews the sessions of the `n`th host from now on.
    pub(crate) fn renew(
        &mut self,
        coordinator: &Coordinator,
        beat: v1::BeatRequest,
        n: usize,
    ) -> anyhow::Result<()> {
        let client = coordinator.connect(1)?.remove(0);
        // Hosts do not beat at the same moment.
        let offset = Duration::from_millis(7 * n as u64);
        self.beating.spawn(be_a_host(client, beat, offset, Arc::clone(&self.tally)));
        Ok(())
    }

    /// That every host is there still: how many beats were answered, and what lies between two.
    pub(crate) fn beats(&mut self) -> anyhow::Result<(u64, Duration)> {
        if let Some(ended) = self.beating.try_join_next() {
            ended.context("a host panicked")??;
            anyhow::bail!("the stream of a host ended");
        }
        let answers = self.tally.answers.load(Ordering::Relaxed);
        ensure!(answers > 0, "no beat was answered");
        Ok((answers, Duration::from_millis(self.tally.heartbeat_ms.load(Ordering::Relaxed))))
    }
}

/// Begins the sessions of hosts, one after another: what each host renews.
async fn join(
    client: CoordinatorClient<Channel>,
    hosts: Vec<(usize, usize)>,
) -> anyhow::Result<Vec<v1::BeatRequest>> {
    let mut beats = Vec::with_capacity(hosts.len());
    for (n, size) in hosts {
        let host = format!("host-{n}");
        let mut sessions = Vec::with_capacity(size);
        for number in 0..size {
            let name = format!("{host}-{number}");
            sessions.push(Agent::join_on(client.clone(), &host, &name).await?.id);
        }
        beats.push(v1::BeatRequest { host, sessions, ..v1::BeatRequest::default() });
    }
    Ok(beats)
}

/// Beats as often as the coordinator wants it.
async fn be_a_host(
    mut client: CoordinatorClient<Channel>,
    beat: v1::BeatRequest,
    offset: Duration,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    tokio::time::sleep(offset).await;
    let (says, receiver) = mpsc::channel(1);
    let mut hears = client.host(ReceiverStream::new(receiver)).await?.into_inner();
    loop {
        let said = v1::HostSays { says: Some(Says::Beat(beat.clone())) };
        says.send(said).await.ok().context("the stream ended")?;
        let answer = loop {
            match hears.message().await?.context("the stream ended")?.hears {
                Some(Hears::Beat(answer)) => break answer,
                // What happened, the next answer tells; and nobody wants logs.
                Some(Hears::News(_) | Hears::Log(_)) | None => {}
            }
        };
        ensure!(answer.lost.is_empty(), "{} has lost {} sessions", beat.host, answer.lost.len());
        tally.answers.fetch_add(1, Ordering::Relaxed);
        tally.heartbeat_ms.store(answer.heartbeat_ms, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(answer.heartbeat_ms)).await;
    }
}

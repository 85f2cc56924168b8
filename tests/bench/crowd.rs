//! A crowd: 200 agents on 10 hosts want 40 scopes all the time, and hold each for a moment.
//!
//! Five agents want each scope. In turns, whoever asks has four others before it, so its *fair
//! share* of waiting is four turns; a turn is what a scope takes from one grant to the next on
//! average, the hold and the handing over. Nobody may wait for more than twice that: four of the
//! longest holds in a row are 1.5 times as long as four of the middle ones, and the rest is for the
//! coordinator. Not here: the same on virtual time, which is a test of the rules.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use molt_proto::v1;
use tokio::task::JoinSet;

use crate::agent::{Agent, Waited};
use crate::clock;
use crate::coordinator::{Coordinator, Service, Store, scope};
use crate::hosts::Fleet;
use crate::report::{Bar, Row, Series};

const AGENTS: usize = 200;
const HOSTS: usize = 10;
const SCOPES: usize = 40;

/// How long all this lasts.
const SPAN: Duration = Duration::from_secs(60);

/// How long a scope is held, in milliseconds.
const HELD: std::ops::RangeInclusive<u64> = 50..=150;

/// Who holds each scope, as the agents are told: the number of the agent and 1, or 0 for nobody.
type Holders = Arc<Vec<AtomicUsize>>;

/// Measures a crowd on a coordinator of its own, with the embedded store.
pub(crate) async fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let service = Service { scopes: SCOPES, store: Store::Embedded, options: &[] };
    let coordinator = Coordinator::start(folder, service).await?;
    let mut fleet = Fleet::default();
    let agents = join(&coordinator, &mut fleet).await?;
    crate::report::progress(&format!("crowd: {AGENTS} agents over {SCOPES} scopes for {SPAN:?}"));
    let holders: Holders = Arc::new((0..SCOPES).map(|_| AtomicUsize::new(0)).collect());
    let until = clock::now() + SPAN;
    let mut working = JoinSet::new();
    for (n, agent) in agents.into_iter().enumerate() {
        working.spawn(work(agent, n, until, Arc::clone(&holders)));
    }
    let mut found = Found::default();
    while let Some(done) = working.join_next().await {
        found.add(done.context("an agent panicked")??);
    }
    fleet.beats()?;
    found.rows()
}

/// Begins the sessions, each host's renewed over one stream.
async fn join(coordinator: &Coordinator, fleet: &mut Fleet) -> anyhow::Result<Vec<Agent>> {
    let mut agents = Vec::with_capacity(AGENTS);
    let connections = coordinator.connect(HOSTS)?;
    for (n, client) in connections.into_iter().enumerate() {
        let host = format!("host-{n}");
        let mut sessions = Vec::new();
        for number in 0..AGENTS / HOSTS {
            let agent = Agent::join_on(client.clone(), &host, &format!("{host}-{number}")).await?;
            sessions.push(agent.id.clone());
            agents.push(agent);
        }
        let beat = v1::BeatRequest { host, sessions, ..v1::BeatRequest::default() };
        fleet.renew(coordinator, beat, n)?;
    }
    Ok(agents)
}

/// One agent's work: its own scope again and again, which four others want, too.
async fn work(
    mut agent: Agent,
    n: usize,
    until: std::time::Instant,
    holders: Holders,
) -> anyhow::Result<Found> {
    let (name, holder) = (scope(n % SCOPES), &holders[n % SCOPES]);
    let mut found = Found::default();
    let mut drawn = n as u64;
    while clock::now() < until {
        let waited = agent.claim_in_line(&name).await?;
        found.doubles += usize::from(holder.swap(n + 1, Ordering::SeqCst) != 0);
        found.waits.push(waited);
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let held = HELD.start() + (drawn >> 33) % (HELD.end() - HELD.start() + 1);
        tokio::time::sleep(Duration::from_millis(held)).await;
        holder.store(0, Ordering::SeqCst);
        agent.release(std::slice::from_ref(&name)).await?;
    }
    Ok(found)
}

#[derive(Debug, Default)]
struct Found {
    waits: Vec<Waited>,
    doubles: usize,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.doubles += other.doubles;
    }

    fn rows(&self) -> anyhow::Result<Vec<Row>> {
        ensure!(self.waits.len() > AGENTS * 10, "only {} grants", self.waits.len());
        let mut decisions: Vec<Duration> = self.waits.iter().map(|it| it.decision).collect();
        decisions.sort_unstable();
        let at = |part: usize| {
            millis(decisions[(decisions.len() * part / 100).min(decisions.len() - 1)])
        };
        let longest = self.waits.iter().map(|it| it.held).max().unwrap_or_default();
        let turn = SPAN * u32::try_from(SCOPES)? / u32::try_from(self.waits.len())?;
        let fair = turn * u32::try_from(AGENTS / SCOPES - 1)?;
        let how = format!(
            "{AGENTS} sessions on {HOSTS} hosts over {SCOPES} scopes for {SPAN:?}, a call a \
             command, each held for {HELD:?} ms, embedded store, {} grants",
            self.waits.len()
        );
        let row = |name: &str, unit, value: f64, how: &str| {
            Row::new(format!("crowd: {name}"), unit, Series::of(value), how)
        };
        let fairly = format!("fair share: {} turns of {turn:?}; {how}", AGENTS / SCOPES - 1);
        Ok(vec![
            row("request to decision, p50", "ms", at(50), &how).keeps(Bar::AtMost(30.0)),
            row("request to decision, p99", "ms", at(99), &how).keeps(Bar::AtMost(250.0)),
            row("longest wait", "ms", millis(longest), &fairly).beside(
                "fair share",
                Series::of(millis(fair)),
                Some(Bar::AtMost(2.0)),
            ),
            row("double holds", "holds", self.doubles as f64, &how).keeps(Bar::AtMost(0.0)),
        ])
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

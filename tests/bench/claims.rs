//! Claims beside the peer's mutex, in turns: on a store of our own, and on the peer itself.

use crate::agent::{Agent, Streamed};
use crate::coordinator::{Coordinator, scope};
use crate::etcd::Etcd;
use crate::load::{Effort, Pair, Turn, turn};
use crate::mutex::{Mutex, Put, Unlock};
use crate::report::{Bar, Row, Series};

/// Tasks that work side by side, and the connections that they share.
const TASKS: usize = 64;
const CONNECTIONS: usize = 8;

/// Scopes of a claim of several.
const SEVERAL: usize = 5;

/// What others hold all the while.
const HELD: usize = 1000;

/// Scopes that a coordinator needs to be measured.
pub(crate) const SCOPES: usize = TASKS * SEVERAL + HELD;

/// Bytes of the peer's longer value, and of the reason that goes with it on our side.
const PAYLOAD: usize = 256;

/// Where our records go to; the bars depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into a file of the coordinator's own.
    Embedded,
    /// Into the very etcd that is the peer.
    Etcd,
}

/// Measures claims on `coordinator`, beside the peer.
pub(crate) async fn measure(
    place: Place,
    coordinator: &Coordinator,
    etcd: &Etcd,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let held: Vec<String> = (0..HELD).map(|n| scope(TASKS * SEVERAL + n)).collect();
    coordinator.hold(&held, &text(PAYLOAD)).await?;
    etcd.hold(HELD, text(PAYLOAD).as_bytes()).await?;
    let mut stage = Stage { ours: Ours::new(coordinator).await?, theirs: Theirs::new(etcd).await? };
    let mut found = Found::default();
    for round in 1..=effort.rounds {
        let rounds = effort.rounds;
        crate::report::progress(&format!("claims, {}: round {round} of {rounds}", place.name()));
        stage.round(effort, &mut found).await?;
    }
    Ok(found.rows(place, effort))
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Etcd => "on etcd",
        }
    }
}

/// Our clients. A task that has many commands keeps a stream of them open, as the protocol
/// offers it; the peer's only form is a call for each.
struct Ours<'a> {
    coordinator: &'a Coordinator,
    many: Vec<Streamed>,
    one: Vec<Streamed>,
    /// The same tasks with a call for each command.
    calls: Vec<Agent>,
    one_call: Vec<Agent>,
}

impl<'a> Ours<'a> {
    async fn new(coordinator: &'a Coordinator) -> anyhow::Result<Self> {
        let connections = coordinator.connect(CONNECTIONS)?;
        let (mut many, mut calls) = (Vec::new(), Vec::new());
        for n in 0..TASKS {
            let client = &connections[n % CONNECTIONS];
            let agent = Agent::join(client.clone(), &format!("task-{n}"), "").await?;
            many.push(Streamed::open(agent).await?);
            calls.push(Agent::join(client.clone(), &format!("call-{n}"), "").await?);
        }
        let mut alone = coordinator.connect(2)?;
        let one_call = vec![Agent::join(alone.remove(1), "one-call", "").await?];
        let one = Agent::join(alone.remove(0), "one", "").await?;
        Ok(Self { coordinator, many, one: vec![Streamed::open(one).await?], calls, one_call })
    }

    /// The next turn's claims: how many scopes each, and why.
    fn prepare(&mut self, scopes: usize, why: usize) {
        let many = self.many.iter_mut().map(|task| &mut task.agent).enumerate();
        let one = self.one.iter_mut().map(|task| &mut task.agent).enumerate();
        let calls = self.calls.iter_mut().enumerate().chain(self.one_call.iter_mut().enumerate());
        for (n, agent) in many.chain(one).chain(calls) {
            agent.scopes = (0..scopes).map(|other| scope(n * SEVERAL + other)).collect();
            agent.why = text(why);
        }
    }
}

/// The peer's clients: P1 writes nothing and deletes plainly, P2 writes a value and deletes
/// what it wrote.
struct Theirs {
    p1: Vec<Mutex>,
    p2: Vec<Mutex>,
    p1_one: Vec<Mutex>,
    puts: Vec<Put>,
}

impl Theirs {
    async fn new(etcd: &Etcd) -> anyhow::Result<Self> {
        let connections = etcd.connect(CONNECTIONS).await?;
        let (mut p1, mut p2, mut puts) = (Vec::new(), Vec::new(), Vec::new());
        let value = text(PAYLOAD);
        for n in 0..TASKS {
            let client = &connections[n % CONNECTIONS];
            p1.push(Mutex::new(client.clone(), &format!("p1/{n:04}"), b"", Unlock::Plain).await?);
            let name = format!("p2/{n:04}");
            p2.push(Mutex::new(client.clone(), &name, value.as_bytes(), Unlock::Guarded).await?);
            puts.push(Put::new(client.clone(), &format!("put/{n:04}"), value.as_bytes()));
        }
        let client = etcd.connect(1).await?.remove(0);
        let p1_one = vec![Mutex::new(client, "one", b"", Unlock::Plain).await?];
        Ok(Self { p1, p2, p1_one, puts })
    }
}

/// Those who take turns.
struct Stage<'a> {
    ours: Ours<'a>,
    theirs: Theirs,
}

impl Stage<'_> {
    async fn round(&mut self, effort: Effort, found: &mut Found) -> anyhow::Result<()> {
        let Self { ours, theirs } = self;
        ours.prepare(1, 0);
        let before = ours.coordinator.revision().await?;
        let empty = rested(&mut ours.many, effort).await?;
        let commits = ours.coordinator.revision().await? - before;
        found.empty.push(empty.rate);
        found.cost_of_one.push(1e6 / empty.rate);
        found.shared.push(2.0 * empty.pairs as f64 / commits.max(1) as f64);
        found.p1.push(rested(&mut theirs.p1, effort).await?.rate);
        ours.prepare(1, PAYLOAD);
        found.full.push(rested(&mut ours.many, effort).await?.rate);
        found.p2.push(rested(&mut theirs.p2, effort).await?.rate);
        found.p1_one.push(rested(&mut theirs.p1_one, effort).await?.p50);
        found.puts.push(rested(&mut theirs.puts, effort).await?.rate);
        ours.prepare(1, 0);
        found.one.push(rested(&mut ours.one, effort).await?.p50);
        found.calls.push(rested(&mut ours.calls, effort).await?.rate);
        found.one_call.push(rested(&mut ours.one_call, effort).await?.p50);
        ours.prepare(SEVERAL, 0);
        found.several_alone.push(rested(&mut ours.one, effort).await?.p50);
        found.cost_of_several.push(1e6 / rested(&mut ours.many, effort).await?.rate);
        Ok(())
    }
}

async fn rested<P: Pair>(clients: &mut Vec<P>, effort: Effort) -> anyhow::Result<Turn> {
    effort.rest().await;
    turn(clients, effort.turn).await
}

/// What the rounds bring, one value a round.
#[derive(Debug, Default)]
struct Found {
    empty: Series,
    p1: Series,
    full: Series,
    p2: Series,
    one: Series,
    p1_one: Series,
    puts: Series,
    cost_of_one: Series,
    cost_of_several: Series,
    several_alone: Series,
    shared: Series,
    calls: Series,
    one_call: Series,
}

/// What a place has to keep to, as ratios to the peer in the same run.
struct Bars {
    streams: Bar,
    full: Option<Bar>,
    calls: Option<Bar>,
    one: Bar,
    one_call: Option<Bar>,
}

impl Bars {
    fn of(place: Place) -> Self {
        match place {
            Place::Embedded => Self {
                streams: Bar::AtLeast(3.0),
                full: Some(Bar::AtLeast(2.5)),
                calls: None,
                one: Bar::AtMost(0.9),
                one_call: None,
            },
            Place::Etcd => Self {
                streams: Bar::AtLeast(1.6),
                full: None,
                calls: Some(Bar::AtLeast(1.3)),
                one: Bar::AtMost(2.0),
                one_call: Some(Bar::AtMost(2.0)),
            },
        }
    }
}

impl Found {
    fn rows(self, place: Place, effort: Effort) -> Vec<Row> {
        let Effort { rounds, turn } = effort;
        let tasks = format!("{TASKS} tasks, {CONNECTIONS} connections");
        let (streams, calls) =
            (format!("{tasks}, a stream of commands each"), format!("{tasks}, a call a command"));
        let (stream, call) = ("1 client, a stream of commands", "1 client, a call a command");
        let row = |name: &str, unit, ours: Series, clients: &str, what: &str| {
            let conditions =
                format!("{clients}, {what}, {HELD} held by others, {rounds} turns of {turn:?}");
            Row::new(format!("{}: {name}", place.name()), unit, ours, conditions)
        };
        let (p1, p2) = ("etcd mutex", "etcd guarded mutex");
        let (pair, unary) = ("claim+release", "claim+release, unary");
        let (pair_p50, unary_p50) = ("p50 of 1 client", "p50 of 1 client, unary");
        let (full, several) = (format!("{PAYLOAD} bytes"), format!("{SEVERAL} scopes a claim"));
        let (bars, per_second) = (Bars::of(place), "pairs/s");
        let at_most = Some(Bar::AtMost(1.3));
        vec![
            row(pair, per_second, self.empty.clone(), &streams, "empty").beside(
                p1,
                self.p1.clone(),
                Some(bars.streams),
            ),
            row("claim+release, 256 B", per_second, self.full, &streams, &full)
                .beside(p2, self.p2, bars.full),
            row(unary, per_second, self.calls, &calls, "empty").beside(p1, self.p1, bars.calls),
            row("claim+release by puts", per_second, self.empty, &streams, "empty")
                .beside("etcd put", self.puts, None),
            row(pair_p50, "us", self.one.clone(), stream, "empty").beside(
                p1,
                self.p1_one.clone(),
                Some(bars.one),
            ),
            row(unary_p50, "us", self.one_call, call, "empty").beside(
                p1,
                self.p1_one,
                bars.one_call,
            ),
            row("5 scopes", "us/pair", self.cost_of_several, &streams, &several).beside(
                "1 scope",
                self.cost_of_one,
                at_most,
            ),
            row("p50 of 5 scopes, 1 client", "us", self.several_alone, stream, &several)
                .beside("1 scope", self.one, at_most),
            row("commands in a commit", "commands", self.shared, &streams, "empty")
                .keeps(Bar::AtLeast(4.0)),
        ]
    }
}

/// A text of so many bytes.
fn text(bytes: usize) -> String {
    "fix the write barrier; ".chars().cycle().take(bytes).collect()
}

//! What is measured, in which turns, and against which bars.

use std::path::Path;
use std::time::Duration;

use crate::etcd::{Etcd, Mutex, Unlock};
use crate::load::{Pair, Turn, turn};
use crate::ours::{Agent, Coordinator, Streamed, scope};
use crate::report::{Bar, Peer, Row, Series};

/// Tasks that work side by side, and the connections that they share.
const TASKS: usize = 64;
const CONNECTIONS: usize = 8;

/// Scopes of a claim of several.
const SEVERAL: usize = 5;

/// What others hold all the while.
const HELD: usize = 1000;

/// Bytes of the peer's longer value, and of the reason that goes with it on our side.
const PAYLOAD: usize = 256;

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

/// A coordinator with scopes for everybody, of which others hold theirs; its state is in
/// `scratch`.
pub(crate) async fn coordinator(scratch: &Path) -> anyhow::Result<Coordinator> {
    let coordinator = Coordinator::start(scratch, TASKS * SEVERAL + HELD).await?;
    let held: Vec<String> = (0..HELD).map(|n| scope(TASKS * SEVERAL + n)).collect();
    coordinator.hold(&held, &text(PAYLOAD)).await?;
    Ok(coordinator)
}

/// Measures claims, beside the peer if there is one.
pub(crate) async fn claims(
    coordinator: &Coordinator,
    scratch: &Path,
    etcd: Option<&Path>,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let mut ours = Ours::new(coordinator).await?;
    let Some(program) = etcd else {
        return rounds(&mut ours, None, effort).await;
    };
    let etcd = Etcd::start(program, scratch).await?;
    etcd.hold(HELD, text(PAYLOAD).as_bytes()).await?;
    let mut theirs = Theirs::new(&etcd).await?;
    rounds(&mut ours, Some(&mut theirs), effort).await
}

/// Our clients. A task that has many commands keeps a stream of them open, as the protocol
/// offers it; the peer's only form is a call for each.
struct Ours<'a> {
    coordinator: &'a Coordinator,
    many: Vec<Streamed>,
    one: Vec<Streamed>,
    /// The same tasks with a call for each command.
    calls: Vec<Agent>,
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
        let agent = Agent::join(coordinator.connect(1)?.remove(0), "one", "").await?;
        Ok(Self { coordinator, many, one: vec![Streamed::open(agent).await?], calls })
    }

    /// The next turn's claims: how many scopes each, and why.
    fn prepare(&mut self, scopes: usize, why: usize) {
        let many = self.many.iter_mut().map(|task| &mut task.agent).enumerate();
        let one = self.one.iter_mut().map(|task| &mut task.agent).enumerate();
        for (n, agent) in many.chain(one).chain(self.calls.iter_mut().enumerate()) {
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
}

impl Theirs {
    async fn new(etcd: &Etcd) -> anyhow::Result<Self> {
        let connections = etcd.connect(CONNECTIONS).await?;
        let (mut p1, mut p2) = (Vec::new(), Vec::new());
        for n in 0..TASKS {
            let client = &connections[n % CONNECTIONS];
            p1.push(Mutex::new(client.clone(), &format!("p1/{n:04}"), b"", Unlock::Plain).await?);
            let value = text(PAYLOAD);
            let name = format!("p2/{n:04}");
            p2.push(Mutex::new(client.clone(), &name, value.as_bytes(), Unlock::Guarded).await?);
        }
        let client = etcd.connect(1).await?.remove(0);
        let p1_one = vec![Mutex::new(client, "one", b"", Unlock::Plain).await?];
        Ok(Self { p1, p2, p1_one })
    }
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
    cost_of_one: Series,
    cost_of_several: Series,
    several_alone: Series,
    shared: Series,
    calls: Series,
    calls_p1: Series,
}

async fn rounds(
    ours: &mut Ours<'_>,
    mut theirs: Option<&mut Theirs>,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let mut found = Found::default();
    for round in 1..=effort.rounds {
        crate::report::progress(&format!("round {round} of {}", effort.rounds));
        round_of(ours, theirs.as_deref_mut(), effort.turn, &mut found).await?;
    }
    Ok(found.rows(effort))
}

async fn round_of(
    ours: &mut Ours<'_>,
    theirs: Option<&mut Theirs>,
    span: Duration,
    found: &mut Found,
) -> anyhow::Result<()> {
    ours.prepare(1, 0);
    let before = ours.coordinator.revision().await?;
    let empty = rested(&mut ours.many, span).await?;
    let commits = ours.coordinator.revision().await? - before;
    found.empty.push(empty.rate);
    found.cost_of_one.push(1e6 / empty.rate);
    found.shared.push(2.0 * empty.pairs as f64 / commits.max(1) as f64);
    if let Some(theirs) = theirs {
        let p1 = rested(&mut theirs.p1, span).await?.rate;
        found.p1.push(p1);
        found.calls_p1.push(p1);
        ours.prepare(1, PAYLOAD);
        found.full.push(rested(&mut ours.many, span).await?.rate);
        found.p2.push(rested(&mut theirs.p2, span).await?.rate);
        found.p1_one.push(rested(&mut theirs.p1_one, span).await?.p50);
    }
    ours.prepare(1, 0);
    found.one.push(rested(&mut ours.one, span).await?.p50);
    found.calls.push(rested(&mut ours.calls, span).await?.rate);
    ours.prepare(SEVERAL, 0);
    found.several_alone.push(rested(&mut ours.one, span).await?.p50);
    found.cost_of_several.push(1e6 / rested(&mut ours.many, span).await?.rate);
    Ok(())
}

async fn rested<P: Pair>(clients: &mut Vec<P>, span: Duration) -> anyhow::Result<Turn> {
    tokio::time::sleep(REST).await;
    turn(clients, span).await
}

impl Found {
    fn rows(self, effort: Effort) -> Vec<Row> {
        let Effort { rounds, turn } = effort;
        let tasks = format!("{TASKS} tasks, {CONNECTIONS} connections");
        let many = format!("{tasks}, a stream of commands each");
        let about = |clients: &str, what: &str| {
            format!("{clients}, {what}, {HELD} held by others, {rounds} turns of {turn:?}")
        };
        let with = about(&many, &format!("{PAYLOAD} bytes"));
        // A bar that is a comparison says nothing without the other side.
        let compared = |name: &str,
                        unit,
                        ours: Series,
                        (peer, series): (&str, Series),
                        bar: Option<Bar>,
                        how| {
            let peer = (!series.is_empty()).then(|| Peer { name: peer.to_owned(), series });
            let bar = bar.filter(|_| peer.is_some());
            Row { name: name.to_owned(), unit, ours, peer, bar, conditions: how }
        };
        let alone = |name: &str, unit, ours: Series, bar, how| Row {
            name: name.to_owned(),
            unit,
            ours,
            peer: None,
            bar,
            conditions: how,
        };
        let (p1, p2, one) = ("etcd mutex", "etcd guarded mutex", "1 scope");
        let (empty, single) =
            (about(&many, "empty"), about("1 client, a stream of commands", "empty"));
        let several = |clients: &str| about(clients, &format!("{SEVERAL} scopes a claim"));
        let rows = [
            compared(
                "claim+release",
                "pairs/s",
                self.empty,
                (p1, self.p1),
                Some(Bar::AtLeast(1.5)),
                empty.clone(),
            ),
            compared(
                "claim+release, 256 B",
                "pairs/s",
                self.full,
                (p2, self.p2),
                Some(Bar::AtLeast(2.5)),
                with,
            ),
            compared(
                "claim+release p50, 1 client",
                "us",
                self.one.clone(),
                (p1, self.p1_one),
                Some(Bar::AtMost(0.9)),
                single,
            ),
            compared(
                "5 scopes",
                "us/pair",
                self.cost_of_several,
                (one, self.cost_of_one),
                Some(Bar::AtMost(1.3)),
                several(&many),
            ),
            compared(
                "5 scopes p50, 1 client",
                "us",
                self.several_alone,
                (one, self.one),
                Some(Bar::AtMost(1.3)),
                several("1 client, a stream of commands"),
            ),
            alone("commands in a commit", "commands", self.shared, Some(Bar::AtLeast(4.0)), empty),
            compared(
                "claim+release, unary calls",
                "pairs/s",
                self.calls,
                (p1, self.calls_p1),
                None,
                about(&format!("{tasks}, a call for each command"), "empty"),
            ),
        ];
        rows.into_iter().filter(|row| !row.ours.is_empty()).collect()
    }
}

/// A text of so many bytes.
fn text(bytes: usize) -> String {
    "fix the write barrier; ".chars().cycle().take(bytes).collect()
}

//! How long nobody serves when the leader is killed, with a hundred thousand records to be read
//! by its successor; and when etcd's own leader is killed at the same moment.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use etcd_client::GetOptions;
use tokio::task::JoinSet;

use crate::agent::{Agent, Streamed};
use crate::clock;
use crate::coordinator::{Coordinator, Service, Store, scope};
use crate::etcd::Etcd;
use crate::report::{Bar, Row, Series};

/// Records that a successor has to read, and the streams over which they are made.
const RECORDS: usize = 100_000;
const STREAMS: usize = 128;
const CONNECTIONS: usize = 8;

/// How long a leader's word holds here: the shorter, the harder is the bar, whose rest is fixed.
const TTL: Duration = Duration::from_secs(3);
const OPTIONS: [&str; 4] = ["--session-ttl", "1h", "--leader-ttl", "3s"];

/// What a successor may take beyond the ttl.
const SLACK: Duration = Duration::from_secs(2);

/// How often each of both happens.
const ROUNDS: usize = 3;

/// How long a claim is waited for at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the records of the fleet are in etcd.
const KEPT: &str = "/molt/v1/bench/r/";

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    Leader,
    /// With it, the leader of etcd.
    Both,
}

/// Measures takeovers; state goes into `folder`.
pub(crate) async fn measure(folder: &Path, program: &Path) -> anyhow::Result<Vec<Row>> {
    let mut etcd = Etcd::cluster(program, folder, 3).await?;
    let leader = Coordinator::start(folder, service(&etcd)).await?;
    crate::report::progress(&format!("takeover: {RECORDS} records"));
    fill(&leader).await?;
    let records = count(&etcd).await?;
    ensure!(records >= RECORDS, "only {records} records");
    let mut scene = Scene { folder, leader, next: 0 };
    let (mut alone, mut both) = (Series::default(), Series::default());
    for round in 1..=ROUNDS {
        crate::report::progress(&format!("takeover: round {round} of {ROUNDS}"));
        alone.push(scene.takeover(&mut etcd, Killed::Leader).await?);
        both.push(scene.takeover(&mut etcd, Killed::Both).await?);
    }
    let how = |killed: &str| {
        format!(
            "{killed} killed (SIGKILL); until a client's claim by the other coordinator is \
             granted; {records} records in an etcd of three, leader ttl {TTL:?}, {ROUNDS} times"
        )
    };
    let row = |name, series, killed, bar: Duration| {
        Row::new(name, "s", series, how(killed)).keeps(Bar::AtMost(bar.as_secs_f64()))
    };
    Ok(vec![
        row("takeover", alone, "the leader", TTL + SLACK),
        row("takeover, etcd's leader too", both, "the leader and etcd's own", 2 * TTL),
    ])
}

fn service(etcd: &Etcd) -> Service<'_> {
    Service { scopes: 1, store: Store::Etcd(etcd), options: &OPTIONS }
}

/// Adds tasks, each a record, over many streams.
async fn fill(coordinator: &Coordinator) -> anyhow::Result<()> {
    let connections = coordinator.connect(CONNECTIONS)?;
    let mut filling = JoinSet::new();
    for n in 0..STREAMS {
        let client = connections[n % CONNECTIONS].clone();
        let agent = Agent::join(client, &format!("filler-{n}"), "").await?;
        let mut stream = Streamed::open(agent).await?;
        filling.spawn(async move {
            for task in (n..RECORDS).step_by(STREAMS) {
                stream.add_task(format!("fix the write barrier of part {task}")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(filled) = filling.join_next().await {
        filled.context("a filler panicked")??;
    }
    Ok(())
}

async fn count(etcd: &Etcd) -> anyhow::Result<usize> {
    let mut client = etcd.connect(1).await?.remove(0);
    let options = GetOptions::new().with_prefix().with_count_only();
    Ok(usize::try_from(client.get(KEPT, Some(options)).await?.count())?)
}

/// Who leads; each successor of it is a new one.
struct Scene<'a> {
    folder: &'a Path,
    leader: Coordinator,
    next: usize,
}

impl Scene<'_> {
    /// Kills, and returns after how many seconds a claim was granted by the successor.
    async fn takeover(&mut self, etcd: &mut Etcd, killed: Killed) -> anyhow::Result<f64> {
        self.next += 1;
        let name = format!("successor-{}", self.next);
        let successor = Coordinator::join(self.folder, &name, service(etcd)).await?;
        let client = successor.connect(1)?.remove(0);
        let agent = Agent::join(self.leader.connect(1)?.remove(0), &name, "").await?;
        let mut agent = agent.at(client);
        let of_etcd = etcd.leader().await?;
        // The successor has looked at the one that leads for a while.
        tokio::time::sleep(TTL).await;
        let begun = clock::now();
        if matches!(killed, Killed::Both) {
            etcd.members[of_etcd].process.kill()?;
        }
        self.leader.process.kill()?;
        agent.insist(&[scope(0)], PATIENCE).await.context("nobody took the lead")?;
        let took = begun.elapsed();
        self.leader = successor;
        agent.release(&[scope(0)]).await?;
        if matches!(killed, Killed::Both) {
            etcd.members[of_etcd].restart().await?;
        }
        Ok(took.as_secs_f64())
    }
}

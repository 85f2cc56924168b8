//! Claims on an etcd of three, beside the same while one of its followers is frozen.

use std::path::Path;
use std::time::Duration;

use crate::agent::{Agent, Streamed};
use crate::coordinator::{Coordinator, NO_RENEWALS, Service, Store, scope};
use crate::etcd::Etcd;
use crate::load::{Effort, turn};
use crate::report::{Bar, Row, Series};

/// Tasks that work side by side, and the connections that they share.
const TASKS: usize = 64;
const CONNECTIONS: usize = 8;

/// How often both take turns. Each of the followers is frozen in some of them, so that one of them
/// is the member that the coordinator works with.
const ROUNDS: usize = 4;

/// How long a follower is frozen before the throughput counts, and how long it has to catch up.
const UNTIL_COUNTED: Duration = Duration::from_secs(3);
const CATCHES_UP: Duration = Duration::from_secs(2);

/// Measures claims with and without a frozen follower; state goes into `folder`.
pub(crate) async fn measure(
    folder: &Path,
    program: &Path,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let mut etcd = Etcd::cluster(program, folder, 3).await?;
    let service = Service { scopes: TASKS, store: Store::Etcd(&etcd), options: &NO_RENEWALS };
    let coordinator = Coordinator::start(folder, service).await?;
    let mut tasks = tasks(&coordinator).await?;
    let leader = etcd.leader().await?;
    let followers: Vec<usize> = (0..etcd.members.len()).filter(|n| *n != leader).collect();
    let (mut whole, mut frozen) = (Series::default(), Series::default());
    for (round, follower) in followers.into_iter().cycle().take(ROUNDS).enumerate() {
        effort.rest().await;
        let before = turn(&mut tasks, effort.turn).await?.rate;
        etcd.members[follower].process.freeze()?;
        // Under load, so that what has to be given up is given up.
        turn(&mut tasks, UNTIL_COUNTED * 5 / 6).await?;
        let rate = turn(&mut tasks, effort.turn).await?.rate;
        etcd.members[follower].process.thaw()?;
        crate::report::progress(&format!(
            "member {follower} frozen, round {} of {ROUNDS}: {before:.0} pairs/s, then {rate:.0}",
            round + 1
        ));
        whole.push(before);
        frozen.push(rate);
        tokio::time::sleep(CATCHES_UP).await;
        anyhow::ensure!(etcd.leader().await? == leader, "etcd's lead has changed hands");
    }
    let how = format!(
        "etcd of three, one follower frozen (SIGSTOP) for {UNTIL_COUNTED:?} under load, {TASKS} \
         tasks, {CONNECTIONS} connections, a stream of commands each, {ROUNDS} turns of {:?}, \
         followers in turn",
        effort.turn
    );
    let row = Row::new("with a frozen follower: claim+release", "pairs/s", frozen, how);
    Ok(vec![row.beside("none frozen", whole, Some(Bar::AtLeast(0.8)))])
}

async fn tasks(coordinator: &Coordinator) -> anyhow::Result<Vec<Streamed>> {
    let connections = coordinator.connect(CONNECTIONS)?;
    let mut tasks = Vec::with_capacity(TASKS);
    for n in 0..TASKS {
        let client = connections[n % CONNECTIONS].clone();
        let mut agent = Agent::join(client, &format!("task-{n}"), "").await?;
        agent.scopes = vec![scope(n)];
        tasks.push(Streamed::open(agent).await?);
    }
    Ok(tasks)
}

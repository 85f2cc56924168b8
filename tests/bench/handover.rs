//! One lock that many wait for: how often it changes hands, beside the peer's recipe on the same
//! etcd.

use std::path::Path;

use crate::agent::{Agent, Contender};
use crate::coordinator::{Coordinator, NO_RENEWALS, Service, Store};
use crate::etcd::Etcd;
use crate::load::{Effort, turn};
use crate::mutex::{Mutex, Unlock};
use crate::report::{Bar, Row, Series};

/// Who wants the lock, and the connections that they share.
const WAITERS: usize = 16;
const CONNECTIONS: usize = 8;

/// Measures handovers; state goes into `folder`.
pub(crate) async fn measure(
    folder: &Path,
    program: &Path,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let etcd = Etcd::start(program, folder).await?;
    let service = Service { scopes: 1, store: Store::Etcd(&etcd), options: &NO_RENEWALS };
    let coordinator = Coordinator::start(folder, service).await?;
    let (mut ours, mut theirs) = (contenders(&coordinator).await?, mutexes(&etcd).await?);
    let (mut found, mut peer) = (Series::default(), Series::default());
    for round in 1..=effort.rounds {
        crate::report::progress(&format!("handovers: round {round} of {}", effort.rounds));
        effort.rest().await;
        found.push(turn(&mut ours, effort.turn).await?.rate);
        effort.rest().await;
        peer.push(turn(&mut theirs, effort.turn).await?.rate);
    }
    let Effort { rounds, turn } = effort;
    let how = format!("{WAITERS} waiters, {CONNECTIONS} connections, {rounds} turns of {turn:?}");
    let row = Row::new("on etcd: handover of one lock", "handovers/s", found, how);
    Ok(vec![row.beside("etcd mutex", peer, Some(Bar::AtLeast(4.0)))])
}

async fn contenders(coordinator: &Coordinator) -> anyhow::Result<Vec<Contender>> {
    let connections = coordinator.connect(CONNECTIONS)?;
    let mut contenders = Vec::with_capacity(WAITERS);
    for n in 0..WAITERS {
        let client = connections[n % CONNECTIONS].clone();
        let agent = Agent::join(client, &format!("waiter-{n}"), "").await?;
        contenders.push(Contender::new(agent, "bench").await?);
    }
    Ok(contenders)
}

async fn mutexes(etcd: &Etcd) -> anyhow::Result<Vec<Mutex>> {
    let connections = etcd.connect(CONNECTIONS).await?;
    let mut mutexes = Vec::with_capacity(WAITERS);
    for n in 0..WAITERS {
        let client = connections[n % CONNECTIONS].clone();
        mutexes.push(Mutex::new(client, "handover", b"", Unlock::Plain).await?);
    }
    Ok(mutexes)
}

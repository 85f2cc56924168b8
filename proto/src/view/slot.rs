//! Slots: how many of each pool are in use on each host.

use std::collections::BTreeMap;

use molt_domain::board::Board;
use molt_domain::host;
use molt_domain::slot::SlotKey;

use super::{MAX_ROWS, count, hold};
use crate::v1;

/// The pools of every live host, and those that are still in use elsewhere.
pub(super) fn slots(board: &Board) -> v1::Slots {
    let tables = board.tables();
    let mut sizes: BTreeMap<SlotKey, u32> = BTreeMap::new();
    for host in tables.hosts.values().filter(|host| host.state == host::State::Live) {
        for (pool, size) in tables.repos.values().flat_map(|repo| &repo.policy.pools) {
            let key = SlotKey { host: host.name.clone(), pool: pool.clone() };
            sizes.insert(key, size.slots);
        }
    }
    for (key, slots) in &tables.slots {
        sizes.entry(key.clone()).or_insert(slots.size);
    }
    let pools = sizes.into_iter().take(MAX_ROWS).map(|(key, size)| {
        let slots = tables.slots.get(&key);
        let used = slots.into_iter().flat_map(|slots| &slots.used);
        v1::PoolView {
            host: key.host.to_string(),
            pool: key.pool.to_string(),
            size,
            used: used
                .map(|(&slot, used)| hold::held(board, used, key.pool.to_string(), Some(slot)))
                .collect(),
            waiting: count(slots.into_iter().flat_map(|slots| &slots.line)),
        }
    });
    v1::Slots { pools: pools.collect() }
}

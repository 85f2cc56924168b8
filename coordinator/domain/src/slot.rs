//! Slots: how many may use a machine's caches at once.
//!
//! The board proposes; the machine's own ledger admits. A slot whose holder
//! fell silent is given to nobody until its machine says that the processes
//! are gone. Not here: the worktree and target directory behind a slot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::board::{Draft, Event, Refusal, Reply};
use crate::claim::Otherwise;
use crate::fault::fault;
use crate::hold::{End, Hold, Holder, Waiter};
use crate::id::HoldId;
use crate::name::{HostName, PoolName, RepoName};
use crate::session::Session;
use crate::{lock, wait};

/// A pool on a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SlotKey {
    /// The machine.
    pub host: HostName,
    /// The pool.
    pub pool: PoolName,
}

impl From<SlotKey> for String {
    fn from(key: SlotKey) -> String {
        format!("{},{}", key.host, key.pool)
    }
}

impl TryFrom<String> for SlotKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (host, pool) =
            text.split_once(',').ok_or_else(|| format!("`{text}` is no slot key"))?;
        Ok(Self {
            host: host.parse().map_err(|error| format!("{error}"))?,
            pool: pool.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pool, self.host)
    }
}

/// The slots of one pool on one machine.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// How many may be in use; a smaller policy drains, it never takes away.
    pub size: u32,
    /// The slots in use.
    pub used: BTreeMap<u32, Hold>,
    /// Who waits, first come first.
    pub line: Vec<Waiter>,
}

impl Slots {
    /// The lowest slot that is free, if one may be used.
    fn free(&self) -> Option<u32> {
        let size = self.size + u32::from(fault!(SlotPlusOne));
        if self.used.len() >= size as usize {
            return None;
        }
        (0..size).find(|slot| !self.used.contains_key(slot))
    }

    pub(crate) fn whose(&self, id: HoldId) -> Option<(Holder, HostName)> {
        let used = self.used.values().find(|hold| hold.id == id);
        let used = used.map(|hold| (hold.holder, hold.host.clone()));
        let waits = || self.line.iter().find(|waiter| waiter.id == id);
        used.or_else(|| waits().map(|waiter| (waiter.holder, waiter.host.clone())))
    }
}

/// Takes a slot, or a place in its line.
pub(crate) fn acquire(
    draft: &mut Draft<'_>,
    session: &Session,
    pool: &PoolName,
    host: &HostName,
    what: &str,
    otherwise: Otherwise,
) -> Result<Reply, Box<Refusal>> {
    let repo = draft.repo(&session.repo)?;
    if !repo.policy.pools.contains_key(pool) {
        let known: Vec<&str> = repo.policy.pools.keys().map(PoolName::as_str).collect();
        return Err(lock::unknown("pool", pool.as_str(), &known));
    }
    lock::limited("what", what, 500)?;
    let size = size(draft, pool);
    let key = SlotKey { host: host.clone(), pool: pool.clone() };
    let mut slots = draft.tables.slots.get(&key).cloned().unwrap_or_default();
    slots.size = size;
    let holder = Holder::Session(session.id);
    if let Some(reply) = known(&slots, holder, what) {
        return Ok(reply);
    }
    lock::may_use_more(draft, holder)?;
    let waiter = Waiter {
        id: HoldId::from_counter(draft.number()),
        holder,
        host: host.clone(),
        since: draft.now.board,
        what: what.to_owned(),
    };
    if slots.line.is_empty()
        && let Some(slot) = slots.free()
    {
        return Ok(grant(draft, key, slots, slot, waiter));
    }
    let ahead = slots.line.len() as u32;
    if otherwise == Otherwise::Refuse {
        let users = slots.used.values().map(|hold| hold.holder).collect();
        return Err(Refusal::PoolFull { pool: pool.clone(), size, users, ahead }.into());
    }
    let reply = Reply::Waiting { hold: waiter.id, ahead };
    let line = key.to_string();
    let id = waiter.id;
    slots.line.push(waiter);
    wait::refuse_cycle(draft, vec![wait::for_slot(&line, &slots, slots.line.len() - 1)])?;
    draft.record(Event::Waits { hold: id, holder, line, ahead });
    draft.tables.slots.put(key, slots);
    Ok(reply)
}

/// How many slots a pool has on each machine: machines are shared, so the smallest
/// policy that names the pool counts.
fn size(draft: &Draft<'_>, pool: &PoolName) -> u32 {
    let policies = draft.tables.repos.iter().map(|(_, repo)| &repo.policy);
    policies.filter_map(|policy| Some(policy.pools.get(pool)?.slots)).min().unwrap_or(0)
}

/// What the caller has already: asking again for the same run is success.
fn known(slots: &Slots, holder: Holder, what: &str) -> Option<Reply> {
    let held = slots.used.iter().find(|(_, hold)| hold.holder == holder && hold.what == what);
    if let Some((slot, hold)) = held {
        return Some(Reply::Held { hold: Box::new(hold.clone()), slot: Some(*slot) });
    }
    let mine = |waiter: &Waiter| waiter.holder == holder && waiter.what == what;
    let ahead = slots.line.iter().position(mine)?;
    Some(Reply::Waiting { hold: slots.line[ahead].id, ahead: ahead as u32 })
}

/// Takes over the sizes of a policy that changed: smaller pools drain, bigger ones serve.
pub(crate) fn resize(draft: &mut Draft<'_>) {
    let pools = draft.tables.slots.iter();
    let other: Vec<(SlotKey, Slots)> = pools
        .filter(|(key, slots)| slots.size != size(draft, &key.pool))
        .map(|(key, slots)| (key.clone(), slots.clone()))
        .take(draft.room())
        .collect();
    for (key, slots) in other {
        let size = size(draft, &key.pool);
        draft.tables.slots.put(key.clone(), Slots { size, ..slots });
        serve(draft, &key);
    }
}

/// Takes a slot for a gate's run if one is free and nobody waits for it.
pub(crate) fn take_for_job(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    key: SlotKey,
    waiter: Waiter,
) -> Option<u32> {
    if !draft.repo(repo).ok()?.policy.pools.contains_key(&key.pool) {
        return None;
    }
    let mut slots = draft.tables.slots.get(&key).cloned().unwrap_or_default();
    slots.size = size(draft, &key.pool);
    if !slots.line.is_empty() {
        return None;
    }
    let slot = slots.free()?;
    grant(draft, key, slots, slot, waiter);
    Some(slot)
}

/// Takes a waiter out that is among those who are stuck; says whether there was one.
pub(crate) fn unqueue_stuck(draft: &mut Draft<'_>, stuck: &BTreeSet<Holder>) -> bool {
    let lines = draft
        .tables
        .slots
        .iter()
        .flat_map(|(key, slots)| slots.line.iter().map(move |waiter| (key, waiter)));
    let waiters = lines.filter(|(_, waiter)| stuck.contains(&waiter.holder));
    let youngest = waiters.max_by_key(|(_, waiter)| waiter.id);
    let Some((key, id)) = youngest.map(|(key, waiter)| (key.clone(), waiter.id)) else {
        return false;
    };
    end(draft, &key, id, End::Gone);
    true
}

fn grant(
    draft: &mut Draft<'_>,
    key: SlotKey,
    mut slots: Slots,
    slot: u32,
    waiter: Waiter,
) -> Reply {
    let hold = waiter.granted(draft.fence(), draft.now.board);
    slots.used.insert(slot, hold.clone());
    draft.record(Event::SlotGranted {
        host: key.host.clone(),
        pool: key.pool.clone(),
        slot,
        hold: hold.id,
        holder: hold.holder,
        in_use: slots.used.len() as u32,
        size: slots.size,
    });
    draft.tables.slots.put(key, slots);
    Reply::Held { hold: Box::new(hold), slot: Some(slot) }
}

/// Ends a use of a slot, or a place in the line.
pub(crate) fn end(draft: &mut Draft<'_>, key: &SlotKey, id: HoldId, end: End) {
    let Some(mut slots) = draft.tables.slots.get(key).cloned() else {
        return;
    };
    if let Some(at) = slots.line.iter().position(|waiter| waiter.id == id) {
        let waiter = slots.line.remove(at);
        let line = key.to_string();
        draft.record(Event::WaitEnded { hold: id, holder: waiter.holder, line });
        draft.tables.slots.put(key.clone(), slots);
        return;
    }
    let Some(slot) = slots.used.iter().find(|(_, hold)| hold.id == id).map(|(slot, _)| *slot)
    else {
        return;
    };
    // Machine reach: silence frees nothing, only the machine's own word does.
    if end == End::Silent {
        return;
    }
    slots.used.remove(&slot);
    draft.record(Event::SlotFreed {
        host: key.host.clone(),
        pool: key.pool.clone(),
        slot,
        hold: id,
        end,
    });
    draft.tables.slots.put(key.clone(), slots);
    serve(draft, key);
}

fn serve(draft: &mut Draft<'_>, key: &SlotKey) {
    while let Some(mut slots) = draft.tables.slots.get(key).cloned() {
        let Some(slot) = slots.free() else { return };
        if slots.line.is_empty() {
            return;
        }
        let first = slots.line.remove(0);
        grant(draft, key.clone(), slots, slot, first);
    }
}

/// Frees the slot that a gate's run had on a host, by that host's own word.
pub(crate) fn end_of_job(draft: &mut Draft<'_>, holder: Holder, host: &HostName) {
    let held: Vec<(SlotKey, HoldId)> = draft
        .tables
        .slots
        .iter()
        .flat_map(|(key, slots)| slots.used.values().map(move |hold| (key, hold)))
        .filter(|(key, hold)| key.host == *host && hold.holder == holder)
        .map(|(key, hold)| (key.clone(), hold.id))
        .collect();
    for (key, id) in held {
        end(draft, &key, id, End::Gone);
    }
}

/// Takes a holder out of every pool's line.
pub(crate) fn leave_lines(draft: &mut Draft<'_>, holder: Holder) {
    let waits: Vec<(SlotKey, HoldId)> = draft
        .tables
        .slots
        .iter()
        .flat_map(|(key, slots)| slots.line.iter().map(move |waiter| (key, waiter)))
        .filter(|(_, waiter)| waiter.holder == holder)
        .map(|(key, waiter)| (key.clone(), waiter.id))
        .collect();
    for (key, id) in waits {
        end(draft, &key, id, End::Gone);
    }
}

//! What must hold of the board after every commit, read from its records and its audit alone.

use molt_domain::audit::Entry;
use molt_domain::board::{Board, Change, Tables};
use molt_domain::build::Build;
use molt_domain::claim::{self, Claim, MAX_OVERTAKEN, Mode, meets};
use molt_domain::id::{BoardTime, Fence};
use molt_domain::{lock, task};

use crate::grace;
use crate::outcome::{Checked, ensure};
use crate::referee::{is_held, waits};

/// A commit, as it is looked at.
pub(crate) struct Step<'a> {
    pub(crate) before: &'a Board,
    pub(crate) after: &'a Board,
    pub(crate) changes: &'a [Change],
    /// What the audit has of it.
    pub(crate) entries: &'a [Entry],
    /// Board time when its leader took the lead.
    pub(crate) born: BoardTime,
}

/// Everything that is looked at after a commit.
pub(crate) fn hold(step: &Step<'_>) -> Checked {
    let (before, after) = (step.before.tables(), step.after.tables());
    entries_are_of_their_time(step)?;
    claims_do_not_conflict(after, step.changes)?;
    grace::lost_stays_lost(step)?;
    grace::more_time_has_a_reason(step)?;
    overtaking_is_bounded(after)?;
    pools_are_kept(before, after)?;
    builds_run_once(before, step.changes)?;
    tasks_have_their_claims(after)
}

/// What a commit tells of was decided after the one before was sent, and before it was sent itself.
fn entries_are_of_their_time(step: &Step<'_>) -> Checked {
    let (from, until) = (step.before.ledger().time, step.after.ledger().time);
    let times: Vec<BoardTime> = step.entries.iter().map(|entry| entry.at).collect();
    let bounds = [from].into_iter().chain(times.iter().copied()).chain([until]);
    ensure(bounds.is_sorted(), "11 entries are of their time", || {
        format!("{times:?} between {from:?} and {until:?}")
    })
}

fn closes(claim: &Claim) -> bool {
    matches!(claim.state, claim::State::Held { .. } | claim::State::Offered { .. })
}

fn claims_do_not_conflict(after: &Tables, changes: &[Change]) -> Checked {
    for change in changes {
        let Change::Claim(_, Some(claim)) = change else { continue };
        for other in after.claims.values().filter(|other| other.session != claim.session) {
            let clash = closes(claim) && closes(other) && conflict(after, claim, other);
            ensure(!clash, "1 held claims do not conflict", || format!("{claim:?} and {other:?}"))?;
        }
    }
    Ok(())
}

/// Whether two claims cannot be held side by side.
pub(crate) fn conflict(tables: &Tables, left: &Claim, right: &Claim) -> bool {
    let Some(repo) = tables.repos.get(&left.repo) else { return false };
    let together = left.mode == Mode::Shared && right.mode == Mode::Shared;
    left.repo == right.repo
        && !together
        && right.pieces().any(|piece| meets(&repo.policy, left, &piece).is_some())
}

/// Every fence of a grant is above all that were granted before; the highest of them.
pub(crate) fn fences_grow(floor: Fence, before: &Tables, changes: &[Change]) -> Checked<Fence> {
    let mut granted: Vec<Fence> = Vec::new();
    for change in changes {
        match change {
            Change::Claim(id, Some(claim)) => {
                let was = before.claims.get(id).is_some_and(|old| old.is_held());
                if let claim::State::Held { fence, .. } = claim.state
                    && !was
                {
                    granted.push(fence);
                }
            }
            Change::Lock(key, Some(lock)) => {
                let old = before.locks.get(key).map(|lock| &lock.state);
                if let lock::State::Held(hold) = &lock.state
                    && !matches!(old, Some(lock::State::Held(old)) if old.id == hold.id)
                {
                    granted.push(hold.fence);
                }
            }
            Change::Slots(key, Some(slots)) => {
                let old = before.slots.get(key);
                let new = slots.used.values().filter(|hold| {
                    !old.is_some_and(|old| old.used.values().any(|old| old.id == hold.id))
                });
                granted.extend(new.map(|hold| hold.fence));
            }
            _ => {}
        }
    }
    granted.sort_unstable();
    let mut last = floor;
    for fence in granted {
        ensure(fence > last, "2 fences only grow", || format!("{fence} was granted after {last}"))?;
        last = fence;
    }
    Ok(last)
}

fn overtaking_is_bounded(after: &Tables) -> Checked {
    for claim in after.claims.values() {
        if let claim::State::Waiting { overtaken, missed, .. } = claim.state {
            ensure(overtaken <= MAX_OVERTAKEN && missed < 2, "5 bounded overtaking", || {
                format!("{} was passed {overtaken} times and missed {missed}", claim.id)
            })?;
        }
    }
    Ok(())
}

fn pools_are_kept(before: &Tables, after: &Tables) -> Checked {
    for (key, slots) in &after.slots {
        let had = before.slots.get(key).map_or(0, |old| old.used.len());
        let most = had.max(slots.size as usize);
        ensure(slots.used.len() <= most, "7 a pool never exceeds its size", || {
            format!("{key:?} has {} of {}", slots.used.len(), slots.size)
        })?;
    }
    Ok(())
}

fn builds_run_once(before: &Tables, changes: &[Change]) -> Checked {
    for change in changes {
        let Change::Build(key, Some(new)) = change else { continue };
        let old = before.builds.get(key).map(AsRef::as_ref);
        if let (Some(Build::Built { .. }), Build::Building { hold, .. }) = (old, new.as_ref()) {
            // Only a user that misses the artifacts has it built again; nobody does here.
            ensure(false, "8 a build runs once", || format!("{key} again as {}", hold.id))?;
        }
    }
    Ok(())
}

fn tasks_have_their_claims(after: &Tables) -> Checked {
    const NAME: &str = "9 a task is claimed exactly while its claim lives";
    for task in after.tasks.values() {
        let task::State::Taken { session, claim, .. } = &task.state else { continue };
        ensure(after.sessions.contains_key(session), NAME, || format!("{} of {session}", task.id))?;
        let Some(claim) = claim else { continue };
        let lives =
            after.claims.get(claim).is_some_and(|it| it.is_held() && it.session == *session);
        ensure(lives, NAME, || format!("{} has {claim}", task.id))?;
    }
    Ok(())
}

/// When everybody has given back what they had: nothing is held, and nobody waits for ever.
pub(crate) fn nothing_is_left(tables: &Tables) -> Checked {
    const NAME: &str = "everybody is served after the heal";
    let held: Vec<_> = tables.claims.values().filter(|claim| claim.is_held()).collect();
    ensure(held.is_empty(), NAME, || format!("still held: {held:?}"))?;
    let waiting: Vec<_> = tables.claims.values().filter(|claim| waits(claim)).collect();
    ensure(waiting.is_empty(), NAME, || format!("still waiting: {waiting:?}"))?;
    for (key, lock) in &tables.locks {
        ensure(!is_held(lock) && lock.line.is_empty(), NAME, || format!("{key}: {lock:?}"))?;
    }
    for (key, slots) in &tables.slots {
        let idle = slots.used.is_empty() && slots.line.is_empty();
        ensure(idle, NAME, || format!("{key:?}: {slots:?}"))?;
    }
    for (key, build) in &tables.builds {
        let over = !matches!(build.as_ref(), Build::Building { .. });
        ensure(over, NAME, || format!("{key}: {build:?}"))?;
    }
    Ok(())
}

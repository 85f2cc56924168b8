//! What time calls for, and which job goes where.
//!
//! Every step is bounded; what is left over is done by the next one.

use crate::board::{Draft, Event, More, Reply};
use crate::hold::{Holder, Waiter};
use crate::host;
use crate::id::HoldId;
use crate::job::{Job, State};
use crate::slot::{self, SlotKey};
use crate::{build, claim, lock, retention, session, train};

/// Does what time calls for: expiries, lapses, offers, delays, assignments.
///
/// It writes as much as one decision may and says when there may be more.
pub(crate) fn tick(draft: &mut Draft<'_>) -> Reply {
    session::expire(draft);
    claim::expire_idle(draft);
    claim::expire(draft);
    lock::open_delayed(draft);
    build::expire(draft);
    host::expire(draft);
    slot::resize(draft);
    train::advance(draft);
    assign(draft);
    retention::forget(draft);
    // A step that did anything may have left something over, or called for more.
    let more = if draft.has_effect() { More::Yes } else { More::No };
    Reply::Ticked { more }
}

/// Gives queued jobs to hosts that can take them, first come first.
pub(crate) fn assign(draft: &mut Draft<'_>) {
    let mut queued: Vec<Job> = draft
        .tables
        .jobs
        .iter()
        .filter(|(_, job)| job.state == State::Queued)
        .map(|(_, job)| job.clone())
        .collect();
    queued.sort_by_key(|job| (job.queued, job.id));
    for job in queued {
        // The job and its slot.
        if draft.room() < 2 {
            return;
        }
        assign_one(draft, job);
    }
}

fn assign_one(draft: &mut Draft<'_>, job: Job) {
    let Some(repo) = draft.tables.repos.shared(&job.repo) else { return };
    let mut hosts: Vec<(usize, host::Host)> = draft
        .tables
        .hosts
        .iter()
        .filter(|(_, host)| host.state == host::State::Live)
        .filter(|(_, host)| host.counts(&repo.policy.merge))
        .filter_map(|(_, host)| Some((room_for(draft, &job, host)?, host.clone())))
        .collect();
    hosts.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
    for (_, host) in hosts {
        let slot = match &job.gate.pool {
            None => None,
            Some(pool) => match take_slot(draft, &job, pool, &host) {
                Some(slot) => Some(slot),
                None => continue,
            },
        };
        draft.record(Event::JobAssigned {
            job: job.id,
            gate: job.name.clone(),
            host: host.name.clone(),
            attempt: job.attempt,
        });
        let state = State::Assigned { host: host.name, slot, since: draft.now.board };
        draft.tables.jobs.put(job.id, Job { state, ..job });
        return;
    }
}

/// How many jobs a host runs, if this one fits beside them.
fn room_for(draft: &Draft<'_>, job: &Job, host: &host::Host) -> Option<usize> {
    let here =
        |other: &&Job| matches!(&other.state, State::Assigned { host: at, .. } if *at == host.name);
    let running: Vec<&Job> = draft.tables.jobs.iter().map(|(_, job)| job).filter(here).collect();
    let memory = running.iter().copied().chain([job]).filter_map(|job| job.gate.memory);
    let memory = memory.fold(0u64, u64::saturating_add);
    let fits = running.len() < host.means.jobs as usize && memory <= host.means.memory;
    fits.then_some(running.len())
}

fn take_slot(
    draft: &mut Draft<'_>,
    job: &Job,
    pool: &crate::name::PoolName,
    host: &host::Host,
) -> Option<u32> {
    let waiter = Waiter {
        id: HoldId::from_counter(draft.number()),
        holder: Holder::Job(job.id),
        host: host.name.clone(),
        since: draft.now.board,
        what: job.name.to_string(),
    };
    let key = SlotKey { host: host.name.clone(), pool: pool.clone() };
    slot::take_for_job(draft, &job.repo, key, waiter)
}

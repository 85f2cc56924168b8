//! What must hold of locks, slots, builds and jobs.

use molt_domain::board::{Board, Caller, Change, Command, Event, Tables};
use molt_domain::build::Build;
use molt_domain::gate::Class;
use molt_domain::hold::{End, Holder};
use molt_domain::id::JobId;
use molt_domain::{job, lock, session};

use super::{Checked, Step, ensure};

pub fn locks(board: &Board, step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    const NAME: &str = "6 one holder of a lock, delayed after silence";
    let freed = |id| {
        step.events.iter().find_map(|event| match event {
            Event::LockFreed { hold, end, .. } if *hold == id => Some(*end),
            _ => None,
        })
    };
    for change in step.changes {
        let Change::Lock(key, now) = change else { continue };
        let state = now.as_ref().map(|lock| &lock.state);
        match before.locks.get(key).map(|lock| &lock.state) {
            Some(lock::State::Held(old)) => {
                if matches!(state, Some(lock::State::Held(new)) if new.id == old.id) {
                    continue;
                }
                let closed = matches!(state, Some(lock::State::Delayed { until, .. })
                    if *until >= step.act.now.board.plus(board.spans().delay));
                ensure(freed(old.id) == Some(End::Gone) || closed, NAME, || {
                    format!("{key} went from {} to {state:?}", old.id)
                })?;
            }
            Some(lock::State::Delayed { until, last }) => {
                if matches!(state, Some(lock::State::Delayed { until: new, .. }) if new == until) {
                    continue;
                }
                let seen = last.as_ref().is_some_and(|last| freed(last.id) == Some(End::Gone));
                ensure(seen || *until <= step.act.now.board, NAME, || {
                    format!("{key} opened before its delay was over")
                })?;
            }
            None => {}
        }
    }
    for lock in after.locks.values() {
        for waiter in &lock.line {
            ensure(is_live(after, waiter.holder), NAME, || {
                format!("{waiter:?} waits and is gone")
            })?;
        }
    }
    Ok(())
}

pub fn is_live(tables: &Tables, holder: Holder) -> bool {
    match holder {
        Holder::Session(id) => {
            tables.sessions.get(&id).is_some_and(|it| it.state == session::State::Live)
        }
        Holder::Job(id) => tables.jobs.contains_key(&id),
    }
}

pub fn pools(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    const NAME: &str = "7 a pool never exceeds its size";
    for change in step.changes {
        match change {
            Change::Slots(key, Some(slots)) => {
                let old = before.slots.get(key).map_or(0, |old| old.used.len());
                let size = after.repos.values().filter_map(|repo| repo.policy.pools.get(&key.pool));
                let size = size.map(|pool| pool.slots as usize).min().unwrap_or(0);
                let new = slots.used.values().any(|hold| {
                    let old = before.slots.get(key);
                    !old.is_some_and(|old| old.used.values().any(|old| old.id == hold.id))
                });
                let fits = slots.used.len() <= size || (!new && slots.used.len() <= old);
                ensure(fits, NAME, || format!("{key}: {} of {size}", slots.used.len()))?;
            }
            Change::Job(_, Some(job)) => {
                let job::State::Assigned { host, .. } = &job.state else { continue };
                let here = after.jobs.values().filter(
                    |job| matches!(&job.state, job::State::Assigned { host: at, .. } if at == host),
                );
                let (count, memory) = here.fold((0, 0), |(count, memory), job| {
                    (count + 1, memory + job.gate.memory.unwrap_or(0))
                });
                let means = after.hosts.get(host).map(|host| (host.means.jobs, host.means.memory));
                let fits = means.is_some_and(|(jobs, most)| count <= jobs && memory <= most);
                ensure(fits, "7 a host never exceeds its means", || {
                    format!("{host}: {count} jobs, {memory} bytes")
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn builds(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    const NAME: &str = "8 a build runs once";
    for change in step.changes {
        let Change::Build(key, _) = change else { continue };
        let Some(old) = before.builds.get(key) else { continue };
        let Build::Building { hold, .. } = old.as_ref() else { continue };
        let runs_on = matches!(after.builds.get(key).map(AsRef::as_ref),
            Some(Build::Building { hold: new, .. }) if new.id == hold.id);
        let ended = step.events.iter().any(
            |event| matches!(event, Event::BuildEnded { hold: ended, .. } if *ended == hold.id),
        );
        ensure(runs_on || ended, NAME, || format!("{key} was begun while {} runs", hold.id))?;
        let handed_on =
            matches!(after.builds.get(key).map(AsRef::as_ref), Some(Build::Building { .. }));
        let judged = step.events.iter().any(|event| {
            matches!(event, Event::BuildEnded { class, .. } if !matches!(class, Class::Killed | Class::Infra))
        });
        ensure(runs_on || !(handed_on && judged), NAME, || {
            format!("{key} was judged and is built again")
        })?;
    }
    Ok(())
}

pub fn late_results(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "10 late results are refused";
    let Command::EndJob { job, attempt, .. } = &step.request.command else { return Ok(()) };
    let old: Option<(&JobId, _)> = before.jobs.get_key_value(job);
    let current = old.is_some_and(|(_, old)| {
        let here = matches!((&old.state, &step.request.caller),
            (job::State::Assigned { host, .. }, Caller::Host(from)) if host == from);
        here && old.attempt == *attempt
    });
    ensure(current, NAME, || format!("{job} attempt {attempt}"))
}

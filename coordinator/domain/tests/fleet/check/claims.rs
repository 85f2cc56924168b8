//! What must hold of claims, tasks and the sessions that have them.

use molt_domain::board::{Caller, Change, Command, Reply, Tables};
use molt_domain::claim::{self, Claim, MAX_OVERTAKEN, Piece};
use molt_domain::session::Session;
use molt_domain::{session, task};

use super::{Checked, Step, ensure};
use crate::fleet::graph;

pub fn closes(claim: &Claim) -> bool {
    matches!(claim.state, claim::State::Held { .. } | claim::State::Offered { .. })
}

pub fn claims_do_not_conflict(step: &Step<'_>, after: &Tables) -> Checked {
    const NAME: &str = "1 held claims do not conflict";
    for change in step.changes {
        let Change::Claim(id, Some(claim)) = change else { continue };
        let Some(repo) = after.repos.get(&claim.repo) else { continue };
        let others = after.claims.values().filter(|other| {
            closes(claim)
                && closes(other)
                && other.session != claim.session
                && other.repo == claim.repo
        });
        for other in others {
            ensure(!graph::conflicts(&repo.policy, claim, other), NAME, || {
                format!("{id} {:?} and {} {:?}", claim.scope_list(), other.id, other.scope_list())
            })?;
        }
    }
    Ok(())
}

/// `repeated`: the answer is one that was given before, of a grant that may be over by now.
pub fn granted_whole(
    step: &Step<'_>,
    repeated: bool,
    (before, after): (&Tables, &Tables),
) -> Checked {
    const NAME: &str = "1 granted whole or not at all";
    let asked = match (&step.request.command, step.reply) {
        (Command::Claim(wanted), Reply::Granted { .. }) => {
            let globs = wanted.globs.iter().map(|glob| Piece::Glob { glob: glob.clone() });
            wanted.scopes.iter().cloned().map(Piece::Scope).chain(globs).collect::<Vec<_>>()
        }
        (Command::Next, Reply::TaskTaken { task, .. }) if !step.changes.is_empty() => {
            task.scopes.iter().cloned().map(Piece::Scope).collect()
        }
        _ => return Ok(()),
    };
    let Some(session) = step.caller_session().filter(|_| !repeated) else {
        return Ok(());
    };
    let mine = after.claims.values().filter(|claim| claim.session == session && claim.is_held());
    let held: Vec<Piece> = mine.flat_map(|claim| claim.piece_list()).collect();
    ensure(asked.iter().all(|scope| held.contains(scope)), NAME, || {
        format!("asked for {asked:?}, holds {held:?}, before {}", before.claims.len())
    })
}

/// Only the living holder, under its current epoch, has an effect; others' claims stay.
pub fn only_the_holder(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "2 only the holder changes a claim";
    let Caller::Session(shown) = &step.request.caller else { return Ok(()) };
    if step.changes.is_empty() && step.events.is_empty() {
        return Ok(());
    }
    if matches!(step.reply, Reply::Noted { .. }) {
        // A note of somebody who is too late changes nothing else: see the check of reports.
        return Ok(());
    }
    let session = before.sessions.get(&shown.session);
    let proven = session.is_some_and(|it| it.secret == shown.secret);
    ensure(proven, "2 only who shows the secret has an effect", || format!("{:?}", step.request))?;
    if !matches!(step.request.command, Command::Resume { .. }) {
        let current =
            session.is_some_and(|it| it.epoch == shown.epoch && it.state == session::State::Live);
        ensure(current, "10 calls of an older epoch are refused", || {
            format!("{:?}", step.request)
        })?;
    }
    for change in step.changes {
        let Change::Claim(id, after) = change else { continue };
        let Some(old) = before.claims.get(id).filter(|old| old.is_held()) else { continue };
        let kept = after.as_ref().is_some_and(|after| after == old);
        let is_given = old.handover.as_ref().is_some_and(|offer| offer.to == shown.session);
        ensure(kept || old.session == shown.session || is_given, NAME, || {
            format!("{id} by {}", shown.session)
        })?;
    }
    Ok(())
}

/// A claim goes to somebody else by the word of its holder and of that one, whole, and whoever
/// gave it has nothing of it from then on.
pub fn handed_over(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "2 a claim moves by its holder's word";
    for change in step.changes {
        let Change::Claim(id, Some(new)) = change else { continue };
        let Some(old) = before.claims.get(id).filter(|old| old.session != new.session) else {
            continue;
        };
        let (now, by) = (step.act.now.board, step.caller_session());
        let offer = old.handover.as_ref();
        let given = offer.is_some_and(|it| Some(it.to) == by && it.to == new.session);
        ensure(given && offer.is_some_and(|it| now < it.until), NAME, || {
            format!("{id} from {} to {}: {offer:?}", old.session, new.session)
        })?;
        ensure(
            new.parts == old.parts && new.globs == old.globs && new.policy == old.policy,
            NAME,
            || format!("{id}: {new:?}"),
        )?;
        let grew = match (old.state, new.state) {
            (claim::State::Held { fence: old, .. }, claim::State::Held { fence: new, .. }) => {
                old < new
            }
            _ => false,
        };
        ensure(grew, "2 fences only grow: whoever gave a claim has a stale one", || {
            format!("{id}: {:?}, then {:?}", old.state, new.state)
        })?;
    }
    Ok(())
}

pub fn lost_stays_lost(
    step: &Step<'_>,
    before: &Tables,
    after: &Tables,
    is_over: impl Fn(&Session) -> bool,
) -> Checked {
    const NAME: &str = "4 a lost session regains nothing";
    for change in step.changes {
        let Change::Session(id, Some(now)) = change else { continue };
        let Some(old) = before.sessions.get(id) else { continue };
        let back = now.state == session::State::Live && old.state != session::State::Live;
        if !back {
            continue;
        }
        ensure(!is_over(old), NAME, || format!("{id} came back after its grace"))?;
        ensure(now.epoch == old.epoch + 1, NAME, || format!("{id} came back under its old epoch"))?;
        let of = |tables: &Tables| -> Vec<_> {
            tables.claims.values().filter(|claim| claim.session == *id).cloned().collect()
        };
        ensure(of(before) == of(after), NAME, || format!("{id} came back with other claims"))?;
    }
    Ok(())
}

pub fn bounded_overtaking(after: &Tables) -> Checked {
    for claim in after.claims.values() {
        if let claim::State::Waiting { overtaken, missed, .. } = claim.state {
            ensure(overtaken <= MAX_OVERTAKEN && missed < 2, "5 bounded overtaking", || {
                format!("{} was passed {overtaken} times and missed {missed}", claim.id)
            })?;
        }
    }
    Ok(())
}

pub fn tasks(step: &Step<'_>, after: &Tables) -> Checked {
    const NAME: &str = "9 a task is claimed exactly while its claim lives";
    for task in after.tasks.values() {
        let task::State::Taken { session, claim, .. } = &task.state else { continue };
        ensure(after.sessions.contains_key(session), NAME, || format!("{} of {session}", task.id))?;
        let Some(claim) = claim else { continue };
        let lives =
            after.claims.get(claim).is_some_and(|it| it.is_held() && it.session == *session);
        ensure(lives, NAME, || {
            format!("{} has {claim} after {}", task.id, step.request.command.word())
        })?;
    }
    Ok(())
}

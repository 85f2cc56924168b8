//! Landings: decided once, then completed or proven not to have happened.

use super::order::{car, eject, eject_same_head, first, forget_old, stale};
use super::overriding::accepted_after;
use super::pulls::overtaken;
use super::{Candidate, Car, Ejection, Passage, State, void_candidates};
use crate::board::{BaseMove, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::id::{CarId, Fence};
use crate::name::RepoName;
use crate::policy::Repo;
use crate::pull::PullKey;
use crate::pull::words::cut;

/// The longest reason of a forge that is recorded, in bytes.
const MAX_REASON: usize = 1000;

/// Whether a decided landing of the repository makes this commit the base.
pub(crate) fn lands(draft: &Draft<'_>, repo: &RepoName, commit: &str) -> bool {
    draft.tables.cars.iter().any(|(_, car)| {
        car.repo == *repo
            && matches!(&car.state, State::Landing { candidate, .. } if candidate.commit == commit)
    })
}

/// Decides a landing: from here on it is completed, or proven not to have happened. `branch` is the
/// one that the head of a pull request is on, where that may be moved.
pub(crate) fn intend(
    draft: &mut Draft<'_>,
    id: CarId,
    branch: Option<&str>,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    let repo = draft.repo(&car.repo)?;
    if let Some(reason) = &repo.unreadable {
        return Err(Refusal::Closed { reason: reason.clone() }.into());
    }
    let State::Ready { candidate } = car.state.clone() else {
        return Err(Refusal::Closed { reason: format!("{id} is {}", car.state.reason()) }.into());
    };
    if let Some(ahead) = first(draft.tables.cars.iter().map(|(_, car)| car), &car.repo)
        && ahead.id != id
    {
        let reason = format!("{} is ahead and {}", ahead.id, ahead.state.reason());
        return Err(Refusal::Closed { reason }.into());
    }
    if candidate.base != repo.base && !fault!(StaleCandidateLands) {
        return Err(stale(&car, &candidate.base, &repo.base));
    }
    let passage = Passage::of(&car, repo.policy.merge.method, branch)?;
    note_move(draft, &car, &candidate, &passage);
    let fence = draft.fence();
    draft.record(Event::Intended {
        car: id,
        branch: repo.branch.clone(),
        base: candidate.base.clone(),
        commit: candidate.commit.clone(),
        tree: candidate.tree.clone(),
        fence,
        gates: repo.policy.merge.required.clone(),
        policy: repo.policy.digest.clone(),
        passage: passage.clone(),
    });
    draft.tables.cars.put(id, Car { state: State::Landing { candidate, fence, passage }, ..car });
    Ok(Reply::Done)
}

/// Remembers where the head's branch will be seen, which is no new head.
fn note_move(draft: &mut Draft<'_>, car: &Car, candidate: &Candidate, passage: &Passage) {
    let (Passage::Ahead { .. }, Some(number)) = (passage, car.pull()) else { return };
    let key = PullKey::of(&car.repo, number);
    if let Some(mut known) = draft.tables.pulls.get(&key).cloned() {
        known.add_moved(&candidate.commit);
        draft.tables.pulls.put(key, known);
    }
}

/// Takes the word of the forge that the head's branch is not moved: the landing goes on without.
pub(crate) fn leave_head(
    draft: &mut Draft<'_>,
    id: CarId,
    fence: Fence,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    let (car, candidate, passage) = landing(draft, id, fence)?;
    let Passage::Ahead { branch } = passage else { return Ok(Reply::Done) };
    draft.record(Event::HeadLeft { car: id, branch, reason: cut(reason, MAX_REASON) });
    let passage = Passage::Outside;
    draft.tables.cars.put(id, Car { state: State::Landing { candidate, fence, passage }, ..car });
    Ok(Reply::Done)
}

fn landing(
    draft: &Draft<'_>,
    id: CarId,
    fence: Fence,
) -> Result<(Car, Candidate, Passage), Box<Refusal>> {
    let car = car(draft, id)?;
    match car.state.clone() {
        State::Landing { candidate, fence: current, passage } if current == fence => {
            Ok((car, candidate, passage))
        }
        State::Landing { fence: current, .. } => {
            Err(Refusal::stale_fence(format!("the landing of {id}"), fence, current))
        }
        state => Err(Refusal::Closed { reason: format!("{id} is {}", state.reason()) }.into()),
    }
}

/// Takes what was read back: the base is on the candidate.
pub(crate) fn confirm(
    draft: &mut Draft<'_>,
    id: CarId,
    fence: Fence,
) -> Result<Reply, Box<Refusal>> {
    let (car, candidate, passage) = landing(draft, id, fence)?;
    let repo = draft.repo(&car.repo)?;
    let Candidate { base, commit, tree, .. } = candidate;
    draft.record(Event::Landed {
        car: id,
        branch: repo.branch.clone(),
        base,
        commit: commit.clone(),
        tree: tree.clone(),
        fence,
    });
    draft.record(Event::BaseRead {
        repo: repo.name.clone(),
        branch: repo.branch.clone(),
        commit: commit.clone(),
        tree: tree.clone(),
        policy: repo.policy.digest.clone(),
        by: BaseMove::Landing,
    });
    let name = repo.name.clone();
    let accepted = accepted_after(&repo, &car, draft.now.board);
    let moved = Repo { base: commit.clone(), tree, accepted, ..Repo::clone(&repo) };
    draft.tables.repos.put(name.clone(), moved);
    let state = State::Landed { commit, at: draft.now.board, passage };
    let car = Car { state, ..car };
    draft.tables.cars.put(id, car.clone());
    eject_same_head(draft, &car);
    forget_old(draft);
    void_candidates(draft, &name);
    Ok(Reply::Done)
}

/// Takes the proof that a landing did not and cannot happen; the change goes on.
pub(crate) fn withdraw(
    draft: &mut Draft<'_>,
    id: CarId,
    fence: Fence,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    let (car, ..) = landing(draft, id, fence)?;
    let branch = draft.repo(&car.repo)?.branch.clone();
    draft.record(Event::IntentWithdrawn { car: id, branch, reason: reason.to_owned(), fence });
    let car = Car { state: State::Queued, ..car };
    draft.tables.cars.put(id, car.clone());
    if let Some(ejection) = overtaken(draft, &car) {
        eject(draft, car, ejection);
    }
    Ok(Reply::Done)
}

/// Takes the proof of a landing that did not happen and the forge's word that it may not. Its rules
/// are looked at once more before the next try, as they may have changed in between; who may not a
/// second time is out.
pub(crate) fn decline(
    draft: &mut Draft<'_>,
    id: CarId,
    fence: Fence,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    let reason = cut(reason, MAX_REASON);
    withdraw(draft, id, fence, &reason)?;
    let car = car(draft, id)?;
    if !car.state.is_open() {
        return Ok(Reply::Done);
    }
    if car.declined && !fault!(DeclinedForEver) {
        let code = "ruleset-blocked".to_owned();
        eject(draft, car, Ejection::Hindered { code, what: reason });
    } else {
        draft.tables.cars.put(id, Car { declined: true, ..car });
    }
    Ok(Reply::Done)
}

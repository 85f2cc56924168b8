//! The line of those who wait for scopes.
//!
//! First come, first served among those who are in each other's way; who is in
//! nobody's way does not wait. A request that fits beside what is held may pass
//! a waiter a bounded number of times.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::ask::{claims_of, grant, holder};
use super::end::{lapse, leave_line, put_out};
use super::meet::{all_closing, closed_by, conflicts, meets, part};
use super::{Claim, MAX_OVERTAKEN, MAX_PASSED, Mode, Obstacle, Piece, State, handover};
use crate::board::{Draft, Event, display_list};
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{ClaimId, SessionId};
use crate::message;
use crate::name::RepoName;
use crate::policy::Policy;
use crate::scope::ScopeName;
use crate::session::{self, Session};
use crate::wait::{self, Wait};

/// After this long in the line nobody passes a waiter any more.
const MAX_PASSED_FOR: Duration = Duration::from_secs(15 * 60);

/// Waiters served at one step; what is left is served at the next change or tick.
pub(crate) const SERVED: usize = 8;

/// The waiting claims of a repository in the order of the line, with the patterns that they
/// would be granted with: those of the policy in force.
pub(super) fn waiting(draft: &Draft<'_>, repo: &RepoName) -> Vec<Arc<Claim>> {
    let known = draft.board().index().line(repo);
    let repo_now = draft.repo(repo).ok();
    let mut ids: Vec<ClaimId> =
        known.chain(draft.tables.claims.written().map(|(id, _)| *id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut line: Vec<_> = ids
        .into_iter()
        .filter_map(|id| draft.tables.claims.shared(&id))
        .filter(|claim| claim.repo == *repo)
        .filter_map(|claim| {
            let policy = repo_now.as_ref().map(|repo| &repo.policy);
            let order = order(&claim)?;
            let renewed = policy.and_then(|policy| renewed(policy, &claim).ok());
            Some((order, renewed.unwrap_or(claim)))
        })
        .collect();
    line.sort_by_key(|(order, _)| *order);
    line.into_iter().map(|(_, claim)| claim).collect()
}

/// Where a waiting claim stands: who missed an offer shares the place of the one before it.
fn order(claim: &Claim) -> Option<(u64, u32, ClaimId)> {
    match claim.state {
        State::Waiting { place, missed, .. } => Some((place, missed, claim.id)),
        State::Held { .. } | State::Offered { .. } => None,
    }
}

/// Whether a session is there to use what it is granted.
pub(super) fn live(draft: &Draft<'_>, id: SessionId) -> Option<Session> {
    let session = draft.tables.sessions.get(&id)?;
    (session.state == session::State::Live).then(|| session.clone())
}

/// How many are in line before a claim and in its way.
pub(super) fn ahead_of(draft: &Draft<'_>, claim: &Claim) -> u32 {
    let Ok(repo) = draft.repo(&claim.repo) else {
        return 0;
    };
    let line = waiting(draft, &claim.repo);
    let before = line.iter().take_while(|other| other.id != claim.id);
    before.filter(|other| conflicts(&repo.policy, other, claim)).count() as u32
}

/// How many wait for a piece.
pub(super) fn length_before(
    draft: &Draft<'_>,
    repo: &RepoName,
    policy: &Policy,
    piece: &Piece,
) -> u32 {
    let line = waiting(draft, repo);
    line.iter().filter(|claim| meets(policy, claim, piece).is_some()).count() as u32
}

/// A waiter in the way of a request whom nobody may pass: it was passed often or long
/// enough, or too many wait with it.
pub(super) fn unpassable(
    draft: &Draft<'_>,
    session: &Session,
    policy: &Policy,
    (pieces, mode): (&[Piece], Mode),
) -> Option<Obstacle> {
    let mut in_the_way = Vec::new();
    for claim in waiting(draft, &session.repo) {
        let is_there = claim.session != session.id && live(draft, claim.session).is_some();
        if !is_there || claim.mode.admits(mode) {
            continue;
        }
        let met = pieces.iter().find_map(|piece| {
            let (held, conflict) = meets(policy, &claim, piece)?;
            let (claim, holder) = (claim.id, claim.session);
            Some(Obstacle { wanted: piece.clone(), held, claim, holder, conflict })
        });
        let Some(obstacle) = met else { continue };
        if is_passed_enough(draft, &claim) {
            return Some(obstacle);
        }
        in_the_way.push(obstacle);
    }
    (in_the_way.len() > MAX_PASSED).then(|| in_the_way.swap_remove(0))
}

/// Whether nobody passes a waiter any more: it was passed often or long enough.
fn is_passed_enough(draft: &Draft<'_>, waiter: &Claim) -> bool {
    let passed = match waiter.state {
        State::Waiting { overtaken, .. } => overtaken,
        State::Held { .. } | State::Offered { .. } => 0,
    };
    let long = draft.now.board.since(waiter.asked) >= MAX_PASSED_FOR;
    !fault!(OvertakenForever) && (passed >= MAX_OVERTAKEN || long)
}

/// The first of these waiters who keeps a held claim from passing them all: it is there and nobody
/// passes it any more, or there are too many.
pub(super) fn unpassed<'a>(draft: &Draft<'_>, waiters: &'a [Arc<Claim>]) -> Option<&'a Claim> {
    let mut there =
        waiters.iter().map(Arc::as_ref).filter(|waiter| live(draft, waiter.session).is_some());
    let enough = there.find(|waiter| is_passed_enough(draft, waiter));
    let last = waiters.last().map(Arc::as_ref);
    enough.or_else(|| last.filter(|_| waiters.len() > MAX_PASSED))
}

/// The waiters of others whom a grant would pass.
pub(super) fn passed(draft: &Draft<'_>, policy: &Policy, granted: &Claim) -> Vec<Arc<Claim>> {
    let mut line = waiting(draft, &granted.repo);
    line.retain(|other| other.session != granted.session && order(other) < order(granted));
    line.retain(|other| conflicts(policy, other, granted));
    line
}

/// The waiters of others in whose way a held claim is, wherever they stand.
pub(super) fn behind(
    draft: &Draft<'_>,
    policy: &Policy,
    held: &Claim,
    receiver: SessionId,
) -> Vec<Arc<Claim>> {
    let mut line = waiting(draft, &held.repo);
    line.retain(|other| other.session != receiver && conflicts(policy, held, other));
    line
}

/// The waits that a grant to `session` adds for those whom it passes.
pub(super) fn waits_of(passed: &[Arc<Claim>], session: SessionId) -> Vec<Wait> {
    let wait =
        |claim: &Arc<Claim>| Wait::for_all(holder(claim.session), name(claim), [holder(session)]);
    passed.iter().map(wait).collect()
}

/// Counts what was granted against those who were there and were passed: once, by however much
/// of it.
pub(super) fn count(draft: &mut Draft<'_>, mut passed: Vec<Arc<Claim>>) {
    passed.sort_by_key(|claim| claim.id);
    passed.dedup_by_key(|claim| claim.id);
    for claim in passed {
        let State::Waiting { place, overtaken, missed } = claim.state else { continue };
        if live(draft, claim.session).is_some() {
            let state = State::Waiting { place, overtaken: overtaken + 1, missed };
            draft.tables.claims.put(claim.id, Claim { state, ..Claim::clone(&claim) });
        }
    }
}

/// Takes a session's waits out whose scopes it holds by now.
pub(super) fn leave_fulfilled(draft: &mut Draft<'_>, session: SessionId) {
    let mine = claims_of(draft, session);
    if mine.iter().all(|claim| claim.is_held()) {
        return;
    }
    let claims = mine.iter().map(Arc::as_ref);
    let (held, waits): (Vec<&Claim>, Vec<&Claim>) = claims.partition(|claim| claim.is_held());
    let held: Vec<Piece> = held.into_iter().flat_map(Claim::pieces).collect();
    for claim in waits.into_iter().filter(|claim| claim.pieces().all(|it| held.contains(&it))) {
        leave_line(draft, claim, "its agent holds the scopes by now");
    }
}

/// Serves the line of a repository: grants to who is there, offers to who is not.
pub(crate) fn serve(draft: &mut Draft<'_>, name: &RepoName) {
    let Ok(repo) = draft.repo(name) else {
        return;
    };
    let policy = &repo.policy;
    let mut before: Vec<Arc<Claim>> = Vec::new();
    let mut served = 0;
    for claim in waiting(draft, name) {
        // A claim and who is told of it; and the session that is taken from the board afterwards.
        if served == SERVED || draft.room() < 5 {
            return;
        }
        let claim = match renewed(policy, &claim) {
            Ok(claim) => claim,
            Err(gone) => {
                put_out(draft, &claim, &format!("the policy has no scope `{gone}` any more"));
                served += 1;
                continue;
            }
        };
        match live(draft, claim.session) {
            Some(session) if fits(draft, policy, &claim, &before) => {
                if draft.board().is_attended(claim.id) {
                    grant(draft, &session, Claim::clone(&claim));
                } else {
                    offer(draft, Claim::clone(&claim));
                }
                served += 1;
            }
            _ => before.push(claim),
        }
    }
}

/// Whether a waiter can be served past those who stand before it.
fn fits(draft: &Draft<'_>, policy: &Policy, claim: &Claim, before: &[Arc<Claim>]) -> bool {
    let closed = |piece: Piece| {
        closed_by(draft, claim.session, &claim.repo, policy, (&piece, claim.mode)).is_some()
    };
    if claim.pieces().any(closed) {
        return false;
    }
    let others = before.iter().filter(|other| other.session != claim.session);
    let in_the_way: Vec<Arc<Claim>> =
        others.filter(|other| conflicts(policy, other, claim)).cloned().collect();
    if in_the_way.iter().any(|other| live(draft, other.session).is_some()) {
        return false;
    }
    // The absent are passed, unless that would close a circle when they come back.
    wait::refuse_cycle(draft, waits_of(&in_the_way, claim.session)).is_ok()
}

/// A waiting claim with the patterns of the policy in force, or the scope that is gone from it.
fn renewed(policy: &Policy, claim: &Arc<Claim>) -> Result<Arc<Claim>, ScopeName> {
    if claim.policy == policy.digest {
        return Ok(Arc::clone(claim));
    }
    let mut parts = Vec::with_capacity(claim.parts.len());
    for old in &claim.parts {
        let scope = policy.scopes.get(old.scope.as_str()).ok_or_else(|| old.scope.clone())?;
        parts.push(part(policy, scope));
    }
    Ok(Arc::new(Claim { parts, policy: policy.digest.clone(), ..Claim::clone(claim) }))
}

fn offer(draft: &mut Draft<'_>, claim: Claim) {
    let State::Waiting { place, missed, .. } = claim.state else {
        return;
    };
    let until = draft.now.board.plus(draft.spans().offer);
    draft.record(Event::Offered {
        claim: claim.id,
        session: claim.session,
        scopes: claim.scope_list(),
        until: until.0,
    });
    let state = State::Offered { place, until, missed };
    draft.tables.claims.put(claim.id, Claim { state, ..claim });
}

/// Grants offers to who has come for them, ends claims whose own maximum is over and offers
/// that went by; serves the lines.
pub(crate) fn expire(draft: &mut Draft<'_>) {
    handover::expire(draft);
    let now = draft.now.board;
    let comer = |claim: &Claim| {
        let is_offered = matches!(claim.state, State::Offered { .. });
        let is_here = is_offered && draft.board().is_attended(claim.id);
        is_here.then(|| live(draft, claim.session)).flatten()
    };
    let claims = draft.tables.claims.iter().map(|(_, claim)| (claim, comer(claim)));
    let due: Vec<(Claim, Option<Session>)> = claims
        .filter(|(claim, comer)| comer.is_some() || claim.is_over(now))
        .map(|(claim, comer)| (claim.clone(), comer))
        .collect();
    for (claim, comer) in due {
        // The claim, its announcement, its task, and who is told of either.
        if draft.room() < 5 {
            return;
        }
        match (&claim.state, comer) {
            (State::Offered { .. }, Some(session)) => drop(grant(draft, &session, claim)),
            (State::Held { .. }, _) => end_by_maximum(draft, &claim),
            (&State::Offered { place, missed, .. }, None) => {
                miss(draft, &claim, place, missed + 1);
            }
            (State::Waiting { .. }, _) => {}
        }
    }
    let repos: Vec<RepoName> = draft.tables.repos.iter().map(|(name, _)| name.clone()).collect();
    for repo in repos {
        serve(draft, &repo);
    }
}

fn end_by_maximum(draft: &mut Draft<'_>, claim: &Claim) {
    let text = format!("on {} is over: its maximum", display_list(&claim.piece_list()));
    message::notify(draft, claim.session, &claim.id, text);
    lapse(draft, claim, "its maximum is over");
}

/// After a first miss a waiter goes behind the next in its way; after the second it leaves.
fn miss(draft: &mut Draft<'_>, claim: &Claim, place: u64, missed: u32) {
    draft.record(Event::OfferMissed { claim: claim.id, session: claim.session, missed });
    if missed >= 2 {
        put_out(draft, claim, "two offers went by");
        return;
    }
    let policy = draft.repo(&claim.repo).map(|repo| repo.policy.clone());
    let next = waiting(draft, &claim.repo).into_iter().find_map(|other| match other.state {
        State::Waiting { place: theirs, .. } if theirs > place => {
            let conflict = policy.as_ref().is_ok_and(|policy| conflicts(policy, claim, &other));
            conflict.then_some(theirs)
        }
        _ => None,
    });
    let at =
        |place| Claim { state: State::Waiting { place, overtaken: 0, missed }, ..claim.clone() };
    for place in next.into_iter().chain([place]) {
        draft.tables.claims.put(claim.id, at(place));
        if !wait::is_stuck(draft, holder(claim.session)) {
            return;
        }
    }
    // Those behind whom it went wait for this session: both would wait for ever.
    put_out(draft, claim, "an offer went by, and behind the next one it would wait for ever");
}

/// What a waiting claim is called in a circle of waits.
fn name(claim: &Claim) -> String {
    claim.pieces().next().map(|piece| piece.to_string()).unwrap_or_default()
}

/// For whom a claim waits, or would: those who closed its scopes, and those before it in line.
pub(super) fn wait_of(
    draft: &Draft<'_>,
    policy: &Policy,
    claim: &Claim,
    line: &[Arc<Claim>],
) -> Wait {
    let pieces = claim.piece_list();
    let closing = pieces
        .iter()
        .flat_map(|piece| {
            all_closing(draft, Some(claim.session), &claim.repo, policy, (piece, claim.mode))
        })
        .map(|obstacle| obstacle.holder);
    let before = line
        .iter()
        .take_while(|other| other.id != claim.id)
        .filter(|other| conflicts(policy, other, claim))
        .map(|other| other.session);
    Wait::for_all(holder(claim.session), name(claim), closing.chain(before).map(holder))
}

/// Takes the youngest waiter out that is among those who are stuck; says whether there was one.
pub(crate) fn unqueue_stuck(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    stuck: &BTreeSet<Holder>,
) -> bool {
    let line = waiting(draft, repo);
    let youngest = line.iter().rev().find(|claim| stuck.contains(&holder(claim.session)));
    if let Some(claim) = youngest {
        put_out(draft, claim, "the new policy closed a circle of waits with it");
    }
    youngest.is_some()
}

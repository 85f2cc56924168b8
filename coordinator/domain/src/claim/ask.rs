//! Asking for scopes, and telling the others about them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::meet::{closed_by, part, within};
use super::{Claim, MAX_CLAIMS, MAX_GLOBS, Mode, Obstacle, Otherwise, Piece, State, Wanted};
use super::{change, line};
use crate::board::{Already, Draft, Event, Invalid, Refusal, Reply, display_list};
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{ClaimId, SessionId, millis};
use crate::message::{Announcement, Content};
use crate::policy::Policy;
use crate::scope::{Pattern, Risk, Scope, ScopeName};
use crate::session::Session;
use crate::{lock, message, task, wait};

/// Takes scopes: all of them or none.
pub(crate) fn claim(
    draft: &mut Draft<'_>,
    session: &Session,
    wanted: &Wanted,
) -> Result<Reply, Box<Refusal>> {
    check_fields(draft, session, wanted)?;
    let repo = draft.repo(&session.repo)?;
    let policy = &repo.policy;
    let names = known(policy, wanted)?;
    let mine = claims_of(draft, session.id);
    let held: Vec<Piece> =
        mine.iter().filter(|claim| claim.is_held()).flat_map(|claim| claim.pieces()).collect();
    let new: Vec<Piece> = names.iter().filter(|name| !held.contains(name)).cloned().collect();
    if let Some(reply) = asked_before(draft, (session, wanted), &mine, (&names, &new)) {
        return Ok(reply);
    }
    let differs = |claim: &&Arc<Claim>| {
        let named = claim.is_held() && claim.pieces().any(|piece| names.contains(&piece));
        named && is_other(claim, wanted, &new)
    };
    let other: Vec<Arc<Claim>> = mine.iter().filter(differs).cloned().collect();
    if new.is_empty() {
        let (changed, passed) = change::change(draft, session, policy, (&other, wanted))?;
        line::count(draft, passed);
        if !other.is_empty() {
            line::serve(draft, &session.repo);
        }
        return Ok(held_already(&mine, &changed, &names));
    }
    if mine.len() >= MAX_CLAIMS {
        let problem =
            format!("{MAX_CLAIMS} claims already: release one, or name several scopes in one");
        return Err(Invalid::field("scopes", problem).into());
    }
    match first_obstacle(draft, session, policy, (&new, wanted.mode)) {
        None => {
            // All or nothing: what is held in a weaker mode is no use to who asks for more.
            let (_, mut passed) = change::change(draft, session, policy, (&other, wanted))?;
            let claim = build(draft, session, policy, &new, wanted);
            passed.extend(line::passed(draft, policy, &claim));
            wait::refuse_cycle(draft, line::waits_of(&passed, session.id))?;
            line::count(draft, passed);
            let claim = grant(draft, session, claim);
            line::leave_fulfilled(draft, session.id);
            Ok(Reply::Granted { claim: Box::new(claim), already: Already::No })
        }
        Some(obstacle) if wanted.otherwise == Otherwise::Refuse => {
            Err(refusal(draft, session, policy, (&new, wanted.mode), obstacle))
        }
        Some(_) if !other.is_empty() => {
            let names = other.iter().flat_map(|claim| claim.piece_list()).collect::<Vec<_>>();
            let held = display_list(&names);
            let problem = format!("{held} is held shared: ask for that alone before you wait");
            Err(Invalid::field("scopes", problem).into())
        }
        Some(_) => join_line(draft, session, policy, &new, wanted),
    }
}

fn check_fields(draft: &Draft<'_>, session: &Session, wanted: &Wanted) -> Result<(), Box<Refusal>> {
    lock::limited("why", &wanted.why, 2000)?;
    lock::limited("tests", &wanted.tests.concat(), 4096)?;
    if wanted.tests.len() > 32 {
        return Err(Invalid::field("tests", "more than 32").into());
    }
    match wanted.task {
        Some(id) => task::may_serve(draft, session, id),
        None => Ok(()),
    }
}

/// What is asked for, in order, each scope known to the policy.
fn known(policy: &Policy, wanted: &Wanted) -> Result<Vec<Piece>, Box<Refusal>> {
    let names: BTreeSet<ScopeName> = wanted.scopes.iter().cloned().collect();
    let mut globs: Vec<Pattern> = wanted.globs.clone();
    globs.sort_unstable();
    globs.dedup();
    if names.is_empty() && globs.is_empty() {
        return Err(Invalid::field("scopes", "none named, and no path").into());
    }
    if globs.len() > MAX_GLOBS {
        let problem = format!("{} are more than {MAX_GLOBS}", globs.len());
        return Err(Invalid::field("globs", problem).into());
    }
    if let Some(unknown) = names.iter().find(|name| policy.scopes.get(name.as_str()).is_none()) {
        let known: Vec<&str> = policy.scopes.names().map(ScopeName::as_str).collect();
        return Err(lock::unknown("scope", unknown.as_str(), &known));
    }
    let globs = globs.into_iter().map(|glob| Piece::Glob { glob });
    Ok(names.into_iter().map(Piece::Scope).chain(globs).collect())
}

pub(super) fn claims_of(draft: &Draft<'_>, session: SessionId) -> Vec<Arc<Claim>> {
    let ids = draft.claims_of(session).into_iter();
    ids.filter_map(|id| draft.tables.claims.shared(&id)).collect()
}

/// Whether what is held is not what is asked for now. Who asks for more beside it wants nothing
/// less of it.
fn is_other(claim: &Claim, wanted: &Wanted, new: &[Piece]) -> bool {
    let upgrade = claim.mode == Mode::Shared && wanted.mode.is_exclusive();
    if !new.is_empty() {
        return upgrade;
    }
    let task = wanted.task.is_some() && wanted.task != claim.task;
    claim.mode != wanted.mode || wanted.max.is_some() || task
}

/// The reply to who holds all that it asks for. Held in several claims: the one with the first
/// scope stands for them.
fn held_already(mine: &[Arc<Claim>], changed: &[Claim], names: &[Piece]) -> Reply {
    let now = |claim: &Arc<Claim>| {
        let after = changed.iter().find(|after| after.id == claim.id);
        after.cloned().unwrap_or_else(|| Claim::clone(claim))
    };
    let covers = |claim: &&Arc<Claim>, names: &[Piece]| {
        claim.is_held() && names.iter().all(|name| claim.pieces().any(|held| held == *name))
    };
    let whole = mine.iter().find(|claim| covers(claim, names));
    let claim = whole.or_else(|| mine.iter().find(|claim| covers(claim, &names[..1])));
    match claim {
        Some(claim) => Reply::Granted { claim: Box::new(now(claim)), already: Already::Yes },
        None => unreachable!("every scope that is asked for is held: {names:?}"),
    }
}

/// Asking again for what one is offered or waits for is no new request.
fn asked_before(
    draft: &mut Draft<'_>,
    (session, wanted): (&Session, &Wanted),
    mine: &[Arc<Claim>],
    (names, new): (&[Piece], &[Piece]),
) -> Option<Reply> {
    let waits = |claim: &&Arc<Claim>| {
        let all = claim.piece_list();
        let same = all == names || all == new;
        !claim.is_held() && same && claim.mode == wanted.mode
    };
    if new.is_empty() {
        return None;
    }
    let same = Claim::clone(mine.iter().find(waits)?);
    match same.state {
        State::Offered { .. } => {
            let claim = Box::new(grant(draft, session, same));
            Some(Reply::Granted { claim, already: Already::No })
        }
        // Who would not wait is told what stands in the way, its own wait or not.
        State::Waiting { .. } if wanted.otherwise == Otherwise::Refuse => None,
        State::Waiting { .. } => {
            let ahead = line::ahead_of(draft, &same);
            Some(Reply::Queued { claim: same.id, ahead })
        }
        State::Held { .. } => None,
    }
}

/// A claim that is not yet granted.
fn build(
    draft: &mut Draft<'_>,
    session: &Session,
    policy: &Policy,
    pieces: &[Piece],
    wanted: &Wanted,
) -> Claim {
    let touched: Vec<&Scope> = within(policy, pieces);
    let own = touched.iter().map(|scope| scope.risk).max().unwrap_or_default();
    let mut parts = Vec::new();
    let mut globs = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Scope(name) => {
                parts.extend(policy.scopes.get(name.as_str()).map(|scope| part(policy, scope)));
            }
            Piece::Glob { glob } => globs.push(glob.clone()),
        }
    }
    let number = draft.number();
    Claim {
        id: ClaimId::from_counter(number),
        repo: session.repo.clone(),
        session: session.id,
        parts,
        globs,
        policy: policy.digest.clone(),
        why: wanted.why.clone(),
        task: wanted.task,
        mode: wanted.mode,
        risk: wanted.risk.unwrap_or(own),
        tests: wanted.tests.clone(),
        asked: draft.now.board,
        max: touched.iter().filter_map(|scope| scope.max).chain(wanted.max).min(),
        state: State::Waiting { place: number, overtaken: 0, missed: 0 },
        handover: None,
        idle: None,
    }
}

/// Makes a claim held.
pub(super) fn grant(draft: &mut Draft<'_>, session: &Session, claim: Claim) -> Claim {
    let since = draft.now.board;
    let until = claim.max.map(|max| since.plus(Duration::from_millis(max)));
    let fence = draft.fence();
    let claim = Claim { state: State::Held { fence, since, until }, ..claim };
    draft.record(Event::Claimed {
        claim: claim.id,
        session: session.id,
        name: session.name.clone(),
        scopes: claim.scope_list(),
        globs: claim.globs.clone(),
        fence,
        task: claim.task,
        mode: claim.mode,
    });
    draft.tables.claims.put(claim.id, claim.clone());
    claim
}

/// The first obstacle of a new request: a claim, or a waiter whom nobody may pass any more.
fn first_obstacle(
    draft: &Draft<'_>,
    session: &Session,
    policy: &Policy,
    (names, mode): (&[Piece], Mode),
) -> Option<Obstacle> {
    let looked_at = if fault!(PartialGrant) { &names[..names.len().min(1)] } else { names };
    looked_at
        .iter()
        .find_map(|name| closed_by(draft, session.id, &session.repo, policy, (name, mode)))
        .or_else(|| line::unpassable(draft, session, policy, (names, mode)))
}

/// Why a session could not have these scopes now.
pub(crate) fn obstacle(
    draft: &Draft<'_>,
    session: &Session,
    names: &[ScopeName],
) -> Option<Box<Refusal>> {
    let repo = match draft.repo(&session.repo) {
        Ok(repo) => repo,
        Err(refusal) => return Some(refusal),
    };
    let unknown = names.iter().find(|name| repo.policy.scopes.get(name.as_str()).is_none());
    if let Some(unknown) = unknown {
        return Some(lock::unknown("scope", unknown.as_str(), &[]));
    }
    let mine = claims_of(draft, session.id);
    let is_held = |name: &&ScopeName| {
        mine.iter().any(|claim| claim.is_held() && claim.scopes().any(|held| held == *name))
    };
    let new: Vec<Piece> =
        names.iter().filter(|name| !is_held(name)).cloned().map(Piece::Scope).collect();
    let asked = (new.as_slice(), Mode::Exclusive);
    let obstacle = first_obstacle(draft, session, &repo.policy, asked)?;
    Some(refusal(draft, session, &repo.policy, asked, obstacle))
}

pub(super) fn refusal(
    draft: &Draft<'_>,
    session: &Session,
    policy: &Policy,
    (names, mode): (&[Piece], Mode),
    obstacle: Obstacle,
) -> Box<Refusal> {
    let claim = draft.tables.claims.get(&obstacle.claim);
    let until = claim.and_then(Claim::end);
    let is_free =
        |name: &&Piece| closed_by(draft, session.id, &session.repo, policy, (name, mode)).is_none();
    Refusal::ScopeHeld {
        holder: draft.name_of_session(obstacle.holder),
        task: claim.and_then(|claim| claim.task),
        seen: millis(draft.now.board.since(draft.last_sign(obstacle.holder))),
        until,
        free: names.iter().filter(is_free).cloned().collect(),
        ahead: line::length_before(draft, &session.repo, policy, &obstacle.wanted),
        obstacle,
    }
    .into()
}

fn join_line(
    draft: &mut Draft<'_>,
    session: &Session,
    policy: &Policy,
    names: &[Piece],
    wanted: &Wanted,
) -> Result<Reply, Box<Refusal>> {
    let claim = build(draft, session, policy, names, wanted);
    let wait = line::wait_of(draft, policy, &claim, &line::waiting(draft, &session.repo));
    wait::refuse_cycle(draft, vec![wait])?;
    let ahead = line::ahead_of(draft, &claim);
    draft.record(Event::Queued {
        claim: claim.id,
        session: session.id,
        name: session.name.clone(),
        scopes: claim.scope_list(),
        globs: claim.globs.clone(),
        ahead,
        mode: claim.mode,
    });
    let reply = Reply::Queued { claim: claim.id, ahead };
    draft.tables.claims.put(claim.id, claim);
    Ok(reply)
}

/// Tells the others what the session's claims are about to do.
pub(crate) fn announce(
    draft: &mut Draft<'_>,
    session: &Session,
    files: &[String],
    tests: &[String],
    risk: Option<Risk>,
    note: &str,
) -> Result<Reply, Box<Refusal>> {
    lock::limited("note", note, 2000)?;
    lock::limited("files", &files.concat(), 8192)?;
    lock::limited("tests", &tests.concat(), 4096)?;
    let mut held = claims_of(draft, session.id);
    held.retain(|claim| claim.is_held());
    if held.is_empty() {
        return Err(Invalid::field("claim", "nothing is held: claim a scope first").into());
    }
    let repo = draft.repo(&session.repo)?;
    let scopes: Vec<ScopeName> = held.iter().flat_map(|claim| claim.scope_list()).collect();
    let pieces: Vec<Piece> = held.iter().flat_map(|claim| claim.pieces()).collect();
    let level = risk.or_else(|| held.iter().map(|claim| claim.risk).max()).unwrap_or_default();
    let place = (session.id, &session.repo, &repo.policy);
    let audience = message::audience(draft, place, &pieces, (files, level))?;
    for claim in held {
        let tests = if tests.is_empty() { claim.tests.clone() } else { tests.to_vec() };
        let announcement = Announcement {
            claim: claim.id,
            files: files.to_vec(),
            tests,
            risk: risk.unwrap_or(claim.risk),
            note: note.to_owned(),
            at: draft.now.board,
        };
        draft.record(Event::Announced {
            claim: claim.id,
            scopes: claim.scope_list(),
            files: announcement.files.clone(),
            tests: announcement.tests.clone(),
            risk: announcement.risk,
            note: announcement.note.clone(),
        });
        draft.tables.announcements.put(claim.id, announcement);
    }
    let (files, tests, note) = (files.to_vec(), tests.to_vec(), note.to_owned());
    let content = Content::Announced { scopes, files, tests, risk: level, note };
    message::announced(draft, session, audience, content);
    Ok(Reply::Done)
}

/// Whom a session's waits in the line of claims are for, as holders.
pub(super) fn holder(session: SessionId) -> Holder {
    Holder::Session(session)
}

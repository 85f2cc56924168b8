//! How claims end: given back, lapsed, or taken away by an operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Claim, Outcome, Part, State, line};
use crate::board::{Caller, Draft, Event, Invalid, Refusal, Reply, display_list};
use crate::fault::fault;
use crate::id::{ClaimId, SessionId};
use crate::scope::{Pattern, ScopeName};
use crate::session::Session;
use crate::{lock, message, task, train};

/// Gives scopes back; with none named, all.
pub(crate) fn release(
    draft: &mut Draft<'_>,
    session: &Session,
    (scopes, globs): (&[ScopeName], &[Pattern]),
    outcome: Outcome,
) -> Result<Reply, Box<Refusal>> {
    let ids = draft.claims_of(session.id).into_iter();
    let held: Vec<Arc<Claim>> = ids
        .filter_map(|id| draft.tables.claims.shared(&id))
        .filter(|claim| claim.is_held())
        .collect();
    let is_held = |name: &ScopeName| held.iter().any(|claim| claim.scopes().any(|own| own == name));
    if let Some(missing) = scopes.iter().find(|name| !is_held(name)) {
        let known: Vec<&str> =
            held.iter().flat_map(|claim| claim.scopes()).map(ScopeName::as_str).collect();
        return Err(lock::unknown("held scope", missing.as_str(), &known));
    }
    let has_glob = |glob: &Pattern| held.iter().any(|claim| claim.globs.contains(glob));
    if let Some(missing) = globs.iter().find(|glob| !has_glob(glob)) {
        let known: Vec<&str> =
            held.iter().flat_map(|claim| &claim.globs).map(Pattern::as_str).collect();
        return Err(lock::unknown("held path", missing.as_str(), &known));
    }
    let all = scopes.is_empty() && globs.is_empty();
    let (mut released, mut freed) = (BTreeSet::new(), Vec::new());
    for claim in held {
        let gives = |part: &&Part| all || scopes.contains(&part.scope);
        let (given, kept): (Vec<&Part>, Vec<&Part>) = claim.parts.iter().partition(gives);
        let (given_globs, kept_globs): (Vec<Pattern>, Vec<Pattern>) =
            claim.globs.iter().cloned().partition(|glob| all || globs.contains(glob));
        if given.is_empty() && given_globs.is_empty() {
            continue;
        }
        let names: Vec<ScopeName> = given.into_iter().map(|part| part.scope.clone()).collect();
        draft.record(Event::Released {
            claim: claim.id,
            session: session.id,
            scopes: names.clone(),
            globs: given_globs.clone(),
            outcome,
        });
        released.extend(names);
        freed.extend(given_globs);
        if kept.is_empty() && kept_globs.is_empty() {
            task::reopen_of_claim(draft, claim.id, outcome);
            remove(draft, claim.id);
        } else {
            let parts = kept.into_iter().cloned().collect();
            let claim = Claim { parts, globs: kept_globs, ..Claim::clone(&claim) };
            draft.tables.claims.put(claim.id, claim);
        }
    }
    line::serve(draft, &session.repo);
    freed.sort_unstable();
    Ok(Reply::Released { scopes: released.into_iter().collect(), globs: freed })
}

pub(super) fn remove(draft: &mut Draft<'_>, claim: ClaimId) {
    if draft.tables.announcements.get(&claim).is_some() {
        draft.tables.announcements.delete(&claim);
    }
    draft.tables.claims.delete(&claim);
}

/// Leaves the line.
pub(crate) fn unqueue(
    draft: &mut Draft<'_>,
    session: &Session,
    id: ClaimId,
) -> Result<Reply, Box<Refusal>> {
    let mine = draft.tables.claims.get(&id).filter(|claim| claim.session == session.id);
    let Some(claim) = mine.cloned() else {
        return Ok(Reply::Done);
    };
    if claim.is_held() {
        return Err(Invalid::field("claim", format!("{id} is held: release it")).into());
    }
    leave_line(draft, &claim, "its agent does not wait any more");
    line::serve(draft, &session.repo);
    Ok(Reply::Done)
}

/// Takes a claim that is not held out of the line.
pub(super) fn leave_line(draft: &mut Draft<'_>, claim: &Claim, reason: &str) {
    let (id, session, reason) = (claim.id, claim.session, reason.to_owned());
    draft.record(Event::Unqueued { claim: id, session, reason });
    remove(draft, id);
}

/// The same, and tells the waiter, who asked for no such thing.
pub(super) fn put_out(draft: &mut Draft<'_>, claim: &Claim, reason: &str) {
    let text = format!("left the line of {}: {reason}", display_list(&claim.piece_list()));
    message::notify(draft, claim.session, &claim.id, text);
    leave_line(draft, claim, reason);
}

/// That the caller is an operator who says why.
pub(crate) fn operator(caller: &Caller, reason: &str) -> Result<(), Box<Refusal>> {
    if !matches!(caller, Caller::Operator(_)) {
        let (what, needs) = ("taking something away".to_owned(), "an operator".to_owned());
        return Err(Refusal::Forbidden { what, needs }.into());
    }
    if reason.trim().is_empty() {
        return Err(Invalid::field("reason", "empty: say why").into());
    }
    lock::limited("reason", reason, 2000)
}

/// Takes a claim away, as an operator.
pub(crate) fn revoke(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: ClaimId,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    operator(caller, reason)?;
    let Some(claim) = draft.tables.claims.get(&id).cloned() else {
        let (kind, name) = ("claim".to_owned(), id.to_string());
        return Err(Refusal::NotFound { kind, name, nearest: None }.into());
    };
    draft.record(Event::Revoked {
        claim: id,
        session: claim.session,
        scopes: claim.scope_list(),
        reason: reason.to_owned(),
    });
    let text = format!("on {} was revoked: {reason}", display_list(&claim.piece_list()));
    message::notify(draft, claim.session, &id, text);
    train::eject_of_claim(draft, id, reason);
    task::give_back_of_claim(draft, id, reason);
    remove(draft, id);
    line::serve(draft, &claim.repo);
    Ok(Reply::Done)
}

/// Ends every claim of a session without its holder.
pub(crate) fn lapse_all(draft: &mut Draft<'_>, session: SessionId, reason: &str) {
    let mut repos = BTreeSet::new();
    for id in draft.claims_of(session) {
        if let Some(claim) = draft.tables.claims.get(&id).cloned() {
            repos.insert(claim.repo.clone());
            lapse(draft, &claim, reason);
        }
    }
    for repo in repos {
        line::serve(draft, &repo);
    }
}

/// Ends a claim without its holder; a task that was taken with it goes back.
pub(super) fn lapse(draft: &mut Draft<'_>, claim: &Claim, reason: &str) {
    if !matches!(claim.state, State::Held { .. }) {
        leave_line(draft, claim, reason);
        return;
    }
    draft.record(Event::Lapsed {
        claim: claim.id,
        session: claim.session,
        scopes: claim.scope_list(),
        reason: reason.to_owned(),
    });
    if !fault!(TaskOutlivesClaim) {
        task::give_back_of_claim(draft, claim.id, reason);
    }
    remove(draft, claim.id);
}

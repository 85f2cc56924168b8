//! Changing what is held without giving it back: its mode, its end, its task, or less of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::ask::{claims_of, refusal};
use super::meet::{closed_by, limit, obstacle, part};
use super::{Claim, MAX_GLOBS, Mode, Named, State, Wanted, line};
use crate::board::{Already, Draft, Event, Invalid, Refusal, Reply, display_list};
use crate::id::{BoardTime, ClaimId, TaskId};
use crate::policy::Policy;
use crate::scope::{Pattern, Reach, ScopeName};
use crate::session::Session;
use crate::{lock, task, wait};

/// The waiting claims that a change passes.
type Waiters = Vec<Arc<Claim>>;

/// Makes of claims that a session holds what it asks for now; nothing where something is in the
/// way of one of them. Returns them, and the waiters whom that passes, who are to be counted.
pub(super) fn change(
    draft: &mut Draft<'_>,
    session: &Session,
    policy: &Policy,
    (claims, wanted): (&[Arc<Claim>], &Wanted),
) -> Result<(Vec<Claim>, Waiters), Box<Refusal>> {
    let (mut changed, mut passed) = (Vec::new(), Vec::new());
    for claim in claims {
        if claim.mode == Mode::Shared && wanted.mode.is_exclusive() {
            passed.extend(alone(draft, session, policy, claim)?);
        }
        changed.push(Claim {
            mode: wanted.mode,
            task: served(draft, session, claim, wanted)?,
            state: match wanted.max {
                Some(max) => ending(claim, later(draft, max), policy),
                None => claim.state,
            },
            ..Claim::clone(claim)
        });
    }
    let differ = claims.iter().zip(&changed).any(|(before, after)| **before != *after);
    if differ {
        changed.iter().for_each(|claim| record(draft, claim));
    }
    Ok((changed, passed))
}

/// Lets a claim that is shared be its holder's alone, unless that is others' too, or some in the
/// line may not be passed: who waits to share it waits for one more from now on. Returns those.
fn alone(
    draft: &Draft<'_>,
    session: &Session,
    policy: &Policy,
    claim: &Claim,
) -> Result<Waiters, Box<Refusal>> {
    of_this_policy(claim, policy)?;
    let names = claim.piece_list();
    let asked = (names.as_slice(), Mode::Exclusive);
    let others =
        |name| closed_by(draft, session.id, &session.repo, policy, (name, Mode::Exclusive));
    if let Some(obstacle) = names.iter().find_map(others) {
        return Err(refusal(draft, session, policy, asked, obstacle));
    }
    let alone = Claim { mode: Mode::Exclusive, ..claim.clone() };
    let mut passed = line::behind(draft, policy, &alone, session.id);
    passed.retain(|waiter| waiter.mode == Mode::Shared);
    let unpassed = line::unpassed(draft, &passed);
    if let Some(obstacle) = unpassed.and_then(|waiter| obstacle(policy, &alone, waiter)) {
        return Err(refusal(draft, session, policy, asked, obstacle));
    }
    wait::refuse_cycle(draft, line::waits_of(&passed, session.id))?;
    Ok(passed)
}

/// Others are looked for by the scopes of the policy in force: what an older one gave may not be
/// among them.
fn of_this_policy(claim: &Claim, policy: &Policy) -> Result<(), Box<Refusal>> {
    if claim.policy == policy.digest {
        return Ok(());
    }
    let names = display_list(&claim.piece_list());
    let problem =
        format!("the policy changed since {names} was granted: release it and claim again");
    Err(Invalid::field("scopes", problem).into())
}

/// The task that a claim serves from now on: one that it serves already stays its own, until it
/// has ended or is another's.
fn served(
    draft: &Draft<'_>,
    session: &Session,
    claim: &Claim,
    wanted: &Wanted,
) -> Result<Option<TaskId>, Box<Refusal>> {
    let own = claim.task.filter(|own| task::may_serve(draft, session, *own).is_ok());
    match (own, wanted.task) {
        (Some(own), Some(other)) if own != other => {
            let problem = format!("{} serves {own}: end that first", claim.id);
            Err(Invalid::field("task", problem).into())
        }
        (own, other) => Ok(own.or(other)),
    }
}

fn later(draft: &Draft<'_>, span: u64) -> BoardTime {
    draft.now.board.plus(Duration::from_millis(span))
}

/// A held claim's state with another end, within what the policy allows since it was granted.
fn ending(claim: &Claim, until: BoardTime, policy: &Policy) -> State {
    let State::Held { fence, since, .. } = claim.state else { return claim.state };
    let limit = limit(policy, claim).map(|max| since.plus(Duration::from_millis(max)));
    let until = Some(limit.map_or(until, |limit| limit.min(until)));
    State::Held { fence, since, until }
}

fn record(draft: &mut Draft<'_>, claim: &Claim) {
    let until = claim.end().map(|until| until.0);
    draft.record(Event::Changed {
        claim: claim.id,
        session: claim.session,
        scopes: claim.scope_list(),
        mode: claim.mode,
        until,
        task: claim.task,
    });
    draft.tables.claims.put(claim.id, claim.clone());
}

/// The claims of a session that hold one of `scopes` or `globs`, or all where none is named.
fn held(
    draft: &Draft<'_>,
    session: &Session,
    (scopes, globs): (&[ScopeName], &[Pattern]),
) -> Result<Vec<Arc<Claim>>, Box<Refusal>> {
    let mut mine = claims_of(draft, session.id);
    mine.retain(|claim| claim.is_held());
    let known: BTreeSet<&ScopeName> = mine.iter().flat_map(|claim| claim.scopes()).collect();
    if let Some(missing) = scopes.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
        return Err(lock::unknown("held scope", missing.as_str(), &known));
    }
    let known: BTreeSet<&str> =
        mine.iter().flat_map(|claim| &claim.globs).map(Pattern::as_str).collect();
    if let Some(missing) = globs.iter().find(|glob| !known.contains(glob.as_str())) {
        let known: Vec<&str> = known.into_iter().collect();
        return Err(lock::unknown("held path", missing.as_str(), &known));
    }
    let all = scopes.is_empty() && globs.is_empty();
    mine.retain(|claim| {
        all || claim.scopes().any(|name| scopes.contains(name))
            || claim.globs.iter().any(|glob| globs.contains(glob))
    });
    Ok(mine)
}

/// The one claim that a session holds and means.
pub(super) fn one(
    draft: &Draft<'_>,
    session: &Session,
    named: &Named,
) -> Result<Arc<Claim>, Box<Refusal>> {
    let none = (&[][..], &[][..]);
    let (found, called) = match named {
        Named::Scope(scope) => return only(draft, session, scope),
        Named::Glob(glob) => {
            (held(draft, session, (none.0, std::slice::from_ref(glob)))?, glob.to_string())
        }
        Named::Claim(id) => {
            let mut mine = held(draft, session, none)?;
            let known: Vec<String> = mine.iter().map(|claim| claim.id.to_string()).collect();
            mine.retain(|claim| claim.id == *id);
            if mine.is_empty() {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(lock::unknown("held claim", &id.to_string(), &known));
            }
            (mine, id.to_string())
        }
    };
    the_one(found, &called)
}

/// The one claim of a session that holds a scope.
pub(super) fn only(
    draft: &Draft<'_>,
    session: &Session,
    scope: &ScopeName,
) -> Result<Arc<Claim>, Box<Refusal>> {
    the_one(held(draft, session, (std::slice::from_ref(scope), &[]))?, scope.as_str())
}

fn the_one(held: Vec<Arc<Claim>>, called: &str) -> Result<Arc<Claim>, Box<Refusal>> {
    match <[Arc<Claim>; 1]>::try_from(held) {
        Ok([claim]) => Ok(claim),
        Err(several) => {
            let ids: Vec<ClaimId> = several.iter().map(|claim| claim.id).collect();
            let problem = format!("`{called}` is held twice: name one of {}", display_list(&ids));
            Err(Invalid::field("claim", problem).into())
        }
    }
}

/// Lets claims that end by themselves last for so many milliseconds from now on.
pub(crate) fn extend(
    draft: &mut Draft<'_>,
    session: &Session,
    (scopes, globs): (&[ScopeName], &[Pattern]),
    span: u64,
) -> Result<Reply, Box<Refusal>> {
    let repo = draft.repo(&session.repo)?;
    let all = scopes.is_empty() && globs.is_empty();
    let (mut extended, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for claim in held(draft, session, (scopes, globs))? {
        let State::Held { until: Some(before), .. } = claim.state else { continue };
        let state = ending(&claim, later(draft, span), &repo.policy);
        let State::Held { until: Some(until), .. } = state else { continue };
        if until <= before {
            if all {
                continue;
            }
            let names = display_list(&claim.piece_list());
            let problem = format!("{names} lasts so long already, or as long as its scope allows");
            return Err(Invalid::field("for", problem).into());
        }
        extended.extend(claim.scope_list());
        paths.extend(claim.globs.iter().cloned());
        record(draft, &Claim { state, ..Claim::clone(&claim) });
    }
    let (scopes, globs) = (extended.into_iter().collect(), paths.into_iter().collect());
    Ok(Reply::Extended { scopes, globs })
}

/// Globs that keep less of a held scope: each lies in one of its patterns for all to see.
fn narrower(
    claim: &Claim,
    from: &ScopeName,
    globs: &[Pattern],
) -> Result<Vec<Pattern>, Box<Refusal>> {
    let Some(part) = claim.parts.iter().find(|part| part.scope == *from) else {
        return Ok(Vec::new());
    };
    if part.reach == Reach::Carve && !globs.is_empty() {
        let problem = format!("`{from}` is a carve: its paths are claimed by its name alone");
        return Err(Invalid::field("globs", problem).into());
    }
    let outside = |glob: &&Pattern| !part.paths.iter().any(|path| glob.is_within(path));
    if let Some(glob) = globs.iter().find(outside) {
        let problem = format!("`{glob}` does not plainly lie in a folder of `{from}`");
        return Err(Invalid::field("globs", problem).into());
    }
    if claim.globs.len() + globs.len() > MAX_GLOBS {
        return Err(Invalid::field("globs", format!("more than {MAX_GLOBS}")).into());
    }
    Ok(globs.to_vec())
}

/// Keeps of a held scope only those below it that are named.
pub(crate) fn narrow(
    draft: &mut Draft<'_>,
    session: &Session,
    from: &ScopeName,
    (to, globs): (&[ScopeName], &[Pattern]),
) -> Result<Reply, Box<Refusal>> {
    let repo = draft.repo(&session.repo)?;
    let to: BTreeSet<&ScopeName> = to.iter().collect();
    if to.is_empty() && globs.is_empty() {
        return Err(Invalid::field("to", "no scope named: to keep nothing is to release it").into());
    }
    let claim = only(draft, session, from)?;
    if let Some(other) = to.iter().find(|name| !from.is_ancestor_of(name)) {
        return Err(Invalid::field("to", format!("`{other}` is not below `{from}`")).into());
    }
    of_this_policy(&claim, &repo.policy)?;
    let globs = narrower(&claim, from, globs)?;
    let mut parts = claim.parts.clone();
    parts.retain(|part| part.scope != *from && !to.contains(&part.scope));
    for name in &to {
        let Some(scope) = repo.policy.scopes.get(name.as_str()) else {
            let below = repo.policy.scopes.names().filter(|name| from.is_ancestor_of(name));
            let known: Vec<&str> = below.map(ScopeName::as_str).collect();
            return Err(lock::unknown("scope", name.as_str(), &known));
        };
        parts.push(part(&repo.policy, scope));
    }
    parts.sort_by(|left, right| left.scope.cmp(&right.scope));
    let mut kept: Vec<Pattern> = claim.globs.iter().chain(&globs).cloned().collect();
    kept.sort_unstable();
    kept.dedup();
    let claim = Claim { parts, globs: kept, ..Claim::clone(&claim) };
    draft.record(Event::Narrowed {
        claim: claim.id,
        session: session.id,
        from: from.clone(),
        to: to.into_iter().cloned().collect(),
        globs,
    });
    draft.tables.claims.put(claim.id, claim.clone());
    line::serve(draft, &session.repo);
    Ok(Reply::Granted { claim: Box::new(claim), already: Already::Yes })
}

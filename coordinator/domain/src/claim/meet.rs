//! Whose claims are in the way of which scopes.

use super::{Claim, Mode, Obstacle, Part};
use crate::board::Draft;
use crate::fault::fault;
use crate::id::{ClaimId, SessionId};
use crate::name::RepoName;
use crate::policy::Policy;
use crate::scope::{Conflict, Scope, ScopeName, conflict};

/// How a claim and a scope of the policy in force meet, if they do: the claim's scope that is
/// in the way of the other, and how.
#[must_use]
pub fn meets(policy: &Policy, claim: &Claim, scope: &Scope) -> Option<(ScopeName, Conflict)> {
    if claim.policy == policy.digest {
        let near = policy.scopes.conflicting(scope.name.as_str());
        let forgotten =
            |held: &&ScopeName| fault!(ChildrenForgotten) && scope.name.is_ancestor_of(held);
        let mut held = claim.scopes().filter(|held| !forgotten(held));
        let held = held.find(|held| near.binary_search(held).is_ok())?;
        let conflict = policy.scopes.explain(held.as_str(), scope.name.as_str())?;
        return Some((held.clone(), conflict));
    }
    let wanted = frozen(policy, scope);
    claim.parts.iter().find_map(|part| {
        let conflict = conflict(&part.as_scope(), &wanted, policy.scopes.case())?;
        Some((part.scope.clone(), conflict))
    })
}

/// Whether two claims are in each other's way, `right` being one of the policy in force.
pub(super) fn conflicts(policy: &Policy, left: &Claim, right: &Claim) -> bool {
    if left.mode.admits(right.mode) {
        return false;
    }
    let mut scopes = right.scopes().filter_map(|name| policy.scopes.get(name.as_str()));
    scopes.any(|scope| meets(policy, left, scope).is_some())
}

/// How two held claims meet, whatever policies they were granted under, if they are in each other's
/// way: the scope of the left one, that of the right one, and how.
pub(super) fn clash(
    policy: &Policy,
    left: &Claim,
    right: &Claim,
) -> Option<(ScopeName, ScopeName, Conflict)> {
    if left.mode.admits(right.mode) {
        return None;
    }
    let mut pairs =
        left.parts.iter().flat_map(|left| right.parts.iter().map(move |right| (left, right)));
    pairs.find_map(|(left, right)| {
        let conflict = conflict(&left.as_scope(), &right.as_scope(), policy.scopes.case())?;
        Some((left.scope.clone(), right.scope.clone(), conflict))
    })
}

/// A scope with all that a claim of it covers, children included.
fn frozen(policy: &Policy, scope: &Scope) -> Scope {
    Scope { paths: policy.scopes.patterns(scope.name.as_str()), ..scope.clone() }
}

/// A scope as a claim keeps it.
pub(super) fn part(policy: &Policy, scope: &Scope) -> Part {
    let Scope { name, reach, .. } = scope;
    let paths = policy.scopes.patterns(name.as_str());
    Part { scope: name.clone(), reach: *reach, paths }
}

/// How a waiter stands in the way of a claim that is held.
pub(super) fn obstacle(policy: &Policy, claim: &Claim, waiter: &Claim) -> Option<Obstacle> {
    waiter.scopes().find_map(|held| {
        let (wanted, conflict) = meets(policy, claim, policy.scopes.get(held.as_str())?)?;
        let (claim, holder) = (waiter.id, waiter.session);
        Some(Obstacle { wanted, held: held.clone(), claim, holder, conflict })
    })
}

/// The claims that might keep a scope closed; each is to be read before it is believed.
fn closers(draft: &Draft<'_>, repo: &RepoName, policy: &Policy, scope: &ScopeName) -> Vec<ClaimId> {
    let index = draft.board().index();
    let near = policy.scopes.conflicting(scope.as_str()).iter();
    let mut ids: Vec<ClaimId> = near.flat_map(|name| index.closing(repo, name)).collect();
    ids.extend(index.of_older_policies(repo, &policy.digest));
    ids.extend(draft.tables.claims.written().map(|(id, _)| *id));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// All that keeps a scope from being granted to a session in a mode: claims of others on it.
pub(super) fn all_closing<'a>(
    draft: &'a Draft<'_>,
    session: SessionId,
    repo: &'a RepoName,
    policy: &'a Policy,
    (name, mode): (&'a ScopeName, Mode),
) -> impl Iterator<Item = Obstacle> + 'a {
    let scope = policy.scopes.get(name.as_str());
    let ids = scope.map(|_| closers(draft, repo, policy, name)).unwrap_or_default();
    ids.into_iter().filter_map(move |id| {
        let claim = draft.tables.claims.get(&id)?;
        let is_others = claim.session != session && claim.repo == *repo;
        if !is_others || !claim.closes() || claim.mode.admits(mode) {
            return None;
        }
        let (held, conflict) = meets(policy, claim, scope?)?;
        Some(Obstacle { wanted: name.clone(), held, claim: id, holder: claim.session, conflict })
    })
}

/// The first claim of another session that keeps a scope closed.
pub(super) fn closed_by(
    draft: &Draft<'_>,
    session: SessionId,
    repo: &RepoName,
    policy: &Policy,
    wanted: (&ScopeName, Mode),
) -> Option<Obstacle> {
    all_closing(draft, session, repo, policy, wanted).next()
}

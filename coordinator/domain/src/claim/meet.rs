//! Whose claims are in the way of what.

use super::{Claim, Mode, Obstacle, Part, Piece};
use crate::board::Draft;
use crate::fault::fault;
use crate::id::{ClaimId, SessionId};
use crate::name::RepoName;
use crate::policy::Policy;
use crate::scope::{Conflict, Pattern, Reach, Scope, ScopeName, conflict, first_overlap};

/// How a claim and a piece of what the policy in force has meet, if they do: the claim's piece
/// that is in the way of the other, and how.
///
/// A glob meets plain paths alone: what a carve matches is the carve's.
#[must_use]
pub fn meets(policy: &Policy, claim: &Claim, piece: &Piece) -> Option<(Piece, Conflict)> {
    match piece {
        Piece::Scope(name) => {
            let scope = policy.scopes.get(name.as_str())?;
            let named = meets_scope(policy, claim, scope);
            named.map(|(held, conflict)| (Piece::Scope(held), conflict)).or_else(|| {
                let plain = scope.reach == Reach::Plain && !claim.globs.is_empty();
                let paths = if plain { policy.scopes.patterns(name.as_str()) } else { Vec::new() };
                globs_meet(policy, claim, &paths)
            })
        }
        Piece::Glob { glob } => {
            let wanted = std::slice::from_ref(glob);
            let plain = claim.parts.iter().filter(|part| part.reach == Reach::Plain);
            let parts = plain.filter_map(|part| {
                let conflict = first_overlap(&part.paths, wanted, policy.scopes.case())?;
                Some((Piece::Scope(part.scope.clone()), conflict))
            });
            let mut parts = parts.filter(|_| !fault!(GlobsForgotten));
            parts.next().or_else(|| globs_meet(policy, claim, wanted))
        }
    }
}

fn meets_scope(policy: &Policy, claim: &Claim, scope: &Scope) -> Option<(ScopeName, Conflict)> {
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

/// The first glob of a claim that overlaps one of these paths.
fn globs_meet(policy: &Policy, claim: &Claim, paths: &[Pattern]) -> Option<(Piece, Conflict)> {
    claim.globs.iter().find_map(|held| {
        let conflict = first_overlap(std::slice::from_ref(held), paths, policy.scopes.case())?;
        Some((Piece::Glob { glob: held.clone() }, conflict))
    })
}

/// Whether two claims are in each other's way, `right` being one of the policy in force.
pub(super) fn conflicts(policy: &Policy, left: &Claim, right: &Claim) -> bool {
    !left.mode.admits(right.mode)
        && right.pieces().any(|piece| meets(policy, left, &piece).is_some())
}

/// How two held claims meet, whatever policies they were granted under, if they are in each other's
/// way: the piece of the left one, that of the right one, and how.
pub(super) fn clash(
    policy: &Policy,
    left: &Claim,
    right: &Claim,
) -> Option<(Piece, Piece, Conflict)> {
    if left.mode.admits(right.mode) {
        return None;
    }
    let case = policy.scopes.case();
    let mut pairs =
        left.parts.iter().flat_map(|left| right.parts.iter().map(move |right| (left, right)));
    let named = pairs.find_map(|(left, right)| {
        let conflict = conflict(&left.as_scope(), &right.as_scope(), case)?;
        let (left, right) = (left.scope.clone(), right.scope.clone());
        Some((Piece::Scope(left), Piece::Scope(right), conflict))
    });
    let globs = |of: &Claim| -> Vec<Piece> {
        of.globs.iter().map(|glob| Piece::Glob { glob: glob.clone() }).collect()
    };
    let lefts = || {
        globs(left).into_iter().find_map(|piece| {
            let (held, conflict) = meets(policy, right, &piece)?;
            Some((piece, held, conflict))
        })
    };
    let rights = || {
        globs(right).into_iter().find_map(|piece| {
            let (held, conflict) = meets(policy, left, &piece)?;
            Some((held, piece, conflict))
        })
    };
    named.or_else(lefts).or_else(rights)
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
    waiter.pieces().find_map(|held| {
        let (wanted, conflict) = meets(policy, claim, &held)?;
        let (claim, holder) = (waiter.id, waiter.session);
        Some(Obstacle { wanted, held, claim, holder, conflict })
    })
}

/// How long a claim of these lasts at most by the policy: a glob as long as the scopes that it
/// reaches into.
pub(super) fn limit(policy: &Policy, claim: &Claim) -> Option<u64> {
    within(policy, &claim.piece_list()).into_iter().filter_map(|scope| scope.max).min()
}

/// The scopes of the policy that are named, and those that globs reach into.
pub(super) fn within<'a>(policy: &'a Policy, pieces: &'a [Piece]) -> Vec<&'a Scope> {
    let names = pieces.iter().flat_map(|piece| match piece {
        Piece::Scope(name) => vec![name],
        Piece::Glob { glob } => policy.scopes.touched(glob),
    });
    names.filter_map(|name| policy.scopes.get(name.as_str())).collect()
}

/// The claims that might keep a piece closed; each is to be read before it is believed.
fn closers(draft: &Draft<'_>, repo: &RepoName, policy: &Policy, piece: &Piece) -> Vec<ClaimId> {
    let index = draft.board().index();
    let (near, paths): (Vec<&ScopeName>, Vec<Pattern>) = match piece {
        Piece::Scope(name) => {
            let near = policy.scopes.conflicting(name.as_str()).iter().collect();
            (near, policy.scopes.patterns(name.as_str()))
        }
        Piece::Glob { glob } => (policy.scopes.touched(glob), vec![glob.clone()]),
    };
    let mut ids: Vec<ClaimId> =
        near.into_iter().flat_map(|name| index.closing(repo, name)).collect();
    if !fault!(GlobsForgotten) {
        ids.extend(paths.iter().flat_map(|path| index.globs_near(repo, path)));
    }
    ids.extend(index.of_older_policies(repo, &policy.digest));
    ids.extend(draft.tables.claims.written().map(|(id, _)| *id));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// All that keeps a piece from being granted to a session in a mode: claims of others on it.
/// Without a session, what keeps it from anybody.
pub(super) fn all_closing<'a>(
    draft: &'a Draft<'_>,
    session: Option<SessionId>,
    repo: &'a RepoName,
    policy: &'a Policy,
    (piece, mode): (&'a Piece, Mode),
) -> impl Iterator<Item = Obstacle> + 'a {
    let ids = closers(draft, repo, policy, piece);
    ids.into_iter().filter_map(move |id| {
        let claim = draft.tables.claims.get(&id)?;
        let is_others = session != Some(claim.session) && claim.repo == *repo;
        if !is_others || !claim.closes() || claim.mode.admits(mode) {
            return None;
        }
        let (held, conflict) = meets(policy, claim, piece)?;
        Some(Obstacle { wanted: piece.clone(), held, claim: id, holder: claim.session, conflict })
    })
}

/// The first claim of another session that keeps a piece closed.
pub(super) fn closed_by(
    draft: &Draft<'_>,
    session: SessionId,
    repo: &RepoName,
    policy: &Policy,
    wanted: (&Piece, Mode),
) -> Option<Obstacle> {
    all_closing(draft, Some(session), repo, policy, wanted).next()
}

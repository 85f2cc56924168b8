//! Whom it concerns that something is about to change.

use std::collections::BTreeSet;

use crate::board::{Draft, Invalid, Refusal};
use crate::claim::{self, Claim, Piece};
use crate::fault::fault;
use crate::id::{ClaimId, SessionId};
use crate::message::Urgency;
use crate::name::RepoName;
use crate::policy::Policy;
use crate::scope::{Owner, Pattern, Risk, Scope, ScopeName, overlap};

/// Patterns among the files of one announcement: each is weighed against every scope.
const MAX_PATTERNS: usize = 32;

/// Whom a change concerns, and how soon they should know.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// Those who hold, or are offered, what it touches or what is next to that; where it is
    /// risky, those who wait for it too.
    pub(crate) sessions: BTreeSet<SessionId>,
    /// Whether it is to be read first.
    pub(crate) urgency: Urgency,
}

/// Whom a change of `files` by the holder of `pieces` concerns, itself left out.
pub(crate) fn audience(
    draft: &Draft<'_>,
    (me, repo, policy): (SessionId, &RepoName, &Policy),
    pieces: &[Piece],
    (files, risk): (&[String], Risk),
) -> Result<Audience, Box<Refusal>> {
    let (mut touched, mut paths) = reached(policy, files)?;
    for piece in pieces {
        match piece {
            Piece::Scope(name) => drop(touched.insert(name.clone())),
            Piece::Glob { glob } => {
                touched.extend(policy.scopes.touched(glob).into_iter().cloned());
                paths.push(glob.clone());
            }
        }
    }
    let risky_scope = |name: &ScopeName| {
        policy.scopes.get(name.as_str()).is_some_and(|scope| scope.risk == Risk::High)
    };
    let risky = risk == Risk::High || touched.iter().any(risky_scope);
    paths.extend(touched.iter().flat_map(|name| policy.scopes.patterns(name.as_str())));
    let near = beside(policy, &touched);
    let closing = closing(draft, repo, policy, (&near, &paths));
    let mut sessions: BTreeSet<SessionId> = closing.map(|claim| claim.session).collect();
    if risky {
        let line = draft.board().index().line(repo);
        let waiting = line.filter_map(|id| draft.tables.claims.get(&id));
        let concerned = waiting.filter(|claim| claim.scopes().any(|name| near.contains(name)));
        sessions.extend(concerned.map(|claim| claim.session));
    }
    sessions.remove(&me);
    let urgency = if risky { Urgency::Risky } else { Urgency::Usual };
    Ok(Audience { sessions, urgency })
}

/// The sessions that hold what meets a scope.
pub(super) fn holders(
    draft: &Draft<'_>,
    repo: &RepoName,
    policy: &Policy,
    name: &ScopeName,
) -> BTreeSet<SessionId> {
    let near = policy.scopes.conflicting(name.as_str()).iter().cloned().collect();
    let paths = policy.scopes.patterns(name.as_str());
    let held = closing(draft, repo, policy, (&near, &paths)).filter(|claim| claim.is_held());
    held.map(|claim| claim.session).collect()
}

/// The claims that hold, or are offered, one of these scopes, paths that overlap these, or
/// something of an older policy that meets a scope.
fn closing<'a>(
    draft: &'a Draft<'_>,
    repo: &RepoName,
    policy: &Policy,
    (near, paths): (&BTreeSet<ScopeName>, &[Pattern]),
) -> impl Iterator<Item = &'a Claim> {
    let (index, case) = (draft.board().index(), policy.scopes.case());
    let mut ids: BTreeSet<ClaimId> =
        near.iter().flat_map(|name| index.closing(repo, name)).collect();
    let of = |id: &ClaimId| draft.tables.claims.get(id);
    for path in paths {
        let meets = |claim: &Claim| claim.globs.iter().any(|it| overlap(it, path, case).is_some());
        ids.extend(index.globs_near(repo, path).into_iter().filter(|id| of(id).is_some_and(meets)));
    }
    let meets = |claim: &Claim| {
        let mut near = near.iter().cloned().map(Piece::Scope);
        near.any(|piece| claim::meets(policy, claim, &piece).is_some())
    };
    let older = index.of_older_policies(repo, &policy.digest);
    ids.extend(older.filter(|id| of(id).is_some_and(meets)));
    ids.into_iter().filter_map(|id| draft.tables.claims.get(&id))
}

/// The scopes that files or patterns of files are in, and all of them as patterns.
fn reached(
    policy: &Policy,
    files: &[String],
) -> Result<(BTreeSet<ScopeName>, Vec<Pattern>), Box<Refusal>> {
    let mut paths = Vec::with_capacity(files.len());
    let mut reached = BTreeSet::new();
    let mut patterns = Vec::new();
    for file in files {
        let wrong = |error| Invalid::field("files", format!("{error}"));
        let pattern: Pattern = file.parse().map_err(wrong)?;
        paths.push(pattern.clone());
        if file.contains(['*', '?', '[', '{']) {
            patterns.push(pattern);
        } else if let Owner::Scopes(owners) = policy.scopes.of_path(file) {
            reached.extend(owners.into_iter().map(|scope| scope.name.clone()));
        }
    }
    if patterns.len() > MAX_PATTERNS {
        let problem = format!("{} patterns, the limit is {MAX_PATTERNS}", patterns.len());
        return Err(Invalid::field("files", problem).into());
    }
    let case = policy.scopes.case();
    let meets = |scope: &&Scope| {
        scope.paths.iter().any(|own| patterns.iter().any(|it| overlap(own, it, case).is_some()))
    };
    reached.extend(policy.scopes.scopes().iter().filter(meets).map(|scope| scope.name.clone()));
    Ok((reached, paths))
}

/// Scopes with those next to them: what cannot be held beside them, and what has the same
/// parent.
fn beside(policy: &Policy, touched: &BTreeSet<ScopeName>) -> BTreeSet<ScopeName> {
    let mut near = touched.clone();
    if fault!(NeighboursForgotten) {
        return near;
    }
    let parents: BTreeSet<&str> =
        touched.iter().filter_map(|name| name.ancestors().next()).collect();
    let sibling =
        |name: &&ScopeName| name.ancestors().next().is_some_and(|above| parents.contains(above));
    near.extend(policy.scopes.names().filter(sibling).cloned());
    for name in touched {
        near.extend(policy.scopes.conflicting(name.as_str()).iter().cloned());
    }
    near
}

//! Whom the lines of claims wait for, as one question about circles comes to them.
//!
//! What is found for one waiter serves the next, and whoever is known to go on
//! is not looked at again. Not here: what makes a circle ([`crate::wait`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::ask::holder;
use super::line::{wait_of, waiting};
use super::meet::{all_closing, conflicts};
use super::{Claim, Mode, Piece, State};
use crate::board::Draft;
use crate::hold::Holder;
use crate::id::{ClaimId, SessionId};
use crate::name::RepoName;
use crate::policy::Repo;
use crate::scope::ScopeName;
use crate::wait::Wait;

/// The lines that a question came to.
#[derive(Debug, Default)]
pub(crate) struct Lines(BTreeMap<RepoName, Line>);

impl Lines {
    /// Everybody who waits for scopes.
    pub(crate) fn everybody(draft: &Draft<'_>) -> Vec<Holder> {
        let lines = draft.tables.repos.iter().flat_map(|(name, _)| waiting(draft, name));
        lines.map(|claim| holder(claim.session)).collect()
    }

    /// Those for whom a session waits, less those who are known to go on.
    pub(crate) fn in_the_way(
        &mut self,
        draft: &Draft<'_>,
        session: SessionId,
        goes_on: &HashSet<Holder>,
    ) -> Vec<Holder> {
        let mut found = Vec::new();
        for (repo, id) in waits_of(draft, session) {
            let Some(line) = self.line(draft, &repo) else { continue };
            let Some(&at) = line.places.get(&id) else { continue };
            found.extend(line.closing(draft, at, goes_on));
            found.extend(line.before(at, goes_on));
        }
        found
    }

    /// The waits of a session in the order of the line.
    pub(crate) fn waits(&mut self, draft: &Draft<'_>, session: SessionId) -> Vec<Wait> {
        let repos: BTreeSet<RepoName> =
            waits_of(draft, session).into_iter().map(|(repo, _)| repo).collect();
        let mut waits = Vec::new();
        for repo in repos {
            let Some(line) = self.line(draft, &repo) else { continue };
            let own = line.claims.iter().filter(|claim| claim.session == session);
            waits.extend(own.map(|it| wait_of(draft, &line.repo.policy, it, &line.claims)));
        }
        waits
    }

    fn line(&mut self, draft: &Draft<'_>, name: &RepoName) -> Option<&mut Line> {
        if !self.0.contains_key(name) {
            let repo = draft.tables.repos.shared(name)?;
            self.0.insert(name.clone(), Line::of(draft, repo));
        }
        self.0.get_mut(name)
    }
}

/// The claims for which a session waits, and where.
fn waits_of(draft: &Draft<'_>, session: SessionId) -> Vec<(RepoName, ClaimId)> {
    let claims = draft.claims_of(session).into_iter();
    let claims = claims.filter_map(|id| draft.tables.claims.get(&id));
    let waits = claims.filter(|claim| matches!(claim.state, State::Waiting { .. }));
    waits.map(|claim| (claim.repo.clone(), claim.id)).collect()
}

/// The line of a repository.
#[derive(Debug)]
struct Line {
    repo: Arc<Repo>,
    claims: Vec<Arc<Claim>>,
    /// Where each claim stands.
    places: HashMap<ClaimId, usize>,
    /// Those not known to go on, by the scopes that they wait for.
    by_scope: HashMap<ScopeName, BTreeSet<usize>>,
    /// Those who are not found by names alone: they wait for paths, or for what an older policy
    /// had.
    apart: BTreeSet<usize>,
    /// Who keeps a piece closed and is not known to go on.
    closing: BTreeMap<(Piece, Mode), BTreeSet<Holder>>,
}

impl Line {
    fn of(draft: &Draft<'_>, repo: Arc<Repo>) -> Self {
        let claims = waiting(draft, &repo.name);
        let places = claims.iter().enumerate().map(|(at, claim)| (claim.id, at)).collect();
        let (mut by_scope, mut apart) = (HashMap::<_, BTreeSet<usize>>::new(), BTreeSet::new());
        for (at, claim) in claims.iter().enumerate() {
            if !claim.globs.is_empty() || claim.policy != repo.policy.digest {
                apart.insert(at);
                continue;
            }
            for scope in claim.scopes() {
                by_scope.entry(scope.clone()).or_default().insert(at);
            }
        }
        Self { repo, claims, places, by_scope, apart, closing: BTreeMap::new() }
    }

    /// Those who closed what the claim at a place waits for.
    fn closing(
        &mut self,
        draft: &Draft<'_>,
        at: usize,
        goes_on: &HashSet<Holder>,
    ) -> BTreeSet<Holder> {
        let claim = Arc::clone(&self.claims[at]);
        let mut found = BTreeSet::new();
        for piece in claim.pieces() {
            let key = (piece, claim.mode);
            if !self.closing.contains_key(&key) {
                let wanted = (&key.0, key.1);
                let closing = all_closing(draft, None, &claim.repo, &self.repo.policy, wanted);
                let holders = closing.map(|obstacle| holder(obstacle.holder)).collect();
                self.closing.insert(key.clone(), holders);
            }
            if let Some(holders) = self.closing.get_mut(&key) {
                holders.retain(|it| !goes_on.contains(it));
                found.extend(holders.iter().copied());
            }
        }
        found.remove(&holder(claim.session));
        found
    }

    /// Those before a place who are in the way of the claim there.
    fn before(&mut self, at: usize, goes_on: &HashSet<Holder>) -> Vec<Holder> {
        let Self { repo, claims, by_scope, apart, .. } = self;
        let (policy, claim) = (&repo.policy, &claims[at]);
        let is_known = |at: &usize| goes_on.contains(&holder(claims[*at].session));
        let found: BTreeSet<usize> = if claim.globs.is_empty() {
            let mut found = still_open(apart, at, is_known);
            for name in claim.scopes().flat_map(|it| policy.scopes.conflicting(it.as_str())) {
                if let Some(waiters) = by_scope.get_mut(name) {
                    found.extend(still_open(waiters, at, is_known));
                }
            }
            found
        } else {
            (0..at).filter(|it| !is_known(it)).collect()
        };
        let others = found.into_iter().map(|at| &claims[at]);
        let others = others.filter(|other| other.session != claim.session);
        let others = others.filter(|other| conflicts(policy, other, claim));
        others.map(|other| holder(other.session)).collect()
    }
}

/// Those before a place who are not known to go on; the others are left out from now on.
fn still_open(
    waiters: &mut BTreeSet<usize>,
    before: usize,
    is_known: impl Fn(&usize) -> bool,
) -> BTreeSet<usize> {
    let known: Vec<usize> = waiters.range(..before).copied().filter(|it| is_known(it)).collect();
    for at in known {
        waiters.remove(&at);
    }
    waiters.range(..before).copied().collect()
}

//! Scopes: the map of a repository, and what closes each.

use std::collections::BTreeMap;

use molt_domain::board::Board;
use molt_domain::claim::{self, Claim, Piece, State};
use molt_domain::id::{BoardTime, SessionId};
use molt_domain::policy::Repo;
use molt_domain::scope::{Reach, Scope, ScopeName};

use super::{MAX_ROWS, texts};
use crate::v1;

/// The claims in the way of each scope, by the scope's name.
#[derive(Debug, Default)]
pub(super) struct Closers<'a> {
    closing: BTreeMap<&'a str, Vec<&'a Claim>>,
    waiting: BTreeMap<&'a str, u32>,
}

impl<'a> Closers<'a> {
    pub(super) fn of(board: &'a Board, repo: &'a Repo) -> Self {
        let mut closers = Self { closing: BTreeMap::new(), waiting: BTreeMap::new() };
        for claim in board.tables().claims.values().filter(|claim| claim.repo == repo.name) {
            for name in reached(repo, claim) {
                match claim.state {
                    State::Held { .. } | State::Offered { .. } => {
                        closers.closing.entry(name).or_default().push(claim);
                    }
                    State::Waiting { .. } => *closers.waiting.entry(name).or_default() += 1,
                }
            }
        }
        closers
    }

    /// A claim that closes a scope to `me`; one on that very scope before one that only meets it.
    pub(super) fn of_scope(&self, name: &str, me: Option<SessionId>) -> Option<&'a Claim> {
        let all = self.closing.get(name)?.iter().copied();
        let others = all.filter(|claim| me != Some(claim.session));
        others.min_by_key(|claim| (claim.scopes().all(|held| held.as_str() != name), claim.id))
    }
}

/// The scopes of the policy in force that a claim keeps from others.
fn reached<'a>(repo: &'a Repo, claim: &Claim) -> Vec<&'a str> {
    let policy = &repo.policy;
    let mut names: Vec<&str> = if claim.policy == policy.digest && claim.globs.is_empty() {
        let near = claim.scopes().flat_map(|held| policy.scopes.conflicting(held.as_str()));
        near.map(ScopeName::as_str).collect()
    } else {
        let meeting = |scope: &&Scope| {
            claim::meets(policy, claim, &Piece::Scope(scope.name.clone())).is_some()
        };
        let scopes = policy.scopes.scopes().iter().filter(meeting);
        scopes.map(|scope| scope.name.as_str()).collect()
    };
    names.sort_unstable();
    names.dedup();
    names
}

pub(super) fn scopes(board: &Board, repo: &Repo, now: BoardTime) -> v1::Scopes {
    let closers = Closers::of(board, repo);
    let tree = &repo.policy.scopes;
    let rows = tree.scopes().iter().take(MAX_ROWS).map(|scope| {
        let name = scope.name.as_str();
        v1::ScopeView {
            name: name.to_owned(),
            paths: texts(tree.patterns(name)),
            risk: super::claim::risk(scope.risk).to_owned(),
            carve: scope.reach == Reach::Carve,
            claim: closers.of_scope(name, None).map(|claim| super::claim(board, claim, now)),
            waiting: closers.waiting.get(name).copied().unwrap_or_default(),
            tests: scope.tests.clone(),
        }
    });
    v1::Scopes { scopes: rows.collect() }
}

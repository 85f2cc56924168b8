//! A plan: the ready work of a repository dealt over shares in which no two agents meet.
//!
//! A share is a set of scopes, and the tasks in it are those that touch nothing
//! else: work that is added later finds its share by its scopes. A plan says who
//! begins where, and closes nothing: claims do that. Not here: how work is dealt
//! ([`mod@deal`]).

mod deal;
mod follow;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::id::{BoardTime, SessionId, TaskId};
use crate::name::RepoName;
use crate::scope::{ScopeName, ScopeTree};
use crate::task::Task;

pub use deal::{Deal, Left, deal};
pub(crate) use follow::{Guide, Turn, ended, make};

/// Agents that work is dealt over at most: a person reads the plan, and it is one record.
pub const MAX_AGENTS: u32 = 256;

/// Bytes of a plan's record at most, with every share taken; every record stays below 32 KiB.
pub const MAX_BYTES: usize = 32_000;

/// How the work of a repository was dealt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The repository.
    pub repo: RepoName,
    /// Digest of the policy that says which scopes meet: the plan ends with it.
    pub policy: String,
    /// One for each agent; those for which nothing was left are empty.
    pub shares: Vec<Share>,
    /// Why scopes are in one share that could not be apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<Tie>,
    /// When it was made.
    pub made: BoardTime,
}

/// One agent's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its scopes, in order.
    pub scopes: Vec<ScopeName>,
    /// Who has it: the first who took work of it, until that session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// Two scopes that are in one share because they cannot be apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// The first by name.
    pub left: ScopeName,
    /// The other one.
    pub right: ScopeName,
    /// What ties them.
    pub by: By,
}

/// What ties two scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum By {
    /// One is above the other.
    Family,
    /// A path is in both.
    Overlap {
        /// Such a path.
        witness: String,
    },
    /// A task touches both.
    Task {
        /// The task.
        task: TaskId,
    },
}

impl Plan {
    /// The position of the share of a session.
    #[must_use]
    pub fn share_of(&self, session: SessionId) -> Option<usize> {
        self.shares.iter().position(|share| share.session == Some(session))
    }

    /// The position of the share that a task is in, if it is in one.
    #[must_use]
    pub fn share_with(&self, task: &Task, scopes: &ScopeTree) -> Option<usize> {
        let shares = self.shares.iter().map(|share| share.scopes.as_slice());
        Places::of(shares).share(&task.scopes, scopes)
    }
}

/// Which share each scope is in.
struct Places(HashMap<String, usize>);

impl Places {
    fn of<'a>(shares: impl Iterator<Item = &'a [ScopeName]>) -> Self {
        let named = shares.enumerate();
        let pairs =
            named.flat_map(|(at, scopes)| scopes.iter().map(move |it| (it.to_string(), at)));
        Self(pairs.collect())
    }

    /// The one share that all these scopes are in.
    fn share(&self, wanted: &[ScopeName], scopes: &ScopeTree) -> Option<usize> {
        let mut shares = wanted.iter().map(|name| self.of_scope(name, scopes));
        let first = shares.next()??;
        shares.all(|share| share == Some(first)).then_some(first)
    }

    /// A scope is where it is named, or where one is that covers it.
    fn of_scope(&self, name: &ScopeName, scopes: &ScopeTree) -> Option<usize> {
        let reach = |name: &str| scopes.get(name).map(|scope| scope.reach);
        let own = reach(name.as_str())?;
        let covering = name.ancestors().filter(|above| reach(above) == Some(own));
        let mut names = std::iter::once(name.as_str()).chain(covering);
        names.find_map(|name| self.0.get(name).copied())
    }
}

//! Dealing: which scopes go together, and who gets them. Pure, and the same for the same board.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{By, Places, Tie};
use crate::board::{Board, display_list};
use crate::fault::fault;
use crate::id::TaskId;
use crate::policy::Repo;
use crate::scope::{Conflict, ScopeName, ScopeTree};
use crate::task::{Task, undone};

/// How the open work of a repository is dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal {
    /// The scopes of each share, in order.
    pub shares: Vec<Vec<ScopeName>>,
    /// The ready tasks of each share, in the order in which they are taken.
    pub tasks: Vec<Vec<TaskId>>,
    /// Why scopes are in one share.
    pub ties: Vec<Tie>,
    /// The open tasks that nobody was dealt, and why.
    pub left: Vec<(TaskId, Left)>,
}

/// Why an open task is in nobody's share yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Something that it needs is not done: it is in its share once that is.
    Needs(TaskId),
    /// It touches no scope: whoever is free takes it.
    NoScopes,
    /// The policy has no such scope any more.
    Unknown(ScopeName),
    /// Its scopes are in several shares, and together they would outweigh one.
    Spans(Vec<ScopeName>),
    /// No plan has its scopes: it came later.
    Later,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Needs(task) => write!(f, "needs {task}"),
            Self::NoScopes => f.write_str("touches no scope: anybody takes it"),
            Self::Unknown(scope) => write!(f, "its scope {scope} is not in the policy"),
            Self::Spans(scopes) => {
                write!(f, "is in several shares: {}", display_list(scopes))
            }
            Self::Later => f.write_str("is in no share: anybody takes it"),
        }
    }
}

/// Deals the ready work of a repository over `agents` shares.
///
/// Scopes that meet go together, and so do those of a task as long as they weigh no more than an
/// even share; then the heaviest goes to whoever has least. So no share outweighs another by more
/// than what one group of scopes weighs (Graham's bound for the longest first).
#[must_use]
pub fn deal(board: &Board, repo: &Repo, agents: u32) -> Deal {
    let scopes = &repo.policy.scopes;
    let open: Vec<&Task> = board.open_tasks(&repo.name).collect();
    let known = |task: &&Task| task.scopes.iter().all(|name| scopes.get(name.as_str()).is_some());
    let ready = |task: &Task| undone(board.tables(), task).is_none();
    let dealt = || open.iter().copied().filter(|task| !task.scopes.is_empty() && known(task));
    // What is under way weighs nothing, and stays with who is at it.
    let taken = board.taken_tasks(&repo.name).into_iter().filter(|task| known(task));
    let named = dealt().chain(taken.clone()).flat_map(|task| &task.scopes);
    let names: BTreeSet<&ScopeName> = named.collect();
    let mut groups = Groups::of(names.into_iter().cloned().collect());
    groups.tie_those_that_meet(scopes);
    taken.for_each(|task| groups.tie_all_of(task));
    let work: Vec<&Task> = dealt().filter(|task| ready(task)).collect();
    groups.tie_by_tasks(&work, agents);
    let shares = groups.shares(agents);
    shown(board, repo, shares, groups.ties)
}

/// The deal that shares make of the work as it is now.
pub(super) fn shown(
    board: &Board,
    repo: &Repo,
    shares: Vec<Vec<ScopeName>>,
    ties: Vec<Tie>,
) -> Deal {
    let scopes = &repo.policy.scopes;
    let places = Places::of(shares.iter().map(Vec::as_slice));
    let mut tasks = vec![Vec::new(); shares.len()];
    let mut left = Vec::new();
    for task in board.open_tasks(&repo.name) {
        let unknown = task.scopes.iter().find(|name| scopes.get(name.as_str()).is_none());
        let several = || task.scopes.iter().all(|name| places.of_scope(name, scopes).is_some());
        let why = match (undone(board.tables(), task), unknown) {
            (_, Some(unknown)) => Left::Unknown(unknown.clone()),
            (Some(needed), None) => Left::Needs(needed.id),
            (None, None) if task.scopes.is_empty() => Left::NoScopes,
            (None, None) => match places.share(&task.scopes, scopes) {
                Some(at) => {
                    tasks[at].push(task.id);
                    continue;
                }
                None if several() => Left::Spans(task.scopes.clone()),
                None => Left::Later,
            },
        };
        left.push((task.id, why));
    }
    Deal { shares, tasks, ties, left }
}

/// Scopes that must stay together, with the ready tasks that they weigh.
struct Groups {
    names: Vec<ScopeName>,
    /// The group of each, by the position of one of its names.
    parents: Vec<usize>,
    weights: Vec<usize>,
    ties: Vec<Tie>,
}

impl Groups {
    /// Every scope by itself.
    fn of(names: Vec<ScopeName>) -> Self {
        let parents = (0..names.len()).collect();
        let weights = vec![0; names.len()];
        Self { names, parents, weights, ties: Vec::new() }
    }

    fn root(&self, mut at: usize) -> usize {
        while self.parents[at] != at {
            at = self.parents[at];
        }
        at
    }

    /// Makes one group of two; the first name speaks for both.
    fn join(&mut self, one: usize, other: usize, by: impl FnOnce() -> By) {
        let (left, right) = (self.root(one), self.root(other));
        if left == right {
            return;
        }
        let (first, second) = (left.min(right), left.max(right));
        self.parents[second] = first;
        self.weights[first] += self.weights[second];
        let (left, right) = (self.names[one].clone(), self.names[other].clone());
        self.ties.push(Tie { left, right, by: by() });
    }

    fn place(&self, name: &ScopeName) -> Option<usize> {
        self.names.binary_search(name).ok()
    }

    fn tie_those_that_meet(&mut self, scopes: &ScopeTree) {
        for at in 0..self.names.len() {
            let name = self.names[at].clone();
            for other in scopes.conflicting(name.as_str()) {
                let Some(met) = self.place(other).filter(|met| *met > at) else { continue };
                if fault!(SharesOverlap) && !name.is_ancestor_of(other) {
                    continue;
                }
                self.join(at, met, || match scopes.explain(name.as_str(), other.as_str()) {
                    Some(Conflict::Overlap { witness, .. }) if !name.is_ancestor_of(other) => {
                        By::Overlap { witness }
                    }
                    _ => By::Family,
                });
            }
        }
    }

    /// Weighs every group by its ready tasks, and joins what a task touches where an even share
    /// has room for it.
    fn tie_by_tasks(&mut self, ready: &[&Task], agents: u32) {
        let even = ready.len().div_ceil(agents.max(1) as usize);
        let mut across = Vec::new();
        for task in ready {
            let roots = self.roots_of(task);
            match roots.as_slice() {
                [one] => self.weights[*one] += 1,
                _ => across.push(*task),
            }
        }
        for task in across {
            let roots = self.roots_of(task);
            let weight: usize = roots.iter().map(|root| self.weights[*root]).sum();
            let Some(first) = roots.first().copied() else { continue };
            if roots.len() > 1 && weight + 1 > even {
                continue;
            }
            self.tie_all_of(task);
            let root = self.root(first);
            self.weights[root] += 1;
        }
    }

    fn tie_all_of(&mut self, task: &Task) {
        let places: Vec<usize> = task.scopes.iter().filter_map(|it| self.place(it)).collect();
        for pair in places.windows(2) {
            self.join(pair[0], pair[1], || By::Task { task: task.id });
        }
    }

    fn roots_of(&self, task: &Task) -> Vec<usize> {
        let places = task.scopes.iter().filter_map(|name| self.place(name));
        let roots: BTreeSet<usize> = places.map(|at| self.root(at)).collect();
        roots.into_iter().collect()
    }

    /// The heaviest group to whoever has least, and so on.
    fn shares(&self, agents: u32) -> Vec<Vec<ScopeName>> {
        let mut groups: BTreeMap<usize, Vec<ScopeName>> = BTreeMap::new();
        for (at, name) in self.names.iter().enumerate() {
            groups.entry(self.root(at)).or_default().push(name.clone());
        }
        let mut order: Vec<usize> = groups.keys().copied().collect();
        order.sort_by_key(|root| (Reverse(self.weights[*root]), *root));
        let mut shares: Vec<(usize, Vec<ScopeName>)> =
            vec![(0, Vec::new()); agents.max(1) as usize];
        for root in order {
            let least = shares.iter_mut().min_by_key(|(weight, names)| (*weight, names.len()));
            if let (Some((weight, names)), Some(group)) = (least, groups.remove(&root)) {
                *weight += self.weights[root];
                names.extend(group);
            }
        }
        let sorted = |(_, mut names): (usize, Vec<ScopeName>)| {
            names.sort();
            names
        };
        shares.into_iter().map(sorted).collect()
    }
}

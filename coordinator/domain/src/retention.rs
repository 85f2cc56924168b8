//! What is forgotten, so that nothing on the board grows without bound.
//!
//! Everything here ended, and what happened is in the audit. What is forgotten
//! is at worst done again: a gate is run, a build is made. `docs/records.md`
//! lists the bound of every kind. Not here: cars, which the train forgets as
//! they end, and builds that failed, which are remembered for a span.

use std::collections::BTreeSet;

use crate::board::Draft;
use crate::build::{Build, BuildKey};
use crate::gate::Digest;
use crate::id::TaskId;
use crate::message;
use crate::report::{self, Subject};
use crate::task::{State, Task};

/// Results that are kept, the newest: those of some hundred changes.
pub const RESULTS: usize = 2000;

/// Builds that are kept, the newest.
pub const BUILDS: usize = 1000;

/// Ended tasks that are kept beside those that open tasks need, the newest.
pub const TASKS: usize = 1000;

/// Forgets a bounded number of things that are beyond what is kept.
pub(crate) fn forget(draft: &mut Draft<'_>) {
    answers(draft);
    results(draft);
    builds(draft);
    tasks(draft);
    message::forget(draft);
}

/// The answers of sessions that ended.
fn answers(draft: &mut Draft<'_>) {
    for key in draft.board().index().orphaned_answers().take(draft.room()) {
        draft.tables.answers.delete(&key);
    }
}

fn results(draft: &mut Draft<'_>) {
    let Some(excess) = excess(draft.board().tables().results.len(), RESULTS, draft) else { return };
    let mut known: Vec<(_, Digest)> =
        draft.tables.results.iter().map(|(digest, it)| (it.job, digest.clone())).collect();
    known.sort_unstable();
    for (_, digest) in known.into_iter().take(excess) {
        draft.tables.results.delete(&digest);
    }
}

fn builds(draft: &mut Draft<'_>) {
    let Some(excess) = excess(draft.board().tables().builds.len(), BUILDS, draft) else { return };
    let mut built: Vec<(_, BuildKey)> = Vec::new();
    for (key, build) in draft.tables.builds.iter() {
        if let Build::Built { at, .. } = build {
            built.push((*at, key.clone()));
        }
    }
    built.sort_unstable();
    for (_, key) in built.into_iter().take(excess) {
        draft.tables.builds.delete(&key);
    }
}

fn tasks(draft: &mut Draft<'_>) {
    if excess(draft.board().tables().tasks.len(), TASKS, draft).is_none() {
        return;
    }
    let tasks = || draft.tables.tasks.iter().map(|(_, task)| task);
    let needed: BTreeSet<TaskId> =
        tasks().filter(|task| !is_over(task)).flat_map(|task| &task.needs).copied().collect();
    let over: Vec<TaskId> = tasks()
        .filter(|task| is_over(task) && !needed.contains(&task.id))
        .map(|task| task.id)
        .collect();
    let Some(excess) = excess(over.len(), TASKS, draft) else { return };
    for id in over.into_iter().take(excess) {
        // The task, and what was reported of it.
        if draft.room() < 2 {
            return;
        }
        report::forget(draft, Subject::Task(id));
        draft.tables.tasks.delete(&id);
    }
}

fn is_over(task: &Task) -> bool {
    matches!(task.state, State::Done | State::Failed { .. })
}

/// How many are to be forgotten in this decision, if any.
fn excess(count: usize, kept: usize, draft: &Draft<'_>) -> Option<usize> {
    let excess = count.saturating_sub(kept).min(draft.room());
    (excess > 0).then_some(excess)
}

#[cfg(test)]
mod tests {
    use crate::board::{Board, Change, Command, Now, Request};
    use crate::id::{BoardTime, TaskId};
    use crate::policy::Spans;

    use super::*;

    fn tick(board: &mut Board) {
        let now = Now { board: BoardTime(9), wall: 0 };
        for change in board.decide(&Request::own(Command::Tick), now).unwrap().changes {
            board.apply(change);
        }
    }

    fn task(n: u64, state: State, needs: Vec<TaskId>) -> Change {
        let id = TaskId::from_counter(n);
        let task = Task {
            id,
            repo: "main".parse().unwrap(),
            title: "work".to_owned(),
            body: String::new(),
            priority: 0,
            needs,
            scopes: Vec::new(),
            acceptance: String::new(),
            state,
            losses: 0,
            report: None,
            added: BoardTime(0),
            former: Vec::new(),
            reopened: None,
            by: None,
        };
        Change::Task(id, Some(task.into()))
    }

    #[test]
    fn ended_tasks_go_oldest_first_but_those_that_are_needed_stay() {
        let mut board = Board::new(Spans::default());
        let ended = TASKS as u64 + 3;
        for n in 1..=ended {
            board.apply(task(n, State::Done, Vec::new()));
        }
        board.apply(task(ended + 1, State::Open, vec![TaskId::from_counter(2)]));
        tick(&mut board);
        let gone: Vec<u64> = (1..=ended + 1)
            .filter(|&n| !board.tables().tasks.contains_key(&TaskId::from_counter(n)))
            .collect();
        assert_eq!(gone, [1, 3]);
        tick(&mut board);
        assert_eq!(board.tables().tasks.len(), TASKS + 2);
    }

    #[test]
    fn builds_that_are_there_go_oldest_first() {
        let mut board = Board::new(Spans::default());
        let key = |n: usize| format!("app,{n:08x},dev,here");
        for n in 0..BUILDS + 5 {
            let at = BoardTime((BUILDS + 5 - n) as u64);
            let built = Build::Built { artifacts: None, at };
            let key = BuildKey::try_from(key(n)).unwrap();
            board.apply(Change::Build(key, Some(built.into())));
        }
        tick(&mut board);
        let left: Vec<String> =
            board.tables().builds.keys().map(|key| String::from(key.clone())).collect();
        assert_eq!(left, (0..BUILDS).map(key).collect::<Vec<_>>(), "the last five were the oldest");
    }
}

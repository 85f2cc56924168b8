//! Tasks: what is to be done, and what stands in its way.

use std::cmp::Reverse;

use molt_domain::board::Board;
use molt_domain::id::{BoardTime, SessionId};
use molt_domain::policy::Repo;
use molt_domain::report::{Said, Subject};
use molt_domain::task::{self, State, Task};

use super::scope::Closers;
use super::{MAX_ROWS, name_of, texts};
use crate::v1;

/// Where a task stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Taken { by: SessionId },
    Ready,
    Waiting { reason: String },
    Blocked { reason: String },
    Failed { reason: String },
    Done,
}

impl Standing {
    /// Where a task stands for `me`, whose own claims are in nobody's way.
    fn of(board: &Board, task: &Task, closers: &Closers<'_>, me: Option<SessionId>) -> Self {
        match &task.state {
            State::Open => match hindrance(board, task, closers, me) {
                Some(reason) => Self::Waiting { reason },
                None => Self::Ready,
            },
            State::Taken { session, .. } => Self::Taken { by: *session },
            State::Blocked { reason } => Self::Blocked { reason: reason.clone() },
            State::Done => Self::Done,
            State::Failed { reason } => Self::Failed { reason: reason.clone() },
        }
    }

    /// The place in a list: what moves first, what ended last.
    fn rank(&self) -> u8 {
        match self {
            Self::Taken { .. } => 0,
            Self::Ready => 1,
            Self::Waiting { .. } => 2,
            Self::Blocked { .. } => 3,
            Self::Failed { .. } => 4,
            Self::Done => 5,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Ready => "ready",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::Failed { .. } => "failed",
            Self::Done => "done",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Waiting { reason } | Self::Blocked { reason } | Self::Failed { reason } => reason,
            Self::Taken { .. } | Self::Ready | Self::Done => "",
        }
    }
}

fn hindrance(
    board: &Board,
    task: &Task,
    closers: &Closers<'_>,
    me: Option<SessionId>,
) -> Option<String> {
    let tasks = &board.tables().tasks;
    let mut needed = task.needs.iter().filter_map(|id| tasks.get(id));
    if let Some(undone) = needed.find(|needed| needed.state != State::Done) {
        return Some(task::needs(undone));
    }
    task.scopes.iter().find_map(|scope| {
        let claim = closers.of_scope(scope.as_str(), me)?;
        Some(format!("waits for {scope} of {}", name_of(board, claim.session)))
    })
}

/// What was said of a task by those who had it.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) report: String,
    pub(super) left: String,
    pub(super) full_report: String,
    pub(super) notes: Vec<String>,
}

impl Words {
    pub(super) fn of(board: &Board, task: &Task) -> Self {
        let reported = board.tables().reports.get(&Subject::Task(task.id));
        let text = |said: Option<&Said>| said.map(|said| said.text.clone());
        let line = text(reported.and_then(|it| it.line.as_ref())).or_else(|| task.report.clone());
        let left = task.report.clone().filter(|left| Some(left) != line.as_ref());
        Self {
            report: line.unwrap_or_default(),
            left: left.unwrap_or_default(),
            full_report: text(reported.and_then(|it| it.full.as_ref())).unwrap_or_default(),
            notes: reported
                .into_iter()
                .flat_map(|it| &it.notes)
                .map(|it| it.text.clone())
                .collect(),
        }
    }
}

fn row(board: &Board, task: &Task, standing: &Standing) -> v1::TaskView {
    let holder = match standing {
        Standing::Taken { by } => name_of(board, *by),
        _ => String::new(),
    };
    let Words { report, left, full_report, notes } = Words::of(board, task);
    v1::TaskView {
        report,
        left,
        full_report,
        notes,
        needed: Vec::new(),
        id: task.id.to_string(),
        title: task.title.clone(),
        body: task.body.clone(),
        priority: task.priority,
        needs: texts(&task.needs),
        scopes: texts(&task.scopes),
        acceptance: task.acceptance.clone(),
        state: standing.word().to_owned(),
        holder,
        reason: standing.reason().to_owned(),
        losses: task.losses,
        reopened: task.reopened.clone().unwrap_or_default(),
        claim: None,
        share: String::new(),
    }
}

/// A task as everybody sees it, with the claim that was taken with it.
#[must_use]
pub fn task(board: &Board, task: &Task, now: BoardTime) -> v1::TaskView {
    // What stands in the way matters to an open task alone; finding it reads every claim.
    let repo = board.tables().repos.get(&task.repo).filter(|_| task.state == State::Open);
    let closers = repo.map(|repo| Closers::of(board, repo));
    let standing = Standing::of(board, task, &closers.unwrap_or_default(), None);
    let claim = match task.state {
        State::Taken { claim, .. } => claim.and_then(|id| board.tables().claims.get(&id)),
        State::Open | State::Blocked { .. } | State::Done | State::Failed { .. } => None,
    };
    let claim = claim.map(|claim| super::claim(board, claim, now));
    let share = super::plan::share(board, task);
    v1::TaskView { claim, share, ..row(board, task, &standing) }
}

/// A task with all that is known of it, as `me` sees it.
pub(super) fn whole(
    board: &Board,
    task: &Task,
    me: Option<SessionId>,
    now: BoardTime,
) -> v1::TaskView {
    let tasks = &board.tables().tasks;
    let closers = board
        .tables()
        .repos
        .get(&task.repo)
        .map(|repo| Closers::of(board, repo))
        .unwrap_or_default();
    let standing = |task: &Task| Standing::of(board, task, &closers, me);
    let needed = task.needs.iter().map(|id| {
        let needed = tasks.get(id);
        v1::NeedView {
            id: id.to_string(),
            title: needed.map(|needed| needed.title.clone()).unwrap_or_default(),
            state: needed.map(|needed| standing(needed).word().to_owned()).unwrap_or_default(),
        }
    });
    let needed = needed.collect();
    let own = standing(task);
    v1::TaskView {
        state: own.word().to_owned(),
        reason: own.reason().to_owned(),
        needed,
        ..self::task(board, task, now)
    }
}

/// The tasks of a repository: those in work first, then in the order in which they are taken.
pub(super) fn tasks(board: &Board, repo: &Repo, me: Option<SessionId>) -> v1::Tasks {
    let closers = Closers::of(board, repo);
    let own = board.tables().tasks.values().filter(|task| task.repo == repo.name);
    let mut tasks: Vec<(&Task, Standing)> =
        own.map(|task| (&**task, Standing::of(board, task, &closers, me))).collect();
    tasks.sort_by_key(|(task, standing)| (standing.rank(), Reverse(task.priority), task.id));
    tasks.truncate(MAX_ROWS);
    // A body or report may be as large as a whole list is meant to be: it comes with the task.
    let rows = tasks.iter().map(|(task, standing)| v1::TaskView {
        body: String::new(),
        full_report: String::new(),
        notes: Vec::new(),
        ..row(board, task, standing)
    });
    v1::Tasks { tasks: rows.collect() }
}

/// How many tasks of a repository `me` could take now.
pub(super) fn ready(board: &Board, repo: &Repo, me: Option<SessionId>) -> u32 {
    let closers = Closers::of(board, repo);
    let own = board.tables().tasks.values().filter(|task| task.repo == repo.name);
    super::count(own.filter(|task| Standing::of(board, task, &closers, me) == Standing::Ready))
}

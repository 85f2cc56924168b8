//! Work: what it needs, which scopes it touches, who has it.

use serde::{Deserialize, Serialize};

use crate::board::{Draft, Event, Invalid, Refusal, Reply};
use crate::id::{BoardTime, ClaimId, SessionId, TaskId};
use crate::name::RepoName;
use crate::scope::ScopeName;
use crate::session::Session;
use crate::{claim, lock};

/// Losses after which a task waits for a person.
pub const MAX_LOSSES: u32 = 3;

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The repository.
    pub repo: RepoName,
    /// One line.
    pub title: String,
    /// All that must be known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Higher is taken first.
    pub priority: i32,
    /// What must be done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<TaskId>,
    /// What is claimed with it.
    pub scopes: Vec<ScopeName>,
    /// What must be true when it is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub acceptance: String,
    /// Where it is in its life.
    pub state: State,
    /// How often a holder was lost.
    #[serde(default)]
    pub losses: u32,
    /// The last word of whoever had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// When it was added.
    pub added: BoardTime,
}

/// Where a task is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// To be taken, once what it needs is done.
    Open,
    /// A session works on it.
    Taken {
        /// Who.
        session: SessionId,
        /// Under which claim; `None` when it touches no scope.
        claim: Option<ClaimId>,
        /// Since when.
        since: BoardTime,
    },
    /// It waits for a person.
    Blocked {
        /// Why.
        reason: String,
    },
    /// Done.
    Done,
    /// It cannot be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Work to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// One line.
    pub title: String,
    /// All that must be known.
    pub body: String,
    /// Higher is taken first.
    pub priority: i32,
    /// What must be done before.
    pub needs: Vec<TaskId>,
    /// What is claimed with it.
    pub scopes: Vec<ScopeName>,
    /// What must be true when it is done.
    pub acceptance: String,
}

/// How its holder ends a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is done.
    Done,
    /// It cannot be done.
    Fail(String),
    /// It waits for a person.
    Block(String),
    /// Somebody else may take it.
    Return(String),
}

/// Adds work.
pub(crate) fn add(
    draft: &mut Draft<'_>,
    session: &Session,
    new: &New,
) -> Result<Reply, Box<Refusal>> {
    if new.title.trim().is_empty() {
        return Err(Invalid::field("title", "empty").into());
    }
    lock::limited("title", &new.title, 200)?;
    lock::limited("body", &new.body, 16 * 1024)?;
    lock::limited("acceptance", &new.acceptance, 4096)?;
    let repo = draft.repo(&session.repo)?;
    let policy = &repo.policy;
    if let Some(unknown) = new.scopes.iter().find(|name| policy.scopes.get(name.as_str()).is_none())
    {
        let known: Vec<&str> = policy.scopes.names().map(ScopeName::as_str).collect();
        return Err(lock::unknown("scope", unknown.as_str(), &known));
    }
    let known =
        |id: &TaskId| draft.tables.tasks.get(id).is_some_and(|task| task.repo == session.repo);
    if let Some(unknown) = new.needs.iter().find(|id| !known(id)) {
        return Err(lock::unknown("task", &unknown.to_string(), &[]));
    }
    let id = TaskId::from_counter(draft.number());
    draft.record(Event::TaskAdded {
        task: id,
        repo: session.repo.clone(),
        title: new.title.clone(),
    });
    let New { title, body, priority, needs, scopes, acceptance } = new.clone();
    let task = Task {
        id,
        repo: session.repo.clone(),
        title,
        body,
        priority,
        needs,
        scopes,
        acceptance,
        state: State::Open,
        losses: 0,
        report: None,
        added: draft.now.board,
    };
    draft.tables.tasks.put(id, task);
    Ok(Reply::TaskAdded { task: id })
}

/// Takes the first task that is ready, together with its scopes, in one decision.
pub(crate) fn next(draft: &mut Draft<'_>, session: &Session) -> Result<Reply, Box<Refusal>> {
    if let Some(task) = taken_by(draft, session.id) {
        return Ok(taken(draft, &task));
    }
    let mut open: Vec<Task> = draft
        .tables
        .tasks
        .iter()
        .filter(|(_, task)| task.repo == session.repo && task.state == State::Open)
        .map(|(_, task)| task.clone())
        .collect();
    open.sort_by_key(|task| (std::cmp::Reverse(task.priority), task.id));
    let mut reasons = Vec::new();
    for task in open {
        let id = task.id;
        let hindrance = match hindrance(draft, session, &task) {
            Some(reason) => reason,
            None => match take(draft, session, task) {
                Ok(reply) => return Ok(reply),
                Err(refusal) => first_line(&refusal),
            },
        };
        reasons.push(format!("{id} {hindrance}"));
    }
    reasons.truncate(5);
    Err(Refusal::NothingReady { reasons }.into())
}

/// Why a task cannot be taken by a session now.
fn hindrance(draft: &Draft<'_>, session: &Session, task: &Task) -> Option<String> {
    let undone = task
        .needs
        .iter()
        .find(|id| draft.tables.tasks.get(id).is_some_and(|needed| needed.state != State::Done));
    if let Some(undone) = undone {
        return Some(format!("needs {undone}"));
    }
    let refusal = claim::obstacle(draft, session, &task.scopes)?;
    Some(match *refusal {
        Refusal::ScopeHeld { obstacle, holder, .. } => {
            format!("waits for {} of {holder}", obstacle.held)
        }
        other => first_line(&other),
    })
}

fn first_line(refusal: &Refusal) -> String {
    refusal.to_string().lines().next().unwrap_or_default().to_owned()
}

fn take(draft: &mut Draft<'_>, session: &Session, task: Task) -> Result<Reply, Box<Refusal>> {
    let claim = if task.scopes.is_empty() {
        None
    } else {
        let wanted = claim::Wanted {
            scopes: task.scopes.clone(),
            globs: Vec::new(),
            why: task.title.clone(),
            task: Some(task.id),
            mode: claim::Mode::Exclusive,
            risk: None,
            tests: Vec::new(),
            max: None,
            otherwise: claim::Otherwise::Refuse,
        };
        match claim::claim(draft, session, &wanted)? {
            Reply::Granted { claim, .. } => Some(claim),
            other => unreachable!("a request that may not wait is granted or refused: {other:?}"),
        }
    };
    let (id, now) = (task.id, draft.now.board);
    let claim_id = claim.as_ref().map(|claim| claim.id);
    draft.record(Event::TaskTaken {
        task: id,
        session: session.id,
        name: session.name.clone(),
        claim: claim_id,
    });
    let state = State::Taken { session: session.id, claim: claim_id, since: now };
    let task = Task { state, ..task };
    draft.tables.tasks.put(id, task.clone());
    Ok(Reply::TaskTaken { task: Box::new(task), claim })
}

fn taken_by(draft: &Draft<'_>, id: SessionId) -> Option<Task> {
    let mut tasks = draft.tables.tasks.iter().map(|(_, task)| task);
    tasks.find(|task| matches!(task.state, State::Taken { session, .. } if session == id)).cloned()
}

fn taken(draft: &Draft<'_>, task: &Task) -> Reply {
    let claim = match task.state {
        State::Taken { claim: Some(id), .. } => draft.tables.claims.get(&id).cloned().map(Box::new),
        _ => None,
    };
    Reply::TaskTaken { task: Box::new(task.clone()), claim }
}

/// Ends the task that a session has, and the claim that was taken with it.
pub(crate) fn end(
    draft: &mut Draft<'_>,
    session: &Session,
    id: TaskId,
    end: &End,
) -> Result<Reply, Box<Refusal>> {
    let Some(task) = draft.tables.tasks.get(&id).cloned() else {
        return Err(lock::unknown("task", &id.to_string(), &[]));
    };
    let State::Taken { session: holder, claim, .. } = task.state else {
        let reason = "it is not taken".to_owned();
        return Err(Refusal::Lost { what: id.to_string(), reason }.into());
    };
    if holder != session.id {
        let holder = draft.name_of_session(holder);
        return Err(Refusal::TaskTaken { task: id, holder }.into());
    }
    if let End::Fail(reason) | End::Block(reason) | End::Return(reason) = end {
        lock::limited("reason", reason, 4096)?;
    }
    let (state, report, outcome) = match end {
        End::Done => (State::Done, None, claim::Outcome::Done),
        End::Fail(reason) => {
            (State::Failed { reason: reason.clone() }, Some(reason), claim::Outcome::Dropped)
        }
        End::Block(reason) => {
            (State::Blocked { reason: reason.clone() }, Some(reason), claim::Outcome::Blocked)
        }
        End::Return(reason) => (State::Open, Some(reason), claim::Outcome::Dropped),
    };
    draft.record(Event::TaskEnded {
        task: id,
        state: state.word().to_owned(),
        reason: report.cloned().unwrap_or_default(),
    });
    let report = report.cloned().or_else(|| task.report.clone());
    draft.tables.tasks.put(id, Task { state, report, ..task });
    let held = claim.and_then(|id| draft.tables.claims.get(&id));
    let held = held.map(|claim| (claim.scope_list(), claim.globs.clone()));
    if let Some((scopes, globs)) = held {
        claim::release(draft, session, (&scopes, &globs), outcome)?;
    }
    Ok(Reply::Done)
}

/// Gives back what a session that is gone had taken.
pub(crate) fn give_back(draft: &mut Draft<'_>, session: SessionId, reason: &str) {
    while let Some(task) = taken_by(draft, session) {
        lose(draft, task, reason);
    }
}

/// Gives back the task of a claim that was taken away.
pub(crate) fn give_back_of_claim(draft: &mut Draft<'_>, id: ClaimId, reason: &str) {
    if let Some(task) = of_claim(draft, id) {
        lose(draft, task, reason);
    }
}

/// Opens the task of a claim that its own holder gave back.
pub(crate) fn reopen_of_claim(draft: &mut Draft<'_>, id: ClaimId, outcome: claim::Outcome) {
    if let Some(task) = of_claim(draft, id) {
        let reason = format!("its holder gave the scopes back: {}", outcome.word());
        draft.record(Event::TaskReturned { task: task.id, losses: task.losses, reason });
        draft.tables.tasks.put(task.id, Task { state: State::Open, ..task });
    }
}

/// Gives the task of a claim to whoever the claim goes to.
pub(crate) fn hand_over(
    draft: &mut Draft<'_>,
    id: ClaimId,
    to: &Session,
) -> Result<(), Box<Refusal>> {
    let Some(task) = of_claim(draft, id) else { return Ok(()) };
    if let Some(own) = taken_by(draft, to.id) {
        let problem = format!("{} comes with it, and you have {}: end that first", task.id, own.id);
        return Err(Invalid::field("task", problem).into());
    }
    if let State::Taken { claim, since, .. } = task.state {
        let state = State::Taken { session: to.id, claim, since };
        draft.tables.tasks.put(task.id, Task { state, ..task });
    }
    Ok(())
}

/// Whether a session may claim scopes in the name of a task.
pub(crate) fn may_serve(
    draft: &Draft<'_>,
    session: &Session,
    id: TaskId,
) -> Result<(), Box<Refusal>> {
    let here = draft.tables.tasks.get(&id).filter(|task| task.repo == session.repo);
    let Some(task) = here else {
        return Err(lock::unknown("task", &id.to_string(), &[]));
    };
    match task.state {
        State::Taken { session: holder, .. } if holder != session.id => {
            Err(Refusal::TaskTaken { task: id, holder: draft.name_of_session(holder) }.into())
        }
        State::Done | State::Failed { .. } => {
            Err(Invalid::field("task", format!("{id} is {}", task.state.word())).into())
        }
        State::Taken { .. } | State::Open | State::Blocked { .. } => Ok(()),
    }
}

fn of_claim(draft: &Draft<'_>, id: ClaimId) -> Option<Task> {
    let mut tasks = draft.tables.tasks.iter().map(|(_, task)| task);
    let its = |task: &&Task| matches!(task.state, State::Taken { claim, .. } if claim == Some(id));
    tasks.find(its).cloned()
}

fn lose(draft: &mut Draft<'_>, task: Task, reason: &str) {
    let losses = task.losses + 1;
    // The last word of the holder was for the others; the next one reads it first.
    let claim = match task.state {
        State::Taken { claim, .. } => claim,
        _ => None,
    };
    let said = claim.and_then(|id| draft.tables.announcements.get(&id));
    let said = said.map(|said| said.note.clone()).filter(|note| !note.is_empty());
    let report = said.or_else(|| task.report.clone());
    let state = if losses >= MAX_LOSSES {
        State::Blocked { reason: format!("lost {losses} times, last: {reason}") }
    } else {
        State::Open
    };
    draft.record(Event::TaskReturned { task: task.id, losses, reason: reason.to_owned() });
    draft.tables.tasks.put(task.id, Task { state, losses, report, ..task });
}

impl State {
    /// The state in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken { .. } => "taken",
            Self::Blocked { .. } => "blocked",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

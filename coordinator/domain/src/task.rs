//! Work: what it needs, which scopes it touches, who has it.

mod next;
mod reopen;

use serde::{Deserialize, Serialize};

pub(crate) use self::next::next;
pub(crate) use self::reopen::reopen;
use crate::board::{Draft, Event, Invalid, Refusal, Reply, Tables};
use crate::id::{BoardTime, ClaimId, SessionId, TaskId};
use crate::name::{AgentName, RepoName};
use crate::scope::ScopeName;
use crate::session::Session;
use crate::{claim, lock, message, report};

/// Losses after which a task waits for a person.
pub const MAX_LOSSES: u32 = 3;

/// How many of those who had a task before are remembered.
pub const MAX_FORMER: usize = 4;

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
    /// Who had it before and may not know that, the last [`MAX_FORMER`]: what they still report
    /// is a note.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
    /// Who opened it again after it had waited for a person, and with which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<String>,
    /// Who added it, and is told when it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<SessionId>,
}

/// Somebody who had a task that went on without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// The session.
    pub session: SessionId,
    /// Its agent.
    pub name: AgentName,
    /// Digest of its secret, which proves it when the session is gone.
    pub secret: String,
    /// Until when it had the task.
    pub until: BoardTime,
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
        former: Vec::new(),
        reopened: None,
        by: Some(session.id),
    };
    draft.tables.tasks.put(id, task);
    Ok(Reply::TaskAdded { task: id })
}

/// The first task that a task still needs; one that failed or waits for a person counts too.
pub(crate) fn undone<'a>(tables: &'a Tables, task: &Task) -> Option<&'a Task> {
    let mut needed = task.needs.iter().filter_map(|id| tables.tasks.get(id));
    needed.find(|needed| needed.state != State::Done).map(AsRef::as_ref)
}

/// What stands in the way of a task that needs another one.
#[must_use]
pub fn needs(needed: &Task) -> String {
    match &needed.state {
        State::Failed { .. } => format!("needs {}, which failed", needed.id),
        State::Blocked { .. } => format!("needs {}, which waits for a person", needed.id),
        State::Open | State::Taken { .. } | State::Done => format!("needs {}", needed.id),
    }
}

pub(crate) fn taken_by(draft: &Draft<'_>, id: SessionId) -> Option<Task> {
    let its = |task: &&Task| matches!(task.state, State::Taken { session, .. } if session == id);
    let known = draft.board().index().taken_by(id).filter_map(|id| draft.tables.tasks.get(&id));
    let written = draft.tables.tasks.written().map(|(_, task)| task);
    known.chain(written).filter(its).min_by_key(|task| task.id).cloned()
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
    tell_of_block(draft, &task, &state);
    let former = formers(draft, &task);
    draft.tables.tasks.put(id, Task { state, report, former, ..task });
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
        let former = formers(draft, &task);
        draft.tables.tasks.put(task.id, Task { state: State::Open, former, ..task });
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
        let former = formers(draft, &task);
        draft.tables.tasks.put(task.id, Task { state, former, ..task });
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
    let its = |task: &&Task| matches!(task.state, State::Taken { claim, .. } if claim == Some(id));
    let known = draft.board().index().taken_with(id).filter_map(|id| draft.tables.tasks.get(&id));
    let written = draft.tables.tasks.written().map(|(_, task)| task);
    known.chain(written).filter(its).min_by_key(|task| task.id).cloned()
}

fn lose(draft: &mut Draft<'_>, task: Task, reason: &str) {
    let losses = task.losses + 1;
    // The last word of the holder was for the others; the next one reads it first.
    let claim = match task.state {
        State::Taken { claim, .. } => claim,
        _ => None,
    };
    let said = claim.and_then(|id| draft.tables.announcements.get(&id));
    let said = said.filter(|said| !said.note.is_empty()).map(|said| (said.at, &said.note));
    let reported = report::since(draft, &task).map(|line| (line.at, &line.text));
    let last = said.into_iter().chain(reported).max_by_key(|(at, _)| *at);
    let report = last.map(|(_, text)| text.clone()).or_else(|| task.report.clone());
    let former = formers(draft, &task);
    let state = if losses >= MAX_LOSSES {
        State::Blocked { reason: format!("lost {losses} times, last: {reason}") }
    } else {
        State::Open
    };
    draft.record(Event::TaskReturned { task: task.id, losses, reason: reason.to_owned() });
    tell_of_block(draft, &task, &state);
    draft.tables.tasks.put(task.id, Task { state, losses, report, former, ..task });
}

/// Those who had a task before, once its present holder has it no more.
fn formers(draft: &Draft<'_>, task: &Task) -> Vec<Former> {
    let mut former = task.former.clone();
    let holder = task.holder().and_then(|id| draft.tables.sessions.get(&id));
    if let Some(Session { id, name, secret, .. }) = holder.filter(|_| message::has_words(draft)) {
        let (name, secret) = (name.clone(), secret.clone());
        former.retain(|it| it.session != *id);
        former.push(Former { session: *id, name, secret, until: draft.now.board });
    }
    let excess = former.len().saturating_sub(MAX_FORMER);
    former.drain(..excess);
    former
}

/// Tells whoever added a task that nobody takes it before a person has looked at it.
fn tell_of_block(draft: &mut Draft<'_>, task: &Task, state: &State) {
    if let (State::Blocked { reason }, Some(by)) = (state, task.by) {
        message::notify(draft, by, &task.id, format!("waits for a person: {reason}"));
    }
}

impl Task {
    /// The session that has it.
    #[must_use]
    pub fn holder(&self) -> Option<SessionId> {
        match self.state {
            State::Taken { session, .. } => Some(session),
            State::Open | State::Blocked { .. } | State::Done | State::Failed { .. } => None,
        }
    }
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

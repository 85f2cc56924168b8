//! What an agent reports of its work: a line now and then, and the whole at an end.
//!
//! The line is the seed's micro-report, word for word. A report counts while its
//! session has the task that it is about; one that comes too late, from whoever
//! had the task before, is refused and kept as a note. Not here: files and logs
//! of the worktree.

mod full;
mod late;
mod micro;

use serde::{Deserialize, Serialize};

use crate::board::{Caller, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::id::{BoardTime, SessionId, TaskId};
use crate::lock;
use crate::name::AgentName;
use crate::session::{self, Session};
use crate::task::{self, State, Task};

pub use self::full::Full;
pub use self::micro::{MAX_PART, Micro};

/// Notes that are kept of one task.
pub const MAX_NOTES: usize = 3;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Subject {
    /// A task: the report outlives whoever gave it.
    Task(TaskId),
    /// A session that works without one.
    Session(SessionId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(id) => write!(f, "{id}"),
            Self::Session(id) => write!(f, "{id}"),
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl TryFrom<String> for Subject {
    type Error = crate::id::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.starts_with("ses_") {
            true => text.parse().map(Self::Session),
            false => text.parse().map(Self::Task),
        }
    }
}

/// What was reported of one subject.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Said>,
    /// The last full report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Said>,
    /// What came too late, the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Said>,
}

/// Words of an agent, and when it said them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The words.
    pub text: String,
    /// By whom.
    pub by: AgentName,
    /// When.
    pub at: BoardTime,
}

/// What is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// One line.
    Micro(Micro),
    /// The whole.
    Full(Full),
}

impl Word {
    /// What stands for it in one line, said at a wall time in milliseconds since 1970.
    fn line(&self, wall: u64) -> String {
        match self {
            Self::Micro(micro) => micro.line(wall),
            Self::Full(full) => format!("{}: {}", full.title(), full.status()),
        }
    }
}

/// Takes a report of a session about its task, else about itself.
pub(crate) fn report(
    draft: &mut Draft<'_>,
    caller: &Caller,
    about: Option<TaskId>,
    word: &Word,
) -> Result<Reply, Box<Refusal>> {
    let Caller::Session(shown) = caller else {
        let needs = "a session: run `molt-agent join`".to_owned();
        return Err(Refusal::Forbidden { what: "a report".to_owned(), needs }.into());
    };
    let line = word.line(draft.now.wall);
    let refusal = match session::check(draft.board().tables(), shown) {
        Ok(session) => match subject(draft, &session, about) {
            Ok(subject) => return Ok(take(draft, &session, subject, (word, line))),
            Err(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    late::note(draft, shown, (about, &line), refusal)
}

/// What a session may report about.
fn subject(
    draft: &Draft<'_>,
    session: &Session,
    about: Option<TaskId>,
) -> Result<Subject, Box<Refusal>> {
    let own = task::taken_by(draft, session.id).map(|task| task.id);
    let Some(about) = about else {
        return Ok(own.map_or(Subject::Session(session.id), Subject::Task));
    };
    if own == Some(about) || (fault!(LateReportTaken) && draft.tables.tasks.get(&about).is_some()) {
        return Ok(Subject::Task(about));
    }
    let Some(task) = draft.tables.tasks.get(&about).filter(|task| task.repo == session.repo) else {
        return Err(lock::unknown("task", &about.to_string(), &[]));
    };
    let reason = match task.holder() {
        Some(holder) => format!("{} has it now", draft.name_of_session(holder)),
        None => format!("this session does not have it: it is {}", task.state.word()),
    };
    Err(Refusal::Lost { what: about.to_string(), reason }.into())
}

/// The last line that the present holder of a task reported of it.
pub(crate) fn since<'a>(draft: &'a Draft<'_>, task: &Task) -> Option<&'a Said> {
    let State::Taken { since, .. } = task.state else { return None };
    let reported = draft.tables.reports.get(&Subject::Task(task.id))?;
    reported.line.as_ref().filter(|line| line.at >= since)
}

fn take(
    draft: &mut Draft<'_>,
    session: &Session,
    subject: Subject,
    (word, line): (&Word, String),
) -> Reply {
    let said = |text| Said { text, by: session.name.clone(), at: draft.now.board };
    let mut report = draft.tables.reports.get(&subject).cloned().unwrap_or_default();
    let full = match word {
        Word::Micro(_) => {
            report.line = Some(said(line.clone()));
            None
        }
        Word::Full(full) => {
            report.full = Some(said(full.text().to_owned()));
            Some(blake3::hash(full.text().as_bytes()).to_hex().to_string())
        }
    };
    draft.record(Event::Reported {
        about: subject,
        session: session.id,
        name: session.name.clone(),
        epoch: session.epoch,
        line: line.clone(),
        full,
    });
    draft.tables.reports.put(subject, report);
    Reply::Reported { about: subject, line }
}

/// Forgets what was reported of something that is gone.
pub(crate) fn forget(draft: &mut Draft<'_>, subject: Subject) {
    if draft.tables.reports.get(&subject).is_some() {
        draft.tables.reports.delete(&subject);
    }
}

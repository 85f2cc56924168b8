//! Reports that come too late: refused, and kept as a note.

use super::{MAX_NOTES, Said, Subject};
use crate::board::{Draft, Event, Refusal, Reply};
use crate::id::{SessionId, TaskId};
use crate::message;
use crate::name::AgentName;
use crate::session::Credentials;
use crate::task::{Former, Task};

/// Keeps what somebody says who had the task before and still has what proved it, and tells who
/// has it now; else there is the refusal alone.
pub(super) fn note(
    draft: &mut Draft<'_>,
    shown: &Credentials,
    (about, line): (Option<TaskId>, &str),
    refusal: Box<Refusal>,
) -> Result<Reply, Box<Refusal>> {
    let Refusal::Lost { reason, .. } = &*refusal else { return Err(refusal) };
    let before = task_before(draft, shown, about).filter(|_| message::has_words(draft));
    let Some((task, by)) = before else { return Err(refusal) };
    let (subject, reason) = (Subject::Task(task.id), reason.clone());
    let mut report = draft.tables.reports.get(&subject).cloned().unwrap_or_default();
    let said = |note: &Said| note.text == line && note.by == by;
    if report.notes.iter().any(said) {
        // It was refused before, in the same minute.
        return Ok(Reply::Noted { task: task.id, reason });
    }
    draft.record(Event::ReportRefused {
        task: task.id,
        session: shown.session,
        epoch: shown.epoch,
        line: line.to_owned(),
        reason: reason.clone(),
    });
    report.notes.push(Said { text: line.to_owned(), by: by.clone(), at: draft.now.board });
    let excess = report.notes.len().saturating_sub(MAX_NOTES);
    report.notes.drain(..excess);
    draft.tables.reports.put(subject, report);
    if let Some(holder) = task.holder().filter(|holder| *holder != shown.session) {
        message::notify(draft, holder, &task.id, format!("had a late report of {by}: {line}"));
    }
    Ok(Reply::Noted { task: task.id, reason })
}

/// The task that the bearer of a secret had, or has under a later epoch, and the bearer's name.
fn task_before(
    draft: &Draft<'_>,
    shown: &Credentials,
    about: Option<TaskId>,
) -> Option<(Task, AgentName)> {
    let own = draft.tables.sessions.get(&shown.session);
    let own = own.filter(|session| session.secret == shown.secret);
    let index = draft.board().index();
    let has = own.into_iter().flat_map(|session| index.taken_by(session.id));
    let has = has.filter_map(|id| draft.tables.tasks.get(&id));
    let had = index.had_by(shown.session).filter_map(|id| draft.tables.tasks.get(&id));
    let had =
        had.filter(|task| former(task, shown.session).is_some_and(|it| it.secret == shown.secret));
    let tasks = has.chain(had).filter(|task| about.is_none_or(|about| task.id == about));
    // What it has, else what it had last.
    let task = tasks.max_by_key(|task| {
        let has = own.is_some_and(|session| task.holder() == Some(session.id));
        (has, former(task, shown.session).map(|it| it.until))
    })?;
    let name = own.map(|session| session.name.clone());
    let name = name.or_else(|| former(task, shown.session).map(|it| it.name.clone()))?;
    Some((task.clone(), name))
}

fn former(task: &Task, session: SessionId) -> Option<&Former> {
    task.former.iter().find(|it| it.session == session)
}

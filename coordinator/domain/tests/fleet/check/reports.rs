//! What must hold of reports: who has the task reports of it, and the others leave a note.

use molt_domain::board::{Caller, Change, Event, Reply, Tables};
use molt_domain::report::Subject;

use super::{Checked, Step, ensure};

pub fn reports(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "10 late reports count for nothing";
    for event in step.events {
        let Event::Reported { about: Subject::Task(task), session, .. } = event else { continue };
        let holder = before.tasks.get(task).and_then(|task| task.holder());
        ensure(holder == Some(*session), NAME, || format!("{session} of {task} of {holder:?}"))?;
    }
    let (Reply::Noted { task, .. }, Caller::Session(shown)) = (step.reply, &step.request.caller)
    else {
        return Ok(());
    };
    let note = |change: &Change| match change {
        Change::Report(Subject::Task(of), Some(report)) => {
            let old = before.reports.get(&Subject::Task(*of)).map(|old| (**old).clone());
            let old = old.unwrap_or_default();
            of == task && (&old.line, &old.full) == (&report.line, &report.full)
        }
        Change::Message(..) | Change::Answer(..) => true,
        _ => false,
    };
    ensure(step.changes.iter().all(note), NAME, || format!("{:?}", step.changes))?;
    let proves = |secret: &String| *secret == shown.secret;
    let own = before.sessions.get(&shown.session).map(|session| &session.secret);
    let had = before.tasks.get(task).into_iter().flat_map(|task| &task.former);
    let had = had.filter(|former| former.session == shown.session).map(|former| &former.secret);
    ensure(own.into_iter().chain(had).any(proves), NAME, || format!("{shown:?} proves nothing"))
}

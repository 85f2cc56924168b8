//! A person opens again what waits for one.

use super::{State, Task};
use crate::board::{Actor, Caller, Draft, Event, Refusal, Reply};
use crate::claim;
use crate::id::TaskId;
use crate::lock;

/// Opens a blocked task, as an operator: it may be lost as often as a new one, and whoever takes
/// it reads what the person said.
pub(crate) fn reopen(
    draft: &mut Draft<'_>,
    caller: &Caller,
    actor: &Actor,
    (id, reason): (TaskId, &str),
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, reason)?;
    let Some(task) = draft.tables.tasks.get(&id).cloned() else {
        return Err(lock::unknown("task", &id.to_string(), &[]));
    };
    if !matches!(task.state, State::Blocked { .. }) {
        let (what, given) = (format!("the state of {id}"), "blocked".to_owned());
        return Err(Refusal::Stale { what, given, current: task.state.word().to_owned() }.into());
    }
    draft.record(Event::TaskReopened { task: id, losses: task.losses, reason: reason.to_owned() });
    let reopened = Some(format!("{actor}: {reason}"));
    draft.tables.tasks.put(id, Task { state: State::Open, losses: 0, reopened, ..task });
    Ok(Reply::Done)
}

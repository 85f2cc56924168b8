//! What a command is answered.

use molt_domain::board::{Already, Board, Reply};
use molt_domain::id::{BoardTime, ClaimId, SessionId, TaskId};
use molt_domain::message;
use molt_domain::scope::ScopeName;

use super::Place;
use crate::v1;
use crate::v1::reply::Answer;
use crate::view;

/// The message of an answer, with the names that `board` has for what it speaks of.
///
/// `board` is the committed one, after the command; `term` and `rev` are the leader's term and
/// the number of the commit.
#[must_use]
pub fn reply(reply: &Reply, board: &Board, now: BoardTime, term: u64, rev: u64) -> v1::Reply {
    v1::Reply { term, rev, answer: Some(answer(reply, board, now)) }
}

fn answer(reply: &Reply, board: &Board, now: BoardTime) -> Answer {
    match reply {
        Reply::Done | Reply::Ticked { .. } => Answer::Done(v1::Done {}),
        Reply::Session { id, name, epoch } => Answer::Session(v1::SessionReply {
            id: id.to_string(),
            name: name.to_string(),
            epoch: *epoch,
        }),
        Reply::Granted { claim, already } => Answer::Granted(v1::ClaimView {
            already: *already == Already::Yes,
            ..view::granted(board, claim, now)
        }),
        Reply::Queued { claim, ahead } => Answer::Queued(queued(claim, *ahead)),
        Reply::Released { scopes, globs } => Answer::Released(v1::Released {
            scopes: scopes.iter().map(ScopeName::to_string).collect(),
            globs: globs.iter().map(ToString::to_string).collect(),
        }),
        Reply::Extended { scopes, globs } => Answer::Extended(v1::Extended {
            scopes: scopes.iter().map(ScopeName::to_string).collect(),
            globs: globs.iter().map(ToString::to_string).collect(),
        }),
        Reply::Sent { message, to } => {
            let to = u32::try_from(*to).unwrap_or(u32::MAX);
            Answer::Sent(v1::Sent { id: message.to_string(), to })
        }
        Reply::Inbox { session, after, upto } => {
            Answer::Inbox(view::taken(board, *session, *after, *upto))
        }
        Reply::Reported { about, line } => {
            Answer::Reported(v1::Reported { about: about.to_string(), line: line.clone() })
        }
        Reply::Noted { task, reason } => {
            Answer::Noted(v1::Noted { task: task.to_string(), reason: reason.clone() })
        }
        Reply::TaskAdded { task } => Answer::Task(task_added(board, *task, now)),
        Reply::TaskTaken { task, claim } => Answer::Task(v1::TaskView {
            claim: claim.as_ref().map(|claim| view::claim(board, claim, now)),
            ..view::task(board, task, now)
        }),
        Reply::Held { hold, slot } => {
            Answer::Held(v1::HoldView { slot: *slot, ..view::hold(board, hold) })
        }
        Reply::Waiting { hold, ahead } => Answer::Waiting(queued(hold, *ahead)),
        Reply::Built { artifacts } => {
            Answer::Built(v1::Built { artifacts: artifacts.clone().unwrap_or_default() })
        }
        Reply::Submitted { car, ahead } => Answer::Submitted(queued(car, *ahead)),
        Reply::TokenIssued { token } => Answer::Issued(match board.tables().tokens.get(token) {
            Some(token) => view::token(token, now),
            None => v1::TokenView { id: token.to_string(), ..v1::TokenView::default() },
        }),
    }
}

fn queued(id: &impl ToString, ahead: u32) -> v1::Queued {
    v1::Queued { id: id.to_string(), ahead }
}

/// A task that was just added; a repeated answer may be about one that is gone since.
fn task_added(board: &Board, id: TaskId, now: BoardTime) -> v1::TaskView {
    match board.tables().tasks.get(&id) {
        Some(task) => view::task(board, task, now),
        None => v1::TaskView { id: id.to_string(), ..v1::TaskView::default() },
    }
}

/// What became of a place in line, as the one who attends to it is told.
#[must_use]
pub fn place(board: &Board, place: Place, now: BoardTime) -> v1::Attendance {
    let became = match place {
        Place::Claim(id) => claim_place(board, id, now),
        Place::Hold(id) => view::hold_place(board, id),
        Place::Inbox(id) => inbox_place(board, id),
    };
    v1::Attendance { became: Some(became) }
}

fn inbox_place(board: &Board, id: SessionId) -> v1::attendance::Became {
    use v1::attendance::Became;
    if !board.tables().sessions.contains_key(&id) {
        return Became::Gone(format!("{id} ended"));
    }
    match message::unread(board, id) {
        0 => Became::Waiting(queued(&id, 0)),
        unread => Became::Told(v1::Told { unread: u32::try_from(unread).unwrap_or(u32::MAX) }),
    }
}

fn claim_place(board: &Board, id: ClaimId, now: BoardTime) -> v1::attendance::Became {
    use v1::attendance::Became;
    let Some(claim) = board.tables().claims.get(&id) else {
        return Became::Gone(format!("{id} is not in line any more"));
    };
    let view = view::granted(board, claim, now);
    if claim.is_held() { Became::Granted(view) } else { Became::Waiting(queued(&id, view.ahead)) }
}

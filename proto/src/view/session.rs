//! Sessions: who works where, and who was heard of when.

use molt_domain::board::Board;
use molt_domain::id::{BoardTime, millis};
use molt_domain::policy::Repo;
use molt_domain::session::{Session, State};

use super::MAX_ROWS;
use crate::v1;

/// A session. Its secret's digest is not told.
#[must_use]
pub fn session(board: &Board, session: &Session, now: BoardTime) -> v1::SessionView {
    let (state, until) = match session.state {
        State::Live => ("live", BoardTime(0)),
        State::Parked { until } => ("parked", until),
        State::Lost { grace, .. } => ("lost", grace),
    };
    v1::SessionView {
        id: session.id.to_string(),
        name: session.name.to_string(),
        host: session.host.to_string(),
        state: state.to_owned(),
        epoch: session.epoch,
        seen_ms: millis(now.since(board.heard(session.id))),
        worktree: session.worktree.clone(),
        repo: session.repo.to_string(),
        until_ms: until.0,
        signs: super::texts(board.signs_of(session, now)),
    }
}

/// The sessions of a repository, or of all, by name.
pub(super) fn sessions(board: &Board, repo: Option<&Repo>, now: BoardTime) -> v1::Sessions {
    let all = board.tables().sessions.values();
    let mut sessions: Vec<&Session> = all
        .map(AsRef::as_ref)
        .filter(|session| repo.is_none_or(|repo| session.repo == repo.name))
        .collect();
    sessions.sort_by_key(|session| (&session.repo, &session.name, session.id));
    let rows = sessions.into_iter().take(MAX_ROWS);
    v1::Sessions { sessions: rows.map(|found| session(board, found, now)).collect() }
}

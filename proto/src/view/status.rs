//! Status: the caller's own things, and how many of each there are.

use std::sync::Arc;

use molt_domain::board::Board;
use molt_domain::claim::{Claim, State};
use molt_domain::host;
use molt_domain::id::{BoardTime, SessionId};
use molt_domain::message;
use molt_domain::policy::Repo;
use molt_domain::session;
use molt_domain::task::{self, Task};

use super::count;
use crate::v1;

pub(super) fn status(
    board: &Board,
    repo: &Repo,
    me: Option<SessionId>,
    now: BoardTime,
) -> v1::StatusView {
    let tables = board.tables();
    let claims = || tables.claims.values().filter(|claim| claim.repo == repo.name);
    let mine = claims().filter(|claim| me == Some(claim.session));
    let offered = |claim: &&Arc<Claim>| claim.offer(now).is_some_and(|it| me == Some(it.to));
    let sessions = tables.sessions.values().filter(|session| session.repo == repo.name);
    v1::StatusView {
        repo: repo.name.to_string(),
        branch: repo.branch.clone(),
        base: repo.base.clone(),
        closed: closed(board, repo),
        session: me
            .and_then(|id| tables.sessions.get(&id))
            .map(|session| super::session(board, session, now)),
        claims: mine.map(|claim| super::claim(board, claim, now)).collect(),
        offers: claims().filter(offered).map(|claim| super::claim(board, claim, now)).collect(),
        task: taken_by(board, me).map(|task| super::task(board, task, now)),
        sessions: count(sessions.filter(|session| session.state == session::State::Live)),
        held: count(claims().filter(|claim| claim.is_held())),
        waiting: count(claims().filter(|claim| is_waiting(claim))),
        tasks_ready: super::task::ready(board, repo, me),
        jobs: count(tables.jobs.values().filter(|job| job.repo == repo.name)),
        cars: count(
            tables.cars.values().filter(|car| car.repo == repo.name && car.state.is_open()),
        ),
        unread: me.map_or(0, |me| u32::try_from(message::unread(board, me)).unwrap_or(u32::MAX)),
        risky: me
            .map(|me| super::message::risky(board, me, message::cursor(board, me)))
            .unwrap_or_default(),
        hosts: count(tables.hosts.values().filter(|host| host.state == host::State::Live)),
    }
}

/// Why nothing lands, or nothing is granted at all.
fn closed(board: &Board, repo: &Repo) -> String {
    let rolled_back = board.rolled_back().map(|proof| proof.to_string());
    rolled_back.or_else(|| repo.unreadable.clone()).unwrap_or_default()
}

fn is_waiting(claim: &Claim) -> bool {
    match claim.state {
        State::Waiting { .. } | State::Offered { .. } => true,
        State::Held { .. } => false,
    }
}

fn taken_by(board: &Board, me: Option<SessionId>) -> Option<&Task> {
    let me = me?;
    let mine =
        |task: &&Task| matches!(task.state, task::State::Taken { session, .. } if session == me);
    board.tables().tasks.values().map(AsRef::as_ref).find(mine)
}

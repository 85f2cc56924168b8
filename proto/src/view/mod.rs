//! Answers to queries, worked out from a committed board.
//!
//! Every list is sorted and bounded. Nothing here changes or decides anything;
//! what stands in somebody's way is told as the rules see it. Not here: which
//! board is the committed one, and how its answer reaches the caller.

mod access;
mod audit;
mod beat;
mod car;
mod claim;
mod format;
mod gate;
mod hold;
mod host;
mod message;
mod plan;
mod scope;
mod session;
mod slot;
mod snapshot;
mod status;
mod task;
mod token;

use molt_domain::board::{Board, Caller, Invalid, Refusal};
use molt_domain::id::{BoardTime, CarId, SessionId, TaskId};
use molt_domain::name::RepoName;
use molt_domain::policy::Repo;

pub use self::access::may_read;
pub use self::audit::entry;
pub use self::beat::{Snapshots, beat_reply};
pub use self::car::car;
pub use self::claim::{claim, granted};
pub use self::hold::{hold, hold_place};
pub use self::message::taken;
pub use self::session::session;
pub use self::snapshot::snapshot;
pub use self::task::task;
pub use self::token::token;

use crate::convert;
use crate::v1;
use crate::v1::query::What;
use crate::v1::view::View as Content;

/// Rows of a list at most; a caller who needs all reads the audit.
pub const MAX_ROWS: usize = 500;

/// Answers a query from the committed board.
///
/// # Errors
///
/// A [`Refusal`] that says which field is wrong, or what is not there.
pub fn view(
    board: &Board,
    query: &v1::Query,
    now: BoardTime,
    term: u64,
    rev: u64,
) -> Result<v1::View, Box<Refusal>> {
    let content = content(board, query, now)?;
    Ok(v1::View { term, rev, now_ms: now.0, view: Some(content) })
}

fn content(board: &Board, query: &v1::Query, now: BoardTime) -> Result<Content, Box<Refusal>> {
    let me = asking(query)?;
    let repo = || repo(board, &query.repo, me);
    let what = query.what.as_ref().ok_or_else(|| Invalid::field("what", "missing"))?;
    Ok(match what {
        What::Status(_) => Content::Status(status::status(board, repo()?, me, now)),
        What::Statuses(_) => Content::Statuses(statuses(board, me, now)?),
        What::Scopes(_) => Content::Scopes(scope::scopes(board, repo()?, now)),
        What::Tasks(_) => Content::Tasks(task::tasks(board, repo()?, me)),
        What::Locks(_) => Content::Holds(hold::holds(board, &repo()?.name)),
        What::Slots(_) => Content::Slots(slot::slots(board)),
        What::Queue(_) => Content::Cars(car::cars(board, repo()?)),
        What::Snapshot(_) => Content::Snapshot(snapshot(board, repo()?)),
        What::Sessions(_) => {
            Content::Sessions(session::sessions(board, named(board, &query.repo)?, now))
        }
        What::Why(id) => Content::Why(v1::WhyView { id: id.clone(), facts: board.why(id, now)? }),
        What::Car(id) => Content::Car(one_car(board, id)?),
        What::Task(id) => Content::Task(one_task(board, id, me, now)?),
        What::Digest(_) => Content::Digest(board.digest()),
        What::Tokens(_) => Content::Tokens(token::tokens(board, now)),
        What::Format(_) => Content::Format(format::format(board)),
        What::Inbox(read) => {
            let caller = convert::caller(query.caller.clone())?;
            Content::Inbox(message::inbox(board, &caller, read)?)
        }
        What::Hosts(_) => Content::Hosts(host::hosts(board, repo()?)),
        What::Plan(agents) => Content::Plan(plan::plan(board, repo()?, *agents)?),
    })
}

/// The session that asks, if it is one.
fn asking(query: &v1::Query) -> Result<Option<SessionId>, Box<Refusal>> {
    match convert::caller(query.caller.clone())? {
        Caller::Session(credentials) => Ok(Some(credentials.session)),
        Caller::Operator(_) | Caller::Host(_) | Caller::Coordinator | Caller::Nobody => Ok(None),
    }
}

/// The repository of that name; `None` when none is named.
fn named<'a>(board: &'a Board, name: &str) -> Result<Option<&'a Repo>, Box<Refusal>> {
    if name.is_empty() {
        return Ok(None);
    }
    let name: RepoName =
        name.parse().map_err(|error| Invalid::field("repo", format!("{error}")))?;
    match board.tables().repos.get(&name) {
        Some(repo) => Ok(Some(repo)),
        None => Err(Refusal::NoRepo { repo: name }.into()),
    }
}

/// The status of every repository, by its name.
fn statuses(
    board: &Board,
    me: Option<SessionId>,
    now: BoardTime,
) -> Result<v1::Statuses, Box<Refusal>> {
    let repos = &board.tables().repos;
    if repos.is_empty() {
        return Err(no_base());
    }
    let rows = repos.values().take(MAX_ROWS);
    Ok(v1::Statuses { statuses: rows.map(|repo| status::status(board, repo, me, now)).collect() })
}

fn no_base() -> Box<Refusal> {
    Refusal::Closed { reason: "no repository's base has been read yet".to_owned() }.into()
}

/// The repository that a query is about: the named one, the caller's own, or the only one.
fn repo<'a>(board: &'a Board, name: &str, me: Option<SessionId>) -> Result<&'a Repo, Box<Refusal>> {
    let repos = &board.tables().repos;
    let own = || repos.get(&board.tables().sessions.get(&me?)?.repo).map(AsRef::as_ref);
    if let Some(repo) = named(board, name)?.or_else(own) {
        return Ok(repo);
    }
    let mut all = repos.values();
    match (all.next(), all.next()) {
        (Some(repo), None) => Ok(repo),
        (None, _) => Err(no_base()),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = repos.keys().take(12).map(RepoName::as_str).collect();
            Err(Invalid::field("repo", format!("name one of {}", names.join(" "))).into())
        }
    }
}

fn one_car(board: &Board, id: &str) -> Result<v1::CarView, Box<Refusal>> {
    let parsed: CarId = id.parse().map_err(|error| Invalid::field("car", format!("{error}")))?;
    match board.tables().cars.get(&parsed) {
        Some(found) => Ok(car(board, found)),
        None => {
            let (kind, name) = ("car".to_owned(), id.to_owned());
            Err(Refusal::NotFound { kind, name, nearest: None }.into())
        }
    }
}

fn one_task(
    board: &Board,
    id: &str,
    me: Option<SessionId>,
    now: BoardTime,
) -> Result<v1::TaskView, Box<Refusal>> {
    let parsed: TaskId = id.parse().map_err(|error| Invalid::field("task", format!("{error}")))?;
    match board.tables().tasks.get(&parsed) {
        Some(found) => Ok(task::whole(board, found, me, now)),
        None => {
            let (kind, name) = ("task".to_owned(), id.to_owned());
            Err(Refusal::NotFound { kind, name, nearest: None }.into())
        }
    }
}

/// A number of things on the wire.
fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// The name of a session's agent, or the session's id when it is gone.
fn name_of(board: &Board, session: SessionId) -> String {
    match board.tables().sessions.get(&session) {
        Some(session) => session.name.to_string(),
        None => session.to_string(),
    }
}

/// Things as their texts.
fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

#[cfg(test)]
mod tests;

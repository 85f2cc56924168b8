//! What is kept of a repository at a forge: which one it is, how far its comments were heard, and until when it
//! wants no questions. Not here: what comments say ([`mod@super::hear`]).

use std::time::Duration;

use super::{Desk, ForgeTime};
use crate::board::{Draft, Event, Invalid, Refusal, Reply};
use crate::name::RepoName;

/// The longest time for which a forge is believed that it wants to hear nothing.
const MAX_COOLDOWN: Duration = Duration::from_hours(24);

/// Begins to hear comments: those that come after `comment`, in the repository with this id. A desk
/// that is open stays as it is, but for the id if it has none: that is taken once.
pub(crate) fn open(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    forge_id: Option<u64>,
    comment: u64,
    since: ForgeTime,
) -> Result<Reply, Box<Refusal>> {
    draft.repo(repo)?;
    let desk = match draft.tables.desks.get(repo).cloned() {
        None => Desk { repo: repo.clone(), forge_id, comment, since, cooldown: None },
        Some(desk) if desk.forge_id.is_none() && forge_id.is_some() => Desk { forge_id, ..desk },
        Some(_) => return Ok(Reply::Done),
    };
    draft.record(Event::DeskOpened { repo: repo.clone(), comment: desk.comment });
    draft.tables.desks.put(repo.clone(), desk);
    Ok(Reply::Done)
}

/// Asks nothing of the forge for `span` milliseconds, or longer where that was said before.
pub(crate) fn cool(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    span: u64,
) -> Result<Reply, Box<Refusal>> {
    let desk = desk(draft, repo)?;
    let until = draft.now.board.plus(Duration::from_millis(span).min(MAX_COOLDOWN));
    if desk.cooldown.is_none_or(|before| before < until) {
        draft.record(Event::ForgeCooled { repo: repo.clone(), until: until.0 });
        draft.tables.desks.put(repo.clone(), Desk { cooldown: Some(until), ..desk });
    }
    Ok(Reply::Done)
}

pub(super) fn desk(draft: &Draft<'_>, repo: &RepoName) -> Result<Desk, Box<Refusal>> {
    let missing = || Invalid::field("repo", format!("no desk is open for {repo}")).into();
    draft.tables.desks.get(repo).cloned().ok_or_else(missing)
}

//! Hearing comments: each once, in the order in which they were written.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use molt_domain::board::Command;
use molt_domain::pull::command::{self, Author, hear};
use molt_domain::pull::{Desk, ForgeTime, Heard, Right};
use molt_forge::github::{Cause, GithubError, Operation, shape};
use tracing::warn;

use super::read::{forge_time, heard};
use super::{Memory, Pulls, PullsError};

impl Pulls {
    /// The last comment that was written before we came, which is not ours to hear.
    pub(super) async fn newest_comment(&self) -> Result<(u64, ForgeTime), PullsError> {
        let route = self.slug.route(Operation::COMMENTS).query("sort", "created");
        let route = route.query("direction", "desc");
        let list = self.account.client().list::<shape::Comment>(route, None, |_| false).await?;
        // From the beginning would be to do what was said before anybody asked us.
        let list = list.ok_or_else(|| {
            let message = "a list that was not asked for is unchanged".to_owned();
            let cause = Cause::Unexpected { status: 304, message };
            GithubError { operation: Operation::COMMENTS, cause }
        })?;
        let newest = list.entries.iter().map(|comment| comment.id).max();
        Ok((newest.unwrap_or(0), forge_time(list.date)))
    }

    /// Hears what was written since the last round.
    pub(super) async fn listen(&self, desk: &Desk, memory: &mut Memory) -> Result<(), PullsError> {
        let since =
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(desk.since.0));
        let route = self.slug.route(Operation::COMMENTS).query("since", since);
        let route = route.query("sort", "created").query("direction", "asc");
        let etag = memory.seen.comments.as_ref().filter(|(since, _)| *since == desk.since);
        let etag = etag.map(|(_, etag)| etag.clone());
        let list = self.account.client().list::<shape::Comment>(route, etag.as_deref(), |_| true);
        let Some(list) = list.await? else { return Ok(()) };
        let (mut comments, etag) = (list.entries, list.etag);
        // What was edited since is listed again.
        comments.retain(|comment| comment.id > desk.comment);
        comments.sort_by_key(|comment| comment.id);
        let mut rights = BTreeMap::new();
        // The board is told of chatter only as far as it has to know where to go on.
        let mut chatter = None;
        for comment in comments {
            let Some(number) = comment.number() else { continue };
            let (us, _) = self.account.ourselves().await?;
            let heard = heard(&comment, us, &self.account.handle)?;
            if !is_meant(&heard) {
                chatter = Some((number, heard));
                continue;
            }
            chatter = None;
            let right = self.right_of(&comment, &mut rights, &mut memory.blind).await?;
            self.meet(memory, number, heard.written).await?;
            self.hear(number, Heard { right, ..heard }).await?;
        }
        if let Some((number, last)) = chatter {
            self.hear(number, last).await?;
        }
        // Only once all of them were heard: a round that was broken off reads them again.
        memory.seen.comments = etag.map(|etag| (desk.since, etag));
        Ok(())
    }

    async fn hear(&self, number: u64, comment: Heard) -> Result<(), PullsError> {
        let repo = self.repo.clone();
        self.handle.own(Command::HearComment { repo, number, comment }).await?;
        Ok(())
    }

    /// What a comment's writer may do now, which is asked only of who commands. Whoever is not let
    /// see it takes it for none, and hears what others say all the same.
    async fn right_of(
        &self,
        comment: &shape::Comment,
        rights: &mut BTreeMap<u64, Right>,
        blind: &mut bool,
    ) -> Result<Right, PullsError> {
        let Some(account) = &comment.user else { return Ok(Right::None) };
        if let Some(right) = rights.get(&account.id) {
            return Ok(*right);
        }
        let right = match self.right(account).await {
            Err(PullsError::Github(error)) if matches!(error.cause, Cause::Forbidden { .. }) => {
                if !std::mem::replace(blind, true) {
                    let login = &account.login;
                    warn!(phase = "pulls", repo = %self.repo, login, %error, "whose rights cannot be read has none");
                }
                Right::None
            }
            read => read?,
        };
        rights.insert(account.id, right);
        Ok(right)
    }
}

/// Whether a comment has anything in it that is meant for us, sound or not.
fn is_meant(heard: &Heard) -> bool {
    let comment = command::Comment { by: heard.author, edits: heard.edits, text: &heard.text };
    let commands = hear(&heard.handle, &comment);
    matches!(heard.author, Author::Person(_)) && !matches!(commands, Ok(list) if list.is_empty())
}

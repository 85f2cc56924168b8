//! Seeing heads: which pull requests are there, and where each stands.

use std::collections::BTreeSet;
use std::time::Duration;

use molt_domain::board::Command;
use molt_domain::pull::{ForgeTime, PullKey};
use molt_forge::github::webhook::Dirty;
use molt_forge::github::{Listing, Operation, shape};
use tokio::time::Instant;

use super::read::{commit, forge_time, origin, user};
use super::{Memory, Pulls, PullsError};

/// How often all of them are read, whatever GitHub says has changed.
const WHOLE: Duration = Duration::from_secs(15 * 60);

/// How far the list of pull requests was read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The time of the last change that was seen; later ones are news.
    newest: Option<String>,
    /// By what the list of changes is known again.
    etag: Option<String>,
    /// By what the list of comments since a moment is known again.
    pub(super) comments: Option<(ForgeTime, String)>,
    /// When all were read.
    whole: Option<Instant>,
    /// Heads of which something was said since.
    pub(super) heads: BTreeSet<String>,
    /// Pull requests of which something may be otherwise. What changed twice within a second is
    /// not seen by its time.
    pub(super) pulls: BTreeSet<u64>,
    /// Whether anything may be otherwise, so that everything is judged anew.
    pub(super) anew: bool,
}

impl Seen {
    /// Takes hints: what is listed is listed anyhow, and the rest is judged anew.
    pub(super) fn hinted(&mut self, dirty: &BTreeSet<Dirty>) {
        for hint in dirty {
            match hint {
                Dirty::Head { sha, .. } => drop(self.heads.insert(sha.to_string())),
                Dirty::Pull { number, .. } => drop(self.pulls.insert(*number)),
                Dirty::Branch { .. } => {}
                Dirty::Everything | Dirty::Repository { .. } => {
                    self.whole = None;
                    self.anew = true;
                }
                Dirty::Installation { .. } | Dirty::Rules { .. } => self.anew = true,
            }
        }
    }
}

impl Pulls {
    /// Reads what changed since the last round, or all, and tells the board of new heads.
    pub(super) async fn see(&self, memory: &mut Memory) -> Result<(), PullsError> {
        let all = memory.seen.whole.is_none_or(|at| at.elapsed() >= WHOLE);
        let began = Instant::now();
        let listing = if all { self.all().await? } else { self.changed(memory).await? };
        let Some(listing) = listing else { return Ok(()) };
        for repository in listing.entries.iter().filter_map(|pull| pull.base.repo.as_ref()) {
            self.account.client().recognize(&self.slug, repository)?;
        }
        let at = forge_time(listing.date);
        let listed: BTreeSet<u64> = listing.entries.iter().map(|pull| pull.number).collect();
        let newest = listing.entries.iter().map(|pull| &pull.updated_at).max().cloned();
        for pull in listing.entries {
            let number = pull.number;
            let noted = self.note(memory, pull, at).await;
            self.or_skip(number, noted)?;
        }
        if all {
            self.missing(memory, &listed, at).await?;
            memory.seen.whole = Some(began);
        }
        // Only once all of it is noted: a round that was broken off reads it again.
        memory.seen.newest = memory.seen.newest.take().max(newest);
        memory.seen.etag = if all { None } else { listing.etag };
        Ok(())
    }

    async fn all(&self) -> Result<Option<Listing<shape::Pull>>, PullsError> {
        let route = self.slug.route(Operation::PULLS).query("state", "open");
        let route = route.query("sort", "updated").query("direction", "desc");
        Ok(self.account.client().list(route, None, |_| true).await?)
    }

    /// Pull requests in any state that changed; `None` if none did.
    async fn changed(&self, memory: &Memory) -> Result<Option<Listing<shape::Pull>>, PullsError> {
        let route = self.slug.route(Operation::PULLS).query("state", "all");
        let route = route.query("sort", "updated").query("direction", "desc");
        let (etag, newest) = (memory.seen.etag.as_deref(), memory.seen.newest.as_deref());
        // Times are of one form, which sorts as they do. Of the same second some may be news.
        let is_news = |page: &[shape::Pull]| {
            page.last().is_some_and(|pull| Some(pull.updated_at.as_str()) >= newest)
        };
        Ok(self.account.client().list(route, etag, is_news).await?)
    }

    /// What the board knows of and the list has no more: closed, or gone.
    async fn missing(
        &self,
        memory: &mut Memory,
        listed: &BTreeSet<u64>,
        at: ForgeTime,
    ) -> Result<(), PullsError> {
        memory.pulls.retain(|number, _| listed.contains(number));
        let known = self.on_board().await?;
        for number in known.into_keys().filter(|number| !listed.contains(number)) {
            match self.pull(number).await? {
                Some(pull) => self.note(memory, pull, at).await?,
                None => self.forget(memory, number).await?,
            }
        }
        Ok(())
    }

    /// Takes note of a pull request as it was read at `at`.
    async fn note(
        &self,
        memory: &mut Memory,
        pull: shape::Pull,
        at: ForgeTime,
    ) -> Result<(), PullsError> {
        let number = pull.number;
        let is_ours = pull.state == "open" && pull.base.branch == self.branch;
        let shows = if is_ours { self.shown_by(&pull).await? } else { None };
        if let Some(car) = shows
            && !self.is_known(number).await?
        {
            return self.opened(memory, car, pull, at).await;
        }
        let before = memory.pulls.get(&number);
        if is_ours && before.is_none_or(|before| before.head.sha != pull.head.sha) {
            self.tell_head(&pull, at).await?;
        }
        if is_ours || self.is_known(number).await? {
            memory.pulls.insert(number, pull);
        } else {
            memory.pulls.remove(&number);
        }
        Ok(())
    }

    async fn tell_head(&self, pull: &shape::Pull, at: ForgeTime) -> Result<(), PullsError> {
        let command = Command::SeePull {
            repo: self.repo.clone(),
            number: pull.number,
            head: commit(&pull.head.sha)?,
            at,
            origin: origin(pull),
            opened_by: user(pull.user.as_ref()),
        };
        self.tell_board(pull.number, command).await
    }

    /// Makes sure that a pull request is known before it is spoken of, if it is one: it may have
    /// been opened after the list was read, or be for another branch, of which whoever commands is
    /// told. That its head was there before the word is not said.
    pub(super) async fn meet(
        &self,
        memory: &mut Memory,
        number: u64,
        word: ForgeTime,
    ) -> Result<(), PullsError> {
        if self.is_known(number).await? {
            return Ok(());
        }
        match self.pull(number).await? {
            Some(pull) if pull.state == "open" => {
                self.tell_head(&pull, word).await?;
                memory.pulls.insert(number, pull);
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn is_known(&self, number: u64) -> Result<bool, PullsError> {
        let key = PullKey::of(&self.repo, number);
        let read = self.handle.read(move |at| at.board.tables().pulls.contains_key(&key));
        Ok(read.await?)
    }
}

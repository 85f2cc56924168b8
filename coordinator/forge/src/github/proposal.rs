//! Opening and closing pull requests: each once, whatever happens in between.
//!
//! One that was opened is found again by its branch and by what the caller knows of it. GitHub has at
//! most one open pull request from a branch to a base, so even a request that arrives late opens no
//! second one. Texts come ready to be shown (`molt-domain`).

use serde_json::json;

use super::client::Client;
use super::error::{Cause, GithubError};
use super::listing::Listing;
use super::operation::Operation;
use super::place::Slug;
use super::shape::Pull;

/// A pull request that is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// One line.
    pub title: &'a str,
    /// The rest, in Markdown.
    pub body: &'a str,
    /// The branch that is to land, in the repository itself.
    pub head: &'a str,
    /// Where it is to land.
    pub base: &'a str,
}

impl Client {
    /// Opens a pull request. Where the answer is lost, or it is refused because there is one, it is
    /// the one from its branch that `is_it` says so of.
    ///
    /// # Errors
    ///
    /// It was not opened; or, if the error [may have changed](GithubError::may_have_changed)
    /// something, nobody knows.
    pub async fn open_pull(
        &self,
        place: &Slug,
        proposal: Proposal<'_>,
        is_it: impl Fn(&Pull) -> bool + Sync,
    ) -> Result<Pull, GithubError> {
        let Proposal { title, body, head, base } = proposal;
        let body = json!({"title": title, "body": body, "head": head, "base": base});
        let look = || self.pull_from(place, head, &is_it);
        let opened = self.ensure(place.route(Operation::OPEN_PULL).body(body), look).await;
        let pull = match opened {
            // A list may lack what was opened a moment ago, by whoever led before.
            Err(error) if matches!(error.cause, Cause::Invalid { .. }) => {
                look().await?.ok_or(error)?
            }
            opened => opened?,
        };
        if let Some(repository) = &pull.base.repo {
            self.recognize(place, repository)?;
        }
        Ok(pull)
    }

    async fn pull_from(
        &self,
        place: &Slug,
        head: &str,
        is_it: &(impl Fn(&Pull) -> bool + Sync),
    ) -> Result<Option<Pull>, GithubError> {
        Ok(self.pulls_from(place, head).await?.entries.into_iter().find(is_it))
    }

    /// The pull requests from a branch of the repository itself, those that are closed too.
    ///
    /// # Errors
    ///
    /// As [`Client::list`].
    pub async fn pulls_from(&self, place: &Slug, head: &str) -> Result<Listing<Pull>, GithubError> {
        loop {
            let owner = self.called(place).owner().to_owned();
            let route = place.route(Operation::PULLS).query("state", "all");
            let found = self.whole(route.query("head", format!("{owner}:{head}"))).await?;
            // Whoever was led to another owner has asked for the branch of the one before.
            if self.called(place).owner() == owner {
                return Ok(found);
            }
        }
    }

    /// Closes a pull request, which may be done twice.
    ///
    /// # Errors
    ///
    /// It was not closed.
    pub async fn close_pull(&self, place: &Slug, number: u64) -> Result<Pull, GithubError> {
        let route = place.route(Operation::EDIT_PULL).with("pull_number", number);
        self.repeat(route.body(json!({"state": "closed"}))).await
    }
}

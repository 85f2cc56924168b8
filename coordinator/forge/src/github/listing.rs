//! Lists that are read from the top: the newest first, as far down as somebody wants to know.

use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::client::{Client, PAGE};
use super::error::{Cause, GithubError};
use super::operation::Route;

/// The beginning of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// Its entries, in GitHub's order.
    pub entries: Vec<T>,
    /// By what its first page is known again.
    pub etag: Option<String>,
    /// When it was so, by GitHub's clock: the date of the first page.
    pub date: SystemTime,
}

impl Client {
    /// Reads a list to its end as it is now.
    ///
    /// # Errors
    ///
    /// As [`Client::list`].
    pub async fn whole<T: DeserializeOwned>(
        &self,
        route: Route,
    ) -> Result<Listing<T>, GithubError> {
        let operation = route.operation();
        let unasked = || {
            let message = "a list that was not asked for is unchanged".to_owned();
            GithubError { operation, cause: Cause::Unexpected { status: 304, message } }
        };
        self.list(route, None, |_| true).await?.ok_or_else(unasked)
    }

    /// Reads a list page after page, for as long as `goes_on` says so of a page and there is
    /// another one; `None` if its first page is still what `etag` names.
    ///
    /// # Errors
    ///
    /// As [`Client::read`]; a list of which a page is missing is none, nor is one without a date.
    pub async fn list<T: DeserializeOwned>(
        &self,
        route: Route,
        etag: Option<&str>,
        goes_on: impl Fn(&[T]) -> bool,
    ) -> Result<Option<Listing<T>>, GithubError> {
        let operation = route.operation();
        let failed = |cause| GithubError { operation, cause };
        let mut route = route.query("per_page", PAGE);
        let mut answer = self.ask(&route, etag).await?;
        if answer.status == 304 {
            return Ok(None);
        }
        let undated =
            || failed(Cause::Unreadable { detail: "an answer without a date".to_owned() });
        let date = answer.head.date.ok_or_else(undated)?;
        let etag = answer.head.etag.take();
        let mut entries = Vec::new();
        loop {
            let page: Vec<T> = answer.read().map_err(failed)?;
            let next = answer.head.next.take().filter(|_| goes_on(&page));
            entries.extend(page);
            let Some(next) = next else { return Ok(Some(Listing { entries, etag, date })) };
            route = route.at(&next);
            answer = self.ask(&route, None).await?;
        }
    }
}

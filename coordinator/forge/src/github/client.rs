//! Asks GitHub, with a policy for each operation: reads are asked again where no answer came, and
//! for changes somebody looks first.

use std::time::Duration;

use molt_retry::{Next, Policy, retry};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::answer::Answer;
use super::credentials::{Credentials, Rights};
use super::error::{Cause, GithubError};
use super::governor::Governor;
use super::kept::{self, Kept};
use super::line::Line;
use super::names::{Names, repository_of};
use super::operation::{As, Operation, Route};
use super::place::Slug;
use super::shape::Repository;
use super::transport::Transport;

/// So many entries come on a page, which is the most that GitHub gives.
pub(super) const PAGE: u32 = 100;

/// How often a change is sent that did not happen.
const SENDINGS: u32 = 3;

/// How long to wait before each look at whether a change happened: what was made a moment ago may
/// be missing in a list (B30).
const LOOKS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1500)];

/// One account at GitHub.
#[derive(Debug)]
pub struct Client {
    line: Line,
    credentials: Credentials,
    names: Names,
    kept: Kept,
}

impl Client {
    /// A client that asks by these credentials.
    #[must_use]
    pub fn new(transport: Transport, credentials: Credentials) -> Self {
        let (names, kept) = (Names::default(), Kept::default());
        Self { line: Line::new(transport), credentials, names, kept }
    }

    /// By what right it asks.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How much it asks.
    #[must_use]
    pub fn governor(&self) -> &Governor {
        self.line.governor()
    }

    /// What the App was granted where it is installed; `None` for a personal token.
    ///
    /// # Errors
    ///
    /// No token was to be had.
    pub async fn rights(&self) -> Result<Option<Rights>, GithubError> {
        self.credentials.rights(&self.line).await
    }

    /// The token that git is let in with. `again` says that the last one was refused, so that an
    /// installation makes another one.
    ///
    /// # Errors
    ///
    /// None was to be had.
    pub async fn token(&self, again: bool) -> Result<SecretString, GithubError> {
        self.credentials.token(&self.line, again).await
    }

    /// Reads one thing.
    ///
    /// # Errors
    ///
    /// It is not to be had, or is of a shape that nobody knows.
    pub async fn read<T: DeserializeOwned>(&self, route: Route) -> Result<T, GithubError> {
        let operation = route.operation();
        let answer = self.ask(&route, None).await?;
        answer.read().map_err(|cause| GithubError { operation, cause })
    }

    /// Reads one thing, unless it is what `etag` names: `None` then, which costs nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::read`].
    pub async fn read_changed<T: DeserializeOwned>(
        &self,
        route: Route,
        etag: Option<&str>,
    ) -> Result<Option<(T, Option<String>)>, GithubError> {
        let operation = route.operation();
        let answer = self.ask(&route, etag).await?;
        if answer.status == 304 {
            return Ok(None);
        }
        let value = answer.read().map_err(|cause| GithubError { operation, cause })?;
        Ok(Some((value, answer.head.etag)))
    }

    /// Reads a list to its end, page after page. `list` takes a page apart.
    ///
    /// # Errors
    ///
    /// As [`Client::read`]; a list of which a page is missing is none.
    pub async fn pages<P: DeserializeOwned, T>(
        &self,
        route: Route,
        list: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, GithubError> {
        let operation = route.operation();
        let mut route = route.query("per_page", PAGE);
        let mut all = Vec::new();
        loop {
            let answer = self.ask(&route, None).await?;
            let page = answer.read().map_err(|cause| GithubError { operation, cause })?;
            all.extend(list(page));
            match &answer.head.next {
                Some(next) => route = route.at(next),
                None => return Ok(all),
            }
        }
    }

    /// Changes something that can be sent once alone. Where it is not known whether it happened,
    /// `look` says: what is there is the outcome, and what is not is sent again.
    ///
    /// # Errors
    ///
    /// It did not happen; or, if the error [may have changed](GithubError::may_have_changed)
    /// something, nobody knows.
    pub async fn ensure<T: DeserializeOwned, F>(
        &self,
        route: Route,
        look: impl Fn() -> F,
    ) -> Result<T, GithubError>
    where
        // No `AsyncFn`: the compiler cannot yet show that such a closure's future may be sent.
        F: Future<Output = Result<Option<T>, GithubError>>,
    {
        let mut sent = 0;
        loop {
            sent += 1;
            let error = match self.read(route.clone()).await {
                Ok(made) => return Ok(made),
                Err(error) if !error.may_have_changed() => return Err(error),
                Err(error) => error,
            };
            for wait in LOOKS {
                sleep(wait).await;
                if let Some(made) = look().await? {
                    return Ok(made);
                }
            }
            if sent == SENDINGS {
                return Err(error);
            }
        }
    }

    /// Changes something that may be changed so twice.
    ///
    /// # Errors
    ///
    /// As [`Client::ensure`].
    pub async fn repeat<T: DeserializeOwned>(&self, route: Route) -> Result<T, GithubError> {
        for _ in 1..SENDINGS {
            match self.read(route.clone()).await {
                Err(error) if error.may_have_changed() => {}
                settled => return settled,
            }
        }
        self.read(route).await
    }

    /// One answer, or why there is none. A read is asked again while GitHub is in trouble. Without
    /// an `etag` there is an answer in any case, and what is as it was may cost nothing.
    ///
    /// # Errors
    ///
    /// See [`Cause`].
    pub async fn ask(&self, route: &Route, etag: Option<&str>) -> Result<Answer, GithubError> {
        if etag.is_some() {
            return self.asked(route, etag).await;
        }
        let before = self.kept.of(route);
        let known = before.as_ref().and_then(|before| before.head.etag.as_deref());
        let answer = self.asked(route, known).await?;
        match before.filter(|_| answer.status == 304) {
            Some(before) => Ok(kept::again(before, answer.head)),
            None => {
                self.kept.take(route, &answer);
                Ok(answer)
            }
        }
    }

    async fn asked(&self, route: &Route, etag: Option<&str>) -> Result<Answer, GithubError> {
        if route.operation().effect.changes() {
            return self.once(route, etag).await;
        }
        let again = |error: GithubError| match error.cause.is_passing() {
            true => Next::Again(error),
            false => Next::Stop(error),
        };
        let asked = retry(Policy::FORGE_READ, || self.once(route, etag), again).await;
        asked.map_err(molt_retry::Failed::into_error)
    }

    /// From now on `place` is the repository with this id, whatever it is called.
    pub fn expect(&self, place: &Slug, id: u64) {
        self.names.expect(place, id);
    }

    /// What the repository at `place` is called now, as far as it was read.
    #[must_use]
    pub fn called(&self, place: &Slug) -> Slug {
        self.names.now(place)
    }

    /// Reads the repository, and takes its name for all that is asked of it afterwards.
    ///
    /// # Errors
    ///
    /// It is not to be had; or another one is there, which is nothing to go on with
    /// ([`Cause::Replaced`]).
    pub async fn look(&self, place: &Slug) -> Result<Repository, GithubError> {
        let repository = self.read(place.route(Operation::REPOSITORY)).await?;
        self.recognize(place, &repository)?;
        Ok(repository)
    }

    /// Takes the name of a repository that something which was read is of.
    ///
    /// # Errors
    ///
    /// It is another one ([`Cause::Replaced`]).
    pub fn recognize(&self, place: &Slug, read: &Repository) -> Result<(), GithubError> {
        let failed = |cause| GithubError { operation: Operation::REPOSITORY, cause };
        self.names.take(place, read).map_err(failed)
    }

    /// One answer. Where the repository has another name by now, it is asked by that: it was done
    /// nothing at the old one.
    async fn once(&self, route: &Route, etag: Option<&str>) -> Result<Answer, GithubError> {
        let now = route.place().map(|place| route.called(&self.names.now(place)));
        let error = match self.sent(now.as_ref().unwrap_or(route), etag).await {
            Err(error) if matches!(error.cause, Cause::Moved { .. }) => error,
            settled => return settled,
        };
        match self.moved(route, &error).await? {
            Some(route) => self.sent(&route, etag).await,
            None => Err(error),
        }
    }

    /// The same request where its repository is now, once somebody looked that it is the same one;
    /// `None` if GitHub names no place where a token may go.
    async fn moved(
        &self,
        route: &Route,
        error: &GithubError,
    ) -> Result<Option<Route>, GithubError> {
        let Cause::Moved { to: Some(to) } = &error.cause else { return Ok(None) };
        let (Some(place), Some(path)) = (route.place(), self.line.within(to)) else {
            return Ok(None);
        };
        if route.operation().by == As::App {
            // The App by itself may read no repository, and changes none.
            return Ok(Some(route.at(path)));
        }
        let Some(repository) = repository_of(path) else { return Ok(None) };
        let look = Operation::REPOSITORY.route().at(&repository);
        let read = self.sent(&look, None).await?.read();
        let read = read.map_err(|cause| GithubError { operation: look.operation(), cause })?;
        self.recognize(place, &read)?;
        Ok(Some(route.called(&self.names.now(place))))
    }

    async fn sent(&self, route: &Route, etag: Option<&str>) -> Result<Answer, GithubError> {
        let operation = route.operation();
        let answer = self.credentials.exchange(&self.line, route, etag).await?;
        match answer.cause() {
            None => Ok(answer),
            Some(cause) => Err(GithubError { operation, cause }),
        }
    }
}

//! By what right requests are made: an App's installation, or a personal token.
//!
//! An installation's token is good for an hour. It is made anew before that is over, by one request
//! however many want it; a 401 makes it anew as well, since nothing was done then. The App's own
//! tokens go by GitHub's clock, which every answer tells, so that a clock of ours that is off is no
//! trouble. Tokens are asked for by the same line as everything else, so not while GitHub wants to hear
//! nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::Answer;
use super::app::App;
use super::clock::Clock;
use super::error::{Cause, GithubError};
use super::line::Line;
use super::operation::{As, Operation, Route};

/// A token is made anew so long before its end.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// How long a token is taken for good whose end cannot be read.
const UNREAD: Duration = Duration::from_secs(10 * 60);

/// Clocks that differ by less are in step: an App's token covers that.
const IN_STEP: i64 = 30;

/// What we may do, by GitHub's names: `contents` is `write`.
pub type Rights = BTreeMap<String, String>;

/// Who asks.
#[derive(Debug)]
pub struct Credentials {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Personal(SecretString),
    App(Box<Installed>),
}

/// An App where it is installed.
#[derive(Debug)]
struct Installed {
    app: App,
    installation: u64,
    clock: Clock,
    /// GitHub's clock less ours, in seconds.
    ahead: AtomicI64,
    token: Mutex<Option<Token>>,
}

/// An installation's token.
#[derive(Debug, Clone)]
struct Token {
    secret: SecretString,
    rights: Rights,
    renew_at: Instant,
}

/// What GitHub answers when it makes a token.
#[derive(Deserialize)]
struct Made {
    token: String,
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    permissions: Rights,
}

impl Credentials {
    /// A person's or a robot's own token.
    #[must_use]
    pub fn personal(token: SecretString) -> Self {
        Self { kind: Kind::Personal(token) }
    }

    /// An App's installation.
    #[must_use]
    pub fn installation(app: App, installation: u64, clock: Clock) -> Self {
        let (ahead, token) = (AtomicI64::new(0), Mutex::new(None));
        let installed = Installed { app, installation, clock, ahead, token };
        Self { kind: Kind::App(Box::new(installed)) }
    }

    /// Whether it is an App that asks: it alone has check runs.
    #[must_use]
    pub fn is_app(&self) -> bool {
        matches!(self.kind, Kind::App(_))
    }

    /// What the installation was granted; `None` for a personal token, which tells nobody.
    pub(super) async fn rights(&self, line: &Line) -> Result<Option<Rights>, GithubError> {
        match &self.kind {
            Kind::Personal(_) => Ok(None),
            Kind::App(installed) => Ok(Some(installed.token(line).await?.rights)),
        }
    }

    /// The token of whoever asks, for git. `again` gives the one up that was given last.
    pub(super) async fn token(
        &self,
        line: &Line,
        again: bool,
    ) -> Result<SecretString, GithubError> {
        match &self.kind {
            Kind::Personal(token) => Ok(token.clone()),
            Kind::App(installed) => {
                if again {
                    installed.token.lock().await.take();
                }
                Ok(installed.token(line).await?.secret)
            }
        }
    }

    /// Sends a request with what it needs, and once more with a new token where the old one was
    /// refused.
    pub(super) async fn exchange(
        &self,
        line: &Line,
        route: &Route,
        etag: Option<&str>,
    ) -> Result<Answer, GithubError> {
        let operation = route.operation();
        let failed = |cause| GithubError { operation, cause };
        let installed = match &self.kind {
            Kind::Personal(token) => {
                return line.exchange(route, token, etag).await.map_err(failed);
            }
            Kind::App(installed) => installed,
        };
        let bearer = installed.bearer(line, operation).await?;
        let answer = line.exchange(route, &bearer, etag).await.map_err(failed)?;
        if answer.status != 401 || !installed.mended(&answer, operation.by).await {
            return Ok(answer);
        }
        let bearer = installed.bearer(line, operation).await?;
        line.exchange(route, &bearer, etag).await.map_err(failed)
    }
}

impl Installed {
    async fn bearer(&self, line: &Line, operation: Operation) -> Result<SecretString, GithubError> {
        match operation.by {
            As::App => self.signed(operation),
            As::Installation => Ok(self.token(line).await?.secret),
        }
    }

    /// The App's own token.
    fn signed(&self, operation: Operation) -> Result<SecretString, GithubError> {
        self.app.token(self.now()).map_err(|error| {
            let cause = Cause::Unauthorized { message: error.to_string() };
            GithubError { operation, cause }
        })
    }

    /// The time by GitHub's clock.
    fn now(&self) -> SystemTime {
        let (now, ahead) = (self.clock.now(), self.ahead.load(Ordering::Relaxed));
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now.checked_sub(by).unwrap_or(now) } else { now + by }
    }

    /// Whether another attempt can do better after a 401: a token that ended, or a clock off.
    async fn mended(&self, answer: &Answer, by: As) -> bool {
        match by {
            As::Installation => self.token.lock().await.take().is_some(),
            As::App => self.set_clock(answer),
        }
    }

    /// Takes GitHub's clock for ours; whether they differed.
    fn set_clock(&self, answer: &Answer) -> bool {
        let Some(theirs) = answer.head.date else { return false };
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let ahead = match theirs.duration_since(self.clock.now()) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        };
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        (ahead - before).abs() > IN_STEP
    }

    /// The installation's token. Whoever comes while it is made waits for that one.
    async fn token(&self, line: &Line) -> Result<Token, GithubError> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let made = self.make(line).await?;
        Ok(token.insert(made).clone())
    }

    async fn make(&self, line: &Line) -> Result<Token, GithubError> {
        let operation = Operation::TOKEN;
        let failed = |cause| GithubError { operation, cause };
        let route = operation.route().with("installation_id", self.installation);
        let send = async || {
            let bearer = self.signed(operation)?;
            line.exchange(&route, &bearer, None).await.map_err(failed)
        };
        let mut answer = send().await?;
        if answer.status == 401 && self.set_clock(&answer) {
            answer = send().await?;
        }
        if let Some(cause) = answer.cause() {
            return Err(failed(cause));
        }
        let made: Made = answer.read().map_err(failed)?;
        let now = answer.head.date.unwrap_or_else(|| self.now());
        let end = humantime::parse_rfc3339(&made.expires_at).ok();
        let life = end.and_then(|end| end.duration_since(now).ok()).unwrap_or(UNREAD);
        Ok(Token {
            secret: made.token.into(),
            rights: made.permissions,
            renew_at: Instant::now() + life.saturating_sub(EARLY),
        })
    }
}

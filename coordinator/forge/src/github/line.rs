//! The one way out to GitHub: each request waits for its turn, and what an answer says of GitHub's
//! limits is heeded, whoever asks and for what.
//!
//! Not here: by what right a request is made ([`super::credentials`]), and what its answer means
//! otherwise ([`super::client`]).

use secrecy::SecretString;

use super::answer::Answer;
use super::error::Cause;
use super::governor::Governor;
use super::operation::Route;
use super::transport::Transport;

/// Where requests go out, one account's all.
#[derive(Debug)]
pub(super) struct Line {
    transport: Transport,
    governor: Governor,
}

impl Line {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, governor: Governor::default() }
    }

    pub(super) fn governor(&self) -> &Governor {
        &self.governor
    }

    /// Path and query of an address of this API; `None` for any other.
    pub(super) fn within<'a>(&self, address: &'a str) -> Option<&'a str> {
        self.transport.within(address)
    }

    /// Sends a request once, when it may go.
    ///
    /// # Errors
    ///
    /// No answer came, or none but that too much was asked, by this request or an earlier one.
    pub(super) async fn exchange(
        &self,
        route: &Route,
        bearer: &SecretString,
        etag: Option<&str>,
    ) -> Result<Answer, Cause> {
        let operation = route.operation();
        let _going = self.governor.admit(operation.effect).await?;
        let answer = self.transport.exchange(route, bearer, etag).await?;
        match answer.limited(operation) {
            Some(limited) => Err(self.governor.heed(operation.effect, limited)),
            None => {
                self.governor.answered(operation.effect);
                Ok(answer)
            }
        }
    }
}

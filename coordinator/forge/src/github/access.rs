//! How git is let in at GitHub: by the same token as requests, in a header that its environment
//! tells it to send.
//!
//! The header goes to one address and no other, and the token is asked for anew with each command:
//! an installation's ends within the hour, and a fetch may begin late in it. So is the name: git is
//! told where a repository that was renamed is now, whatever address it was configured with.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use super::client::Client;
use super::place::Slug;
use super::transport;
use crate::program::redact;
use crate::{Access, ForgeError, Variables};

/// The door of one repository.
#[derive(Debug)]
pub(super) struct TokenAccess {
    client: Arc<Client>,
    runtime: Handle,
    place: Slug,
    remote: String,
}

impl TokenAccess {
    pub(super) fn new(
        client: Arc<Client>,
        runtime: Handle,
        place: Slug,
        remote: &str,
    ) -> Result<Self, ForgeError> {
        if remote.parse().is_ok_and(|uri| transport::is_private(&uri)) {
            Ok(Self { client, runtime, place, remote: remote.to_owned() })
        } else {
            Err(ForgeError::ClearRemote { remote: redact(remote) })
        }
    }
}

impl Access for TokenAccess {
    fn environment(&self, again: bool) -> Result<Variables, ForgeError> {
        let asked = self.runtime.block_on(async {
            let token = self.client.token(again).await?;
            if again {
                self.client.look(&self.place).await?;
            }
            Ok((self.client.called(&self.place), token))
        });
        let (now, token) = asked.map_err(|error| ForgeError::of_github(&self.remote, error))?;
        let now = self.place.renamed(&self.remote, &now);
        Ok(variables(&self.remote, now.as_deref().unwrap_or(&self.remote), &token))
    }
}

/// Settings of git's, and no program that would be asked for a password once it is refused. Where a
/// server sends git to another address, it stays here: the header would go along.
fn variables(remote: &str, now: &str, token: &SecretString) -> Variables {
    let pair = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
    let settings = [
        (format!("http.{now}.extraHeader"), format!("Authorization: Basic {pair}")),
        ("http.followRedirects".to_owned(), "false".to_owned()),
        (format!("url.{now}.insteadOf"), remote.to_owned()),
    ];
    let numbered = settings.into_iter().enumerate();
    let numbered = numbered.flat_map(|(at, (key, value))| {
        [(format!("GIT_CONFIG_KEY_{at}"), key), (format!("GIT_CONFIG_VALUE_{at}"), value)]
    });
    let fixed = [("GIT_CONFIG_COUNT", "3"), ("GIT_ASKPASS", "")];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    fixed.into_iter().chain(numbered).collect()
}

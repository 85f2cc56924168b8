//! How git is let in at GitHub: by the same token as requests, in a header that its environment
//! tells it to send.
//!
//! The header goes to one address and no other, and the token is asked for anew with each command:
//! an installation's ends within the hour, and a fetch may begin late in it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use super::client::Client;
use super::transport;
use crate::program::redact;
use crate::{Access, ForgeError, Variables};

/// The door of one repository.
#[derive(Debug)]
pub(super) struct TokenAccess {
    client: Arc<Client>,
    runtime: Handle,
    remote: String,
}

impl TokenAccess {
    pub(super) fn new(
        client: Arc<Client>,
        runtime: Handle,
        remote: &str,
    ) -> Result<Self, ForgeError> {
        if remote.parse().is_ok_and(|uri| transport::is_private(&uri)) {
            Ok(Self { client, runtime, remote: remote.to_owned() })
        } else {
            Err(ForgeError::ClearRemote { remote: redact(remote) })
        }
    }
}

impl Access for TokenAccess {
    fn environment(&self, again: bool) -> Result<Variables, ForgeError> {
        let token = self.runtime.block_on(self.client.token(again));
        let token = token.map_err(|error| ForgeError::of_github(&self.remote, error))?;
        Ok(variables(&self.remote, &token))
    }
}

/// One setting of git's, and no program that would be asked for a password once it is refused.
fn variables(remote: &str, token: &SecretString) -> Variables {
    let pair = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
    let pairs = [
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("http.{remote}.extraHeader")),
        ("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {pair}")),
        ("GIT_ASKPASS", String::new()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

//! Keys and tokens from their files, and the clients that ask by them.
//!
//! An App has a client for each installation, since each has a token and a rate of its own. Nothing
//! is asked before somebody asks a client.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use molt_forge::github::shape::Installation;
use molt_forge::github::{
    App, Cause, Client, Clock, Credentials, GithubError, InvalidAddress, KeyError, Operation, Slug,
    Transport,
};

use crate::config::{GithubAccess, GithubConfig};

/// Stands for an installation where only the App itself is asked, which needs none.
const NO_INSTALLATION: u64 = 0;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The key or token does not read.
    #[error("cannot read {}", path.display())]
    File {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key is none.
    #[error("{}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The API's address is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// GitHub was asked where the App is installed, and did not say.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The App is not installed on a repository.
    #[error("the app {app} is not installed on {slug}")]
    NotInstalled {
        /// The App.
        app: u64,
        /// The repository.
        slug: Slug,
    },
}

/// The way in to a GitHub.
#[derive(Debug)]
pub(crate) struct Door<'c> {
    config: &'c GithubConfig,
    transport: Transport,
}

impl<'c> Door<'c> {
    /// The way in that `config` names.
    ///
    /// # Errors
    ///
    /// The API's address is none.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn new(config: &'c GithubConfig) -> Result<Self, ConnectError> {
        Ok(Self { config, transport: Transport::new(&config.api)? })
    }

    /// A client for whom no repository matters: the App itself, which can be asked for itself and
    /// for its installations, or whoever the personal token belongs to.
    ///
    /// # Errors
    ///
    /// The key or token is none.
    pub(crate) fn own(&self) -> Result<Client, ConnectError> {
        match &self.config.access {
            GithubAccess::Token { file } => self.personal(file),
            GithubAccess::App { id, key_file, .. } => {
                self.installed(*id, key_file, NO_INSTALLATION)
            }
        }
    }

    /// A client for a repository. Where the App is installed is asked for, unless the configuration
    /// says so.
    ///
    /// # Errors
    ///
    /// The key or token is none, or the App is not installed there.
    pub(crate) async fn client(&self, slug: &Slug) -> Result<Client, ConnectError> {
        match &self.config.access {
            GithubAccess::Token { file } => self.personal(file),
            GithubAccess::App { id, installation: Some(installation), key_file } => {
                self.installed(*id, key_file, *installation)
            }
            GithubAccess::App { id, installation: None, key_file } => {
                let Some(found) = self.installation(slug).await? else {
                    return Err(ConnectError::NotInstalled { app: *id, slug: slug.clone() });
                };
                self.installed(*id, key_file, found.id)
            }
        }
    }

    /// Where the App is installed for a repository; `None` where it is not, and for a personal
    /// token.
    ///
    /// # Errors
    ///
    /// The key is none, or GitHub did not say.
    pub(crate) async fn installation(
        &self,
        slug: &Slug,
    ) -> Result<Option<Installation>, ConnectError> {
        if let GithubAccess::Token { .. } = self.config.access {
            return Ok(None);
        }
        Ok(installation(&self.own()?, slug).await?)
    }

    fn personal(&self, file: &Path) -> Result<Client, ConnectError> {
        let text = fs::read_to_string(file)
            .map_err(|source| ConnectError::File { path: file.to_owned(), source })?;
        let credentials = Credentials::personal(text.trim_end().to_owned().into());
        Ok(Client::new(self.transport.clone(), credentials))
    }

    fn installed(
        &self,
        id: u64,
        key_file: &Path,
        installation: u64,
    ) -> Result<Client, ConnectError> {
        let path = || key_file.to_owned();
        let pem =
            fs::read(key_file).map_err(|source| ConnectError::File { path: path(), source })?;
        let app =
            App::new(id, &pem).map_err(|source| ConnectError::Key { path: path(), source })?;
        let credentials = Credentials::installation(app, installation, Clock::machine());
        Ok(Client::new(self.transport.clone(), credentials))
    }
}

/// Where an App is installed for a repository; `None` where it is not. It takes a client of the
/// App.
///
/// # Errors
///
/// GitHub did not say.
pub(super) async fn installation(
    client: &Client,
    slug: &Slug,
) -> Result<Option<Installation>, GithubError> {
    match client.read(slug.route(Operation::INSTALLATION)).await {
        Ok(found) => Ok(Some(found)),
        Err(GithubError { cause: Cause::Missing { .. } | Cause::Gone { .. }, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

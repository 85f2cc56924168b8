//! The account that everything at GitHub is asked as, shared by all repositories and all terms.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::policy::Method;
use molt_domain::pull::AppId;
use molt_domain::pull::command::Handle;
use molt_domain::pull::rules::{self, Found, Installation};
use molt_forge::Fencing;
use molt_forge::github::{Client, GithubError, Operation, Ourselves, Rights, Slug, shape};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use tracing::warn;

use super::connect::{ConnectError, Door, installation};
use super::preflight;
use crate::config::GithubConfig;

/// How long what the App may do is taken to be as it was read.
const FRESH: Duration = Duration::from_secs(60);

/// Who asks, and what it is called.
#[derive(Debug)]
pub struct Account {
    client: Arc<Client>,
    /// What begins a command.
    pub handle: Handle,
    /// The label that asks for a landing, if one does.
    pub label: Option<String>,
    /// The name of the check run.
    pub check: String,
    /// How often is looked when nothing hints.
    pub every: Duration,
    /// How landings are fenced.
    pub fencing: Fencing,
    ourselves: OnceCell<(Ourselves, AppId)>,
    installations: Mutex<HashMap<Slug, Granted>>,
}

/// What we may do in a repository, as it was read.
#[derive(Debug)]
struct Granted {
    /// Until when that is taken to be so.
    until: Instant,
    installation: Installation,
}

impl Account {
    /// The account that a configuration names, for a repository of it.
    ///
    /// # Errors
    ///
    /// Key or token is none; or GitHub was asked where the App is installed, and has no such place.
    pub async fn open(config: &GithubConfig, slug: &Slug) -> Result<Self, ConnectError> {
        Ok(Self {
            client: Arc::new(Door::new(config)?.client(slug).await?),
            handle: config.handle.clone(),
            label: config.label.clone(),
            check: config.check.clone(),
            every: config.every,
            fencing: config.fencing,
            ourselves: OnceCell::new(),
            installations: Mutex::default(),
        })
    }

    /// How everything is asked.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Who we are: whose comments are ours, and by which App check runs are ours.
    pub(crate) async fn ourselves(&self) -> Result<&(Ourselves, AppId), GithubError> {
        self.ourselves.get_or_try_init(|| self.read_ourselves()).await
    }

    async fn read_ourselves(&self) -> Result<(Ourselves, AppId), GithubError> {
        if self.client.credentials().is_app() {
            let app: shape::App = self.client.read(Operation::APP.route()).await?;
            let login = format!("{}[bot]", app.slug);
            return Ok((Ourselves::Bot(login), AppId(app.id)));
        }
        let user: shape::Account = self.client.read(Operation::USER.route()).await?;
        Ok((Ourselves::Account(user.id), AppId(0)))
    }

    /// What we may do in a repository.
    pub(crate) async fn installation(&self, slug: &Slug) -> Result<Installation, GithubError> {
        let mut known = self.installations.lock().await;
        if let Some(granted) = known.get(slug).filter(|it| Instant::now() < it.until) {
            return Ok(granted.installation.clone());
        }
        let installation = self.read_installation(slug).await?;
        let granted = Granted { until: Instant::now() + FRESH, installation };
        let installation = granted.installation.clone();
        let before = known.insert(slug.clone(), granted);
        if before.is_none_or(|before| before.installation != installation) {
            tell(slug, &installation);
        }
        Ok(installation)
    }

    /// Reads what we may do again when it is asked for next.
    pub(crate) async fn forget_installations(&self) {
        let now = Instant::now();
        self.installations.lock().await.values_mut().for_each(|granted| granted.until = now);
    }

    async fn read_installation(&self, slug: &Slug) -> Result<Installation, GithubError> {
        if !self.client.credentials().is_app() {
            return Ok(preflight::personal());
        }
        let Some(found) = installation(&self.client, slug).await? else {
            return Ok(Installation::Gone);
        };
        let rights = match found.suspended_at {
            // No token is made for who is suspended.
            Some(_) => None,
            None => self.rights(&found).await?,
        };
        Ok(preflight::installation(&found, rights.as_ref()))
    }

    /// What our token may do. One that was made before something was granted has it not: another
    /// one is made then.
    async fn rights(&self, found: &shape::Installation) -> Result<Option<Rights>, GithubError> {
        let rights = self.client.rights().await?;
        let lacks =
            |rights: &Rights| found.permissions.iter().any(|it| rights.get(it.0) != Some(it.1));
        if rights.as_ref().is_some_and(lacks) {
            self.client.token(true).await?;
            return self.client.rights().await;
        }
        Ok(rights)
    }

    /// What is demanded of those who land on a branch.
    pub(crate) async fn rules(&self, slug: &Slug, branch: &str) -> Result<Vec<Found>, GithubError> {
        let route = slug.route(Operation::BRANCH).branch("branch", branch);
        let branch: shape::Branch = self.client.read(route).await?;
        preflight::read(&self.client, slug, &branch).await
    }
}

/// Tells whoever reads the log what is missing, once for as long as it is.
fn tell(slug: &Slug, installation: &Installation) {
    for obstacle in rules::preflight(&[], Method::Merge, installation) {
        let (reason, fix) = (obstacle.reason(), obstacle.fix());
        warn!(phase = "github", %slug, reason, fix, "{obstacle}");
    }
}

//! The service from start to end: store, lead, listener, drain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::policy::Spans;
use molt_forge::Fencing;
use molt_forge::github::webhook::{Secrets, SecretsError};
use molt_proto::protocol::Versions;
use molt_store::{Candidate, FORMAT, Format};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tracing::{info, warn};

use crate::auth::{self, AuthOptions, Counted, Gate, TlsError};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, GithubAccess, Limits, WebhookConfig};
use crate::github::{Account, ConnectError, UNFENCED};
use crate::lead::{AtGithub, Found, Ground, Lead, LeadError, Place, Seat, Standing, charter};
use crate::reconcile::{Archive, ArchiveError};
use crate::store_place::{self, Opened, PlaceError};
use crate::webhooks::{Bounds, Webhooks};

/// How long calls may take to end once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The command line.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] PlaceError),
    /// The lead.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// The transport's security.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What webhooks are signed with.
    #[error("the webhooks' secrets")]
    WebhookSecrets(#[from] SecretsError),
    /// The account at GitHub.
    #[error("github")]
    Github(#[from] ConnectError),
    /// The audit's files.
    #[error("the audit's archive")]
    Archive(#[from] ArchiveError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The transport.
    #[error("the listener failed")]
    Transport(#[from] tonic::transport::Error),
    /// A file.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is a reason to raise the epoch, and another coordinator leads.
    #[error("the epoch is raised by whoever leads, and that is {leader}: stop it first")]
    EpochElsewhere {
        /// The leader.
        leader: String,
    },
    /// There is a reason to raise the epoch, and nobody can lead for now.
    #[error("the epoch is raised by whoever leads, and this coordinator cannot: {reason}")]
    EpochHindered {
        /// What is in its way.
        reason: String,
    },
}

/// What is served, for the first lines that `serve` prints.
#[derive(Debug)]
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// The state's folder.
    pub data: PathBuf,
    /// How callers name it: with TLS or without.
    pub scheme: &'static str,
    /// Where webhooks are taken in, if they are.
    pub webhooks: Option<SocketAddr>,
    /// The spans.
    pub spans: Spans,
    /// How much one peer may ask for.
    pub limits: Limits,
    /// Who leads.
    pub role: Role,
    /// What was lost of an unfinished commit, in bytes.
    pub dropped: Option<u64>,
}

/// Who leads as the service begins.
#[derive(Debug)]
pub enum Role {
    /// This coordinator does.
    Leading(Found),
    /// Another one does.
    StandingBy {
        /// Where clients reach it.
        leader: String,
    },
    /// Nobody is known to, and this coordinator cannot for now.
    Hindered {
        /// What is in its way.
        reason: String,
    },
}

/// A service that is set up and not yet serving.
pub struct Ready {
    /// What to tell people.
    pub serving: Serving,
    lead: Lead,
    standing: Standing,
    seat: Seat,
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    webhooks: Option<Webhooks>,
}

/// Sets everything up. Calls that arrive from now on are answered once the service runs.
/// `operator` raises the epoch, if the configuration says so.
///
/// # Errors
///
/// Whatever is missing or wrong; nothing was changed but the state's own folder.
pub async fn prepare(config: &Config, operator: &str) -> Result<Ready, ServeError> {
    prepare_as(config, operator, Program::default()).await
}

/// By which numbers stores and clients tell one program's version from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// How it writes records, once the store's format is raised to that.
    pub format: Format,
    /// The versions of the wire that it speaks.
    pub wire: Versions,
}

impl Default for Program {
    /// This program.
    fn default() -> Self {
        Self { format: FORMAT, wire: Versions::default() }
    }
}

/// As [`prepare`], for a program of other numbers: how a fleet of two versions is tried before
/// there is a second one.
///
/// # Errors
///
/// As [`prepare`].
pub async fn prepare_as(
    config: &Config,
    operator: &str,
    program: Program,
) -> Result<Ready, ServeError> {
    let Config { data, listen, spans, limits, .. } = config;
    let tls = config.tls.as_ref().map(auth::tls).transpose()?;
    std::fs::create_dir_all(data)
        .map_err(|source| ServeError::File { path: data.clone(), source })?;
    let (listener, address) = bind(*listen).await?;
    let webhooks = match &config.webhooks {
        Some(webhooks) => Some(take_in(webhooks).await?),
        None => None,
    };
    let Opened { store, dropped } = store_place::open(&config.store, spans.leader_ttl).await?;
    let advertised = config.advertise.clone().unwrap_or_else(|| address.to_string());
    let ground = Ground {
        candidate: Candidate::new(&config.name, advertised)
            .under(charter::of(spans, &config.repos)),
        spans: *spans,
        clock: Clock::Machine,
        gate: Gate::new(AuthOptions { rate: (*limits).into(), wire: program.wire }),
        archive: Archive::open(&data.join("audit"))?,
        places: places(config).await?.into(),
        hints: webhooks.as_ref().map(Webhooks::dirty).unwrap_or_default(),
    };
    let seat = Seat::new(limits.message);
    let lead = Lead::new(store, ground, seat.clone()).writing(program.format);
    let standing = lead.campaign().await?;
    let role = begin(&standing, config.raise_epoch.as_deref(), operator).await?;
    info!(phase = "start", %address, ?role, "serving");
    let scheme = if tls.is_some() { "https://" } else { "" };
    let (spans, limits) = (*spans, *limits);
    let serving = Serving {
        address,
        data: data.clone(),
        scheme,
        webhooks: webhooks.as_ref().map(Webhooks::address),
        spans,
        limits,
        role,
        dropped,
    };
    Ok(Ready { serving, lead, standing, seat, listener, tls, webhooks })
}

/// Listens on `address`; answers where, if its port is 0.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn take_in(config: &WebhookConfig) -> Result<Webhooks, ServeError> {
    let secrets = Secrets::read(&config.secret_files)?;
    let (listener, address) = bind(config.listen).await?;
    Ok(Webhooks::new(listener, address, secrets, Bounds::default()))
}

/// The repositories, and who asks for their pull requests: one account for all repositories of an
/// owner, so that they share its limits.
async fn places(config: &Config) -> Result<Vec<Place>, ServeError> {
    let mut accounts: HashMap<String, Arc<Account>> = HashMap::new();
    let mut places = Vec::with_capacity(config.repos.len());
    if config.github.as_ref().is_some_and(|github| github.fencing == Fencing::BaseAlone) {
        warn!(phase = "start", "{UNFENCED}");
    }
    for repo in &config.repos {
        let github = match (&config.github, &repo.github) {
            (Some(github), Some(slug)) => {
                let owner = match github.access {
                    GithubAccess::App { .. } => slug.owner().to_ascii_lowercase(),
                    // A person's limits are the same everywhere.
                    GithubAccess::Token { .. } => String::new(),
                };
                let account = match accounts.get(&owner) {
                    Some(account) => Arc::clone(account),
                    None => Arc::new(Account::open(github, slug).await?),
                };
                accounts.insert(owner, Arc::clone(&account));
                Some(AtGithub { account, slug: slug.clone() })
            }
            _ => None,
        };
        places.push(Place {
            repo: repo.name.clone(),
            remote: absolute(&repo.remote),
            branch: repo.branch.clone(),
            mirrors: config.data.join("mirrors"),
            github,
        });
    }
    Ok(places)
}

/// What is done before anybody is answered.
async fn begin(
    standing: &Standing,
    raise_epoch: Option<&str>,
    operator: &str,
) -> Result<Role, ServeError> {
    match (standing, raise_epoch) {
        (Standing::Leading(term), reason) => {
            let found = term.read_bases().await?;
            if let Some(reason) = reason {
                term.raise_epoch(operator.to_owned(), reason.to_owned()).await?;
            }
            Ok(Role::Leading(found))
        }
        (Standing::StandingBy { leader }, None) => Ok(Role::StandingBy { leader: leader.clone() }),
        (Standing::StandingBy { leader }, Some(_)) => {
            Err(ServeError::EpochElsewhere { leader: leader.clone() })
        }
        (Standing::Hindered { reason }, None) => Ok(Role::Hindered { reason: reason.clone() }),
        (Standing::Hindered { reason }, Some(_)) => {
            Err(ServeError::EpochHindered { reason: reason.clone() })
        }
    }
}

/// A remote that is a folder is named from the root: hosts use it from elsewhere.
fn absolute(remote: &str) -> String {
    let path = Path::new(remote);
    match std::path::absolute(path) {
        Ok(full) if path.exists() => full.to_string_lossy().into_owned(),
        _ => remote.to_owned(),
    }
}

impl Ready {
    /// Serves until `stop`, then drains.
    ///
    /// # Errors
    ///
    /// The lead was lost for good, or the listener failed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { serving, lead, standing, seat, listener, tls, webhooks } = self;
        // An answer must not wait for the acknowledgement of the one before it.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let limits = serving.limits;
        let counted =
            if tls.is_some() { Counted::UpTo(limits.connections) } else { Counted::Nobody };
        let incoming = auth::limited(incoming, counted);
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .max_concurrent_streams(limits.streams);
        if let Some(tls) = tls {
            server = server.tls_config(tls)?;
        }
        let server = server
            .add_service(seat.health())
            .add_service(seat.switch())
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let server = beside(server, webhooks, stop.clone());
        let holding = lead.hold(standing, &stop);
        let (mut server, mut holding) = (std::pin::pin!(server), std::pin::pin!(holding));
        let ended = tokio::select! {
            // The seat is taken before the first call is looked at.
            biased;
            held = &mut holding => held.map_err(ServeError::from),
            served = &mut server => {
                stop.cancel();
                let held = holding.await;
                return served.map_err(ServeError::from).and(held.map_err(ServeError::from));
            }
        };
        stop.cancel();
        if tokio::time::timeout(DRAIN, server).await.is_err() {
            warn!(phase = "drain", "calls were cut off");
        }
        info!(phase = "drain", "stopped");
        ended
    }
}

/// Takes in webhooks for as long as `server` serves.
async fn beside<T>(
    server: impl Future<Output = T>,
    webhooks: Option<Webhooks>,
    stop: CancellationToken,
) -> T {
    let Some(webhooks) = webhooks else { return server.await };
    let server = async {
        let served = server.await;
        stop.cancel();
        served
    };
    tokio::join!(server, webhooks.serve(&stop)).0
}

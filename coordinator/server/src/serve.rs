//! The service from start to end: store, lead, listener, drain.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::policy::Spans;
use molt_store::embedded::{OpenError as StoreOpenError, Options, Tail};
use molt_store::{Candidate, EmbeddedStore, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{Config, ConfigError, RepoConfig, StorePlace};
use crate::lead::{Found, Ground, Lead, LeadError, Place, Seat, Standing};
use crate::reconcile::{Archive, ArchiveError};

/// How long calls may take to end once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The command line.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error("store in {}", folder.display())]
    Store {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: StoreOpenError,
    },
    /// The configuration names an etcd.
    #[error("this program was built without etcd: build it with the feature `etcd`")]
    WithoutEtcd,
    /// The lead.
    #[error(transparent)]
    Lead(#[from] LeadError),
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
        /// The leader, as far as it is known.
        leader: String,
    },
}

/// What is served, for the first lines that `serve` prints.
#[derive(Debug)]
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// The state's folder.
    pub data: PathBuf,
    /// The spans.
    pub spans: Spans,
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
    /// Another one does, if it is known who.
    StandingBy {
        /// Where clients reach it.
        leader: Option<String>,
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
}

/// Sets everything up. Calls that arrive from now on are answered once the service runs.
/// `operator` raises the epoch, if the configuration says so.
///
/// # Errors
///
/// Whatever is missing or wrong; nothing was changed but the state's own folder.
pub async fn prepare(config: &Config, operator: &str) -> Result<Ready, ServeError> {
    let Config { data, listen, spans, .. } = config;
    std::fs::create_dir_all(data)
        .map_err(|source| ServeError::File { path: data.clone(), source })?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| ServeError::Listen { address: *listen, source })?;
    let address =
        listener.local_addr().map_err(|source| ServeError::Listen { address: *listen, source })?;
    let (store, dropped) = open_store(&config.store, spans).await?;
    let advertised = config.advertise.clone().unwrap_or_else(|| address.to_string());
    let ground = Ground {
        candidate: Candidate::new(&config.name, advertised),
        spans: *spans,
        clock: Clock::Machine,
        archive: Archive::open(&data.join("audit"))?,
        places: config.repos.iter().map(|repo| place(repo, data)).collect(),
    };
    let seat = Seat::default();
    let lead = Lead::new(store, ground, seat.clone());
    let standing = lead.campaign().await?;
    let role = begin(&standing, config.raise_epoch.as_deref(), operator).await?;
    info!(phase = "start", %address, ?role, "serving");
    let serving = Serving { address, data: data.clone(), spans: *spans, role, dropped };
    Ok(Ready { serving, lead, standing, seat, listener })
}

fn place(repo: &RepoConfig, data: &Path) -> Place {
    Place {
        repo: repo.name.clone(),
        remote: absolute(&repo.remote),
        branch: repo.branch.clone(),
        mirrors: data.join("mirrors"),
    }
}

/// The store, and what was lost of an unfinished commit, in bytes.
async fn open_store(
    place: &StorePlace,
    _spans: &Spans,
) -> Result<(Arc<dyn Store>, Option<u64>), ServeError> {
    match place {
        StorePlace::Embedded { folder } => open_embedded(folder),
        StorePlace::Etcd { .. } => Err(ServeError::WithoutEtcd),
    }
}

fn open_embedded(data: &Path) -> Result<(Arc<dyn Store>, Option<u64>), ServeError> {
    let (store, opened) = EmbeddedStore::open(data, Options::default())
        .map_err(|source| ServeError::Store { folder: data.to_owned(), source })?;
    let dropped = match opened.tail {
        Tail::Clean => None,
        Tail::Dropped { bytes } => {
            let revision = opened.head;
            warn!(phase = "start", bytes, revision, "an unfinished commit was dropped");
            Some(bytes)
        }
    };
    Ok((Arc::new(store), dropped))
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
            let leader = leader.clone().unwrap_or_else(|| "not known yet".to_owned());
            Err(ServeError::EpochElsewhere { leader })
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
        let Self { lead, standing, seat, listener, .. } = self;
        // An answer must not wait for the acknowledgement of the one before it.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .add_service(seat.health())
            .add_service(seat.switch())
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
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

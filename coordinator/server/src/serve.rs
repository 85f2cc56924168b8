//! The service from start to end: store, engine, reconcilers, listener, drain.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Caller, Command, Request};
use molt_domain::policy::{Repo, Spans};
use molt_proto::v1::coordinator_server::CoordinatorServer;
use molt_store::embedded::{OpenError as StoreOpenError, Options, Tail};
use molt_store::{Candidate, EmbeddedStore};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use crate::config::{ConfigError, ServeArgs};
use crate::engine::{Ended, Engine, Failure, Handle, OpenError};
use crate::reconcile::{self, Archive, ArchiveError, Train, TrainError};
use crate::rpc::Service;

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
    /// The board.
    #[error("the board could not be loaded")]
    Board(#[from] OpenError),
    /// The audit's files.
    #[error("the audit's archive")]
    Archive(#[from] ArchiveError),
    /// The repository.
    #[error("the repository")]
    Train(#[from] TrainError),
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
    /// The epoch.
    #[error("the epoch could not be raised")]
    Epoch(#[source] Failure),
    /// The lead was lost.
    #[error("the lead was lost")]
    Ended(#[from] Ended),
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
    /// The repository as its base was read.
    pub repo: Repo,
    /// The term that began.
    pub term: u64,
    /// The revision that was found.
    pub revision: u64,
    /// How many records were found.
    pub records: usize,
    /// What was lost of an unfinished commit, in bytes.
    pub dropped: Option<u64>,
}

/// A service that is set up and not yet serving.
#[derive(Debug)]
pub struct Ready {
    /// What to tell people.
    pub serving: Serving,
    handle: Handle,
    engine: tokio::task::JoinHandle<Result<(), Ended>>,
    train: Train,
    archive: Archive,
    listener: TcpListener,
    remote: String,
}

/// Sets everything up: after this, calls are answered.
///
/// # Errors
///
/// Whatever is missing or wrong; nothing was changed but the state's own folder.
pub async fn prepare(args: &ServeArgs) -> Result<Ready, ServeError> {
    let (listen, spans, data) = (args.listen()?, args.spans()?, args.data()?);
    std::fs::create_dir_all(&data)
        .map_err(|source| ServeError::File { path: data.clone(), source })?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| ServeError::Listen { address: listen, source })?;
    let address =
        listener.local_addr().map_err(|source| ServeError::Listen { address: listen, source })?;
    let (store, opened) = EmbeddedStore::open(&data, Options::default())
        .map_err(|source| ServeError::Store { folder: data.clone(), source })?;
    let dropped = match opened.tail {
        Tail::Clean => None,
        Tail::Dropped { bytes } => {
            warn!(
                phase = "start",
                bytes,
                revision = opened.head,
                "an unfinished commit was dropped"
            );
            Some(bytes)
        }
    };
    let candidate = Candidate::new("molt-coordinator", address.to_string());
    let (engine, handle, start) = Engine::open(Arc::new(store), &candidate, spans).await?;
    let engine = engine.start();
    let archive = Archive::open(&data.join("audit"))?;
    let remote = absolute(&args.remote);
    let (mirrors, repo) = (data.join("mirrors"), args.repo.clone());
    let train = Train::open(handle.clone(), &mirrors, repo, &remote, &args.branch)?;
    let repo = train.begin().await?;
    info!(
        phase = "start",
        %address,
        term = start.term,
        revision = start.number,
        records = start.records,
        repo = %repo.name,
        base = %repo.base,
        "serving"
    );
    let serving = Serving {
        address,
        data,
        spans,
        repo,
        term: start.term,
        revision: start.number,
        records: start.records,
        dropped,
    };
    Ok(Ready { serving, handle, engine, train, archive, listener, remote })
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
    /// Gives lost records up in the name of `operator`, before anybody is answered.
    ///
    /// # Errors
    ///
    /// The epoch is as it was.
    pub async fn raise_epoch(&self, operator: String, reason: String) -> Result<(), ServeError> {
        let command = Command::RaiseEpoch { reason };
        let request = Request { caller: Caller::Operator(operator), ..Request::own(command) };
        self.handle.submit(request, |_, _| ()).await.map_err(ServeError::Epoch)
    }

    /// Serves until `stop`, then drains.
    ///
    /// # Errors
    ///
    /// The lead was lost, or the listener failed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { serving, handle, mut engine, train, archive, listener, remote } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(reconcile::tick(handle.clone(), stop.clone()));
        tasks.spawn(reconcile::seal(handle.clone(), archive.clone(), stop.clone()));
        tasks.spawn(train.run(stop.clone()));
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<CoordinatorServer<Service>>().await;
        let remotes = [(serving.repo.name, remote)].into();
        let service = Service::new(handle, archive, remotes, stop.clone());
        // An answer must not wait for the acknowledgement of the one before it.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .add_service(health_service)
            .add_service(
                CoordinatorServer::new(service)
                    .max_decoding_message_size(molt_proto::MAX_COMMAND_BYTES),
            )
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let mut server = std::pin::pin!(server);
        let ended = tokio::select! {
            served = &mut server => served.map_err(ServeError::from),
            ended = &mut engine => {
                stop.cancel();
                return match ended {
                    Ok(ended) => ended.map_err(ServeError::from),
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                };
            }
            () = drained(&stop) => {
                warn!(phase = "drain", "calls were cut off");
                Ok(())
            }
        };
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        info!(phase = "drain", "stopped");
        ended
    }
}

/// Ends a while after the stop: what has not ended by then is cut off.
async fn drained(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

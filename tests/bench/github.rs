//! A GitHub at which nothing ever changes, for a coordinator that is hinted at all the time: it
//! counts what it is asked.
//!
//! Its lists are empty, and git reads the repository's files as they are. Not here: how GitHub
//! behaves, which the simulation has that the tests use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// By what its lists are known again: they never change.
const TAG: &str = "\"nothing\"";

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct GitHub {
    /// Where its API is; below it git finds the repositories.
    pub(crate) url: String,
    asked: Arc<AtomicU64>,
    _serving: JoinSet<std::io::Result<()>>,
}

/// What requests are answered from.
#[derive(Debug, Clone)]
struct Desk {
    repositories: PathBuf,
    asked: Arc<AtomicU64>,
}

impl GitHub {
    /// Serves the bare repositories in a folder, `OWNER/NAME.git`.
    pub(crate) async fn start(repositories: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let asked = Arc::<AtomicU64>::default();
        let desk = Desk { repositories: repositories.to_owned(), asked: Arc::clone(&asked) };
        let router = Router::new().fallback(answer).with_state(desk);
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, router).into_future());
        Ok(Self { url: format!("http://{address}"), asked, _serving: serving })
    }

    /// How often its API was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path.split('/').any(|part| part.ends_with(".git")) {
        return desk.file(Path::new(path));
    }
    desk.asked.fetch_add(1, Ordering::Relaxed);
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|tag| tag == TAG);
    match path.rsplit('/').next() {
        Some("pulls" | "comments") if known => StatusCode::NOT_MODIFIED.into_response(),
        Some("pulls" | "comments") => {
            ([(ETAG, TAG), (CONTENT_TYPE, "application/json")], "[]").into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Desk {
    /// A file of a repository, which is how git reads where nobody speaks its own protocol.
    fn file(&self, path: &Path) -> Response {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        match std::fs::read(self.repositories.join(path)) {
            Ok(bytes) if inside => bytes.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

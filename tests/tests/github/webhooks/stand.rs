//! A listener for webhooks, in this process.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use molt_coordinator::webhooks::{Bounds, DirtySet, Webhooks};
use molt_forge::github::webhook::{Dirty, Secrets};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A listener; it is gone with this value.
pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    dirty: Arc<DirtySet>,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

impl Stand {
    /// One that knows `secrets`, within the usual bounds.
    pub(crate) async fn with(secrets: &[&str]) -> Self {
        Self::within(secrets, Bounds::default()).await
    }

    /// One that knows `secrets`, within these bounds.
    pub(crate) async fn within(secrets: &[&str], bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = |(n, secret): (usize, &&str)| {
            let path = folder.path().join(n.to_string());
            fs::write(&path, format!("{secret}\n")).expect("a secret");
            path
        };
        let files: Vec<_> = secrets.iter().enumerate().map(file).collect();
        let secrets = Secrets::read(&files).expect("secrets");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let webhooks = Webhooks::new(listener, address, secrets, bounds);
        let (dirty, stop) = (webhooks.dirty(), CancellationToken::new());
        let (mut serving, stopped) = (JoinSet::new(), stop.clone());
        serving.spawn(async move { webhooks.serve(&stopped).await });
        Self { address, dirty, stop, serving }
    }

    /// What was marked since it was asked last.
    pub(crate) fn dirty(&self) -> BTreeSet<Dirty> {
        self.dirty.take()
    }

    /// Returns once something is marked.
    pub(crate) async fn marked(&self) {
        self.dirty.notified().await;
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns once it has ended after it was asked to.
    pub(crate) async fn ended(mut self) {
        self.serving.join_next().await.expect("it served").expect("it ends well");
    }
}

//! Ours: coordinators with a repository of many scopes. Not here: their clients ([`crate::agent`]).

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use tonic::transport::{Channel, Endpoint};

use crate::agent::Agent;
use crate::etcd::Etcd;
use crate::process::{Running, output, own};

/// Claims of one session at most, by the board's own limit.
const CLAIMS_OF_ONE: usize = 12;

/// A coordinator that serves a scratch repository.
#[derive(Debug)]
pub(crate) struct Coordinator {
    /// The process; with the value, it is gone.
    pub(crate) process: Running,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A connection. The peer's clients use this one too, so that both have the same transport.
pub(crate) fn channel(url: &str) -> anyhow::Result<Channel> {
    Ok(Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect_lazy())
}

/// The name of a scope; each is a folder of its own, so that none is in another's way.
pub(crate) fn scope(n: usize) -> String {
    format!("s{n:04}")
}

/// Where a coordinator keeps its records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store<'a> {
    /// In a file of its own.
    Embedded,
    /// In an etcd, as a fleet that others of that etcd are in too.
    Etcd(&'a Etcd),
}

/// What is served, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service<'a> {
    /// How many scopes the repository has.
    pub(crate) scopes: usize,
    /// Where the records are.
    pub(crate) store: Store<'a>,
    /// More words for `serve`.
    pub(crate) options: &'a [&'a str],
}

/// As long as the peer's leases: nothing is renewed while a run lasts, on either side.
pub(crate) const NO_RENEWALS: [&str; 2] = ["--session-ttl", "1h"];

impl Coordinator {
    /// Makes a repository in `folder` and serves it.
    pub(crate) async fn start(folder: &Path, service: Service<'_>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        publish(folder, &folder.join("remote.git"), service.scopes)?;
        Self::join(folder, "leader", service).await
    }

    /// Serves the repository in `folder` as one more coordinator, which is called `name`. Returns
    /// when it answers, be it that another one leads.
    pub(crate) async fn join(
        folder: &Path,
        name: &str,
        service: Service<'_>,
    ) -> anyhow::Result<Self> {
        let (remote, home) = (folder.join("remote.git"), folder.join(name));
        fs::create_dir_all(&home)?;
        let (ready, config) = (home.join("ready"), home.join("coordinator.toml"));
        let mut command = Command::new(own("molt-coordinator")?);
        command.arg("serve").args(["--listen", "127.0.0.1:0", "--name", name]).arg("--data");
        command.arg(home.join("state")).arg("--remote").arg(&remote);
        command.arg("--ready-file").arg(&ready).args(service.options);
        if let Store::Etcd(etcd) = service.store {
            let endpoints = etcd.endpoints();
            fs::write(&config, format!("[etcd]\nendpoints = {endpoints:?}\nfleet = \"bench\"\n"))?;
            command.arg("--config").arg(&config);
        }
        let mut process = Running::start(&mut command, &home.join("coordinator.log"))?;
        let address =
            process.ready(async || fs::read_to_string(&ready).ok()?.trim().parse().ok()).await;
        let address = address.context("molt-coordinator")?;
        Ok(Self { process, address })
    }

    /// Connections, each of its own.
    pub(crate) fn connect(&self, count: usize) -> anyhow::Result<Vec<CoordinatorClient<Channel>>> {
        let url = format!("http://{}", self.address);
        (0..count).map(|_| Ok(CoordinatorClient::new(channel(&url)?))).collect()
    }

    /// The number of the last commit.
    pub(crate) async fn revision(&self) -> anyhow::Result<u64> {
        let what = Some(v1::query::What::Status(v1::Empty {}));
        let query = v1::Query { what, ..v1::Query::default() };
        Ok(self.connect(1)?.remove(0).read(query).await?.into_inner().rev)
    }

    /// Lets other agents hold a claim on each scope of `scopes` for the whole run.
    pub(crate) async fn hold(&self, scopes: &[String], why: &str) -> anyhow::Result<()> {
        let client = self.connect(1)?.remove(0);
        for (n, scopes) in scopes.chunks(CLAIMS_OF_ONE).enumerate() {
            let mut agent = Agent::join(client.clone(), &format!("other-{n}"), why).await?;
            for scope in scopes {
                agent.claim(std::slice::from_ref(scope)).await?;
            }
        }
        Ok(())
    }
}

/// Pushes a policy with `scopes` scopes into a fresh remote.
pub(crate) fn publish(folder: &Path, remote: &Path, scopes: usize) -> anyhow::Result<()> {
    let work = folder.join("work");
    let mut policy =
        "version = 1\n[merge]\nmethod = \"merge\"\nrequired = [\"scope\"]\n".to_owned();
    for name in (0..scopes).map(scope) {
        write!(policy, "[scope.{name}]\npaths = [\"{name}/**\"]\n")?;
    }
    output(Command::new("git").args(["init", "--quiet", "--bare", "-b", "main"]).arg(remote))?;
    output(Command::new("git").args(["init", "--quiet", "-b", "main"]).arg(&work))?;
    fs::write(work.join("molt.toml"), policy)?;
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&work).args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
        ]);
        output(command.args(arguments))
    };
    git(&["add", "molt.toml"])?;
    git(&["commit", "--quiet", "-m", "Add the policy"])?;
    git(&["push", "--quiet", &remote.to_string_lossy(), "main"])?;
    Ok(())
}

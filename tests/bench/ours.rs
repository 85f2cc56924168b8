//! Ours: a coordinator with a repository of many scopes, and agents as clients.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use molt_proto::v1::reply::Answer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::load::Pair;
use crate::process::{Running, output, own};

/// Claims of one session at most, by the board's own limit.
const CLAIMS_OF_ONE: usize = 12;

/// A coordinator that serves a scratch repository.
#[derive(Debug)]
pub(crate) struct Coordinator {
    _process: Running,
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

impl Coordinator {
    /// Makes a repository with `scopes` scopes in `folder` and serves it.
    pub(crate) async fn start(folder: &Path, scopes: usize) -> anyhow::Result<Self> {
        let remote = folder.join("remote.git");
        publish(folder, &remote, scopes)?;
        let ready = folder.join("ready");
        let mut command = Command::new(own("molt-coordinator")?);
        command.arg("serve").args(["--listen", "127.0.0.1:0"]).arg("--data");
        command.arg(folder.join("state")).arg("--remote").arg(&remote);
        command.arg("--ready-file").arg(&ready);
        // As long as the peer's leases: nothing is renewed while the run lasts, on either side.
        command.args(["--session-ttl", "1h"]);
        let mut process = Running::start(&mut command, &folder.join("coordinator.log"))?;
        let address =
            process.ready(async || fs::read_to_string(&ready).ok()?.trim().parse().ok()).await;
        let address = address.context("molt-coordinator")?;
        Ok(Self { _process: process, address })
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
fn publish(folder: &Path, remote: &Path, scopes: usize) -> anyhow::Result<()> {
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

/// An agent's session.
#[derive(Debug)]
pub(crate) struct Agent {
    client: CoordinatorClient<Channel>,
    caller: v1::Caller,
    number: u64,
    /// The reason that each claim gives.
    pub(crate) why: String,
    /// What each pair claims and releases.
    pub(crate) scopes: Vec<String>,
}

impl Agent {
    /// Begins a session that claims nothing yet.
    pub(crate) async fn join(
        mut client: CoordinatorClient<Channel>,
        name: &str,
        why: &str,
    ) -> anyhow::Result<Self> {
        let secret = blake3::hash(name.as_bytes()).to_hex().to_string();
        let join = v1::Join {
            repo: "main".to_owned(),
            name: name.to_owned(),
            host: "bench".to_owned(),
            root: Some(v1::Root::default()),
            worktree: format!("/{name}"),
            secret: secret.clone(),
        };
        let command = v1::Command { verb: Some(Verb::Join(join)), ..v1::Command::default() };
        let Some(Answer::Session(session)) = client.act(command).await?.into_inner().answer else {
            anyhow::bail!("joining was answered with something else");
        };
        let proof = v1::Credentials { session: session.id, secret, epoch: session.epoch };
        let caller = v1::Caller { who: Some(v1::caller::Who::Session(proof)) };
        Ok(Self { client, caller, number: 0, why: why.to_owned(), scopes: Vec::new() })
    }

    /// Every request has a number, as those of `molt-agent` do: it is done once, however often
    /// it is sent.
    fn command(&mut self, verb: Verb) -> v1::Command {
        self.number += 1;
        v1::Command { caller: Some(self.caller.clone()), number: self.number, verb: Some(verb) }
    }

    fn next_claim(&mut self, scopes: &[String]) -> v1::Command {
        let claim =
            v1::Claim { scopes: scopes.to_vec(), why: self.why.clone(), ..v1::Claim::default() };
        self.command(Verb::Claim(claim))
    }

    fn next_release(&mut self) -> v1::Command {
        self.command(Verb::Release(v1::Release::default()))
    }

    async fn claim(&mut self, scopes: &[String]) -> anyhow::Result<()> {
        let command = self.next_claim(scopes);
        granted(self.client.act(command).await?.into_inner(), scopes)
    }
}

fn granted(reply: v1::Reply, scopes: &[String]) -> anyhow::Result<()> {
    match reply.answer {
        Some(Answer::Granted(claim)) if !claim.already && claim.scopes == scopes => Ok(()),
        other => anyhow::bail!("{scopes:?} were not granted: {other:?}"),
    }
}

fn released(reply: v1::Reply, scopes: &[String]) -> anyhow::Result<()> {
    match reply.answer {
        Some(Answer::Released(released)) if released.scopes == scopes => Ok(()),
        other => anyhow::bail!("{scopes:?} were not released: {other:?}"),
    }
}

impl Pair for Agent {
    async fn pair(&mut self) -> anyhow::Result<()> {
        let claim = self.next_claim(&self.scopes.clone());
        granted(self.client.act(claim).await?.into_inner(), &self.scopes)?;
        let release = self.next_release();
        released(self.client.act(release).await?.into_inner(), &self.scopes)
    }
}

/// An agent whose commands go over one stream.
#[derive(Debug)]
pub(crate) struct Streamed {
    /// What each pair claims, and why.
    pub(crate) agent: Agent,
    commands: mpsc::Sender<v1::Command>,
    outcomes: Streaming<v1::Outcome>,
}

impl Streamed {
    /// Opens the stream of an agent.
    pub(crate) async fn open(mut agent: Agent) -> anyhow::Result<Self> {
        let (commands, receiver) = mpsc::channel(1);
        let opened = agent.client.session(ReceiverStream::new(receiver)).await?;
        Ok(Self { agent, commands, outcomes: opened.into_inner() })
    }

    async fn act(&mut self, command: v1::Command) -> anyhow::Result<v1::Reply> {
        self.commands.send(command).await?;
        let outcome = self.outcomes.message().await?.context("the stream ended")?;
        match outcome.outcome {
            Some(v1::outcome::Outcome::Reply(reply)) => Ok(reply),
            other => {
                ensure!(other.is_some(), "an empty outcome");
                anyhow::bail!("refused: {other:?}")
            }
        }
    }
}

impl Pair for Streamed {
    async fn pair(&mut self) -> anyhow::Result<()> {
        let claim = self.agent.next_claim(&self.agent.scopes.clone());
        granted(self.act(claim).await?, &self.agent.scopes)?;
        let release = self.agent.next_release();
        released(self.act(release).await?, &self.agent.scopes)
    }
}

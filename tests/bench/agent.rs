//! Our clients: agents' sessions, with a call for each command or one stream for all.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::command::Verb;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use molt_proto::v1::reply::Answer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::clock;
use crate::load::Pair;

/// How long an answer is waited for where the same is asked again.
const ONE_TRY: Duration = Duration::from_secs(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How long a coordinator may answer that it cannot, when it loses a member of its etcd.
const BETWEEN_ANSWERS: Duration = Duration::from_secs(2);

/// An agent's session.
#[derive(Debug)]
pub(crate) struct Agent {
    client: CoordinatorClient<Channel>,
    caller: v1::Caller,
    /// The session's id.
    pub(crate) id: String,
    number: u64,
    /// The reason that each claim gives.
    pub(crate) why: String,
    /// What each pair claims and releases.
    pub(crate) scopes: Vec<String>,
}

impl Agent {
    /// Begins a session that claims nothing yet, on a host that has no daemon.
    pub(crate) async fn join(
        client: CoordinatorClient<Channel>,
        name: &str,
        why: &str,
    ) -> anyhow::Result<Self> {
        let agent = Self::join_on(client, "bench", name).await?;
        Ok(Self { why: why.to_owned(), ..agent })
    }

    /// Begins a session on `host`.
    pub(crate) async fn join_on(
        mut client: CoordinatorClient<Channel>,
        host: &str,
        name: &str,
    ) -> anyhow::Result<Self> {
        let secret = blake3::hash(name.as_bytes()).to_hex().to_string();
        let join = v1::Join {
            repo: "main".to_owned(),
            name: name.to_owned(),
            host: host.to_owned(),
            root: Some(v1::Root::default()),
            worktree: format!("/{name}"),
            secret: secret.clone(),
        };
        let command = v1::Command { verb: Some(Verb::Join(join)), ..v1::Command::default() };
        let Some(Answer::Session(session)) = client.act(command).await?.into_inner().answer else {
            anyhow::bail!("joining was answered with something else");
        };
        let id = session.id.clone();
        let proof = v1::Credentials { session: session.id, secret, epoch: session.epoch };
        let caller = v1::Caller { who: Some(v1::caller::Who::Session(proof)) };
        Ok(Self { client, caller, id, number: 0, why: String::new(), scopes: Vec::new() })
    }

    /// The same agent, which calls another coordinator of the fleet.
    pub(crate) fn at(self, client: CoordinatorClient<Channel>) -> Self {
        Self { client, ..self }
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

    pub(crate) async fn claim(&mut self, scopes: &[String]) -> anyhow::Result<()> {
        let command = self.next_claim(scopes);
        granted(self.client.act(command).await?.into_inner(), scopes)
    }

    /// Gives back all that it claimed.
    pub(crate) async fn release(&mut self, scopes: &[String]) -> anyhow::Result<()> {
        let command = self.next_release();
        released(self.client.act(command).await?.into_inner(), scopes)
    }

    /// Sends one and the same claim until it is granted, as `molt-agent` does while nobody leads.
    pub(crate) async fn insist(
        &mut self,
        scopes: &[String],
        patience: Duration,
    ) -> anyhow::Result<()> {
        let command = self.next_claim(scopes);
        let until = clock::now() + patience;
        loop {
            let call = tokio::time::timeout(ONE_TRY, self.client.act(command.clone())).await;
            match call {
                Ok(Ok(answer)) => return granted(answer.into_inner(), scopes),
                Ok(Err(status)) if clock::now() > until => return Err(status.into()),
                Err(late) if clock::now() > until => return Err(late.into()),
                Ok(Err(_)) | Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
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

impl Agent {
    /// Takes a scope, or a place in its line, and tells how long the coordinator took to decide
    /// and how long it was until the scope was held.
    pub(crate) async fn claim_in_line(&mut self, scope: &str) -> anyhow::Result<Waited> {
        let scopes = vec![scope.to_owned()];
        let claim = v1::Claim { scopes: scopes.clone(), wait: true, ..v1::Claim::default() };
        let command = self.command(Verb::Claim(claim));
        let asked = clock::now();
        let reply = self.client.act(command).await?.into_inner();
        let decision = asked.elapsed();
        let Some(Answer::Queued(place)) = reply.answer else {
            granted(reply, &scopes)?;
            return Ok(Waited { decision, held: decision });
        };
        let request = v1::AttendRequest { caller: Some(self.caller.clone()), id: place.id };
        let mut line = self.client.attend(request).await?.into_inner();
        while let Some(news) = line.message().await? {
            match news.became {
                Some(Became::Granted(_)) => return Ok(Waited { decision, held: asked.elapsed() }),
                Some(Became::Waiting(_)) => {}
                other => anyhow::bail!("out of the line: {other:?}"),
            }
        }
        anyhow::bail!("nobody said what became of the place in line")
    }
}

/// How long a scope took, since it was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waited {
    /// Until the request was decided: granted, or given a place in the line.
    pub(crate) decision: Duration,
    /// Until the scope was held.
    pub(crate) held: Duration,
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

    /// Adds a task to the list.
    pub(crate) async fn add_task(&mut self, title: String) -> anyhow::Result<()> {
        let task = v1::AddTask { title, ..v1::AddTask::default() };
        let command = self.agent.command(Verb::AddTask(task));
        let answer = self.act(command).await?.answer;
        ensure!(matches!(answer, Some(Answer::Task(_))), "no task: {answer:?}");
        Ok(())
    }

    /// Sends a command, the same again while the coordinator is between two answers: it is done
    /// once, and what is counted is the time until it is.
    async fn act(&mut self, command: v1::Command) -> anyhow::Result<v1::Reply> {
        let mut refused = None;
        loop {
            self.commands.send(command.clone()).await?;
            let outcome = self.outcomes.message().await?.context("the stream ended")?;
            match outcome.outcome.context("an empty outcome")? {
                v1::outcome::Outcome::Reply(reply) => return Ok(reply),
                v1::outcome::Outcome::Failure(failure) => {
                    let since = *refused.get_or_insert_with(clock::now);
                    let is_passing = failure.code == Code::Unavailable as i32;
                    ensure!(is_passing && since.elapsed() < BETWEEN_ANSWERS, "{failure:?}");
                }
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
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

/// An agent that takes a lock which others want too, and gives it back.
#[derive(Debug)]
pub(crate) struct Contender {
    stream: Streamed,
    lock: String,
}

impl Contender {
    /// A contender for `lock`.
    pub(crate) async fn new(agent: Agent, lock: &str) -> anyhow::Result<Self> {
        Ok(Self { stream: Streamed::open(agent).await?, lock: lock.to_owned() })
    }

    /// Waits in line for the hold `id`.
    async fn waited(&mut self, id: String) -> anyhow::Result<v1::HoldView> {
        let agent = &mut self.stream.agent;
        let request = v1::AttendRequest { caller: Some(agent.caller.clone()), id };
        let mut place = agent.client.attend(request).await?.into_inner();
        while let Some(news) = place.message().await? {
            match news.became {
                Some(Became::Held(hold)) => return Ok(hold),
                Some(Became::Waiting(_)) => {}
                other => anyhow::bail!("out of the line: {other:?}"),
            }
        }
        anyhow::bail!("nobody said what became of the place in line")
    }
}

impl Pair for Contender {
    async fn pair(&mut self) -> anyhow::Result<()> {
        let what = "measure".to_owned();
        let acquire = v1::AcquireLock { lock: self.lock.clone(), what, wait: true };
        let acquire = self.stream.agent.command(Verb::AcquireLock(acquire));
        let hold = match self.stream.act(acquire).await?.answer {
            Some(Answer::Held(hold)) => hold,
            Some(Answer::Waiting(place)) => self.waited(place.id).await?,
            other => anyhow::bail!("no lock and no place in line: {other:?}"),
        };
        let release = v1::ReleaseHold { hold: hold.id, gone: true };
        let release = self.stream.agent.command(Verb::ReleaseHold(release));
        let answer = self.stream.act(release).await?.answer;
        ensure!(matches!(answer, Some(Answer::Done(_))), "not given back: {answer:?}");
        Ok(())
    }
}

//! How soon the next in line has a lock whose holder's agent was killed, on a host that lives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use molt_proto::v1;
use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use crate::clock;
use crate::coordinator::{Coordinator, Service, Store};
use crate::process::{Running, output, own};
use crate::report::{Bar, Row, Series};

/// How often an agent is killed.
const ROUNDS: usize = 5;

/// How soon the daemon looks whether an agent lives; not what is measured.
const HEARTBEAT: [&str; 2] = ["--heartbeat", "1s"];

/// How often it is looked who lives: this much too late at most.
const LOOK: Duration = Duration::from_millis(1);

/// How long what is waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures how soon a lock is free; state goes into `folder`.
pub(crate) async fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let service = Service { scopes: 1, store: Store::Embedded, options: &HEARTBEAT };
    let coordinator = Coordinator::start(folder, service).await?;
    let host = Host::new(folder, &coordinator)?;
    let _daemon = Running::start(&mut host.command("daemon"), &folder.join("daemon.log"))?;
    let (mut freed, mut lost) = (Series::default(), Series::default());
    let mut holder = host.agent(0)?;
    let mut group = holder.begun().await?;
    for round in 1..=ROUNDS {
        crate::report::progress(&format!("killed agents: round {round} of {ROUNDS}"));
        let next = host.agent(round)?;
        in_line(&coordinator).await?;
        let begun = clock::now();
        holder.root.kill()?;
        let dead = until("the group is dead", async || is_gone(group).then(clock::now)).await?;
        group = next.begun().await?;
        freed.push(dead.elapsed().as_secs_f64() * 1e3);
        lost.push(begun.elapsed().as_secs_f64() * 1e3);
        holder = next;
    }
    // Nothing of the last run outlives its daemon.
    holder.root.kill()?;
    until("the last group is dead", async || is_gone(group).then_some(())).await?;
    let how = format!("a host with a daemon, embedded store, {ROUNDS} times");
    let since_dead =
        format!("from the last process of the holder's group until the next begins; {how}");
    let since_kill = format!("from the kill of the agent; heartbeat {}; {how}", HEARTBEAT[1]);
    let row = Row::new("a killed agent's lock is the next one's", "ms", freed, since_dead);
    Ok(vec![
        row.keeps(Bar::AtMost(1000.0)),
        Row::new("the same, since the kill", "ms", lost, since_kill),
    ])
}

/// The host of the agents.
struct Host<'a> {
    program: PathBuf,
    folder: &'a Path,
    coordinator: &'a Coordinator,
}

/// An agent that has the lock or waits for it.
struct Agent {
    /// The process whose life is its session's life.
    root: Running,
    _wrapper: Running,
    /// Where its command writes down that it has begun, and in which group.
    sign: PathBuf,
}

impl<'a> Host<'a> {
    fn new(folder: &'a Path, coordinator: &'a Coordinator) -> anyhow::Result<Self> {
        let remote = folder.join("remote.git");
        let mut clone = Command::new("git");
        output(clone.args(["clone", "--quiet"]).arg(remote).arg(folder.join("clone")))?;
        Ok(Self { program: own("molt-agent")?, folder, coordinator })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).current_dir(self.folder.join("clone"));
        command.env("MOLT_STATE", self.folder.join("agent")).env("MOLT_HOST", "bench");
        command.env("MOLT_COORD_ENDPOINTS", self.coordinator.address.to_string());
        command
    }

    /// Starts an agent, and for it a command under the lock that goes on and on.
    fn agent(&self, number: usize) -> anyhow::Result<Agent> {
        let file = |kind: &str| self.folder.join(format!("agent-{number}.{kind}"));
        let (sign, script) =
            (file("sign"), "echo $$ >\"$0.new\"; mv \"$0.new\" \"$0\"; exec sleep 60");
        let root = Running::start(Command::new("sleep").arg("120"), &file("root"))?;
        let mut wrapper = self.command("lock");
        wrapper.args(["run", "bench", "--wait", "1m", "--", "sh", "-c", script]).arg(&sign);
        wrapper.env("MOLT_AGENT_NAME", format!("agent-{number}"));
        wrapper.env("MOLT_AGENT_ROOT_PID", root.id().to_string());
        Ok(Agent { root, _wrapper: Running::start(&mut wrapper, &file("log"))?, sign })
    }
}

impl Agent {
    /// Waits until its command has begun: its group.
    async fn begun(&self) -> anyhow::Result<Pid> {
        let group = async || fs::read_to_string(&self.sign).ok();
        Ok(Pid::from_raw(until("the next one begins", group).await?.trim().parse()?))
    }
}

fn is_gone(group: Pid) -> bool {
    killpg(group, None) == Err(Errno::ESRCH)
}

/// Waits until somebody is in line for the lock.
async fn in_line(coordinator: &Coordinator) -> anyhow::Result<()> {
    let mut client = coordinator.connect(1)?.remove(0);
    let what = Some(v1::query::What::Locks(v1::Empty {}));
    let query = v1::Query { what, repo: "main".to_owned(), ..v1::Query::default() };
    let waits = async || match client.read(query.clone()).await.ok()?.into_inner().view? {
        v1::view::View::Holds(holds) => (!holds.waiting.is_empty()).then_some(()),
        _ => None,
    };
    until("the next one waits", waits).await
}

/// Looks until there is something to see.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let end: Instant = clock::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        ensure!(clock::now() < end, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

//! Clusters of real etcds, each a process of its own that can be killed, frozen and revived.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::http;

/// Names the program; `etcd` on the path otherwise.
pub const PROGRAM: &str = "ETCD_BIN";

/// How long members may take until they answer, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How often other ports are tried when somebody took one between the look and the start.
const ATTEMPTS: u32 = 8;

/// Where a member lives.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// On loopback, with two ports that were free.
    #[default]
    Loopback,
    /// At an address of its own with etcd's usual ports, started by way of `launcher`, which
    /// becomes etcd itself (as `ip netns exec NAME` does): signals are for that process.
    Host {
        /// What its peers and clients reach it by.
        address: IpAddr,
        /// Program and arguments before etcd's own.
        launcher: Vec<OsString>,
    },
}

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The etcd to run; by default what the environment's [`PROGRAM`] names.
    pub program: PathBuf,
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// How long a silent leader is waited for; at least five heartbeats.
    pub election: Duration,
    /// How large the database may grow before etcd raises its alarm and refuses to write.
    pub quota_bytes: Option<u64>,
    /// More of etcd's own options.
    pub arguments: Vec<String>,
    /// Where the members live, one each; those without live on loopback.
    pub places: Vec<Place>,
}

impl Default for Options {
    /// Elections within a second, etcd's own quota, all on loopback.
    fn default() -> Self {
        Self {
            program: std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("etcd"), PathBuf::from),
            heartbeat: Duration::from_millis(50),
            election: Duration::from_millis(500),
            quota_bytes: None,
            arguments: Vec::new(),
            places: Vec::new(),
        }
    }
}

/// Why a cluster is not what it was asked to be.
#[derive(Debug, Error)]
pub enum RigError {
    /// There is no such program.
    #[error("cannot start {}: set {PROGRAM} to an etcd, or install one", program.display())]
    NoProgram {
        /// What was tried.
        program: PathBuf,
        /// Why it did not start.
        #[source]
        source: io::Error,
    },
    /// A member ended by itself.
    #[error("member {member} ended ({status}); it said last:\n{said}")]
    Ended {
        /// Which, from 0.
        member: usize,
        /// How.
        status: String,
        /// The end of its log.
        said: String,
    },
    /// A member did not answer in time.
    #[error("member {member} did not answer within {PATIENCE:?}; it said last:\n{said}")]
    Silent {
        /// Which, from 0.
        member: usize,
        /// The end of its log.
        said: String,
    },
    /// No member that answers knows a leader.
    #[error("no member knew a leader within {PATIENCE:?}")]
    Leaderless,
    /// A file, a port or a signal.
    #[error("the rig itself failed")]
    Io(#[from] io::Error),
}

/// One or three etcds that know each other. Dropped, they are gone, and their state with them.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Member>,
}

impl Cluster {
    /// Starts `count` members and returns when each of them answers.
    ///
    /// # Errors
    ///
    /// See [`RigError`]. Nothing is left of a cluster that did not start.
    pub async fn start(count: usize, options: Options) -> Result<Self, RigError> {
        let mut attempt = 1;
        loop {
            let cluster = Self::launch(count, &options)?;
            match cluster.ready().await {
                Ok(()) => return Ok(cluster),
                Err(RigError::Ended { said, .. })
                    if attempt < ATTEMPTS && said.contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn launch(count: usize, options: &Options) -> Result<Self, RigError> {
        let mut ports = FreePorts::new();
        let mut members = Vec::with_capacity(count);
        for number in 0..count {
            let place = options.places.get(number).cloned().unwrap_or_default();
            members.push(Member::new(number, place, &mut ports)?);
        }
        drop(ports);
        let all: Vec<String> = members
            .iter()
            .map(|member| format!("{}=http://{}", member.name(), member.peers))
            .collect();
        let all = all.join(",");
        for member in &mut members {
            let arguments = member.arguments(options, &all);
            member.command.push(options.program.clone().into());
            member.command.extend(arguments);
            member.spawn()?;
        }
        Ok(Self { members })
    }

    /// Its members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Where clients reach the members, as `http://ADDRESS:PORT`.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::endpoint).collect()
    }

    /// Waits until every member answers with the consent of a majority.
    ///
    /// # Errors
    ///
    /// See [`RigError`].
    pub async fn ready(&self) -> Result<(), RigError> {
        for member in &self.members {
            member.ready().await?;
        }
        Ok(())
    }

    /// Starts every member that is not running and waits until all answer. Members that were all
    /// killed can only be revived together: one alone has no majority to answer with.
    ///
    /// # Errors
    ///
    /// See [`RigError`].
    pub async fn revive(&self) -> Result<(), RigError> {
        for member in &self.members {
            member.spawn()?;
        }
        self.ready().await
    }

    /// Which member leads, as the members that answer see it; waits while there is none.
    ///
    /// # Errors
    ///
    /// See [`RigError`].
    pub async fn leader(&self) -> Result<usize, RigError> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            for member in &self.members {
                if member.leads().await == Some(true) {
                    return Ok(member.number);
                }
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Err(RigError::Leaderless)
    }
}

/// One etcd of a cluster. All that is done to it is done to this one process.
#[derive(Debug)]
pub struct Member {
    number: usize,
    clients: SocketAddr,
    peers: SocketAddr,
    /// The whole command line.
    command: Vec<OsString>,
    child: Mutex<Option<Child>>,
    folder: TempDir,
}

impl Member {
    fn new(number: usize, place: Place, ports: &mut FreePorts) -> Result<Self, RigError> {
        let (clients, peers, command) = match place {
            Place::Loopback => (ports.take()?, ports.take()?, Vec::new()),
            Place::Host { address, launcher } => {
                (SocketAddr::new(address, 2379), SocketAddr::new(address, 2380), launcher)
            }
        };
        let folder = tempfile::Builder::new().prefix("molt-etcd-").tempdir()?;
        Ok(Self { number, clients, peers, command, child: Mutex::new(None), folder })
    }

    fn name(&self) -> String {
        format!("m{}", self.number)
    }

    fn arguments(&self, options: &Options, all: &str) -> Vec<OsString> {
        let (clients, peers) = (self.endpoint(), format!("http://{}", self.peers));
        let mut arguments: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        option("--name", self.name().into());
        option("--data-dir", self.data().into());
        option("--listen-client-urls", clients.clone().into());
        option("--advertise-client-urls", clients.into());
        option("--listen-peer-urls", peers.clone().into());
        option("--initial-advertise-peer-urls", peers.into());
        option("--initial-cluster", all.into());
        option("--heartbeat-interval", options.heartbeat.as_millis().to_string().into());
        option("--election-timeout", options.election.as_millis().to_string().into());
        if let Some(bytes) = options.quota_bytes {
            option("--quota-backend-bytes", bytes.to_string().into());
        }
        arguments.extend(options.arguments.iter().map(OsString::from));
        arguments
    }

    /// Which member of the cluster it is, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The number of its process, while it runs or is frozen.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.clients
    }

    /// Where clients reach it, as `http://ADDRESS:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.clients)
    }

    /// Where it keeps its state.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The last lines of what it said, for a test that failed.
    pub fn said(&self) -> String {
        let said = fs::read(self.log()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let from = said.lines().count().saturating_sub(12);
        said.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process unless it runs.
    fn spawn(&self) -> Result<(), RigError> {
        let mut child = self.child();
        if child.is_none() {
            let (program, arguments) = self.command.split_first().ok_or_else(gone)?;
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null());
            self.surround(&mut command)?;
            let program = PathBuf::from(program);
            *child =
                Some(command.spawn().map_err(|source| RigError::NoProgram { program, source })?);
        }
        Ok(())
    }

    /// Gives it an environment without options and a file to write to.
    fn surround(&self, command: &mut Command) -> io::Result<()> {
        // etcd takes each ETCD_… for an option of its own.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(name);
            }
        }
        if cfg!(target_arch = "aarch64") {
            // etcd 3.4 does not start there otherwise.
            command.env("ETCD_UNSUPPORTED_ARCH", "arm64");
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(())
    }

    /// Waits until it answers with the consent of a majority.
    async fn ready(&self) -> Result<(), RigError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if matches!(http::get(self.clients, "/health").await, Ok(answer) if answer.status == 200)
            {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                let (member, said) = (self.number, self.said());
                return Err(RigError::Ended { member, status, said });
            }
            if Instant::now() > until {
                return Err(RigError::Silent { member: self.number, said: self.said() });
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    fn ended(&self) -> io::Result<Option<String>> {
        let mut child = self.child();
        let Some(running) = child.as_mut() else { return Ok(Some("not started".to_owned())) };
        Ok(running.try_wait()?.map(|status| status.to_string()))
    }

    /// Whether it leads in its own view; nothing where it does not answer.
    pub async fn leads(&self) -> Option<bool> {
        let answer = http::post(self.clients, "/v3/maintenance/status").await.ok()?;
        let status: Value = serde_json::from_slice(&answer.body).ok()?;
        let leader = status.get("leader")?;
        // A member that was cut off goes on believing: only the one that is in office answers so.
        Some(status.get("header")?.get("member_id")? == leader)
    }

    /// Kills it (SIGKILL), frozen or not, and returns when it is gone. Its state stays.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn kill(&self) -> io::Result<()> {
        let Some(mut child) = self.child().take() else { return Err(gone()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts it again on its state and addresses, killing it first if it runs, and waits until
    /// it answers.
    ///
    /// # Errors
    ///
    /// See [`RigError`].
    pub async fn restart(&self) -> Result<(), RigError> {
        if self.child().is_some() {
            self.kill()?;
        }
        self.spawn()?;
        self.ready().await
    }

    /// Stops it in its tracks (SIGSTOP), and returns when it stands: connections stay, nothing is
    /// answered.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn freeze(&self) -> io::Result<()> {
        let pid = self.signal(Signal::SIGSTOP)?;
        // A signal that was sent is on its way; that all threads stand is what the parent is told.
        match waitpid(pid, Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => Ok(()),
            ended => Err(io::Error::other(format!("it ended instead: {ended:?}"))),
        }
    }

    /// Lets it go on after a [`freeze`](Self::freeze).
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::SIGCONT).map(drop)
    }

    fn signal(&self, signal: Signal) -> io::Result<Pid> {
        let child = self.child();
        let child = child.as_ref().ok_or_else(gone)?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        kill(pid, signal)?;
        Ok(pid)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Also where it is frozen. The folder goes after the process that writes to it.
        if self.child().is_some()
            && let Err(error) = self.kill()
        {
            tracing::warn!(member = self.number, %error, "an etcd was not killed");
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the member is not running")
}

/// Ports that nobody listens on, each handed out once. They are below those that systems give to
/// outgoing connections, so that a client that dials a dead member cannot end up on its port.
struct FreePorts {
    next: u16,
    /// Kept until all are chosen, so that none is chosen twice.
    taken: Vec<TcpListener>,
}

impl FreePorts {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;

    fn new() -> Self {
        let random = RandomState::new().hash_one(std::process::id()) % u64::from(Self::COUNT);
        Self { next: u16::try_from(random).unwrap_or(0), taken: Vec::new() }
    }

    fn take(&mut self) -> io::Result<SocketAddr> {
        let mut refused = None;
        for _ in 0..Self::COUNT {
            let port = Self::FIRST + self.next;
            self.next = (self.next + 1) % Self::COUNT;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => {
                    let address = listener.local_addr()?;
                    self.taken.push(listener);
                    return Ok(address);
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::Error::other("no port was tried")))
    }
}

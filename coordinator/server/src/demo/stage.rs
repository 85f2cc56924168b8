//! The scratch folder and what runs in it: remote, coordinator, hosts, worktrees.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cast::{CAST, HOSTS, SCRIPTS, last_lines};
use super::error::DemoError;
use super::git::git;
use super::programs::{self, Programs};
use super::recipe::Recipe;
use super::watch::Watch;
use crate::clock;

/// Short spans, so that a lost agent's work returns while one watches. They are printed.
const SPANS: [(&str, &str); 8] = [
    ("--heartbeat", "500ms"),
    ("--session-ttl", "20s"),
    ("--margin", "2s"),
    ("--kill-grace", "1s"),
    ("--delay", "2s"),
    ("--grace", "3s"),
    ("--offer", "10s"),
    ("--leader-ttl", "3s"),
];

/// How long a program may take to be ready, or to end when it is told to.
const READY: Duration = Duration::from_secs(20);
const ENDING: Duration = Duration::from_secs(8);

/// What becomes of the scratch folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Remove,
}

/// What the independent check said.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) text: String,
    pub(super) holds: bool,
}

/// The scratch folder and what runs in it. All of it ends with this value.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) programs: &'a Programs,
    pub(super) recipe: Recipe,
    pub(super) watch: &'a Watch,
    scratch: PathBuf,
    address: String,
    coordinator: Option<Child>,
    tail: Option<Child>,
    hosts: Vec<Child>,
}

impl<'a> Stage<'a> {
    /// Makes the folder and the repository, and starts coordinator and hosts.
    pub(super) fn set(
        programs: &'a Programs,
        recipe: Recipe,
        watch: &'a Watch,
        scratch: Option<&Path>,
    ) -> Result<Self, DemoError> {
        let scratch = folder(scratch)?;
        let mut stage = Self {
            programs,
            recipe,
            watch,
            scratch,
            address: "127.0.0.1:0".to_owned(),
            coordinator: None,
            tail: None,
            hosts: Vec::new(),
        };
        match stage.raise() {
            Ok(()) => Ok(stage),
            Err(error) => {
                // The first error is the one to tell.
                drop(stage.clear(After::Remove));
                Err(error)
            }
        }
    }

    fn raise(&mut self) -> Result<(), DemoError> {
        self.watch.say("scratch", &self.scratch.display().to_string());
        for name in ["agents", "logs", "out", "work"] {
            let path = self.path(name);
            std::fs::create_dir(&path).map_err(DemoError::file(path))?;
        }
        for (name, text) in SCRIPTS.into_iter().chain([("mind.sh", self.recipe.mind)]) {
            self.write(&format!("agents/{name}"), text)?;
        }
        let seed = self.path("seed");
        self.recipe.lay(self.programs, &seed)?;
        git(&seed, &["tag", "demo-base"])?;
        git(&self.scratch, &["clone", "--quiet", "--bare", "seed", "remote.git"])?;
        self.watch.say("remote", &self.recipe.about);
        self.serve()?;
        for (host, jobs) in HOSTS.into_iter().zip(self.recipe.jobs) {
            self.begin_host(host, jobs)?;
        }
        self.watch.events(("host_seen", HOSTS.len()), 0, READY, |_| true)?;
        let agents = CAST.map(|(name, host)| format!("{name}@{host}")).join(" ");
        self.watch.say("hosts", &format!("{}; agents {agents}", HOSTS.join(" ")));
        for (name, _) in CAST {
            let worktree = self.worktree(name);
            let worktree = worktree.display().to_string();
            git(&self.scratch, &["clone", "--quiet", "remote.git", &worktree])?;
        }
        Ok(())
    }

    /// Starts the coordinator, at the address that it had before if it had one.
    pub(super) fn serve(&mut self) -> Result<(), DemoError> {
        let ready = self.path("ready");
        if ready.exists() {
            std::fs::remove_file(&ready).map_err(DemoError::file(&ready))?;
        }
        let mut command = self.programs.coordinator();
        command.arg("serve").arg("--data").arg(self.path("coordinator"));
        command.arg("--remote").arg(self.path("remote.git"));
        command.args(["--listen", &self.address]).arg("--ready-file").arg(&ready);
        command.args(SPANS.iter().flat_map(|(name, span)| [name, span]));
        let log = self.path("logs").join("coordinator.log");
        let mut child = start(command, "molt-coordinator serve", &log)?;
        let served = self.watch.wait("the coordinator", READY, |_| {
            if let Ok(Some(status)) = child.try_wait() {
                let program = "molt-coordinator serve".to_owned();
                let said = last_lines(&log);
                return Err(DemoError::Ended { program, status: status.to_string(), said });
            }
            let address = std::fs::read_to_string(&ready).unwrap_or_default();
            Ok((!address.is_empty()).then_some(address))
        });
        self.coordinator = Some(child);
        self.address = served?;
        let spans = SPANS.map(|(name, span)| format!("{} {span}", &name[2..])).join(", ");
        if self.tail.is_none() {
            self.watch.say("serving", &format!("{}; {spans}", self.address));
        }
        end(&mut self.tail);
        let mut tail = self.programs.coordinator();
        tail.env("MOLT_COORD_ENDPOINTS", &self.address).process_group(0);
        self.tail = Some(self.watch.follow(tail)?);
        Ok(())
    }

    /// Kills the coordinator as a crash would.
    pub(super) fn crash_coordinator(&mut self) {
        end(&mut self.coordinator);
    }

    fn begin_host(&mut self, host: &str, jobs: u32) -> Result<(), DemoError> {
        let mut command = self.programs.agent();
        command.args(["daemon", "--jobs", &jobs.to_string(), "--coordinator", &self.address]);
        command.envs(self.of_host(host));
        let log = self.path("logs").join(format!("{host}.log"));
        let child = start(command, &format!("molt-agent daemon of {host}"), &log)?;
        self.hosts.push(child);
        Ok(())
    }

    /// A file or folder of the scratch.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// An agent's worktree.
    pub(super) fn worktree(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// Where the coordinator is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The variables that say on which host something runs.
    pub(super) fn of_host(&self, host: &str) -> [(&'static str, String); 2] {
        let state = self.path("state").join(host).display().to_string();
        [("MOLT_HOST", host.to_owned()), ("MOLT_STATE", state)]
    }

    /// Writes a file of the scratch.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.path(name);
        std::fs::write(&path, text).map_err(DemoError::file(&path))?;
        Ok(path)
    }

    /// Asks as somebody who looks on; the data of the answer.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<serde_json::Value, DemoError> {
        let mut command = self.programs.agent();
        command.args(arguments).args(["--json", "--coordinator", &self.address]);
        command.current_dir(self.worktree("pam")).envs(self.of_host("h2"));
        let name = format!("molt-agent {}", arguments.join(" "));
        let mut document = programs::json(&programs::output(command, &name)?, &name)?;
        Ok(document["data"].take())
    }

    /// Exports the audit.
    pub(super) fn export_audit(&self) -> Result<PathBuf, DemoError> {
        let file = self.path("audit.jsonl");
        let mut command = self.programs.coordinator();
        command.args(["audit", "export", "--coordinator", &self.address]).arg(&file);
        programs::output(command, "molt-coordinator audit export")?;
        Ok(file)
    }

    /// Lets the independent check judge remote and audit.
    pub(super) fn verify(&self, audit: &Path, wanted: &str) -> Result<Verdict, DemoError> {
        let expect = self.write("expect.toml", wanted)?;
        let mut command = self.programs.verify();
        command.arg("--repo").arg(self.path("remote.git")).arg("--audit").arg(audit);
        command.arg("--expect").arg(expect);
        let start = |source| DemoError::Start { program: "molt-verify".to_owned(), source };
        let output = command.output().map_err(start)?;
        match output.status.code() {
            Some(code @ 0..=1) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                Ok(Verdict { text, holds: code == 0 })
            }
            _ => Err(programs::ended("molt-verify", &output)),
        }
    }

    /// Ends everything that runs: first what the hosts run, then the hosts, then the rest.
    pub(super) fn end_programs(&mut self) {
        if self.coordinator.is_none() && self.hosts.is_empty() {
            return;
        }
        for host in HOSTS {
            // What cannot be asked runs nothing any more.
            drop(self.stop_runs(host));
        }
        let all = self.hosts.drain(..).chain(self.coordinator.take());
        for mut child in all.collect::<Vec<_>>().into_iter() {
            retire(&mut child);
        }
        end(&mut self.tail);
    }

    /// Stops the runs of a host: they belong to supervisors, which outlive daemons.
    fn stop_runs(&self, host: &str) -> Result<(), DemoError> {
        let agent = |arguments: &[&str]| {
            let mut command = self.programs.agent();
            command.args(arguments).args(["--json", "--coordinator", &self.address]);
            command.envs(self.of_host(host)).current_dir(&self.scratch);
            programs::output(command, "molt-agent job")
        };
        let listed = programs::json(&agent(&["job", "ls"])?, "molt-agent job ls")?;
        for run in listed["data"].as_array().into_iter().flatten() {
            let live = run["state"].as_str().is_some_and(|state| state.starts_with("since"));
            if let (true, Some(name)) = (live, run["run"].as_str()) {
                agent(&["job", "stop", name])?;
            }
        }
        Ok(())
    }

    /// Ends everything and removes the scratch folder, or leaves it.
    pub(super) fn clear(mut self, after: After) -> Result<(), DemoError> {
        self.end_programs();
        if after == After::Keep {
            self.watch.say("kept", &self.scratch.display().to_string());
            return Ok(());
        }
        std::fs::remove_dir_all(&self.scratch).map_err(DemoError::file(&self.scratch))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.end_programs();
    }
}

/// A folder that is nobody else's.
fn folder(wanted: Option<&Path>) -> Result<PathBuf, DemoError> {
    let path = match wanted {
        Some(path) => std::path::absolute(path).map_err(DemoError::file(path))?,
        None => std::env::temp_dir().join(format!("molt-demo-{}", std::process::id())),
    };
    let mut builder = DirBuilder::new();
    builder
        .mode(0o700)
        .recursive(wanted.is_some())
        .create(&path)
        .map_err(DemoError::file(&path))?;
    match std::fs::read_dir(&path).map_err(DemoError::file(&path))?.next() {
        None => std::fs::canonicalize(&path).map_err(DemoError::file(&path)),
        Some(_) => Err(DemoError::Occupied { path }),
    }
}

/// Starts a program with its output in a log, in a group of its own.
fn start(mut command: Command, name: &str, log: &Path) -> Result<Child, DemoError> {
    let failed = |source| DemoError::File { path: log.to_owned(), source };
    let out = File::options().append(true).create(true).open(log).map_err(failed)?;
    let errors = out.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(out).stderr(errors).process_group(0);
    command.spawn().map_err(|source| DemoError::Start { program: name.to_owned(), source })
}

/// Kills a child and reaps it.
fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        // One that has ended already is what is wanted.
        drop(child.kill());
        drop(child.wait());
    }
}

/// Asks a child to end, and kills it when it does not.
fn retire(child: &mut Child) {
    let _ended = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let until = clock::boottime() + ENDING;
    while matches!(child.try_wait(), Ok(None)) {
        if clock::boottime() >= until {
            drop(child.kill());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

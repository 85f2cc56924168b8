//! A host: a name and a state folder, with at most one daemon.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::clock::until;
use super::process::{Running, command, send};
use super::programs;

/// A host of a fleet.
#[derive(Debug)]
pub(crate) struct Host {
    /// What else its programs find in their environment.
    pub(crate) variables: Vec<(&'static str, OsString)>,
    name: String,
    scratch: PathBuf,
    coordinator: String,
    daemon: Option<Running>,
}

impl Host {
    /// One without a daemon.
    pub(crate) fn new(scratch: &Path, name: &str, coordinator: &str) -> Self {
        let (scratch, name) = (scratch.to_owned(), name.to_owned());
        let coordinator = coordinator.to_owned();
        Self { variables: Vec::new(), name, scratch, coordinator, daemon: None }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.scratch.join(format!("state-{}", self.name))
    }

    /// The folder for what programs say.
    pub(crate) fn logs(&self) -> PathBuf {
        self.scratch.join("said")
    }

    /// The agent's program on this host, as nobody.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(programs::agent(), &self.scratch);
        command.args(arguments).current_dir(&self.scratch);
        command.env("MOLT_HOST", &self.name).env("MOLT_STATE", self.state());
        command.env("MOLT_COORD_ENDPOINTS", &self.coordinator);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts its daemon, which runs `jobs` jobs at once, and waits until it has its place.
    #[track_caller]
    pub(crate) fn serve(&mut self, jobs: u32) {
        let mut daemon =
            Running::start(self.command(&["daemon", "--jobs", &jobs.to_string()]), &self.logs());
        let pid = daemon.pid();
        until("the daemon has its place", || {
            if let Some(said) = daemon.ended() {
                panic!("the daemon ended with {}: {}", said.code, said.err);
            }
            (self.daemon_pid() == Some(pid)).then_some(())
        });
        self.daemon = Some(daemon);
    }

    /// Kills the daemon at once, whoever started it.
    #[track_caller]
    pub(crate) fn kill_daemon(&mut self) {
        assert!(self.daemon_pid().is_some(), "a daemon is at work");
        self.end_daemon(Signal::SIGKILL);
    }

    /// Ends the daemon, and whoever was started beside it and takes its place.
    #[track_caller]
    fn end_daemon(&mut self, signal: Signal) {
        until("the daemon has ended", || match self.daemon_pid() {
            Some(pid) => {
                send(pid, signal);
                None
            }
            None => Some(()),
        });
        self.daemon = None;
    }

    /// The number of the daemon's process, if one is at work.
    pub(crate) fn daemon_pid(&self) -> Option<i32> {
        let entries = self.state().join("daemon").read_dir().ok()?;
        let mut locks = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let lock = locks.find(|path| path.extension().is_some_and(|it| it == "lock"))?;
        if !is_locked(&lock) {
            return None;
        }
        let sign: Value = read(&lock.with_extension("pid.json"))?;
        sign["daemon"]["pid"].as_i64().and_then(|pid| pid.try_into().ok())
    }

    /// The folders of the runs that were ever started here.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = self.state().join("runs").read_dir() else { return Vec::new() };
        let mut runs: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a folder of runs").path()).collect();
        runs.sort();
        runs
    }

    /// Waits until a run whose name begins with `name` is under way: the numbers of its
    /// supervisor and of its child.
    #[track_caller]
    pub(crate) fn run_under_way(&self, name: &str) -> (i32, i32) {
        until(&format!("run {name} is under way"), || {
            let named = |run: &PathBuf| {
                run.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name))
            };
            let run = self.runs().into_iter().find(named)?;
            let record: Value = read(&run.join("supervisor.json"))?;
            let pid = |who: &str| record[who]["pid"].as_i64().and_then(|pid| pid.try_into().ok());
            Some((pid("supervisor")?, pid("child")?))
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.state().join("logs/daemon.log"));
            let said = said.unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            println!("the daemon of {} said last:\n{last}", self.name);
        }
        // A verb may have started a daemon; runs belong to supervisors that outlive it.
        let signal = if std::thread::panicking() { Signal::SIGKILL } else { Signal::SIGTERM };
        self.end_daemon(signal);
        for run in self.runs().into_iter().filter(|run| !run.join("exit.json").exists()) {
            let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let stopped = self.command(&["job", "stop", &name]).output();
            let said = stopped.map(|output| output.status.to_string());
            if !run.join("exit.json").exists() && !std::thread::panicking() {
                panic!("run {name} of host {} was not stopped: {said:?}", self.name);
            }
        }
        self.end_daemon(signal);
    }
}

/// Whether somebody has the system's lock on a file.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::options().read(true).write(true).open(path) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

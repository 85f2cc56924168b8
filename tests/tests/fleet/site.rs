//! A host with its place: its daemon and its agents are processes there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Agent, Host, Remote, send, until};
use crate::net::Place;

/// A host at its place.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its name, which is its place's too.
    pub(crate) name: &'static str,
    place: Place,
    host: Host,
    scratch: PathBuf,
}

/// What a host is given.
#[derive(Debug)]
pub(crate) struct Means<'a> {
    /// Where its coordinators are.
    pub(crate) coordinators: &'a str,
    /// How many jobs its daemon runs at once.
    pub(crate) jobs: u32,
    /// What its programs find in their environment.
    pub(crate) variables: &'a [(&'static str, OsString)],
}

impl Site {
    /// One with a daemon.
    #[track_caller]
    pub(crate) fn new(
        scratch: &Path,
        name: &'static str,
        place: &Place,
        means: &Means<'_>,
    ) -> Self {
        let mut host = Host::new(scratch, name, means.coordinators);
        host.variables = means.variables.to_vec();
        place.enter(|| host.serve(means.jobs));
        Self { name, place: place.clone(), host, scratch: scratch.to_owned() }
    }

    /// An agent at work here in a clone of its own.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str, remote: &Remote) -> Agent {
        let worktree = remote.clone_into(&self.scratch.join(format!("work-{name}")));
        self.place.enter(|| Agent::new(name, &self.host, worktree))
    }

    /// Runs `what` here: processes that it starts are processes of this host.
    pub(crate) fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.place.enter(what)
    }

    /// Kills the daemon at once; the next verb of an agent starts another one.
    pub(crate) fn kill_daemon(&self) {
        let pid = self.host.daemon_pid().expect("a daemon is at work");
        send(pid, Signal::SIGKILL);
        until("the daemon is gone", || (self.host.daemon_pid() != Some(pid)).then_some(()));
    }

    /// Freezes every process of the host: daemon, supervisors, children and wrappers. Who was
    /// started while this went on is frozen as well; the frozen ones.
    pub(crate) fn freeze(&self) -> Vec<i32> {
        let mut frozen = Vec::new();
        loop {
            let mut more = self.place.processes();
            more.retain(|pid| !frozen.contains(pid));
            if more.is_empty() {
                return frozen;
            }
            for pid in more {
                send(pid, Signal::SIGSTOP);
                frozen.push(pid);
            }
        }
    }

    /// The processes that hold something here: the children of runs.
    pub(crate) fn holders(&self) -> Vec<i32> {
        let here = self.place.processes();
        let child = |run: &PathBuf| {
            let record = std::fs::read(run.join("supervisor.json")).ok()?;
            let record: Value = serde_json::from_slice(&record).ok()?;
            record["child"]["pid"].as_i64().and_then(|pid| pid.try_into().ok())
        };
        self.runs().iter().filter_map(child).filter(|pid| here.contains(pid)).collect()
    }

    /// The folders of the runs that were ever started here.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        self.host.runs()
    }

    /// Lets processes of the host go on.
    pub(crate) fn thaw(&self, frozen: &[i32]) {
        let here = self.place.processes();
        for pid in frozen.iter().filter(|pid| here.contains(pid)) {
            send(*pid, Signal::SIGCONT);
        }
    }

    /// Lets whatever is frozen here go on.
    pub(crate) fn thaw_all(&self) {
        self.thaw(&self.place.processes());
    }
}

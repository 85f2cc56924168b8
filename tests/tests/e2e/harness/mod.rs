//! A whole fleet in a scratch folder: a bare remote, a coordinator, hosts with
//! their daemons, agents with their worktrees. All of it is real processes, and
//! all of it is gone when the values that stand for it are.
//!
//! Not here: what is to be shown about them (the modules beside this one).

mod agent;
mod clock;
mod coordinator;
mod events;
mod host;
mod process;
pub(crate) mod programs;
mod remote;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub(crate) use agent::{Agent, Root};
pub(crate) use clock::{pause, until};
pub(crate) use coordinator::Coordinator;
pub(crate) use host::Host;
pub(crate) use process::{Running, Said, command, git, is_alive, send};
pub(crate) use remote::Remote;

pub(crate) use nix::sys::signal::Signal;

/// A fleet: one repository and its coordinator.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The service.
    pub(crate) coordinator: Coordinator,
    /// The repository that changes land in.
    pub(crate) remote: Remote,
    scratch: TempDir,
}

impl Fleet {
    /// A fleet whose base has `files`, one of them `molt.toml`, and whose coordinator was told
    /// `spans`. It answers when this returns.
    #[track_caller]
    pub(crate) fn new(files: &[(&str, &str)], spans: &[&str]) -> Self {
        Self::within(scratch(), files, spans)
    }

    /// The same in a scratch folder that is there already, for files that name paths of it.
    #[track_caller]
    pub(crate) fn within(scratch: TempDir, files: &[(&str, &str)], spans: &[&str]) -> Self {
        let remote = Remote::new(scratch.path(), files);
        let mut coordinator = Coordinator::new(scratch.path(), &remote, spans);
        coordinator.start();
        Self { coordinator, remote, scratch }
    }

    /// A path of the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A host of this name, with a state folder of its own and without a daemon.
    pub(crate) fn host(&self, name: &str) -> Host {
        Host::new(self.scratch.path(), name, self.coordinator.address())
    }

    /// An agent called `name`, at work in a fresh clone on `host`.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str, host: &Host) -> Agent {
        let worktree = self.remote.clone_into(&self.path(&format!("work-{name}")));
        Agent::new(name, host, worktree)
    }

    /// Exports the audit and checks it against git, with the product's verb and with the check
    /// that shares no code with the product.
    #[track_caller]
    pub(crate) fn verify(&self) {
        let audit = self.path(&format!("audit-{}.jsonl", self.coordinator.events.mark()));
        let name = audit.to_str().expect("a path of text");
        self.coordinator.run(&["audit", "export", name]).exits(0);
        self.coordinator.run(&["audit", "verify", name]).exits(0);
        let repo = self.remote.path().to_owned();
        let asked =
            molt_tests::verify::Asked { repo, audit, branch: "main".to_owned(), expect: None };
        let report = molt_tests::verify::verify(&asked).expect("all is there to be verified");
        assert!(report.holds(), "{report}");
    }
}

/// A folder that is gone at the end of the test.
pub(crate) fn scratch() -> TempDir {
    // Paths of sockets are short, so this is too.
    tempfile::Builder::new().prefix("e2e-").tempdir().expect("a scratch folder")
}

/// Leaves a test out for the reason that `skips.txt` gives. Without one it fails under CI.
#[track_caller]
pub(crate) fn skip(test: &str) {
    let listed = include_str!("../../../skips.txt");
    let reason = listed.lines().find(|line| line.contains(&format!(" {test}: ")));
    println!("left out: {}", reason.unwrap_or(test));
    assert!(reason.is_some() || std::env::var_os("CI").is_none(), "{test} is not in skips.txt");
}

/// Writes a file of the worktree `top`, with the folders that it needs.
pub(crate) fn write(top: &Path, path: &str, text: &str) {
    let path = top.join(path);
    std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// The lines of a file that processes append to; none if it is not there yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

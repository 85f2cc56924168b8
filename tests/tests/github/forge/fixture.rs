//! A private repository at the simulated GitHub, and leaders that land there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use molt_forge::github::{App, Client, Clock, Credentials, GithubForge, Operation, Transport};
use molt_forge::{Fencing, GitForge};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::leader::{Leader, program};
use crate::sim::{APP_KEY, Fault, GitHub, Kind, When};

/// What lands here.
pub(crate) type Backend = GithubForge;

/// What the App needs for landing, and no more.
const PERMISSIONS: [(&str, &str); 2] = [("metadata", "read"), ("contents", "write")];

pub(crate) struct Fixture {
    pub(crate) github: GitHub,
    pub(crate) repository: u64,
    runtime: Runtime,
    folder: TempDir,
}

impl Fixture {
    /// A repository whose `main` has one commit, and a leader in its first term.
    pub(crate) fn new() -> (Self, Leader) {
        let fixture = Self::granted(&PERMISSIONS);
        let leader = fixture.leader(1);
        (fixture, leader)
    }

    /// The same for an App with these rights, and nobody who leads.
    pub(crate) fn granted(permissions: &[(&str, &str)]) -> Self {
        let github = GitHub::start(permissions);
        let repository = github.add_repository("acme/widget", true, &[("README.md", "# widget\n")]);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a scratch folder");
        Self { github, repository, runtime, folder }
    }

    /// Says that the base was set back on purpose: the simulator takes it for the next asker's doing.
    pub(crate) fn set_back_by_hand(&self) {
        let found = self.github.take_violations();
        let rewound = |it: &&String| it.contains("which is not after it");
        assert_eq!(found.iter().find(|it| !rewound(it)), None);
        assert!(!found.is_empty(), "nobody noticed");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The repository as a folder, behind GitHub's back.
    pub(crate) fn remote(&self) -> PathBuf {
        self.github.git(self.repository, &["rev-parse", "--absolute-git-dir"]).into()
    }

    /// The repository's address for git.
    pub(crate) fn url(&self) -> String {
        format!("{}/acme/widget.git", self.github.url())
    }

    /// A leader of this term, with a client and a mirror of its own.
    pub(crate) fn leader(&self, term: u64) -> Leader {
        self.leader_by(term, &program())
    }

    /// The same, whose git is this program.
    pub(crate) fn leader_by(&self, term: u64, program: &Path) -> Leader {
        Leader::new(self.folder.path(), &self.remote(), term, |git_dir| {
            self.forge(program, git_dir)
        })
    }

    /// The same, at a GitHub that moves no refs together.
    pub(crate) fn leader_alone(&self, term: u64) -> Leader {
        Leader::new(self.folder.path(), &self.remote(), term, |git_dir| {
            self.forge(&program(), git_dir).with_fencing(Fencing::BaseAlone)
        })
    }

    fn forge(&self, program: &Path, git_dir: &Path) -> GithubForge {
        let git = GitForge::new(program, git_dir, &self.url());
        let place = "acme/widget".parse().expect("a name");
        GithubForge::new(git, place, Arc::new(self.client()), self.runtime())
            .expect("loopback is private")
    }

    pub(crate) fn runtime(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    pub(crate) fn client(&self) -> Client {
        let _within = self.runtime.enter();
        let transport = Transport::new(&self.github.url()).expect("it is loopback");
        let app = App::new(self.github.app_id(), APP_KEY.as_bytes()).expect("the key is one");
        let installation = self.github.installation_id();
        Client::new(transport, Credentials::installation(app, installation, Clock::machine()))
    }

    /// What goes wrong with the next request of an operation.
    pub(crate) fn plan(&self, operation: &'static str, when: When, kind: Kind) {
        self.github.plan(Fault { operation, nth: 1, when, kind });
    }

    /// How often an operation was asked for.
    pub(crate) fn asked(&self, operation: Operation) -> usize {
        let name = operation.to_string();
        self.github.journal().iter().filter(|entry| entry.operation == name).count()
    }
}

/// An error with all that is below it.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        words.push_str(&format!(": {error}"));
        below = error.source();
    }
    words
}

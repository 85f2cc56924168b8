//! An agent that works on the repository at the simulated GitHub, as a program with a worktree.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::Value;

use super::harness::{Agent, Host, git};
use super::stand::Stand;

/// An agent at work, who may push as `mona`.
pub(super) struct Worker {
    pub(super) agent: Agent,
    /// Where it works: its daemon ends with the last one there.
    _host: Arc<Host>,
}

impl Worker {
    /// One called `ann`, of the coordinator that answers at `address`.
    pub(super) fn start(stand: &Stand, address: &str) -> Self {
        Self::crew(stand, address, &["ann"]).remove(0)
    }

    /// Some at work on one host.
    pub(super) fn crew(stand: &Stand, address: &str, names: &[&str]) -> Vec<Self> {
        let folder = stand.folder.path();
        let ask = folder.join("ask");
        let token = stand.github.personal_token("mona");
        let script = format!(
            "#!/bin/sh\ncase $1 in Username*) echo x-access-token ;; *) echo {token} ;; esac\n"
        );
        fs::write(&ask, script).expect("a script");
        fs::set_permissions(&ask, Permissions::from_mode(0o700)).expect("its mode");
        let mut host = Host::new(folder, "h1", address);
        host.variables.push(("GIT_ASKPASS", ask.into()));
        let host = Arc::new(host);
        let bare = stand.git(&["rev-parse", "--absolute-git-dir"]);
        let remote = format!("{}/acme/widget.git", stand.github.url());
        let start = |name: &&str| {
            let worktree = format!("work-{name}");
            git(folder, &["clone", "--quiet", &bare, &worktree]);
            let worktree = folder.join(worktree);
            git(&worktree, &["remote", "set-url", "origin", &remote]);
            Self { agent: Agent::new(name, &host, worktree), _host: Arc::clone(&host) }
        };
        names.iter().map(start).collect()
    }

    /// Commits a file and submits it; its car.
    pub(super) fn submit(&self, file: &str, text: &str, title: &str) -> String {
        self.agent.commit_on_top(&[(file, text)], title);
        let told = self.agent.json(&["submit"], 0);
        told["data"]["id"].as_str().expect("a car").to_owned()
    }

    /// How a car stands, whatever that is.
    pub(super) fn car(&self, id: &str) -> Value {
        let said = self.agent.run(&["gate", "show", id, "--json"]);
        said.document()["data"].clone()
    }

    /// Whether a car is in this state.
    pub(super) fn is(&self, id: &str, state: &str) -> bool {
        self.car(id)["state"] == state
    }
}

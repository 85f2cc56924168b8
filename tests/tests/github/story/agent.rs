//! An agent that works on the repository at the simulated GitHub, as a program with a worktree.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::harness::{Agent, Host, git};
use super::stand::Stand;

/// An agent at work, who may push as `mona`.
pub(super) struct Worker {
    pub(super) agent: Agent,
    /// Where it works: its daemon ends with this.
    _host: Host,
}

impl Worker {
    /// One called `ann`, of the coordinator that answers at `address`.
    pub(super) fn start(stand: &Stand, address: &str) -> Self {
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
        let worktree = folder.join("work-ann");
        let bare = stand.git(&["rev-parse", "--absolute-git-dir"]);
        git(folder, &["clone", "--quiet", &bare, "work-ann"]);
        let remote = format!("{}/acme/widget.git", stand.github.url());
        git(&worktree, &["remote", "set-url", "origin", &remote]);
        Self { agent: Agent::new("ann", &host, worktree), _host: host }
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

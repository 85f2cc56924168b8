//! Commands that tests of several rooms begin with.

use molt_domain::board::Command;
use molt_domain::session::Root;

const POLICY: &str = "version = 1\n[scope.a]\npaths = [\"a/**\"]\n[scope.b]\npaths = [\"b/**\"]\n\
                      [merge]\nmethod = \"merge\"\nrequired = [\"scope\"]\n";

/// Takes note of a repository `main` with the scopes `a` and `b`.
pub(crate) fn reads_base() -> Command {
    Command::ReadBase {
        repo: "main".parse().unwrap(),
        branch: "main".to_owned(),
        commit: "1".repeat(40),
        tree: "2".repeat(40),
        policy: Ok(crate::policy::read(POLICY).unwrap()),
    }
}

/// Begins a session in it, whose secret is its name.
pub(crate) fn joins(name: &str) -> Command {
    Command::Join {
        repo: "main".parse().unwrap(),
        name: name.parse().unwrap(),
        host: "host".parse().unwrap(),
        root: Root::Use,
        worktree: "/w".to_owned(),
        secret: name.to_owned(),
    }
}

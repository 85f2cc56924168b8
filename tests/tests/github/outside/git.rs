//! What the person does by git: branches of the repository's own, and their end.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use molt_forge::Oid;
use molt_forge::github::Slug;
use tempfile::TempDir;

use super::place::Branches;

/// What the trunk requires: one gate, which runs what the trunk has in it.
const POLICY: &str = "version = 1\n[merge]\nmethod = \"merge\"\nrequired = [\"case\"]\n\
                      protect = [\"molt.toml\", \"case.sh\"]\n\
                      [gate.case]\nrun = \"sh case.sh\"\ntimeout = \"1m\"\n\
                      [scope.all]\npaths = [\"**\"]\n";

/// Passes where somebody added a case, and says of none that it passes.
const GATE: &str = "[ \"$(cat case)\" = ok ]\n";

/// A clone of the repository, by which the person pushes.
#[derive(Debug)]
pub(super) struct Checkout {
    folder: TempDir,
    /// Answers git when it asks who it is that asks.
    pub(super) ask: PathBuf,
}

impl Checkout {
    /// Clones the repository as whoever has the token.
    pub(super) fn of(api: &str, slug: &Slug, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (ask, secret) = (folder.path().join("ask"), folder.path().join("token"));
        fs::write(&secret, token).expect("a secret");
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("its mode");
        let script = "#!/bin/sh\ncase $1 in Username*) echo x-access-token ;; \
                      *) cat \"$(dirname \"$0\")/token\" ;; esac\n";
        fs::write(&ask, script).expect("a script");
        fs::set_permissions(&ask, Permissions::from_mode(0o700)).expect("its mode");
        let checkout = Self { folder, ask };
        let (remote, work) = (slug.remote(api), checkout.work());
        let work = work.to_str().expect("a UTF-8 path");
        checkout.run(checkout.folder.path(), &["clone", "--quiet", &remote, work]);
        checkout
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn run(&self, at: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(at).args(["-c", "user.name=molt", "-c", "credential.helper="]);
        command.args(["-c", "user.email=molt@localhost"]).args(arguments);
        command.env("GIT_ASKPASS", &self.ask).env("GIT_TERMINAL_PROMPT", "0");
        let output = command.output().expect("git runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.run(&self.work(), arguments)
    }

    fn commit(&self, files: &[(&str, &str)], message: &str) -> Oid {
        for (name, content) in files {
            fs::write(self.work().join(name), content).expect("a file");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).parse().expect("git prints ids")
    }

    /// Makes branches that nobody has: a trunk with a gate, a feature that passes it, and a spare
    /// one. What the repository has is not touched.
    pub(super) fn branches(&self) -> Branches {
        let base = self.commit(&[("molt.toml", POLICY), ("case.sh", GATE)], "Require a case");
        let head = self.commit(&[("case", "ok\n")], "Add a case");
        let own = format!("molt-sandbox/{}", &base.as_str()[..12]);
        let branch = |name: &str| format!("{own}-{name}");
        let (trunk, feature, spare) = (branch("trunk"), branch("feature"), branch("spare"));
        let to = |from: &Oid, name: &str| format!("{from}:refs/heads/{name}");
        let refs = [to(&base, &trunk), to(&head, &feature), to(&base, &spare)];
        self.git(&["push", "--quiet", "origin", &refs[0], &refs[1], &refs[2]]);
        Branches { trunk, base, feature, head, spare }
    }

    /// Takes branches away.
    pub(super) fn delete(&self, branches: &[&str]) {
        let push = ["push", "--quiet", "--delete", "origin"];
        let arguments: Vec<&str> = push.into_iter().chain(branches.iter().copied()).collect();
        self.git(&arguments);
    }

    /// Whether a branch is a merge of these two now.
    pub(super) fn is_merge(&self, branch: &str, base: &Oid, head: &Oid) -> bool {
        self.git(&["fetch", "--quiet", "origin", branch]);
        let parents = self.git(&["rev-parse", "FETCH_HEAD^1", "FETCH_HEAD^2"]);
        parents == format!("{base}\n{head}")
    }
}

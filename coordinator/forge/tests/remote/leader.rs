//! Leaders that work on one remote from their own git directories, whatever the remote is.
//!
//! Shared with the suites of other forges: `fixture` beside it says what stands behind `Backend`.

use std::path::{Path, PathBuf};
use std::process::Command;

use molt_forge::{Branch, FenceRecord, Forge, Landing, Oid};

use super::fixture::Backend;

/// A leader: a forge, and the git directory that it works in.
pub(crate) struct Leader {
    pub(crate) forge: Backend,
    pub(crate) term: u64,
    pub(crate) git_dir: PathBuf,
    remote: PathBuf,
}

pub(crate) fn program() -> PathBuf {
    std::env::var_os("MOLT_GIT").unwrap_or_else(|| "git".into()).into()
}

pub(crate) fn main_branch() -> Branch {
    "main".parse().unwrap()
}

/// Runs git as a person would, and returns what it prints.
pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(program())
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Leader {
    /// A leader of this term with a mirror of its own below `folder`, of the remote in that folder.
    /// `open` makes its forge, which works in the git directory.
    pub(crate) fn new(
        folder: &Path,
        remote: &Path,
        term: u64,
        open: impl FnOnce(&Path) -> Backend,
    ) -> Self {
        let git_dir = folder.join(format!("leader{term}.git"));
        git(folder, &["init", "--quiet", "--bare", git_dir.to_str().unwrap()]);
        git(&git_dir, &["remote", "add", "origin", remote.to_str().unwrap()]);
        for (how, refs) in [("--replace-all", "heads"), ("--add", "molt")] {
            let refspec = format!("+refs/{refs}/*:refs/{refs}/*");
            git(&git_dir, &["config", how, "remote.origin.fetch", &refspec]);
        }
        git(&git_dir, &["fetch", "--quiet", "origin"]);
        let forge = open(&git_dir);
        Self { forge, term, git_dir, remote: remote.to_owned() }
    }

    /// A commit of the empty tree, known only here.
    pub(crate) fn commit(&self, parent: Option<&Oid>, message: &str) -> Oid {
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        git(&self.git_dir, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let mut args = vec!["commit-tree", tree, "-m", message];
        args.extend(parent.iter().flat_map(|parent| ["-p", parent.as_str()]));
        git(&self.git_dir, &args).parse().unwrap()
    }

    pub(crate) fn base(&self) -> Oid {
        self.forge.base(&main_branch()).unwrap()
    }

    /// What a ref of the remote names, straight from its folder.
    pub(crate) fn at_remote(&self, refname: &str) -> Option<Oid> {
        let name = git(&self.remote, &["for-each-ref", "--format=%(objectname)", refname]);
        name.parse().ok()
    }

    pub(crate) fn record(&self, intent: &str) -> FenceRecord {
        FenceRecord { epoch: 1, n: 40 + self.term, term: self.term, intent: intent.to_owned() }
    }

    /// A landing of a new commit on what base and fence are now.
    pub(crate) fn landing(&self, intent: &str) -> Landing {
        let base = self.base();
        git(&self.git_dir, &["fetch", "--quiet", "origin", "refs/heads/main"]);
        let fence = self.forge.fence().unwrap();
        let fence = fence.as_ref().map(|fence| &fence.commit);
        Landing {
            branch: main_branch(),
            candidate: self.commit(Some(&base), &format!("{intent} by {}", self.term)),
            expected_base: base,
            fence: self.forge.next_fence(fence, &self.record(intent)).unwrap(),
        }
    }

    /// Pushes a commit onto `main` past the coordinator, as a person might.
    pub(crate) fn push_by_hand(&self, commit: &Oid) {
        let refspec = format!("+{commit}:refs/heads/main");
        git(&self.git_dir, &["push", "--quiet", "origin", &refspec]);
    }
}

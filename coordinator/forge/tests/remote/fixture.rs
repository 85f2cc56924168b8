//! A bare remote with one commit, and leaders that work on it from their own git directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use molt_forge::{Branch, FenceRecord, Forge, GitForge, Landing, Oid};
use tempfile::TempDir;

pub(crate) struct Fixture {
    folder: TempDir,
}

/// A leader: a forge, and the git directory that it works in.
pub(crate) struct Leader {
    pub(crate) forge: GitForge,
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

impl Fixture {
    /// A remote without commits.
    pub(crate) fn empty() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        git(fixture.folder.path(), &["init", "--quiet", "--bare", "remote.git"]);
        fixture
    }

    /// A remote whose `main` has one commit, and a leader in its first term.
    pub(crate) fn new() -> (Self, Leader) {
        let fixture = Self::empty();
        let leader = fixture.leader(1);
        let first = leader.commit(None, "first");
        git(&leader.git_dir, &["push", "--quiet", "origin", &format!("{first}:refs/heads/main")]);
        (fixture, leader)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn remote(&self) -> PathBuf {
        self.path("remote.git")
    }

    /// A leader of this term with a mirror of its own.
    pub(crate) fn leader(&self, term: u64) -> Leader {
        let git_dir = self.path(&format!("leader{term}.git"));
        git(self.folder.path(), &["init", "--quiet", "--bare", git_dir.to_str().unwrap()]);
        let remote = self.remote();
        git(&git_dir, &["remote", "add", "origin", remote.to_str().unwrap()]);
        for (how, refs) in [("--replace-all", "heads"), ("--add", "molt")] {
            let refspec = format!("+refs/{refs}/*:refs/{refs}/*");
            git(&git_dir, &["config", how, "remote.origin.fetch", &refspec]);
        }
        git(&git_dir, &["fetch", "--quiet", "origin"]);
        let forge = GitForge::new(program(), &git_dir, "origin");
        Leader { forge, term, git_dir, remote }
    }

    /// A script that runs in place of git; `$GIT` is the real one.
    pub(crate) fn wrapper(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        let text = format!("#!/bin/sh\nGIT='{}'\n{body}\n", program().display());
        script(&path, &text);
        path
    }

    /// Makes the remote run `body` as a hook.
    pub(crate) fn hook(&self, name: &str, body: &str) {
        fs::create_dir_all(self.remote().join("hooks")).unwrap();
        script(&self.remote().join("hooks").join(name), &format!("#!/bin/sh\n{body}\n"));
    }

    pub(crate) fn unhook(&self, name: &str) {
        fs::remove_file(self.remote().join("hooks").join(name)).unwrap();
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl Leader {
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

//! A bare remote with one commit, which git reaches as a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use molt_forge::GitForge;
use tempfile::TempDir;

use super::leader::{Leader, git, program};

/// What lands here.
pub(crate) type Backend = GitForge;

pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// Says that the base was set back on purpose, which nobody watches at a plain remote.
    pub(crate) fn set_back_by_hand(&self) {}

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
        let open = |git_dir: &Path| GitForge::new(program(), git_dir, "origin");
        Leader::new(self.folder.path(), &self.remote(), term, open)
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

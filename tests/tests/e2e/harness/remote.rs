//! The repository that changes land in.

use std::path::{Path, PathBuf};

use super::process::git;
use super::write;

/// A bare repository with the branch `main`.
#[derive(Debug)]
pub(crate) struct Remote {
    path: PathBuf,
    /// A clone of the test's own, to push to the base past the train.
    seed: PathBuf,
}

impl Remote {
    /// A repository below `scratch` whose first commit has `files`.
    #[track_caller]
    pub(crate) fn new(scratch: &Path, files: &[(&str, &str)]) -> Self {
        let remote = Self { path: scratch.join("R.git"), seed: scratch.join("seed") };
        git(scratch, &["init", "--quiet", "--bare", "--initial-branch=main", "R.git"]);
        git(scratch, &["init", "--quiet", "--initial-branch=main", "seed"]);
        git(&remote.seed, &["remote", "add", "origin", "../R.git"]);
        if !files.is_empty() {
            remote.push(files, "begin");
        }
        remote
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Commits `files` to the base past the train, as a person can; the commit.
    #[track_caller]
    pub(crate) fn push(&self, files: &[(&str, &str)], title: &str) -> String {
        if !git(&self.path, &["for-each-ref", "refs/heads/main"]).is_empty() {
            git(&self.seed, &["pull", "--quiet", "--ff-only", "origin", "main"]);
        }
        for (path, text) in files {
            write(&self.seed, path, text);
        }
        git(&self.seed, &["add", "--all"]);
        git(&self.seed, &["commit", "--quiet", "--message", title]);
        git(&self.seed, &["push", "--quiet", "origin", "HEAD:main"]);
        self.base()
    }

    /// What the base is.
    #[track_caller]
    pub(crate) fn base(&self) -> String {
        git(&self.path, &["rev-parse", "refs/heads/main"])
    }

    /// The commits of the base along first parents, newest first.
    #[track_caller]
    pub(crate) fn history(&self) -> Vec<String> {
        let listed = git(&self.path, &["rev-list", "--first-parent", "refs/heads/main"]);
        listed.lines().map(str::to_owned).collect()
    }

    /// A clone of it at `path`.
    #[track_caller]
    pub(crate) fn clone_into(&self, path: &Path) -> PathBuf {
        let (from, to) = (self.path.to_string_lossy(), path.to_string_lossy());
        git(&self.seed, &["clone", "--quiet", &from, &to]);
        path.to_owned()
    }

    /// From now on, each update of refs that was committed is a line `OLD NEW REF` in the file
    /// `journal`, after a line `--` for the update as a whole.
    pub(crate) fn record_updates(&self, journal: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.path.join("hooks/reference-transaction");
        let journal = journal.display();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = committed ] || exit 0\n{{ echo --; cat; }} >>'{journal}'\n"
        );
        std::fs::create_dir_all(self.path.join("hooks")).expect("the folder of hooks");
        std::fs::write(&hook, script).expect("the hook");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("the hook");
    }
}

//! Checkouts at a fixed path, switched in place from commit to commit.
//!
//! A host keeps few of them and reuses each: files that do not differ are not
//! rewritten, so that a build in a kept folder stays incremental. One user at a
//! time; the slot that owns the path sees to that. Submodules are not checked
//! out. Not here: which commit to take, and the jobs that run there.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fingerprint::{Content, flagged};
use crate::program::{Call, Git, Place, redact};
use crate::{Oid, RepoError, fingerprint};

/// Files of the repository itself that the last job may have written and that
/// would change what git does for the next one.
const LEFTOVERS: [&str; 6] = [
    "config",
    "config.worktree",
    "index.lock",
    "info/attributes",
    "info/exclude",
    "info/sparse-checkout",
];

/// A folder inside a checkout that survives a switch, such as `target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFolder(String);

/// A text that names no folder that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be kept: expected a relative folder of letters, digits and `._+@-`")]
pub struct InvalidKeptFolder {
    /// What was given.
    pub text: String,
}

impl FromStr for KeptFolder {
    type Err = InvalidKeptFolder;

    /// Plain names only: what git would read as a pattern is refused.
    fn from_str(text: &str) -> Result<Self, InvalidKeptFolder> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
        let good =
            |part: &str| !matches!(part, "" | "." | ".." | ".git") && part.chars().all(plain);
        if text.split('/').all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKeptFolder { text: text.to_owned() })
        }
    }
}

impl fmt::Display for KeptFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a checkout holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeState {
    /// The commit that is checked out.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The digest (64 hex digits) of modified, deleted and untracked files, by
    /// content and mode; `None` if there are none.
    pub dirty: Option<String>,
}

/// A working tree at a fixed path.
#[derive(Debug, Clone)]
pub struct Checkout {
    git: Git,
    path: PathBuf,
    remote: String,
    kept: Vec<KeptFolder>,
}

impl Checkout {
    /// Makes or takes over the checkout at `path`, fed by `remote`: an address
    /// or the folder of a local mirror. Settings that an earlier job left in
    /// the repository are dropped; the tree itself is left as it is.
    pub fn prepare(
        git: Git,
        path: impl Into<PathBuf>,
        remote: &str,
        kept: Vec<KeptFolder>,
    ) -> Result<Self, RepoError> {
        let checkout = Self { git, path: path.into(), remote: remote.to_owned(), kept };
        checkout.claim_folder()?;
        for name in LEFTOVERS {
            checkout.remove(name)?;
        }
        checkout.run(Place::Within(&checkout.path), ["init", "--quiet", "--template="])?;
        checkout.write_excludes()?;
        let tree = Place::Tree(&checkout.path);
        checkout.run(tree, ["config", "remote.origin.url", remote])?;
        Ok(checkout)
    }

    /// An absent or empty folder, or one whose `.git` is a folder of its own.
    fn claim_folder(&self) -> Result<(), RepoError> {
        let broken = |source| RepoError::Folder { path: self.path.clone(), source };
        fs::create_dir_all(&self.path).map_err(broken)?;
        let ours = fs::symlink_metadata(self.path.join(".git")).is_ok_and(|found| found.is_dir());
        let mut entries = fs::read_dir(&self.path).map_err(broken)?;
        if ours || entries.next().is_none() {
            Ok(())
        } else {
            Err(RepoError::NotACheckout { path: self.path.clone() })
        }
    }

    /// Kept folders count as ignored, so that they never make a tree dirty.
    fn write_excludes(&self) -> Result<(), RepoError> {
        let info = self.path.join(".git/info");
        let text: String = self.kept.iter().map(|kept| format!("/{kept}/\n")).collect();
        fs::create_dir_all(&info)
            .and_then(|()| fs::write(info.join("exclude"), text))
            .map_err(|source| RepoError::Folder { path: info, source })
    }

    /// The checkout's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the tree exactly `commit`, which the remote has under `reference`
    /// (a full ref name). Everything else goes, ignored files too, but for the
    /// kept folders. Files that do not differ keep their times.
    pub fn switch(&self, commit: &Oid, reference: &str) -> Result<(), RepoError> {
        // Whoever held these is gone: a slot has one user at a time.
        self.remove("index.lock")?;
        self.remove("HEAD.lock")?;
        if !flagged(&self.git, self.place())?.is_empty() {
            // Git would pass over the flagged files; without an index it looks at all.
            self.remove("index")?;
        }
        let fetched = !self.has(commit)?;
        if fetched {
            self.fetch(commit, reference)?;
        }
        match self.check_out(commit) {
            // A fetch that was killed may leave a commit without its files.
            Err(RepoError::Git { .. }) if !fetched => {
                self.fetch(commit, reference)?;
                self.check_out(commit)?;
            }
            other => other?,
        }
        self.clean()
    }

    /// What the checkout holds now.
    pub fn tree_state(&self) -> Result<TreeState, RepoError> {
        let content = Content::read(&self.git, self.place())?;
        content
            .state(&self.git, self.place())?
            .ok_or_else(|| RepoError::NoCommits { repository: self.path.display().to_string() })
    }

    /// The fingerprint of what the checkout holds now.
    pub fn fingerprint(&self) -> Result<String, RepoError> {
        fingerprint(&self.git, &self.path)
    }

    fn has(&self, commit: &Oid) -> Result<bool, RepoError> {
        let call = self.call(["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        let finished = call.finish().map_err(|source| self.failed(source))?;
        Ok(finished.code == 0)
    }

    fn fetch(&self, commit: &Oid, reference: &str) -> Result<(), RepoError> {
        self.call(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="])
            .args(["origin", reference])
            .run()
            .map_err(|source| match source {
                crate::GitError::Failed(ref failure)
                    if failure.stderr.contains("couldn't find remote ref") =>
                {
                    RepoError::MissingCommit {
                        commit: commit.clone(),
                        repository: format!("{} at {reference}", redact(&self.remote)),
                    }
                }
                source => RepoError::of_remote(&self.remote, self.path.clone(), source),
            })?;
        if self.has(commit)? {
            return Ok(());
        }
        Err(RepoError::MissingCommit {
            commit: commit.clone(),
            repository: format!("{} at {reference}", redact(&self.remote)),
        })
    }

    fn check_out(&self, commit: &Oid) -> Result<(), RepoError> {
        let args = ["checkout", "--quiet", "--force", "--detach", commit.as_str()];
        self.run(self.place(), args).map(drop)
    }

    fn clean(&self) -> Result<(), RepoError> {
        let mut call = self.call(["clean", "--quiet", "-ffdx"]);
        for kept in &self.kept {
            call = call.args(["-e", &format!("/{kept}/")]);
        }
        call.run().map(drop).map_err(|source| self.failed(source))
    }

    fn place(&self) -> Place<'_> {
        Place::Tree(&self.path)
    }

    fn call<const N: usize>(&self, args: [&str; N]) -> Call {
        self.git.call(self.place()).args(args)
    }

    fn run<const N: usize>(&self, place: Place<'_>, args: [&str; N]) -> Result<Vec<u8>, RepoError> {
        self.git.call(place).args(args).run().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: crate::GitError) -> RepoError {
        RepoError::Git { place: self.path.clone(), source }
    }

    /// Removes a file of the git directory, if it is there.
    fn remove(&self, name: &str) -> Result<(), RepoError> {
        let path = self.path.join(".git").join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RepoError::Folder { path, source: error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_folders_can_be_kept() {
        for good in ["target", "runtime/target", "node_modules", ".cache"] {
            assert_eq!(good.parse::<KeptFolder>().unwrap().to_string(), good);
        }
        for bad in ["", "/target", "a//b", "../up", ".git", "*", "a b", "!a", "target/"] {
            assert!(bad.parse::<KeptFolder>().is_err(), "{bad:?} is kept");
        }
    }
}

//! What can go wrong with a repository, by who can act on it.

use std::path::PathBuf;

use crate::program::{GitError, redact};
use crate::{Oid, TreePath};

/// Why a repository could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The git program failed for a reason that has no variant of its own.
    #[error("git failed in {}", place.display())]
    Git {
        /// The folder it ran in.
        place: PathBuf,
        /// The command, its exit status and what it said.
        source: GitError,
    },
    /// The remote cannot be reached or is no repository: try again, or mend the address.
    #[error("remote {remote} is gone or out of reach")]
    RemoteGone {
        /// The remote, without secrets.
        remote: String,
        /// What git said.
        source: GitError,
    },
    /// The remote refused who we are: mend the credentials.
    #[error("remote {remote} denied access")]
    RemoteDenied {
        /// The remote, without secrets.
        remote: String,
        /// What git said.
        source: GitError,
    },
    /// The remote is at another address now: mend the address.
    #[error("remote {remote} has another address now")]
    RemoteMoved {
        /// The remote, without secrets.
        remote: String,
        /// What git said.
        source: GitError,
    },
    /// Nothing that opens the remote's door was to be had.
    #[error("no access to remote {remote}")]
    NoAccess {
        /// The remote, without secrets.
        remote: String,
        /// Why there is none.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The repository has no commit yet.
    #[error("{repository} has no commits")]
    NoCommits {
        /// The remote or the folder.
        repository: String,
    },
    /// The repository has commits, but not this branch.
    #[error("{repository} has no branch `{branch}`")]
    MissingBranch {
        /// The remote, without secrets.
        repository: String,
        /// The short name that was asked for.
        branch: String,
    },
    /// A commit that is not in the repository, even after a fetch.
    #[error("commit {commit} is not in {repository}")]
    MissingCommit {
        /// The commit that was asked for.
        commit: Oid,
        /// The remote or the folder.
        repository: String,
    },
    /// Two commits without a common ancestor: there is nothing to merge on.
    #[error("{base} and {head} share no history")]
    Unrelated {
        /// The base.
        base: Oid,
        /// The head.
        head: Oid,
    },
    /// A mirror's folder belongs to another remote.
    #[error("{} mirrors {found}, not {wanted}", path.display())]
    OtherRemote {
        /// The mirror's folder.
        path: PathBuf,
        /// The remote it belongs to, without secrets.
        found: String,
        /// The remote that was asked for, without secrets.
        wanted: String,
    },
    /// A folder that should become a checkout holds something else.
    #[error("{} is neither empty nor a git working tree", path.display())]
    NotACheckout {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is in no git working tree.
    #[error("{} is in no git working tree", path.display())]
    NotAWorkTree {
        /// The folder.
        path: PathBuf,
        /// What git said.
        source: GitError,
    },
    /// An object could not be read.
    #[error("cannot read {what} in {}", path.display())]
    Object {
        /// What was read, in words.
        what: String,
        /// The repository's folder.
        path: PathBuf,
        /// The library's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A path of a working tree could not be read.
    #[error("cannot read `{file}` in {}", path.display())]
    File {
        /// The path inside the tree.
        file: TreePath,
        /// The working tree.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A folder could not be made or read.
    #[error("cannot use folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The git program printed what this crate does not understand.
    #[error("cannot read the output of `git {command}`: {detail}")]
    Output {
        /// The subcommand.
        command: &'static str,
        /// What was unexpected.
        detail: String,
    },
}

/// What git says, in the C locale, when nobody usable is at the other end.
const GONE: &[&str] = &[
    "does not appear to be a git repository",
    "does not exist",
    "not found",
    "Could not resolve host",
    "unable to access",
    "unable to connect",
    "Connection refused",
    "Connection timed out",
    "Could not read from remote repository",
    "the remote end hung up",
    "early EOF",
];

/// What git or ssh says when it was asked who we are and had no good answer.
const DENIED: &[&str] = &[
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "terminal prompts disabled",
    "Permission denied (",
    "The requested URL returned error: 403",
    "Host key verification failed",
];

/// What git says when it was sent to another address and does not go there.
const MOVED: &[&str] = &[
    "The requested URL returned error: 301",
    "The requested URL returned error: 302",
    "The requested URL returned error: 307",
    "The requested URL returned error: 308",
];

impl RepoError {
    /// Sorts a failed network command by what its words say about the remote.
    pub(crate) fn of_remote(remote: &str, place: PathBuf, source: GitError) -> Self {
        let remote = redact(remote);
        let says = |words: &[&str]| match &source {
            GitError::Failed(failure) => words.iter().any(|word| failure.stderr.contains(word)),
            _ => false,
        };
        if says(DENIED) {
            Self::RemoteDenied { remote, source }
        } else if says(MOVED) {
            Self::RemoteMoved { remote, source }
        } else if says(GONE) || matches!(source, GitError::TimedOut { .. }) {
            Self::RemoteGone { remote, source }
        } else {
            Self::Git { place, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitFailure;

    fn sorted(stderr: &str) -> RepoError {
        let (command, status) = ("git fetch".to_owned(), "exit code 128".to_owned());
        let failure = GitFailure { command, status, stderr: stderr.to_owned() };
        let source = GitError::Failed(Box::new(failure));
        RepoError::of_remote("https://me:s3cret@host/a", "/mirror".into(), source)
    }

    #[test]
    fn a_denial_is_no_absence_and_a_local_failure_is_neither() {
        let denials = [
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "fatal: unable to access 'https://host/a/': The requested URL returned error: 403",
            "fatal: could not read Username for 'https://host': terminal prompts disabled",
        ];
        for stderr in denials {
            let error = sorted(stderr);
            assert!(matches!(error, RepoError::RemoteDenied { .. }), "{stderr}");
            assert_eq!(error.to_string(), "remote https://***@host/a denied access");
        }
        let moved = sorted(
            "fatal: unable to access 'https://host/a/': The requested URL returned error: 301",
        );
        assert!(matches!(moved, RepoError::RemoteMoved { .. }), "{moved:?}");
        let gone =
            sorted("fatal: unable to access 'https://host/a/': Could not resolve host: host");
        assert!(matches!(gone, RepoError::RemoteGone { .. }), "{gone:?}");
        let full = sorted("fatal: write error: No space left on device");
        assert!(matches!(full, RepoError::Git { .. }), "{full:?}");
    }
}

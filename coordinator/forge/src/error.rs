//! What can go wrong with a forge, by who can act on it.

use crate::github::{Cause, GithubError, Operation};
use crate::program::{GitError, redact};
use crate::{Branch, Oid};

/// Why a forge did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// The git program failed for a reason that has no variant of its own.
    #[error("git failed")]
    Git(#[from] GitError),
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
    /// GitHub was asked and did nothing: what it said tells who can mend it.
    #[error("github, at {remote}")]
    Github {
        /// The remote, without secrets.
        remote: String,
        /// What GitHub said.
        source: Box<GithubError>,
    },
    /// GitHub refused who we are, or what we may do there: mend the credentials or the rights.
    #[error("github denied access to {remote}")]
    GithubDenied {
        /// The remote, without secrets.
        remote: String,
        /// What GitHub said.
        source: Box<GithubError>,
    },
    /// This GitHub moves no refs together, so landings cannot be fenced.
    #[error(
        "github at {remote} does not support `updateRefs`, which landing needs: `fencing = \"base\"` \
         in [github] lands without it, and without a fence"
    )]
    NoUpdateRefs {
        /// The remote, without secrets.
        remote: String,
        /// What GitHub said.
        source: Box<GithubError>,
    },
    /// An address that a token would be sent to in the clear.
    #[error("expected a remote https://HOST/OWNER/NAME.git, not {remote}: tokens are sent there")]
    ClearRemote {
        /// The remote, without secrets.
        remote: String,
    },
    /// The remote cannot move two refs together, so landings cannot be fenced.
    #[error("remote {remote} does not support atomic pushes, which landing needs")]
    NoAtomicPush {
        /// The remote, without secrets.
        remote: String,
        /// What git said.
        source: GitError,
    },
    /// A hook, a rule or a lock at the remote refused a push that was in order.
    #[error("remote {remote} declined: {reason}")]
    Declined {
        /// The remote, without secrets.
        remote: String,
        /// The remote's reasons, each once.
        reason: String,
    },
    /// The repository has no commit yet.
    #[error("{remote} has no commits")]
    NoCommits {
        /// The remote, without secrets.
        remote: String,
    },
    /// The repository has branches, but not this one.
    #[error("{remote} has no branch `{branch}`")]
    MissingBranch {
        /// The remote, without secrets.
        remote: String,
        /// The branch.
        branch: Branch,
    },
    /// A commit that is neither here nor, under its ref, at the remote.
    #[error("commit {commit} is not to be had at {remote}")]
    MissingCommit {
        /// The commit.
        commit: Oid,
        /// The remote, without secrets.
        remote: String,
    },
    /// A landing that would take commits away from its branch.
    #[error("candidate {candidate} does not descend from base {base}")]
    NotDescendant {
        /// The expected base.
        base: Oid,
        /// The candidate.
        candidate: Oid,
    },
    /// A fence commit that is not the step it is said to be.
    #[error("fence commit {next} is not the step from {} that it is said to be", from_where(.expected.as_ref()))]
    ForeignFence {
        /// Where the step is said to begin.
        expected: Option<Oid>,
        /// The commit.
        next: Oid,
    },
    /// The fence at the remote is none of ours: a person must look.
    #[error("cannot read fence commit {commit}: {detail}")]
    UnreadableFence {
        /// The commit.
        commit: Oid,
        /// What is wrong with it.
        detail: String,
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

fn from_where(expected: Option<&Oid>) -> &str {
    expected.map_or("nothing", Oid::as_str)
}

/// What git says, in the C locale, when it met nobody at the other end and
/// therefore sent nothing.
const UNMET: &[&str] = &[
    "does not appear to be a git repository",
    "Could not resolve host",
    "Connection refused",
    "connect to host",
    "unable to connect",
    "unable to access",
    "Repository not found",
    "' not found",
];

/// What git says when a conversation broke off.
const BROKEN_OFF: &[&str] =
    &["Could not read from remote repository", "hung up", "early EOF", "unexpected disconnect"];

/// What git or ssh says when it was asked who we are and had no good answer.
pub(crate) const DENIED: &[&str] = &[
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "terminal prompts disabled",
    "Permission denied (",
    "The requested URL returned error: 403",
    "Host key verification failed",
];

/// What git says when it was sent to another address, where it does not go: whoever lets it in looks
/// which one that is. Nothing was done at this one.
pub(crate) const MOVED: &[&str] = &[
    "The requested URL returned error: 301",
    "The requested URL returned error: 302",
    "The requested URL returned error: 307",
    "The requested URL returned error: 308",
];

impl ForgeError {
    /// Sorts a failed exchange that changes nothing, or may be repeated.
    pub(crate) fn of_remote(remote: &str, source: GitError) -> Self {
        match Self::unsent(remote, source) {
            Ok(sorted) => sorted,
            Err(source) if source.says(BROKEN_OFF) || source.is_timeout() => {
                Self::RemoteGone { remote: redact(remote), source }
            }
            Err(source) => Self::Git(source),
        }
    }

    /// Sorts what GitHub said when it changed nothing.
    pub(crate) fn of_github(remote: &str, source: GithubError) -> Self {
        let (remote, source) = (redact(remote), Box::new(source));
        match source.cause {
            Cause::Missing { .. } | Cause::Gone { .. }
                if source.operation == Operation::GRAPHQL =>
            {
                Self::NoUpdateRefs { remote, source }
            }
            Cause::Unauthorized { .. }
            | Cause::Suspended { .. }
            | Cause::Forbidden { .. }
            | Cause::Missing { .. }
            | Cause::Gone { .. } => Self::GithubDenied { remote, source },
            _ => Self::Github { remote, source },
        }
    }

    /// The error of a push that is certain to have sent nothing; else the cause back.
    pub(crate) fn unsent(remote: &str, source: GitError) -> Result<Self, GitError> {
        let remote = redact(remote);
        if let GitError::NoAccess(source) = source {
            Ok(*source)
        } else if source.says(&["does not support --atomic push"]) {
            Ok(Self::NoAtomicPush { remote, source })
        } else if source.says(DENIED) {
            Ok(Self::RemoteDenied { remote, source })
        } else if source.says(UNMET) {
            Ok(Self::RemoteGone { remote, source })
        } else if matches!(source, GitError::NotStarted { .. }) {
            Ok(Self::Git(source))
        } else {
            Err(source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitFailure;

    fn failed(stderr: &str) -> GitError {
        let (command, status) = ("git push".to_owned(), "exit code 128".to_owned());
        GitError::Failed(Box::new(GitFailure { command, status, stderr: stderr.to_owned() }))
    }

    #[test]
    fn a_push_is_unsent_only_if_nobody_was_met() {
        let unsent = |stderr| ForgeError::unsent("host", failed(stderr));
        let denied = unsent(
            "a@host: Permission denied (publickey).\nCould not read from remote repository.",
        );
        assert!(matches!(denied, Ok(ForgeError::RemoteDenied { .. })), "{denied:?}");
        let unmet = unsent("fatal: unable to access 'https://host/': Could not resolve host: host");
        assert!(matches!(unmet, Ok(ForgeError::RemoteGone { .. })), "{unmet:?}");
        for broken in [
            "fatal: the remote end hung up unexpectedly",
            "client_loop: send disconnect: Broken pipe\nfatal: Could not read from remote repository.",
            "error: RPC failed; HTTP 502",
            "remote: Could not resolve host: webhook\nfatal: the remote end hung up unexpectedly",
            "Read from remote host h: Connection timed out\nfatal: the remote end hung up",
        ] {
            assert!(unsent(broken).is_err(), "{broken} may have moved something");
        }
        let gone =
            ForgeError::of_remote("host", failed("fatal: Could not read from remote repository."));
        assert!(matches!(gone, ForgeError::RemoteGone { .. }), "a read may be repeated: {gone:?}");
    }
}

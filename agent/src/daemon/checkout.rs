//! The tree that a gate runs on: prepared before, looked at again after.

use std::path::{Path, PathBuf};

use molt_repo::{Checkout, Git, Oid, RepoError, TreeState};
use molt_retry::{Next, Policy, retry};

use super::host::blocking;
use crate::error::in_full;

/// Which tree, from where.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The folder of the working tree.
    pub(super) path: PathBuf,
    /// Where the repository is.
    pub(super) remote: String,
    /// The commit.
    pub(super) commit: Oid,
    /// The ref that the remote has it under.
    pub(super) from: String,
}

/// Makes the working tree exactly what is wanted. The words of a failure are a
/// lowercase fragment with all its causes.
pub(super) async fn prepare(wanted: Wanted) -> Result<TreeState, String> {
    let attempt = || {
        let wanted = wanted.clone();
        async move {
            match blocking(move || switch(&wanted)).await {
                Ok(done) => done.map_err(Trouble::Repo),
                Err(error) => Err(Trouble::Other(error.in_full())),
            }
        }
    };
    let prepared = retry(Policy::GIT_NETWORK, attempt, |trouble| match trouble {
        // Whoever serves the repository may be back in a moment.
        Trouble::Repo(RepoError::RemoteGone { .. }) => Next::Again(trouble),
        trouble => Next::Stop(trouble),
    });
    prepared.await.map_err(|failed| failed.into_error().text())
}

enum Trouble {
    Repo(RepoError),
    Other(String),
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            Self::Repo(error) => in_full(error),
            Self::Other(text) => text.clone(),
        }
    }
}

fn switch(wanted: &Wanted) -> Result<TreeState, RepoError> {
    let git = find_git(&wanted.path)?;
    let checkout = Checkout::prepare(git, &wanted.path, &wanted.remote, Vec::new())?;
    checkout.switch(&wanted.commit, &wanted.from)?;
    checkout.tree_state()
}

/// What the working tree holds now. Nothing of it is changed, unlike the
/// settings of its repository, which the run may have changed.
pub(super) fn look(path: &Path, remote: &str) -> Result<TreeState, String> {
    let look = || -> Result<TreeState, RepoError> {
        let git = find_git(path)?;
        Checkout::prepare(git, path, remote, Vec::new())?.tree_state()
    };
    look().map_err(|error| in_full(&error))
}

fn find_git(path: &Path) -> Result<Git, RepoError> {
    Git::find().map_err(|source| RepoError::Git { place: path.to_owned(), source })
}

//! Where a train finds its objects and where it lands: mirror and forge of one repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use molt_domain::name::RepoName;
use molt_domain::train::{Car, Proposer};
use molt_forge::github::{Client, GithubForge, Slug};
use molt_forge::{Branch, Fencing, Forge, GitForge};
use molt_repo::{Access, Git, Mirror, RepoError};

use super::TrainError;

/// A repository at GitHub, and who asks there.
#[derive(Debug, Clone)]
pub struct AtGithub {
    /// Its name there.
    pub place: Slug,
    /// Who asks.
    pub client: Arc<Client>,
    /// How landings are fenced there.
    pub fencing: Fencing,
}

/// What the blocking half of a train works on.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) repo: RepoName,
    pub(super) branch: Branch,
    pub(super) mirror: Mirror,
    pub(super) forge: Arc<dyn Forge>,
}

impl Places {
    /// A git remote as the forge, with its mirror below `folder`.
    pub(super) fn at_git(
        folder: &Path,
        repo: RepoName,
        remote: &str,
        branch: &str,
    ) -> Result<Self, TrainError> {
        let mirror = mirror(folder, &repo, remote)?;
        let forge = git_forge(&mirror, remote);
        Ok(Self { repo, branch: branch.parse()?, mirror, forge: Arc::new(forge) })
    }

    /// Brings a car's commits here, as far as the remote names them.
    pub(super) fn obtain(&self, car: &Car) -> Result<(), TrainError> {
        self.mirror.fetch()?;
        if let Proposer::Pull(number) = car.proposer {
            // A fork's head is in no branch of ours.
            self.mirror.obtain(&format!("refs/pull/{number}/head"))?;
        }
        Ok(())
    }

    /// GitHub as the forge, with its mirror below `folder`. Both are let in by the client's token.
    pub(super) fn at_github(
        folder: &Path,
        repo: RepoName,
        remote: &str,
        branch: &str,
        AtGithub { place, client, fencing }: AtGithub,
    ) -> Result<Self, TrainError> {
        // Where it was renamed, the configuration follows some day; that it is the same repository
        // is looked at wherever it is asked.
        let mirror = Mirror::reopen(git_at(folder)?, place_of(folder, &repo), remote)?;
        let git = git_forge(&mirror, remote);
        let runtime = tokio::runtime::Handle::current();
        let forge = GithubForge::new(git, place, client, runtime)?.with_fencing(fencing);
        let access = forge.access();
        let mirror = mirror.with_access(Access::new(move |again| Ok(access.environment(again)?)));
        Ok(Self { repo, branch: branch.parse()?, mirror, forge: Arc::new(forge) })
    }
}

fn mirror(folder: &Path, repo: &RepoName, remote: &str) -> Result<Mirror, RepoError> {
    Mirror::open(git_at(folder)?, place_of(folder, repo), remote)
}

fn git_at(folder: &Path) -> Result<Git, RepoError> {
    Git::find().map_err(|source| RepoError::Git { place: folder.to_owned(), source })
}

fn place_of(folder: &Path, repo: &RepoName) -> PathBuf {
    folder.join(format!("{repo}.git"))
}

/// The forge that works in the mirror's folder.
fn git_forge(mirror: &Mirror, remote: &str) -> GitForge {
    let program: PathBuf = std::env::var_os("MOLT_GIT").unwrap_or_else(|| "git".into()).into();
    GitForge::new(program, mirror.path(), remote)
}

//! Carries the train forward: candidates are made and published, landings are
//! carried out and read back, the base is read.
//!
//! What may land is decided by the board. Here is only git, and the order of
//! its steps: an open landing first, then the base, then the next candidate.

mod candidate;
mod head;
mod landing;
mod places;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Command, Event};
use molt_domain::name::RepoName;
use molt_domain::policy::{POLICY_FILE, Repo};
use molt_domain::train::{Car, State, first};
use molt_forge::{Forge, ForgeError, InvalidName};
use molt_repo::{Mirror, RepoError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::landing::Intent;
pub use self::places::AtGithub;
use self::places::Places;

use super::{Pulls, PullsError, Standing};
use crate::engine::{Failure, Handle};
use crate::policy;

/// How often the remote is looked at when nothing nudges.
const EVERY: Duration = Duration::from_secs(3);

/// Why a step could not be done; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The mirror.
    #[error("git mirror")]
    Repo(#[from] RepoError),
    /// The remote.
    #[error("forge")]
    Forge(#[from] ForgeError),
    /// The branch's name cannot be part of a ref.
    #[error("branch name")]
    Name(#[from] InvalidName),
    /// The board.
    #[error("board")]
    Board(#[from] Failure),
    /// The base has no policy, and no earlier one is known.
    #[error("{POLICY_FILE} of {branch} at {commit}: {problem}")]
    Policy {
        /// The branch.
        branch: String,
        /// Its commit.
        commit: String,
        /// What is wrong.
        problem: String,
    },
    /// The pull request.
    #[error("pull request")]
    Pulls(#[from] PullsError),
    /// A step panicked: a bug.
    #[error("a git step panicked")]
    Panicked,
}

/// The reconciler of one repository's train.
#[derive(Debug, Clone)]
pub struct Train {
    handle: Handle,
    git: Arc<Places>,
    /// What has a say before a car lands, where there are pull requests.
    pulls: Option<Arc<Pulls>>,
}

/// What a step left to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Wait for a nudge.
    Idle,
    /// The board moved: look again at once.
    Again,
}

impl Train {
    /// A reconciler for `branch` of `remote`, with its mirror below `folder`.
    ///
    /// # Errors
    ///
    /// Git is missing or too old, or the folder holds another remote's mirror.
    pub fn open(
        handle: Handle,
        folder: &Path,
        repo: RepoName,
        remote: &str,
        branch: &str,
    ) -> Result<Self, TrainError> {
        let places = Places::at_git(folder, repo, remote, branch)?;
        Ok(Self { handle, git: Arc::new(places), pulls: None })
    }

    /// A reconciler for `branch` of a repository at GitHub, whose address for git is `remote`.
    ///
    /// # Errors
    ///
    /// As [`Train::open`]; or a token may not be sent to the remote.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with threads of its own.
    pub fn open_at_github(
        handle: Handle,
        folder: &Path,
        repo: RepoName,
        remote: &str,
        branch: &str,
        at: AtGithub,
    ) -> Result<Self, TrainError> {
        let places = Places::at_github(folder, repo, remote, branch, at)?;
        Ok(Self { handle, git: Arc::new(places), pulls: None })
    }

    /// A reconciler for `branch` of what `forge` lands at and `mirror` has a copy of.
    ///
    /// # Errors
    ///
    /// The branch's name is none.
    pub fn open_with(
        handle: Handle,
        repo: RepoName,
        mirror: Mirror,
        forge: Arc<dyn Forge>,
        branch: &str,
    ) -> Result<Self, TrainError> {
        let places = Places { repo, branch: branch.parse()?, mirror, forge };
        Ok(Self { handle, git: Arc::new(places), pulls: None })
    }

    /// The same train, before whose landings `pulls` are asked.
    #[must_use]
    pub fn behind(self, pulls: Arc<Pulls>) -> Self {
        Self { pulls: Some(pulls), ..self }
    }

    /// Where it lands.
    #[must_use]
    pub fn forge(&self) -> Arc<dyn Forge> {
        Arc::clone(&self.git.forge)
    }

    /// Where its objects are.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        &self.git.mirror
    }

    /// Whose train it is.
    #[must_use]
    pub fn repo(&self) -> &RepoName {
        &self.git.repo
    }

    /// Reads the base once, so that a coordinator that starts knows its policy or says why not.
    ///
    /// # Errors
    ///
    /// The remote is not to be had, or its base has no policy that reads.
    pub async fn begin(&self) -> Result<Repo, TrainError> {
        if let Some(pulls) = &self.pulls {
            pulls.recall().await?;
        }
        if self.first().await?.is_none_or(|car| !matches!(car.state, State::Landing { .. })) {
            match self.read_base().await {
                // Whoever only has to wait for GitHub begins with the base that the board knows.
                Err(error) if self.only_waits(&error) => {
                    warn!(phase = "train", error = %chain(&error), "will try again");
                }
                read => drop(read?),
            }
        }
        let name = self.git.repo.clone();
        let found = self.handle.read(move |at| at.board.tables().repos.get(&name).cloned()).await?;
        found.map(|repo| Repo::clone(&repo)).ok_or_else(|| TrainError::Policy {
            branch: self.git.branch.to_string(),
            commit: String::new(),
            problem: "was not read".to_owned(),
        })
    }

    /// Whether an error is that GitHub is only to be asked again later. Git too is let in by it alone.
    fn only_waits(&self, error: &TrainError) -> bool {
        let is_passing = matches!(error, TrainError::Pulls(error) if error.is_passing());
        is_passing || self.pulls.as_ref().is_some_and(|pulls| pulls.is_cooling())
    }

    /// Carries the train forward until stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let nudge = self.handle.history().nudge(concerns_trains);
        // Why the last step failed, which is told once.
        let mut failed = None;
        loop {
            match self.step().await {
                Ok(Step::Again) => {
                    failed = None;
                    continue;
                }
                Ok(Step::Idle) => failed = None,
                Err(error) => {
                    let words = chain(&error);
                    if failed.as_ref() != Some(&words) {
                        warn!(phase = "train", repo = %self.git.repo, error = %words, "will try again");
                    }
                    failed = Some(words);
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = nudge.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One step: whatever comes first in the order that keeps landings safe.
    async fn step(&self) -> Result<Step, TrainError> {
        if let Some(car) = self.first().await?
            && let State::Landing { candidate, fence, passage } = car.state.clone()
        {
            return self.land(Intent { car, candidate, fence, passage }).await;
        }
        let repo = self.read_base().await?;
        let Some(car) = self.first().await? else {
            return Ok(Step::Idle);
        };
        debug!(phase = "train", car = %car.id, state = car.state.reason(), "looking");
        match car.state {
            State::Queued if repo.unreadable.is_none() => self.propose(repo, car).await,
            State::Ready { .. } => self.intend(car).await,
            _ => Ok(Step::Idle),
        }
    }

    /// Decides a landing. What GitHub demands is read once more before: rights, reviews and checks
    /// may have changed since the pull request was admitted.
    async fn intend(&self, car: Car) -> Result<Step, TrainError> {
        let standing = match (car.pull(), &self.pulls) {
            (Some(number), Some(pulls)) => pulls.still_admits(&car, number).await?,
            // Its pull request is opened first: the rules of the branch are read for that.
            (None, Some(_)) if self.knows_pulls().await? => Standing::NotAdmitted,
            (None, Some(_)) => Standing::Admitted { branch: None },
            (_, None) => Standing::Admitted { branch: None },
        };
        match standing {
            Standing::Admitted { branch } => {
                self.handle.own(Command::Intend { car: car.id, branch }).await?;
                Ok(Step::Again)
            }
            Standing::NotAdmitted => Ok(Step::Idle),
        }
    }

    /// Whether the store takes records of pull requests. One that an older program began does not
    /// before it is raised, and sessions' changes land there as they did.
    async fn knows_pulls(&self) -> Result<bool, TrainError> {
        Ok(self.handle.read(|at| at.board.knows_pulls()).await?)
    }

    async fn first(&self) -> Result<Option<Car>, TrainError> {
        let name = self.git.repo.clone();
        let read = self.handle.read(move |at| {
            first(at.board.tables().cars.values().map(AsRef::as_ref), &name).cloned()
        });
        Ok(read.await?)
    }

    /// Fetches, and tells the board what the base is.
    async fn read_base(&self) -> Result<Repo, TrainError> {
        let (commit, tree, text) = self
            .blocking(|git| {
                git.mirror.fetch()?;
                let base = git.mirror.branch(git.branch.as_str())?;
                let tree = git.mirror.tree_of(&base)?;
                let text = git.mirror.read_file(&base, POLICY_FILE)?;
                Ok((base.to_string(), tree.to_string(), text))
            })
            .await?;
        self.recognize(&commit).await?;
        let policy = read_policy(text);
        let (repo, branch) = (self.git.repo.clone(), self.git.branch.to_string());
        let problem = policy.as_ref().err().cloned();
        let (name, base) = (repo.clone(), commit.clone());
        let command = Command::ReadBase { repo, branch: branch.clone(), commit, tree, policy };
        let told = self.handle.own(command).await;
        let found = self.handle.read(move |at| at.board.tables().repos.get(&name).cloned()).await?;
        match (told, found, problem) {
            (_, None, Some(problem)) => Err(TrainError::Policy { branch, commit: base, problem }),
            (Err(failure), ..) => Err(failure.into()),
            (Ok(_), Some(repo), _) => Ok(Repo::clone(&repo)),
            (Ok(_), None, None) => Err(Failure::Unknown.into()),
        }
    }

    /// Looks whether a base that moved is still that of our repository: its name may be another
    /// one's, of which git does not tell.
    async fn recognize(&self, commit: &str) -> Result<(), TrainError> {
        let Some(pulls) = &self.pulls else { return Ok(()) };
        let (name, commit) = (self.git.repo.clone(), commit.to_owned());
        let is_known = self.handle.read(move |at| {
            at.board.tables().repos.get(&name).is_some_and(|repo| repo.base == commit)
        });
        if !is_known.await? {
            pulls.recognize().await?;
        }
        Ok(())
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, TrainError>
    where
        T: Send + 'static,
        F: FnOnce(&Places) -> Result<T, TrainError> + Send + 'static,
    {
        let git = Arc::clone(&self.git);
        tokio::task::spawn_blocking(move || work(&git)).await.map_err(|_| TrainError::Panicked)?
    }
}

fn read_policy(text: Option<Vec<u8>>) -> Result<molt_domain::policy::Policy, String> {
    let Some(bytes) = text else {
        return Err("missing: `molt-coordinator init` proposes one".to_owned());
    };
    let text = String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    policy::read(&text)
        .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Whether a train may have something to do after an event.
fn concerns_trains(event: &Event) -> bool {
    matches!(
        event,
        Event::Submitted { .. }
            | Event::Approved { .. }
            | Event::Withheld { .. }
            | Event::Admitted { .. }
            | Event::PullOpened { .. }
            | Event::Ready { .. }
            | Event::Ejected { .. }
            | Event::Landed { .. }
            | Event::IntentWithdrawn { .. }
            | Event::Retried { .. }
            | Event::Overridden { .. }
    )
}

/// An error with everything below it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

//! The branch that a pull request's head is on: whether a landing may move it, and what a pull
//! request is like whose branch we moved.
//!
//! Not here: moving it for a landing ([`super::super::train`]).

use std::sync::Arc;

use molt_domain::board::Command;
use molt_domain::policy::Method;
use molt_domain::pull::Known;
use molt_domain::pull::admission::Stage;
use molt_domain::train::{Passage, State};
use molt_forge::github::{Operation, shape};
use molt_forge::{Branch, ForgeError, HeadMove, HeadMoved, Oid};
use tracing::{info, warn};

use super::{OnBoard, Pulls, PullsError, read};

/// How a car stands at its forge as its landing is about to be decided.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It may land.
    Admitted {
        /// The branch of its head, if that may be moved to what lands.
        branch: Option<String>,
    },
    /// It may not, or not now.
    NotAdmitted,
}

/// A pull request with the head that somebody pushed, where its branch is where we moved it.
pub(super) fn as_pushed(mut pull: shape::Pull, known: &Known) -> shape::Pull {
    if known.is_moved_to(&pull.head.sha) {
        pull.head.sha = known.head().to_string();
    }
    pull
}

/// A pull request with the head that is spoken of: where we moved it that is the new one only once
/// it has landed.
pub(super) fn as_told(pull: shape::Pull, entry: &OnBoard) -> shape::Pull {
    let landed = |state: &State| matches!(state, State::Landed { .. });
    match &entry.car {
        Some(car) if landed(&car.state) => pull,
        _ => as_pushed(pull, &entry.known),
    }
}

/// Whether a head's branch is where a landing had moved it that is not decided any more: the leader
/// that moved it was deposed, or could not bring it back.
pub(super) fn is_astray(pull: &shape::Pull, entry: &OnBoard) -> bool {
    let lands = |state: &State| matches!(state, State::Landing { .. } | State::Landed { .. });
    entry.known.is_moved_to(&pull.head.sha)
        && matches!(read::stage(pull), Stage::Open | Stage::Draft)
        && !entry.car.as_ref().is_some_and(|car| lands(&car.state))
}

impl Pulls {
    /// The branch of a pull request's head, if a landing by `method` may move it. Not one of a fork,
    /// not the one that is shown first, and not one that other pull requests are based on or from.
    pub(super) async fn movable(
        &self,
        pull: &shape::Pull,
        method: Method,
    ) -> Result<Option<String>, PullsError> {
        let branch = &pull.head.branch;
        let is_first = pull.base.repo.as_ref().is_none_or(|it| it.default_branch == *branch);
        let is_ours = read::origin(pull).is_own() && *branch != self.branch && !is_first;
        if method.lands_the_head() || !is_ours || branch.parse::<Branch>().is_err() {
            return Ok(None);
        }
        let client = self.account.client();
        let route = self.slug.route(Operation::PULLS).query("state", "open").query("base", branch);
        let based = client.list::<shape::Pull>(route, None, |_| false).await?;
        if based.is_none_or(|based| !based.entries.is_empty()) {
            return Ok(None);
        }
        let from = client.pulls_from(&self.slug, branch).await?;
        let is_other = |it: &shape::Pull| it.state == "open" && it.number != pull.number;
        Ok((!from.entries.iter().any(is_other)).then(|| branch.clone()))
    }

    /// Brings a head's branch back that is astray. One that may not be brought back has a new head.
    pub(super) async fn bring_back(
        &self,
        pull: &shape::Pull,
        known: &Known,
    ) -> Result<(), PullsError> {
        let number = pull.number;
        let reason = match self.move_back(pull, known).await {
            Ok(HeadMoved::Declined { reason }) => reason,
            Err(PullsError::Forge(error @ ForgeError::MissingCommit { .. })) => error.to_string(),
            Ok(moved) => {
                info!(phase = "pulls", repo = %self.repo, number, ?moved, "its head was astray");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        warn!(phase = "pulls", repo = %self.repo, number, reason, "its head stays astray");
        let (repo, head) = (self.repo.clone(), read::commit(&pull.head.sha)?);
        let at = read::moment(&pull.updated_at)?;
        self.tell_board(number, Command::KeepHead { repo, number, head, at }).await
    }

    async fn move_back(&self, pull: &shape::Pull, known: &Known) -> Result<HeadMoved, PullsError> {
        let oid = |text: &str| -> Result<Oid, PullsError> {
            text.parse().map_err(|_| PullsError::Commit { text: text.to_owned() })
        };
        let (branch, to) = (pull.head.branch.parse()?, oid(known.head().as_str())?);
        let step = HeadMove { branch, from: oid(&pull.head.sha)?, to: to.clone(), pushed: to };
        let (mirror, forge) = (self.mirror.clone(), Arc::clone(&self.forge));
        let work = move || match forge.move_head(&step) {
            Err(ForgeError::MissingCommit { .. }) => {
                mirror.fetch()?;
                Ok(forge.move_head(&step)?)
            }
            moved => Ok(moved?),
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)?
    }

    /// Where git has the head of a pull request: what is read of it otherwise may be of before.
    pub(super) async fn head_in_git(&self, number: u64) -> Result<Option<String>, PullsError> {
        let mirror = self.mirror.clone();
        let work = move || {
            let name = format!("refs/pull/{number}/head");
            mirror.obtain(&name)?;
            Ok(mirror.resolve(&name)?.map(|oid| oid.to_string()))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)?
    }

    /// Whether a pull request landed and is not shown as merged, because its branch was moved again
    /// between the head's step and the base's.
    pub(super) async fn landed_unseen(
        &self,
        pull: &shape::Pull,
        entry: &OnBoard,
    ) -> Result<bool, PullsError> {
        let Some(car) = entry.car.as_ref().filter(|car| car.head == pull.head.sha) else {
            return Ok(false);
        };
        let State::Landed { passage: Passage::Ahead { branch }, .. } = &car.state else {
            return Ok(false);
        };
        if pull.state != "open" {
            return Ok(false);
        }
        // The list may be of before, and only git is sure of where the branch is.
        let (forge, branch) = (Arc::clone(&self.forge), branch.parse::<Branch>()?);
        let work = move || Ok::<_, PullsError>(forge.base(&branch)?);
        let now = tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)??;
        let shown = self.pull(pull.number).await?;
        Ok(now.as_str() == car.head && shown.is_some_and(|shown| shown.state == "open"))
    }
}

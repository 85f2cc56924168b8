//! Carrying out a landing that is decided, and reading back what became of it.
//!
//! The fence's step is made from the intent alone, so whoever carries it on
//! after a crash makes the same step and learns what the first one did.

use molt_domain::board::Command;
use molt_domain::id::Fence;
use molt_domain::train::{Candidate, Car, Passage};
use molt_forge::{FenceCommit, FenceRecord, ForgeError, Landed, Landing, Oid, RefId, Withdrawn};
use tracing::{info, warn};

use super::head::{Ahead, come_back, go_ahead};
use super::{Places, Step, Train, TrainError};

/// A landing that is decided.
pub(super) struct Intent {
    pub(super) car: Car,
    pub(super) candidate: Candidate,
    pub(super) fence: Fence,
    pub(super) passage: Passage,
}

/// What became of a landing's step.
pub(super) enum Outcome {
    /// The base is on the candidate.
    Confirmed,
    /// It did not happen and cannot any more.
    Dead(String),
    /// The same, and the forge says that it may not.
    Declined(String),
    /// The branch of its head may not be moved, which the board is to know before the base moves.
    HeadLeft(String),
    /// Not known yet.
    Open,
}

impl Train {
    /// Carries out an intent, and tells the board what was read back.
    pub(super) async fn land(&self, intent: Intent) -> Result<Step, TrainError> {
        let term = self.handle.read(|at| at.term).await?;
        let (car, fence) = (intent.car.id, intent.fence);
        let command = match self.blocking(move |git| carry_out(git, &intent, term)).await? {
            Outcome::Confirmed => {
                info!(phase = "train", %car, %fence, "landed");
                Command::ConfirmLanding { car, fence }
            }
            Outcome::Dead(reason) => {
                warn!(phase = "train", %car, %fence, reason, "landing withdrawn");
                Command::WithdrawIntent { car, fence, reason }
            }
            Outcome::Declined(reason) => {
                warn!(phase = "train", %car, %fence, reason, "landing declined");
                Command::DeclineLanding { car, fence, reason }
            }
            Outcome::HeadLeft(reason) => {
                info!(phase = "train", %car, %fence, reason, "its head's branch may not be moved");
                Command::LeaveHead { car, fence, reason }
            }
            Outcome::Open => return Ok(Step::Idle),
        };
        self.handle.own(command).await?;
        Ok(Step::Again)
    }
}

pub(super) fn oid(text: &str) -> Result<Oid, TrainError> {
    text.parse().map_err(|_| TrainError::Panicked)
}

fn carry_out(git: &Places, intent: &Intent, term: u64) -> Result<Outcome, TrainError> {
    let Intent { car, candidate, fence, .. } = intent;
    let commit = oid(&candidate.commit)?;
    let now = git.forge.read_back(&git.branch)?;
    if let Some(current) = &now.fence {
        let theirs = (current.record.epoch, current.record.n);
        if theirs == (fence.epoch, fence.n) {
            return after_our_step(git, intent, current, &now.base, &commit);
        }
        if theirs > (fence.epoch, fence.n) {
            let reason = format!("the fence is at {} by now", current.record.n);
            return come_back(git, intent, reason);
        }
    }
    // The head goes first, and not for a base that is another one by now.
    if now.base.as_ref().map(Oid::as_str) == Some(candidate.base.as_str()) {
        match go_ahead(git, intent)? {
            Ahead::There => {}
            Ahead::Left(reason) => return Ok(Outcome::HeadLeft(reason)),
            Ahead::Elsewhere(reason) => {
                return close(git, intent, term, now.fence.as_ref(), reason);
            }
            Ahead::Open => return Ok(Outcome::Open),
        }
    }
    let record = FenceRecord { epoch: fence.epoch, n: fence.n, term, intent: car.id.to_string() };
    let expected = now.fence.as_ref().map(|fence| &fence.commit);
    let landing = Landing {
        branch: git.branch.clone(),
        expected_base: oid(&candidate.base)?,
        candidate: commit.clone(),
        fence: git.forge.next_fence(expected, &record)?,
    };
    let landed = match git.forge.land(&landing) {
        // Whoever intended it led before, and made the candidate in a mirror of its own.
        Err(ForgeError::MissingCommit { .. }) => {
            git.mirror.fetch()?;
            git.forge.land(&landing)
        }
        landed => landed,
    };
    let landed = match landed {
        Err(ForgeError::Declined { reason, .. }) => {
            return Ok(match close(git, intent, term, now.fence.as_ref(), reason)? {
                Outcome::Dead(reason) => Outcome::Declined(reason),
                outcome => outcome,
            });
        }
        landed => landed?,
    };
    match landed {
        Landed::Moved => {
            retire(git, candidate, &commit);
            Ok(Outcome::Confirmed)
        }
        Landed::Refused { base_now, fence_now } => {
            let reason = format!("the base is at {}", shown(base_now.as_ref()));
            close(git, intent, term, fence_now.as_ref(), reason)
        }
        Landed::Unknown { why } => {
            warn!(phase = "train", car = %car.id, %why, "no answer to the landing: reading back");
            Ok(Outcome::Open)
        }
    }
}

pub(super) fn shown(oid: Option<&Oid>) -> String {
    oid.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The fence shows that our step was made: landed, or withdrawn by ourselves.
fn after_our_step(
    git: &Places,
    intent: &Intent,
    current: &FenceCommit,
    base: &Option<Oid>,
    commit: &Oid,
) -> Result<Outcome, TrainError> {
    if current.record.intent != intent.car.id.to_string() {
        let reason = format!("withdrawn as {}", current.record.intent);
        return come_back(git, intent, reason);
    }
    git.mirror.fetch()?;
    let (Some(base), Ok(commit)) = (base, commit.as_str().parse()) else {
        return Ok(Outcome::Dead("the branch is gone".to_owned()));
    };
    let base = base.as_str().parse().map_err(|_| TrainError::Panicked)?;
    if git.mirror.is_ancestor(&commit, &base)? {
        return Ok(Outcome::Confirmed);
    }
    Ok(Outcome::Dead("the base was rewritten after the landing".to_owned()))
}

/// Moves the fence past a landing that was refused, so that it can never happen.
fn close(
    git: &Places,
    intent: &Intent,
    term: u64,
    current: Option<&FenceCommit>,
    reason: String,
) -> Result<Outcome, TrainError> {
    let Intent { car, fence, .. } = intent;
    let ours = (fence.epoch, fence.n);
    if current.is_some_and(|it| (it.record.epoch, it.record.n) >= ours) {
        // Somebody made this very step meanwhile, or later ones: what that came to is read back.
        return Ok(Outcome::Open);
    }
    let record = FenceRecord {
        epoch: fence.epoch,
        n: fence.n,
        term,
        intent: format!("withdraw {}", car.id),
    };
    let step = git.forge.next_fence(current.map(|fence| &fence.commit), &record)?;
    match git.forge.withdraw(&step)? {
        Withdrawn::Moved => come_back(git, intent, reason),
        Withdrawn::Refused { .. } | Withdrawn::Unknown { .. } => Ok(Outcome::Open),
    }
}

/// The candidate's ref has served; that it stays for a while harms nobody.
fn retire(git: &Places, candidate: &Candidate, commit: &Oid) {
    let Some(id) = candidate.from.strip_prefix("refs/molt/train/") else {
        return;
    };
    let retired = id.parse::<RefId>().map(|id| git.forge.retire_candidate(&id, commit));
    if let Ok(Err(error)) = retired {
        warn!(phase = "train", %error, "the candidate's ref stays");
    }
}

//! Carrying out a landing that is decided, and reading back what became of it.
//!
//! The fence's step is made from the intent alone, so whoever carries it on
//! after a crash makes the same step and learns what the first one did.

use molt_domain::board::Command;
use molt_domain::id::Fence;
use molt_domain::train::{Candidate, Car};
use molt_forge::{FenceCommit, FenceRecord, ForgeError, Landed, Landing, Oid, RefId, Withdrawn};
use tracing::{info, warn};

use super::{Places, Step, Train, TrainError};

/// What became of a landing's step.
enum Outcome {
    /// The base is on the candidate.
    Confirmed,
    /// It did not happen and cannot any more.
    Dead(String),
    /// Not known yet.
    Open,
}

impl Train {
    /// Carries out an intent, and tells the board what was read back.
    pub(super) async fn land(
        &self,
        car: Car,
        candidate: Candidate,
        fence: Fence,
    ) -> Result<Step, TrainError> {
        let term = self.handle.read(|at| at.term).await?;
        let id = car.id;
        let outcome =
            self.blocking(move |git| carry_out(git, &car, &candidate, fence, term)).await?;
        match outcome {
            Outcome::Confirmed => {
                info!(phase = "train", car = %id, %fence, "landed");
                self.handle.own(Command::ConfirmLanding { car: id, fence }).await?;
                Ok(Step::Again)
            }
            Outcome::Dead(reason) => {
                warn!(phase = "train", car = %id, %fence, reason, "landing withdrawn");
                self.handle.own(Command::WithdrawIntent { car: id, fence, reason }).await?;
                Ok(Step::Again)
            }
            Outcome::Open => Ok(Step::Idle),
        }
    }
}

fn oid(text: &str) -> Result<Oid, TrainError> {
    text.parse().map_err(|_| TrainError::Panicked)
}

fn carry_out(
    git: &Places,
    car: &Car,
    candidate: &Candidate,
    fence: Fence,
    term: u64,
) -> Result<Outcome, TrainError> {
    let commit = oid(&candidate.commit)?;
    let now = git.forge.read_back(&git.branch)?;
    if let Some(current) = &now.fence {
        let theirs = (current.record.epoch, current.record.n);
        if theirs == (fence.epoch, fence.n) {
            return after_our_step(git, car, current, &now.base, &commit);
        }
        if theirs > (fence.epoch, fence.n) {
            let reason = format!("the fence is at {} by now", current.record.n);
            return Ok(Outcome::Dead(reason));
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
            git.forge.land(&landing)?
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
            close(git, car, fence, term, fence_now.as_ref(), reason)
        }
        Landed::Unknown { why } => {
            warn!(phase = "train", car = %car.id, %why, "no answer to the landing: reading back");
            Ok(Outcome::Open)
        }
    }
}

fn shown(oid: Option<&Oid>) -> String {
    oid.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The fence shows that our step was made: landed, or withdrawn by ourselves.
fn after_our_step(
    git: &Places,
    car: &Car,
    current: &FenceCommit,
    base: &Option<Oid>,
    commit: &Oid,
) -> Result<Outcome, TrainError> {
    if current.record.intent != car.id.to_string() {
        return Ok(Outcome::Dead(format!("withdrawn as {}", current.record.intent)));
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
    car: &Car,
    fence: Fence,
    term: u64,
    current: Option<&FenceCommit>,
    reason: String,
) -> Result<Outcome, TrainError> {
    let intent = format!("withdraw {}", car.id);
    let record = FenceRecord { epoch: fence.epoch, n: fence.n, term, intent };
    let step = git.forge.next_fence(current.map(|fence| &fence.commit), &record)?;
    match git.forge.withdraw(&step)? {
        Withdrawn::Moved => Ok(Outcome::Dead(reason)),
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

//! The branch of a pull request's head: it goes to the candidate ahead of the base, and comes back
//! where the base does not follow.
//!
//! A forge shows a pull request as merged when its head is in the base as the base moves. Every step
//! is from a named commit, so that what somebody pushes there is never lost, and may be made again by
//! whoever finds the intent. Not here: whether the branch may be moved at all, which the pull request
//! and the forge say, and one that is found astray later (`reconcile::pulls`).

use molt_domain::train::{Car, Passage};
use molt_forge::{ForgeError, HeadMove, HeadMoved};
use tracing::warn;

use super::landing::{Intent, Outcome, oid, shown};
use super::{Places, TrainError};

/// Whether the head is where the base may follow.
pub(super) enum Ahead {
    /// It is, or need not be.
    There,
    /// Its branch may not be moved: the base may go without.
    Left(String),
    /// Its branch is elsewhere: nothing of this lands.
    Elsewhere(String),
    /// Not known yet.
    Open,
}

/// Brings the head to the candidate.
pub(super) fn go_ahead(git: &Places, intent: &Intent) -> Result<Ahead, TrainError> {
    let Some(step) = step_of(intent)? else { return Ok(Ahead::There) };
    Ok(match moved(git, &intent.car, &step)? {
        HeadMoved::Moved => Ahead::There,
        HeadMoved::Declined { reason } => Ahead::Left(reason),
        HeadMoved::Elsewhere { now } => {
            Ahead::Elsewhere(format!("its branch {} is at {}", step.branch, shown(now.as_ref())))
        }
        HeadMoved::Unknown { why } => {
            warn!(phase = "train", car = %intent.car.id, %why, "no answer to the head's step");
            Ahead::Open
        }
    })
}

/// Brings the head back from the candidate of a landing that is dead for `reason`.
pub(super) fn come_back(
    git: &Places,
    intent: &Intent,
    reason: String,
) -> Result<Outcome, TrainError> {
    let Some(HeadMove { branch, from, to, pushed }) = step_of(intent)? else {
        return Ok(Outcome::Dead(reason));
    };
    let back = HeadMove { branch, from: to, to: from, pushed };
    Ok(match moved(git, &intent.car, &back)? {
        HeadMoved::Moved | HeadMoved::Elsewhere { .. } => Outcome::Dead(reason),
        HeadMoved::Declined { reason: why } => {
            warn!(phase = "train", car = %intent.car.id, why, "its head stays on the candidate");
            Outcome::Dead(reason)
        }
        HeadMoved::Unknown { .. } => Outcome::Open,
    })
}

/// The step of the head's branch that an intent asks for, if it does.
fn step_of(intent: &Intent) -> Result<Option<HeadMove>, TrainError> {
    let Passage::Ahead { branch } = &intent.passage else { return Ok(None) };
    let (from, to) = (oid(&intent.car.head)?, oid(&intent.candidate.commit)?);
    Ok(Some(HeadMove { branch: branch.parse()?, from: from.clone(), to, pushed: from }))
}

fn moved(git: &Places, car: &Car, step: &HeadMove) -> Result<HeadMoved, TrainError> {
    match git.forge.move_head(step) {
        // Whoever intended it led before, and knew its commits from a mirror of its own.
        Err(ForgeError::MissingCommit { .. }) => {
            git.obtain(car)?;
            Ok(git.forge.move_head(step)?)
        }
        moved => Ok(moved?),
    }
}

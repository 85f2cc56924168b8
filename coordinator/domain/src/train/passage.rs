//! How the head of a pull request gets into the base, which is when its forge shows it as merged.
//!
//! Where commits of our own land in place of the head's, the branch that the head is on is moved to
//! them before the base is, or the pull request is closed afterwards. Not here: moving and closing,
//! which reconcilers do.

use serde::{Deserialize, Serialize};

use super::Car;
use crate::board::{Invalid, Refusal};
use crate::lock;
use crate::policy::Method;

/// The longest name of a branch, in bytes.
const MAX_BRANCH: usize = 255;

/// How the head of a car gets into the base.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// With what lands, of which it is a part; or nobody asks.
    #[default]
    Within,
    /// Its branch is moved to what lands, before that does.
    Ahead {
        /// The branch, in the repository itself.
        branch: String,
    },
    /// Not at all: its pull request is closed once its change has landed.
    Outside,
}

impl Passage {
    /// Whether nobody has to do anything for it.
    #[must_use]
    pub fn is_within(&self) -> bool {
        *self == Self::Within
    }

    /// How the head of a car gets into the base, whose branch may be moved if it is named.
    pub(super) fn of(
        car: &Car,
        method: Method,
        branch: Option<&str>,
    ) -> Result<Self, Box<Refusal>> {
        if method.lands_the_head() || car.pull().is_none() {
            return Ok(Self::Within);
        }
        let Some(branch) = branch.filter(|_| car.origin.is_own()) else {
            return Ok(Self::Outside);
        };
        if branch.is_empty() {
            return Err(Invalid::field("branch", "is empty").into());
        }
        lock::limited("branch", branch, MAX_BRANCH)?;
        Ok(Self::Ahead { branch: branch.to_owned() })
    }
}

//! The branch that a pull request's head is on: whether a landing may move it, and what a pull
//! request is like whose branch we moved.
//!
//! Not here: moving it ([`super::super::train`]).

use molt_domain::policy::Method;
use molt_domain::pull::Known;
use molt_domain::train::State;
use molt_forge::Branch;
use molt_forge::github::{Operation, shape};

use super::{OnBoard, Pulls, PullsError, read};

/// How a car stands at its forge as its landing is about to be decided.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It may land.
    Admitted {
        /// The branch of its head, if that may be moved to what lands.
        branch: Option<String>,
    },
    /// Its head's branch is where a landing that is not decided any more had moved it.
    Astray {
        /// The branch.
        branch: String,
        /// Where it is.
        at: String,
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

impl Pulls {
    /// The branch of a pull request's head, if a landing by `method` may move it. Not one of a fork,
    /// and not one that other pull requests are based on.
    pub(super) async fn movable(
        &self,
        pull: &shape::Pull,
        method: Method,
    ) -> Result<Option<String>, PullsError> {
        let branch = &pull.head.branch;
        let is_ours = read::origin(pull).is_own() && *branch != self.branch;
        if method.lands_the_head() || !is_ours || branch.parse::<Branch>().is_err() {
            return Ok(None);
        }
        let route = self.slug.route(Operation::PULLS).query("state", "open").query("base", branch);
        let based = self.account.client().list::<shape::Pull>(route, None, |_| false).await?;
        let is_alone = based.is_some_and(|based| based.entries.is_empty());
        Ok(is_alone.then(|| branch.clone()))
    }
}

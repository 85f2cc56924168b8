//! Proof that records were lost: a caller was granted a fence that this board has not reached.
//!
//! A board that was put back to an older state would grant what somebody else
//! holds. Whoever was granted a higher fence proves it, and then nothing is
//! decided until a person has the lost state restored, or gives it up by raising
//! the epoch. Not here: who keeps the fences that were granted (hosts do).

use crate::board::{Board, Draft, Event, Reply};
use crate::id::Fence;

/// That the board is older than what was granted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the board was rolled back: it stands at fence {stands}, but fence {granted} was granted; \
     restore the state that is missing, or give it up with `molt-coordinator serve --raise-epoch`"
)]
pub struct RolledBack {
    /// The highest fence that a caller was granted.
    pub granted: Fence,
    /// Where the board's fences stand.
    pub stands: Fence,
}

impl Board {
    /// Takes note of a fence that a caller was granted. Remembered until a restart: whoever
    /// proves it once proves it again.
    pub fn witness(&mut self, granted: Fence) {
        self.pulse.granted = self.pulse.granted.max(Some(granted));
    }

    /// Whether a caller has proven that records are missing. Then nothing may be decided but
    /// to raise the epoch.
    #[must_use]
    pub fn rolled_back(&self) -> Option<RolledBack> {
        let (granted, stands) = (self.pulse.granted?, self.ledger.fence());
        (granted > stands).then_some(RolledBack { granted, stands })
    }
}

/// Begins a new epoch of fences, each higher than all that were ever granted.
pub(super) fn raise_epoch(draft: &mut Draft<'_>) -> Reply {
    let epoch = draft.raise_epoch();
    draft.record(Event::EpochRaised { epoch });
    Reply::Done
}

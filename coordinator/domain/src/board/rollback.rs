//! Proof that records were lost: a caller was granted a fence that this board has not reached.
//!
//! A board that was put back to an older state would grant what somebody else
//! holds. Whoever was granted a higher fence proves it, and then nothing is
//! decided until the lost state is restored, or an operator gives it up by
//! raising the epoch (ADR 0012). Not here: who keeps the fences that were
//! granted (hosts do).

use crate::board::{Board, Caller, Command, Draft, Event, Refusal, Reply};
use crate::claim;
use crate::id::Fence;

/// That the board is older than what was granted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the board was rolled back: it stands at fence {stands}, but fence {granted} was granted; \
     restore the state that is missing, or give it up: molt-coordinator serve --raise-epoch REASON"
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

    /// Whether a caller has proven that records are missing.
    #[must_use]
    pub fn rolled_back(&self) -> Option<RolledBack> {
        let (granted, stands) = (self.pulse.granted?, self.ledger.fence());
        (granted > stands).then_some(RolledBack { granted, stands })
    }

    /// Whether a command may be decided at all.
    ///
    /// # Errors
    ///
    /// Records are missing: only the epoch may be raised.
    pub fn admit(&self, command: &Command) -> Result<(), RolledBack> {
        match self.rolled_back() {
            Some(rolled_back) if !matches!(command, Command::RaiseEpoch { .. }) => Err(rolled_back),
            _ => Ok(()),
        }
    }
}

/// Begins a new epoch of fences, each higher than all that were ever granted.
pub(super) fn raise_epoch(
    draft: &mut Draft<'_>,
    caller: &Caller,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, reason)?;
    let epoch = draft.raise_epoch();
    draft.record(Event::EpochRaised { epoch, reason: reason.to_owned() });
    Ok(Reply::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Now, Request};
    use crate::id::BoardTime;
    use crate::policy::Spans;

    fn raise(board: &Board, caller: Caller, reason: &str) -> Result<Fence, Box<Refusal>> {
        let command = Command::RaiseEpoch { reason: reason.to_owned() };
        let request = Request { caller, ..Request::own(command) };
        let now = Now { board: BoardTime(1), wall: 1 };
        board.decide(&request, now).map(|decision| decision.fence)
    }

    #[test]
    fn a_board_below_what_was_granted_decides_nothing_until_an_operator_gives_it_up() {
        let mut board = Board::new(Spans::default());
        let stands = board.ledger().fence();
        board.witness(stands);
        assert_eq!(board.admit(&Command::Tick), Ok(()), "what was granted is there");
        let granted = Fence { n: stands.n + 1, ..stands };
        board.witness(granted);
        board.witness(stands);
        assert_eq!(board.admit(&Command::Tick), Err(RolledBack { granted, stands }));

        let operator = || Caller::Operator("ann".to_owned());
        raise(&board, Caller::Coordinator, "lost").unwrap_err();
        raise(&board, operator(), " ").unwrap_err();
        let fence = raise(&board, operator(), "the disk died").unwrap();
        assert!(fence > granted, "{fence}");
        board.admit(&Command::RaiseEpoch { reason: "the disk died".to_owned() }).unwrap();
        board.set_ledger(board.ledger().clone().at(fence));
        assert_eq!(board.admit(&Command::Tick), Ok(()));
    }
}

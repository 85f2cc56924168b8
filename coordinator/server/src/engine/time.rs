//! Board time: runs while a leader serves, in bounded steps.

use std::time::Duration;

use molt_domain::id::BoardTime;

use crate::clock::Clock;
use crate::fault::fault;

/// The furthest that one look at the clock moves board time: a stalled leader never expires a crowd.
const MAX_STEP: Duration = Duration::from_secs(1);

/// Board time, driven by the clock that counts suspend.
#[derive(Debug)]
pub(super) struct BoardClock {
    clock: Clock,
    now: Duration,
    seen: Duration,
}

impl BoardClock {
    pub(super) fn starting_at(time: BoardTime, clock: Clock) -> Self {
        Self { clock, now: Duration::from_millis(time.0), seen: clock.boottime() }
    }

    /// When something is sent to the store, since boot.
    pub(super) fn sending(&self) -> Duration {
        self.clock.boottime()
    }

    /// Wall time in milliseconds, for display and the audit.
    pub(super) fn wall(&self) -> u64 {
        self.clock.wall()
    }

    pub(super) fn now(&mut self) -> BoardTime {
        let seen = self.clock.boottime();
        self.advance(seen)
    }

    fn advance(&mut self, seen: Duration) -> BoardTime {
        let most = if fault!(TimeJumps) { Duration::MAX } else { MAX_STEP };
        self.now += seen.saturating_sub(self.seen).min(most);
        self.seen = self.seen.max(seen);
        BoardTime(molt_domain::id::millis(self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_moves_board_time_by_one_step() {
        let mut clock = BoardClock {
            clock: Clock::Machine,
            now: Duration::from_secs(5),
            seen: Duration::from_secs(100),
        };
        assert_eq!(clock.advance(Duration::from_millis(100_250)), BoardTime(5_250));
        assert_eq!(clock.advance(Duration::from_secs(900)), BoardTime(6_250));
        assert_eq!(clock.advance(Duration::from_secs(899)), BoardTime(6_250));
    }
}

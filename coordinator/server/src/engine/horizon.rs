//! Until when a leader may answer from memory.
//!
//! A leader that is cut off from its store does not know that it was replaced.
//! Under a lease nobody replaces it before a ttl has passed since the store
//! last heard of it, so until then what it remembers is still true. What a
//! commit proves needs no horizon. Not here: who counts the lease on the other
//! side (the store).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use molt_domain::id::millis;
use molt_store::Tenure;

use crate::clock::Clock;
use crate::fault::fault;

/// How much earlier than the lease the horizon lies, so that an answer is on its way before
/// anybody else leads, and clocks may run at slightly different speeds.
const MARGIN: Duration = Duration::from_secs(2);

/// How long a commit is waited for at least: a leader that slept past its horizon may still lead.
const LAST_TRY: Duration = Duration::from_secs(2);

/// How long after a renewal that the store did not take the next one is tried.
const RENEW_AGAIN: Duration = Duration::from_millis(200);

/// The time up to which a leadership is certain; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Horizon {
    tenure: Tenure,
    clock: Clock,
    /// When what the store heard last was sent, in milliseconds since boot.
    heard: Arc<AtomicU64>,
    /// No renewal is tried before this time since boot.
    pause: Duration,
}

impl Horizon {
    /// The horizon of a leadership whose campaign was sent at `sent`, since boot.
    pub(super) fn new(tenure: Tenure, clock: Clock, sent: Duration) -> Self {
        let heard = Arc::new(AtomicU64::new(millis(sent)));
        Self { tenure, clock, heard, pause: Duration::ZERO }
    }

    /// Takes note of a commit or renewal that the store took; it was sent at `sent`, since boot.
    pub(super) fn heard(&self, sent: Duration) {
        let sent = if fault!(HorizonFromReceipt) { self.clock.boottime() } else { sent };
        self.heard.fetch_max(millis(sent), Ordering::AcqRel);
    }

    /// Takes note of a renewal that the store did not take.
    pub(super) fn unheard(&mut self) {
        self.pause = self.clock.boottime() + RENEW_AGAIN;
    }

    /// Whether what is remembered is still true.
    pub(super) fn holds(&self) -> bool {
        self.holds_at(self.clock.boottime())
    }

    fn holds_at(&self, now: Duration) -> bool {
        match self.tenure {
            Tenure::UntilTaken => true,
            Tenure::Lease { .. } if fault!(HorizonIgnored) => true,
            Tenure::Lease { ttl } => now < self.last() + ttl - MARGIN.min(ttl / 4),
        }
    }

    /// How long a commit may be waited for; `None`: for ever. A leader that learns nothing of it
    /// until its horizon may have been replaced, and serves nobody by waiting.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.tenure {
            Tenure::UntilTaken => None,
            Tenure::Lease { ttl } => {
                let end = self.last() + ttl - MARGIN.min(ttl / 4);
                Some(end.saturating_sub(self.clock.boottime()).max(LAST_TRY))
            }
        }
    }

    /// When the next renewal is due; `None`: never. A commit is as good as one.
    pub(super) fn renewal_in(&self) -> Option<Duration> {
        match self.tenure {
            Tenure::UntilTaken => None,
            Tenure::Lease { ttl } => {
                let due = (self.last() + ttl / 5).max(self.pause);
                Some(due.saturating_sub(self.clock.boottime()))
            }
        }
    }

    fn last(&self) -> Duration {
        Duration::from_millis(self.heard.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_is_certain_until_two_seconds_before_its_end() {
        let horizon = Horizon::new(Tenure::Lease { ttl: at(15) }, Clock::Machine, at(100));
        assert!(horizon.holds_at(at(112)));
        assert!(!horizon.holds_at(at(113)));
        horizon.heard(at(104));
        horizon.heard(at(102));
        assert!(horizon.holds_at(at(116)), "an answer that overtook another one counts");
        assert!(!horizon.holds_at(at(117)));
        let short = Horizon::new(Tenure::Lease { ttl: at(4) }, Clock::Machine, at(100));
        assert!(short.holds_at(at(102)));
        assert!(!short.holds_at(at(103)), "a short lease has a margin that fits it");
    }

    #[test]
    fn a_store_that_is_this_process_s_own_has_no_horizon() {
        let horizon = Horizon::new(Tenure::UntilTaken, Clock::Machine, at(0));
        assert!(horizon.holds_at(Duration::MAX));
        assert_eq!(horizon.renewal_in(), None);
    }
}

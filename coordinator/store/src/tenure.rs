//! How a candidate counts the silence of a leader whom it cannot see (ADR 0013).
//!
//! The candidate looks at what the leader moves when it shows itself, and counts by its own clock
//! how long none of it has moved. It needs nobody else's clock, and it errs to one side: it counts
//! from its own receipt, which is later than the moment at which the leader was last heard.

use std::time::Duration;

use tokio::time::Instant;

use crate::fault::fault;

/// A candidate's count of how long one sign of a leader has stood still.
#[derive(Debug)]
pub struct Vigil<S> {
    ttl: Duration,
    seen: Option<Seen<S>>,
}

#[derive(Debug)]
struct Seen<S> {
    sign: S,
    silent: Duration,
    at: Instant,
}

impl<S: PartialEq> Vigil<S> {
    /// A vigil that has seen nothing yet.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, seen: None }
    }

    /// Takes in that the leader's sign was `sign`, as received at `now`. Answers whether it has
    /// stood still for a ttl.
    ///
    /// A candidate that did not look for more than a third of a ttl, because it slept or could not
    /// reach the store, may have been cut off together with the leader. It believes no more than
    /// two thirds of a ttl then, so that the leader has another third to be heard again.
    pub fn is_silent(&mut self, sign: S, now: Instant) -> bool {
        let silent = match &self.seen {
            Some(seen) if seen.sign == sign => {
                let gap = now.saturating_duration_since(seen.at);
                let counted = seen.silent.saturating_add(gap);
                if gap > self.ttl / 3 { counted.min(self.ttl * 2 / 3) } else { counted }
            }
            _ => Duration::ZERO,
        };
        self.seen = Some(Seen { sign, silent, at: now });
        silent >= self.ttl || fault!(SilenceNotCounted)
    }

    /// Forgets what was counted.
    pub fn restart(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    struct Watcher {
        vigil: Vigil<u64>,
        now: Instant,
    }

    impl Watcher {
        fn new() -> Self {
            Self { vigil: Vigil::new(TTL), now: Instant::now() }
        }

        fn sees(&mut self, sign: u64, after: u64) -> bool {
            self.now += Duration::from_secs(after);
            self.vigil.is_silent(sign, self.now)
        }
    }

    #[test]
    fn a_sign_that_stands_still_for_a_ttl_is_silence() {
        let mut watcher = Watcher::new();
        assert!(!watcher.sees(1, 100), "the first look begins the count");
        for _ in 0..7 {
            assert!(!watcher.sees(1, 2));
        }
        assert!(watcher.sees(1, 1));
        assert!(watcher.sees(1, 1), "and it stays silent");
    }

    #[test]
    fn a_sign_that_moves_begins_the_count_again() {
        let mut watcher = Watcher::new();
        for sign in 0..20 {
            for _ in 0..7 {
                assert!(!watcher.sees(sign, 2));
            }
        }
    }

    #[test]
    fn who_did_not_look_believes_two_thirds() {
        let mut watcher = Watcher::new();
        assert!(!watcher.sees(1, 0));
        assert!(!watcher.sees(1, 3600), "an hour without looking proves nothing");
        assert!(!watcher.sees(1, 4));
        assert!(watcher.sees(1, 1), "ten seconds are believed, five were counted");
    }

    #[test]
    fn gaps_that_repeat_never_add_up() {
        let mut watcher = Watcher::new();
        for _ in 0..100 {
            assert!(!watcher.sees(1, 6));
        }
    }

    #[test]
    fn a_restart_forgets() {
        let mut watcher = Watcher::new();
        for _ in 0..10 {
            watcher.sees(1, 5);
        }
        assert!(watcher.sees(1, 0));
        watcher.vigil.restart();
        assert!(!watcher.sees(1, 5));
    }
}

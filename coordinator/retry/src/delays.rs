//! One run through a policy.

use std::time::Duration;

use backoff::Clock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;
use tokio::time::Instant;

use crate::policy::Policy;
use crate::random::{Random, Seed};

/// The unit in which jitter is drawn: a millionth of a wait.
const MILLIONTHS_PER_PERCENT: u32 = 10_000;

/// tokio's clock for `backoff`, so that paused time is paused here too.
///
/// On a host that sleeps it may stand still; a laptop that wakes up then still
/// has the patience that it had when it was closed.
#[derive(Debug, Clone, Copy)]
struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

/// The waits of one run through a [`Policy`], counted from its creation.
///
/// What comes next depends on the time that has passed: an operation that is
/// slow to fail uses up the run's patience like a wait does.
#[derive(Debug)]
pub struct Delays {
    policy: Policy,
    intervals: ExponentialBackoff<TokioClock>,
    random: Random,
}

impl Delays {
    pub(crate) fn new(policy: Policy, seed: Seed) -> Self {
        let intervals = ExponentialBackoff {
            current_interval: policy.first,
            initial_interval: policy.first,
            // Its own jitter cannot be seeded.
            randomization_factor: 0.0,
            multiplier: f64::from(policy.factor),
            max_interval: policy.cap,
            start_time: TokioClock.now(),
            // The end is checked below, on the wait that jitter and hint have made.
            max_elapsed_time: None,
            clock: TokioClock,
        };
        Self { policy, intervals, random: Random::new(seed) }
    }

    /// The policy that this is a run of.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.intervals.get_elapsed_time()
    }

    /// The next wait, or `None` once it would end after the policy gives up.
    pub fn next_delay(&mut self) -> Option<Duration> {
        self.next_delay_after(Duration::ZERO)
    }

    /// The next wait, but at least `hint`: the other side said when to come back.
    ///
    /// A hint beyond the end of the policy ends the run at once. A policy
    /// without an end follows a hint no further than its cap, so that a wrong
    /// hint cannot park it.
    pub fn next_delay_after(&mut self, hint: Duration) -> Option<Duration> {
        let interval = self.intervals.next_backoff()?;
        let own = self.shortened(interval);
        match self.policy.give_up_after {
            None => Some(own.max(hint.min(self.policy.cap))),
            Some(end) => {
                let wait = own.max(hint);
                (self.elapsed().saturating_add(wait) <= end).then_some(wait)
            }
        }
    }

    fn shortened(&mut self, interval: Duration) -> Duration {
        let cut = self.random.up_to(self.policy.spread * MILLIONTHS_PER_PERCENT);
        interval - interval * cut / (100 * MILLIONTHS_PER_PERCENT)
    }

    /// Starts again at the first wait with full patience, as after a success.
    pub fn reset(&mut self) {
        self.intervals.reset();
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_delay()
    }
}

/// A run with a seed of its own, for callers that need no replay.
impl From<Policy> for Delays {
    fn from(policy: Policy) -> Self {
        policy.delays(Seed::fresh())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn millis(all: &[u64]) -> Vec<Duration> {
        all.iter().copied().map(Duration::from_millis).collect()
    }

    /// Every wait of a run whose attempts take no time.
    async fn waits(mut delays: Delays, at_most: usize) -> Vec<Duration> {
        let mut waits = Vec::new();
        while waits.len() < at_most
            && let Some(wait) = delays.next_delay()
        {
            advance(wait).await;
            waits.push(wait);
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn doubles_to_the_cap_and_stops_before_the_end() {
        let waits = waits(Policy::COMMIT_UNKNOWN.delays(Seed::new(0)), 100).await;
        assert_eq!(waits[..8], millis(&[10, 20, 40, 80, 160, 320, 500, 500]));
        assert!(waits[6..].iter().all(|&wait| wait == Duration::from_millis(500)));
        // 630 ms on the way to the cap, then 24 times 500 ms: a 25th would end after 13 s.
        assert_eq!(waits.len(), 6 + 24);
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_millis(12_630));
    }

    #[tokio::test(start_paused = true)]
    async fn every_policy_without_jitter_is_exact() {
        let expected = [
            (Policy::COMMIT_UNKNOWN, millis(&[10, 20, 40, 80, 160, 320, 500])),
            (Policy::RECONNECT, millis(&[100, 200, 400, 800, 1_600, 3_200, 5_000])),
            (Policy::STORE_MEMBER, millis(&[20, 40, 80, 160, 200, 200, 200])),
            (Policy::LEAD, millis(&[200, 400, 800, 1_000, 1_000, 1_000, 1_000])),
            (Policy::FORGE_READ, millis(&[500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000])),
            (
                Policy::FORGE_UNSAID,
                millis(&[75_000, 150_000, 300_000, 600_000, 1_200_000, 2_400_000, 3_600_000]),
            ),
            (Policy::FORGE_RESUME, millis(&[2_000; 7])),
            (Policy::GIT_NETWORK, millis(&[1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])),
        ];
        assert_eq!(expected.each_ref().map(|(policy, _)| *policy), Policy::ALL);
        for (policy, expected) in expected {
            let delays = policy.spread(0).delays(Seed::new(0));
            assert_eq!(waits(delays, 7).await, expected, "{policy}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_without_an_end_goes_on() {
        let waits = waits(Policy::RECONNECT.spread(0).delays(Seed::new(0)), 20_000).await;
        assert_eq!(waits.len(), 20_000);
        assert_eq!(waits.last(), Some(&Policy::RECONNECT.cap));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_attempts_use_up_patience() {
        let mut delays = Policy::COMMIT_UNKNOWN.delays(Seed::new(0));
        advance(Duration::from_millis(12_990)).await;
        assert_eq!(delays.next_delay(), Some(Duration::from_millis(10)));
        assert_eq!(delays.next_delay(), None);
        assert_eq!(delays.next_delay(), None, "an ended run stays ended");
        assert_eq!(delays.elapsed(), Duration::from_millis(12_990));
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_repeats_by_seed_and_only_shortens() {
        let policy = Policy::RECONNECT;
        let full = waits(policy.spread(0).delays(Seed::new(0)), 50).await;
        for seed in 0..200 {
            let drawn = waits(policy.delays(Seed::new(seed)), 50).await;
            assert_eq!(drawn, waits(policy.delays(Seed::new(seed)), 50).await, "seed {seed}");
            for (wait, full) in drawn.iter().zip(&full) {
                assert!(*wait <= *full && *wait >= *full / 2, "seed {seed}: {wait:?} of {full:?}");
            }
        }
        let one = waits(policy.delays(Seed::new(1)), 50).await;
        let two = waits(policy.delays(Seed::new(2)), 50).await;
        assert_ne!(one, two);
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_fills_its_range() {
        let policy = Policy::RECONNECT.within(Duration::from_secs(5));
        let firsts: Vec<_> =
            (0..1_000).filter_map(|seed| policy.delays(Seed::new(seed)).next_delay()).collect();
        assert_eq!(firsts.len(), 1_000);
        let below = firsts.iter().filter(|&&wait| wait < Duration::from_millis(75)).count();
        assert!((400..600).contains(&below), "{below} of 1000 in the lower half");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_is_a_floor() {
        let mut delays = Policy::FORGE_READ.spread(0).delays(Seed::new(0));
        let hint = Duration::from_secs(60);
        assert_eq!(delays.next_delay_after(hint), Some(hint));
        assert_eq!(delays.next_delay_after(Duration::ZERO), Some(Duration::from_secs(1)));
        assert_eq!(delays.next_delay_after(Duration::from_secs(121)), None);
        assert_eq!(delays.next_delay_after(Duration::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_hint_cannot_park_a_run_without_end() {
        let mut delays = Policy::RECONNECT.delays(Seed::new(0));
        assert_eq!(delays.next_delay_after(Duration::MAX), Some(Policy::RECONNECT.cap));
    }

    #[tokio::test(start_paused = true)]
    async fn reset_starts_over() {
        let mut delays = Policy::COMMIT_UNKNOWN.delays(Seed::new(0));
        assert_eq!(delays.by_ref().take(3).collect::<Vec<_>>(), millis(&[10, 20, 40]));
        advance(Duration::from_secs(13)).await;
        assert_eq!(delays.next_delay(), None);
        delays.reset();
        assert_eq!(delays.elapsed(), Duration::ZERO);
        assert_eq!(delays.next_delay(), Some(Duration::from_millis(10)));
    }

    #[test]
    fn works_without_a_runtime() {
        let mut delays = Policy::GIT_NETWORK.spread(0).delays(Seed::new(0));
        assert_eq!(delays.next_delay(), Some(Duration::from_secs(1)));
    }
}

//! How often one peer may ask: a bucket each, in bounded memory.
//!
//! A bucket that is full is as good as none, so an idle peer costs nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Payer;
use crate::config::Limits;

/// Buckets at once, at most. Beyond that the fullest makes room.
const MAX_BUCKETS: usize = 4096;

/// How often a peer may ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second over a long time.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Limits> for Rate {
    fn from(limits: Limits) -> Self {
        Self { per_second: limits.per_second.into(), burst: limits.burst.into() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    fn filled(self, rate: Rate, now: Duration) -> Self {
        let since = now.saturating_sub(self.at).as_secs_f64();
        Self { left: (self.left + since * rate.per_second).min(rate.burst), at: now }
    }

    /// Takes one, or says how long until there is one.
    fn take(&mut self, rate: Rate) -> Result<(), Duration> {
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.left) / rate.per_second;
        Err(Duration::try_from_secs_f64(wait).map_or(Duration::from_secs(60), |wait| {
            wait.clamp(Duration::from_millis(1), Duration::from_secs(60))
        }))
    }
}

/// The buckets of those who asked lately.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    of: HashMap<Payer, Bucket>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, of: HashMap::new() }
    }

    /// Counts a request of `payer`, or says when to come back.
    ///
    /// Who is new is counted for its address, too: made-up tokens are no way to ask more.
    pub(super) fn take(
        &mut self,
        payer: &Payer,
        from: IpAddr,
        now: Duration,
    ) -> Result<(), Duration> {
        if !self.of.contains_key(payer) {
            self.take_from(Payer::Address(from), now)?;
        }
        self.take_from(payer.clone(), now)
    }

    fn take_from(&mut self, payer: Payer, now: Duration) -> Result<(), Duration> {
        let rate = self.rate;
        if !self.of.contains_key(&payer) {
            self.make_room(now);
        }
        let full = Bucket { left: rate.burst, at: now };
        let bucket = self.of.entry(payer).or_insert(full);
        *bucket = bucket.filled(rate, now);
        bucket.take(rate)
    }

    /// Forgets whoever has been idle; if all are busy, the least busy.
    fn make_room(&mut self, now: Duration) {
        if self.of.len() < MAX_BUCKETS {
            return;
        }
        let rate = self.rate;
        self.of.retain(|_, bucket| bucket.filled(rate, now).left < rate.burst);
        if self.of.len() < MAX_BUCKETS {
            return;
        }
        let left = |bucket: &Bucket| bucket.filled(rate, now).left;
        let fullest = self.of.iter().max_by(|(_, a), (_, b)| left(a).total_cmp(&left(b)));
        if let Some(payer) = fullest.map(|(payer, _)| payer.clone()) {
            self.of.remove(&payer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10.0, burst: 3.0 };

    fn actor(name: &str) -> Payer {
        Payer::Actor(name.parse().unwrap())
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut buckets = Buckets::new(RATE);
        let mut ask =
            |name: &str, at: u64| buckets.take(&actor(name), address(1), Duration::from_millis(at));
        for _ in 0..3 {
            assert_eq!(ask("ann", 0), Ok(()));
        }
        assert_eq!(ask("ann", 0), Err(Duration::from_millis(100)));
        assert_eq!(ask("ann", 50), Err(Duration::from_millis(50)));
        assert_eq!(ask("bob", 50), Ok(()), "another peer has its own");
        assert_eq!(ask("ann", 101), Ok(()));
        assert!(ask("ann", 101).is_err());
        assert_eq!(ask("ann", 60_000), Ok(()), "a pause fills it");
    }

    #[test]
    fn made_up_names_are_counted_for_their_address() {
        let mut buckets = Buckets::new(RATE);
        let mut ask = |n: usize, from: u8| {
            buckets.take(&actor(&format!("a{n}")), address(from), Duration::ZERO)
        };
        let passed = (0..50).filter(|&n| ask(n, 1).is_ok()).count();
        assert_eq!(passed, 3, "one address, one burst of strangers");
        assert_eq!(ask(99, 2), Ok(()));
        assert_eq!(ask(0, 1), Ok(()), "who is known is counted by itself");
    }

    #[test]
    fn memory_is_bounded_and_the_busy_are_remembered() {
        let mut buckets = Buckets::new(Rate { per_second: 1e-6, burst: 1e6 });
        let busy = actor("busy");
        for _ in 0..1000 {
            buckets.take(&busy, address(1), Duration::ZERO).unwrap();
        }
        for n in 0..3 * MAX_BUCKETS {
            let name = actor(&format!("a{n}"));
            buckets.take(&name, address(1), Duration::ZERO).unwrap();
            assert!(buckets.of.len() <= MAX_BUCKETS);
        }
        assert!(buckets.of[&busy].left < 1e6 - 999.0);
    }
}

//! Jitter that can be repeated.

use std::hash::{BuildHasher, RandomState};

/// Where the jitter of one run begins: the same seed draws the same delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The seed `n`, for tests and for replays.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// A seed that differs between processes and between calls.
    ///
    /// It spreads a crowd out and is no secret: std's hash keys are random per
    /// process, and no more than that is needed here.
    pub fn fresh() -> Self {
        Self(RandomState::new().hash_one(()))
    }
}

/// SplitMix64: eight bytes of state, and good enough to part a crowd.
#[derive(Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { state: seed.0 }
    }

    const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit`, both included.
    pub(crate) fn up_to(&mut self, limit: u32) -> u32 {
        let high = self.draw() >> 32;
        // The product of two numbers below 2^32 (and one more) has its high half at most `limit`.
        ((high * (u64::from(limit) + 1)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_published_sequence() {
        let mut random = Random::new(Seed::new(1_234_567));
        assert_eq!(
            [random.draw(), random.draw(), random.draw()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,]
        );
    }

    #[test]
    fn stays_within_its_limit_and_reaches_both_ends() {
        let mut random = Random::new(Seed::new(1));
        let mut seen = [0_u32; 4];
        for _ in 0..1_000 {
            seen[random.up_to(3) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 150), "{seen:?}");
        assert_eq!(random.up_to(0), 0);
        for _ in 0..1_000 {
            random.up_to(u32::MAX);
        }
    }

    #[test]
    fn fresh_seeds_differ() {
        assert_ne!(Seed::fresh(), Seed::fresh());
    }
}

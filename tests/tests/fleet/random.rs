//! Chance that can be repeated: the same seed, the same moments and orders.

/// Variable that repeats a run with another seed.
const SEED: &str = "MOLT_FLEET_SEED";

/// What is used without it.
const USUAL: u64 = 0x5eed;

/// Pseudo-random numbers (xorshift).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Begins with the seed of the environment or the usual one, and says it.
    pub(crate) fn new() -> Self {
        let given = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
        let seed = given.unwrap_or(USUAL);
        println!("{SEED}={seed}");
        Self(seed.max(1))
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Puts `all` in any order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
            all.swap(last, usize::try_from(self.below(bound)).unwrap_or(0));
        }
    }
}

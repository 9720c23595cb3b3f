//! Random choices that can be made again: the seed is printed, and `MURMUR_TEST_SEED` gives it back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A generator of random numbers (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From `MURMUR_TEST_SEED`, or another seed every time.
    #[allow(clippy::print_stdout, reason = "cargo shows it when the test fails")]
    pub fn from_environment() -> Self {
        let given = std::env::var("MURMUR_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let nanos = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let seed = given.unwrap_or_else(nanos);
        println!("MURMUR_TEST_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// Shorter than `most`.
    pub fn shorter_than(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64))
    }
}

//! Random numbers that a test can fix: SplitMix64 over a shared counter, without a lock.
//!
//! Good enough to draw endpoints and shares, not for secrets. Source: Steele, Lea, Flood, "Fast splittable pseudorandom
//! number generators", OOPSLA 2014.

use std::sync::atomic::{AtomicU64, Ordering};

use wattle_contract::route::PercentMillionths;

/// The step of the counter: 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of random numbers.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Starts at a seed: the same seed gives the same numbers.
    #[must_use]
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Draws a number.
    pub(crate) fn roll(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }

    /// Draws a number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        // Multiply-shift keeps the bias under end / 2^64.
        ((u128::from(self.roll()) * u128::from(end)) >> 64) as u64
    }

    /// Says whether this request belongs to a share of them.
    pub(crate) fn hits(&self, share: PercentMillionths) -> bool {
        share.0 > 0 && self.below(u64::from(PercentMillionths::ALL.0)) < u64::from(share.0)
    }
}

/// Scrambles a number so that neighbours have nothing in common (the finaliser of SplitMix64).
#[must_use]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (one, other) = (Dice::new(7), Dice::new(7));

        let drawn: Vec<_> = (0..100).map(|_| one.below(10)).collect();

        assert_eq!(drawn, (0..100).map(|_| other.below(10)).collect::<Vec<_>>());
        assert!(drawn.iter().all(|n| *n < 10));
    }

    #[test]
    fn a_share_of_nothing_never_hits_and_of_all_always() {
        let dice = Dice::new(1);

        assert!((0..1000).all(|_| !dice.hits(PercentMillionths::NONE)));
        assert!((0..1000).all(|_| dice.hits(PercentMillionths::ALL)));
    }
}

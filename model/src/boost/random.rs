//! Random choices that are the same on every machine and in every version of every crate.

/// The SplitMix64 generator: 64 bits of state, one seed. Not for secrets.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Gives a number from 0 (with) to 1 (without).
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Takes each item with the probability `share`, keeping the order; all of them when it is 1.
    pub fn share(&mut self, items: &[u32], share: f64) -> Vec<u32> {
        if share >= 1.0 {
            return items.to_vec();
        }
        items.iter().copied().filter(|_| self.unit() < share).collect()
    }

    /// Marks about `share` of `count` columns, at least one.
    pub fn mask(&mut self, count: usize, share: f64) -> Vec<bool> {
        if share >= 1.0 {
            return vec![true; count];
        }
        let wanted = ((count as f64 * share).round() as usize).clamp(1, count);
        let mut order: Vec<usize> = (0..count).collect();
        let mut mask = vec![false; count];
        for at in 0..wanted {
            let other = at + (self.unit() * (count - at) as f64) as usize;
            order.swap(at, other);
            mask[order[at]] = true;
        }
        mask
    }
}

//! Quantiles read from the buckets of a histogram.

use wattle_contract::{LatencyBracket, Milliseconds};

/// Counts of a classic histogram: upper bound to how many lie at or below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets {
    bounds: Vec<(f64, f64)>,
}

impl Buckets {
    /// Adds to the count of a bound.
    pub(crate) fn add(&mut self, bound: f64, count: f64) {
        match self.bounds.binary_search_by(|(other, _)| other.total_cmp(&bound)) {
            Ok(at) => self.bounds[at].1 += count,
            Err(at) => self.bounds.insert(at, (bound, count)),
        }
    }

    /// Walks the buckets that hold something: lower bound, upper bound and count. The last ends where it begins.
    pub(crate) fn each(&self, mut look: impl FnMut(f64, f64, f64)) {
        let (mut low, mut below) = (0.0_f64, 0.0_f64);
        for &(bound, up_to) in &self.bounds {
            let high = if bound.is_finite() { bound.max(low) } else { low };
            if up_to > below {
                look(low, high, up_to - below);
                below = up_to;
            }
            low = high;
        }
    }

    /// Gives the bucket that a quantile lies in; `None` without observations.
    ///
    /// Formula: linear interpolation inside the bucket, as PromQL's `histogram_quantile`. Range: `q` in 0..=1.
    pub(crate) fn quantile(&self, q: f64) -> Option<LatencyBracket> {
        let total = self.bounds.last().filter(|(bound, _)| *bound == f64::INFINITY)?.1;
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let mut count = 0.0_f64;
        for (at, &(bound, up_to)) in self.bounds.iter().enumerate() {
            let below = count;
            count = count.max(up_to);
            let low = if at > 0 { self.bounds[at - 1].0 } else { 0.0 };
            if count < rank {
                continue;
            }
            let low = Milliseconds::new(low.min(bound).max(0.0))?;
            let Some(high) = Milliseconds::new(bound) else {
                return Some(LatencyBracket { low, estimate: low, high: None });
            };
            let share = if count > below { (rank - below) / (count - below) } else { 1.0 };
            return Some(LatencyBracket { low, estimate: low + (high - low) * share, high: Some(high) });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(bounds: &[(f64, f64)]) -> Buckets {
        let mut buckets = Buckets::default();
        bounds.iter().for_each(|&(bound, count)| buckets.add(bound, count));
        buckets
    }

    #[test]
    fn the_truth_lies_in_the_bracket() {
        let bracket =
            buckets(&[(f64::INFINITY, 100.0), (5.0, 50.0), (10.0, 90.0)]).quantile(0.7).expect("observations");

        assert_eq!(bracket.low.get(), 5.0);
        assert_eq!(bracket.high.map(Milliseconds::get), Some(10.0));
        assert_eq!(bracket.estimate.get(), 7.5);
    }

    #[test]
    fn the_last_bucket_has_no_end() {
        let bracket = buckets(&[(5.0, 1.0), (f64::INFINITY, 100.0)]).quantile(0.95).expect("observations");

        assert_eq!((bracket.low.get(), bracket.high), (5.0, None));
    }

    #[test]
    fn nothing_observed_has_no_quantile() {
        assert_eq!(buckets(&[(5.0, 0.0), (f64::INFINITY, 0.0)]).quantile(0.5), None);
        assert_eq!(buckets(&[(5.0, 3.0)]).quantile(0.5), None);
    }
}

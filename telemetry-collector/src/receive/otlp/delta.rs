//! Delta temporality: what grew since the last message becomes a counter that only grows.

use std::collections::HashMap;

use wattle_contract::Labels;

/// Series whose sums are remembered; points of more are refused.
const MOST: usize = 200_000;

/// Sum so far, and the time of its newest point.
type Sum = (f64, i64);

/// Sums of the series that come as deltas. They begin again with zero when the collector does, as counters may.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    sums: HashMap<Labels, Sum>,
    /// What a request changed, until it is known whether it was stored.
    undo: Vec<(Labels, Option<Sum>)>,
}

impl Deltas {
    /// Adds an increment; gives the sum, or why there is none.
    pub(super) fn add(&mut self, labels: &Labels, time: i64, more: f64) -> Result<f64, &'static str> {
        let before = self.sums.get(labels).copied();
        if before.is_none() && self.sums.len() >= MOST {
            return Err("more series of delta temporality than can be summed: send cumulative ones");
        }
        if before.is_some_and(|(_, newest)| time <= newest) {
            return Err("a delta point that is not newer than the last of its series");
        }
        let sum = before.map_or(0.0, |(sum, _)| sum) + more;
        self.undo.push((labels.clone(), before));
        self.sums.insert(labels.clone(), (sum, time));
        Ok(sum)
    }

    /// Ends a request that was stored.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Takes back what a request added that was not stored: it will come again.
    pub(super) fn take_back(&mut self) {
        for (labels, before) in self.undo.drain(..).rev() {
            match before {
                Some(sum) => drop(self.sums.insert(labels, sum)),
                None => drop(self.sums.remove(&labels)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_sum_up_and_are_taken_back_when_they_were_not_stored() {
        let labels = Labels::new([("a", "b")]);
        let mut deltas = Deltas::default();

        assert_eq!(deltas.add(&labels, 1, 2.0), Ok(2.0));
        deltas.keep();
        assert_eq!(deltas.add(&labels, 2, 3.0), Ok(5.0));
        deltas.take_back();
        assert_eq!(deltas.add(&labels, 2, 4.0), Ok(6.0));
        assert!(deltas.add(&labels, 2, 1.0).is_err());
    }
}

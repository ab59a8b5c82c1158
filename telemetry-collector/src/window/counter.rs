//! Growth of a counter inside a window.

use crate::store::chunk::Point;

/// What a counter gained, and over which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Never negative.
    pub(crate) amount: f64,
    /// Time between the samples it was read from; above zero.
    pub(crate) seconds: f64,
}

impl Growth {
    /// Gives the gain a second.
    pub(crate) fn rate(self) -> f64 {
        self.amount / self.seconds
    }
}

/// Computes the growth between `start` and `end` (not included); `None` without two samples to compare.
///
/// Formula: sum over the samples b inside of (b - a, or b when b < a), a being the sample before b; the sample before
/// the first one inside may lie before `start`. NaN and the infinities are no samples.
pub(crate) fn growth(points: &[Point], start: i64, end: i64) -> Option<Growth> {
    let from = points.partition_point(|point| point.0 < start);
    let to = points.partition_point(|point| point.0 < end);
    let before = points[..from].iter().rev().find(|point| point.1.is_finite());
    let mut inside = points[from..to].iter().filter(|point| point.1.is_finite());
    let first = before.or_else(|| inside.next())?;
    let (mut last, mut amount) = (first, 0.0);
    for point in inside {
        amount += if point.1 >= last.1 { point.1 - last.1 } else { point.1.max(0.0) };
        last = point;
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds inside a window are far below two to the power of 53")]
    let seconds = (last.0 - first.0) as f64 / 1000.0;
    (seconds > 0.0 && amount.is_finite()).then_some(Growth { amount, seconds })
}

/// Computes the mean of a gauge's samples inside a window.
pub(crate) fn mean(points: &[Point], start: i64, end: i64) -> Option<f64> {
    let inside = points.iter().filter(|point| point.0 >= start && point.0 < end && point.1.is_finite());
    let (sum, count) = inside.fold((0.0, 0_u32), |(sum, count), point| (sum + point.1, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_counter_never_grows_by_less_than_nothing(values in prop::collection::vec(any::<f64>(), 0..40)) {
            let points: Vec<Point> = values.iter().enumerate().map(|(at, v)| (at as i64 * 1_000, *v)).collect();

            if let Some(growth) = growth(&points, 5_000, 30_000) {
                prop_assert!(growth.amount >= 0.0 && growth.amount.is_finite());
            }
        }

        #[test]
        fn windows_sum_to_what_was_measured(steps in prop::collection::vec((0_u32..100_000, 1_i64..9_000), 2..120)) {
            let mut points: Vec<Point> = vec![(0, 0.0)];
            for (gain, wait) in steps {
                let last = points[points.len() - 1];
                points.push((last.0 + wait, last.1 + f64::from(gain)));
            }
            let last = points[points.len() - 1];

            let sum: f64 = (0..=last.0 / 15_000)
                .filter_map(|at| growth(&points, at * 15_000, (at + 1) * 15_000))
                .map(|growth| growth.amount)
                .sum();

            prop_assert_eq!(sum, last.1);
        }
    }

    #[test]
    fn a_reset_counts_from_zero() {
        let points = [(0, 100.0), (5_000, 110.0), (10_000, 3.0), (14_000, 5.0)];

        assert_eq!(growth(&points, 1_000, 15_000), Some(Growth { amount: 15.0, seconds: 14.0 }));
    }

    #[test]
    fn one_sample_is_no_growth() {
        assert_eq!(growth(&[(3_000, 7.0)], 0, 15_000), None);
        assert_eq!(growth(&[], 0, 15_000), None);
        assert_eq!(growth(&[(1_000, 7.0), (16_000, 9.0)], 2_000, 15_000), None);
    }
}

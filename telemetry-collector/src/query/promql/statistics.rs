//! Sums, means, quantiles and regressions as Prometheus computes them.

use crate::store::chunk::Point;

/// A sum that carries what was lost in each addition (Kahan, in the variant of Neumaier).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(super) fn get(self) -> f64 {
        self.sum + self.lost
    }
}

/// Sums values up.
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.get()
}

/// Computes a mean; one that would overflow as a sum is computed step by step.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut mean, mut count, mut stepwise) = (Sum::default(), Sum::default(), 0.0_f64, false);
    for value in values {
        count += 1.0;
        if !stepwise {
            let mut next = sum;
            next.add(value);
            if count == 1.0 || !next.sum.is_infinite() {
                sum = next;
                continue;
            }
            stepwise = true;
            mean = Sum { sum: sum.sum / (count - 1.0), lost: sum.lost / (count - 1.0) };
        }
        let share = (count - 1.0) / count;
        mean = Sum { sum: share * mean.sum, lost: share * mean.lost };
        mean.add(value / count);
    }
    match (count > 0.0, stepwise) {
        (false, _) => None,
        (true, true) => Some(mean.get()),
        (true, false) => Some(sum.sum / count + sum.lost / count),
    }
}

/// Computes a population variance (Welford).
pub(super) fn variance(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut mean, mut squares) = (0.0_f64, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - mean.get();
        mean.add(delta / count);
        squares.add(delta * (value - mean.get()));
    }
    (count > 0.0).then(|| squares.get() / count)
}

/// Computes a quantile by linear interpolation between the two values next to it.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| {
        if a.is_nan() { std::cmp::Ordering::Less } else { a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Greater) }
    });
    let rank = q * (values.len() - 1) as f64;
    let lower = (rank.floor().max(0.0) as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Fits a line to points; gives its slope a second and its value at `at`.
pub(super) fn regression(points: &[Point], at: i64) -> (f64, f64) {
    let (mut x, mut y, mut xy, mut xx) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    let first = points[0].1;
    for &(time, value) in points {
        let seconds = (time - at) as f64 / 1e3;
        x.add(seconds);
        y.add(value);
        xy.add(seconds * value);
        xx.add(seconds * seconds);
    }
    if points.iter().all(|point| point.1 == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = points.len() as f64;
    let covariance = xy.get() - x.get() * y.get() / n;
    let variance = xx.get() - x.get() * x.get() / n;
    let slope = covariance / variance;
    (slope, y.get() / n - slope * x.get() / n)
}

//! Sums, means, quantiles and regressions as Prometheus computes them.

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

/// A mean that is computed step by step from where its sum would overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    is_stepwise: bool,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_stepwise {
            let mut next = self.sum;
            next.add(value);
            if self.count == 1.0 || !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.is_stepwise = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let share = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: share * self.sum.sum, lost: share * self.sum.lost };
        self.sum.add(value / self.count);
    }

    /// Gives the mean; `None` of nothing.
    pub(super) fn get(self) -> Option<f64> {
        match (self.count > 0.0, self.is_stepwise) {
            (false, _) => None,
            (true, true) => Some(self.sum.get()),
            (true, false) => Some(self.sum.sum / self.count + self.sum.lost / self.count),
        }
    }
}

/// Computes a mean.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut mean = Mean::default();
    values.for_each(|value| mean.add(value));
    mean.get()
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
pub(super) fn regression(times: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let (mut x, mut y, mut xy, mut xx) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    let first = values[0];
    for (&time, &value) in times.iter().zip(values) {
        let seconds = (time - at) as f64 / 1e3;
        x.add(seconds);
        y.add(value);
        xy.add(seconds * value);
        xx.add(seconds * seconds);
    }
    if values.iter().all(|&value| value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = values.len() as f64;
    let covariance = xy.get() - x.get() * y.get() / n;
    let variance = xx.get() - x.get() * x.get() / n;
    let slope = covariance / variance;
    (slope, y.get() / n - slope * x.get() / n)
}

//! Tells when the world is no longer the one that the model was trained in.
//!
//! Two tests: [`PageHinkley`] on residuals (the model is wrong now), a node at a time, and [`Stability`] on features (the
//! load is another one now), for all nodes. [`DriftMonitor`] runs both on what is measured while a model is at work; where an
//! alarm is on, [`crate::Predictor::compile_after`] leaves the trees out, so that only the layers that extrapolate serve.

mod monitor;

use serde::{Deserialize, Serialize};

pub use monitor::{Alarm, DriftMonitor, Errors};

/// The two-sided Page-Hinkley test on standardised residuals.
///
/// Formula: `m_t = sum(r_i - mean_i - slack)`; alarm when `m_t - min(m)` passes the threshold, and the same downwards.
/// Source: Page, "Continuous inspection schemes", Biometrika 1954; Hinkley 1971.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    slack: f64,
    threshold: f64,
    up: f64,
    down: f64,
    raised: bool,
}

impl Default for PageHinkley {
    /// Slack of half a standard deviation, alarm at 12: on independent normal residuals a false alarm about once in
    /// 520,000 (Siegmund 1985, `(exp(2k(h + 1.166)) - 2k(h + 1.166) - 1) / 4k^2`), after 1.5 deviations of shift an alarm in 12.
    fn default() -> Self {
        Self { slack: 0.5, threshold: 12.0, up: 0.0, down: 0.0, raised: false }
    }
}

impl PageHinkley {
    /// Takes the next residual in standard deviations and tells whether the alarm is on; it stays on until [`Self::reset`].
    ///
    /// A residual that is not finite is not taken.
    pub fn observe(&mut self, residual: f64) -> bool {
        if residual.is_finite() {
            let residual = residual.clamp(-6.0, 6.0);
            self.up = (self.up + residual - self.slack).max(0.0);
            self.down = (self.down - residual - self.slack).max(0.0);
            self.raised |= self.up.max(self.down) > self.threshold;
        }
        self.raised
    }

    /// Tells whether the alarm is on.
    #[must_use]
    pub const fn is_raised(&self) -> bool {
        self.raised
    }

    /// Starts again, after a new model.
    pub const fn reset(&mut self) {
        (self.up, self.down, self.raised) = (0.0, 0.0, false);
    }
}

/// How often values fell between cuts when the model was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    cuts: Vec<f64>,
    shares: Vec<f64>,
}

/// Stability index from which a feature counts as another one, as is the custom of its users.
pub const UNSTABLE: f64 = 0.25;
const TENTHS: usize = 10;

impl Stability {
    /// Cuts training values into ten parts of equal count, fewer when many are equal.
    #[must_use]
    pub fn fit(values: &[f64]) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let mut cuts: Vec<f64> = (1..TENTHS)
            .filter_map(|tenth| crate::score::quantile(finite.clone(), tenth as f64 / TENTHS as f64))
            .collect();
        cuts.dedup();
        let mut stability = Self { cuts, shares: Vec::new() };
        stability.shares = stability.count(&finite);
        stability
    }

    fn count(&self, values: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.5; self.cuts.len() + 1];
        for value in values.iter().filter(|value| value.is_finite()) {
            counts[self.cuts.partition_point(|cut| cut < value)] += 1.0;
        }
        let total: f64 = counts.iter().sum();
        counts.iter().map(|count| count / total).collect()
    }

    /// Gives the population stability index: `sum (now - then) ln(now / then)` over the parts; 0 without training values.
    ///
    /// Range: 0 and above; below 0.1 stable, above [`UNSTABLE`] another population.
    #[must_use]
    pub fn index(&self, values: &[f64]) -> f64 {
        let now = self.count(values);
        now.iter().zip(&self.shares).map(|(now, then)| (now - then) * (now / then).ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boost::Random;

    #[test]
    fn noise_raises_no_alarm_and_a_lasting_shift_does() {
        let mut random = Random::new(4);
        let mut test = PageHinkley::default();
        // Twelve uniform numbers less six are close enough to a normal one.
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;

        let quiet = (0..5000).any(|_| test.observe(normal()));
        let after = (0..200).position(|_| test.observe(1.5 + normal()));

        assert!(!quiet);
        assert!(after.is_some_and(|steps| steps < 40));
        assert!(test.observe(f64::NAN) && test.is_raised());
        test.reset();
        assert!(!test.is_raised());
    }

    #[test]
    fn the_index_is_small_for_the_same_values_and_large_for_others() {
        let values: Vec<f64> = (0..1000).map(|at| f64::from(at) / 1000.0).collect();
        let high: Vec<f64> = values.iter().map(|value| 0.8 + value / 5.0).collect();

        let stability = Stability::fit(&values);

        assert!(stability.index(&values) < 0.01);
        assert!(stability.index(&high) > UNSTABLE);
        assert_eq!(Stability::fit(&[]).index(&values), 0.0);
    }
}

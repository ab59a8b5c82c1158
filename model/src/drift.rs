//! Tells when the world is no longer the one that the model was trained in.
//!
//! Two alarms, a machine class or node at a time: [`PageHinkley`] on residuals (the model is wrong now) and
//! [`Stability`] on features (the load is another one now). On an alarm the caller serves without trees
//! ([`crate::Predictor::without_trees`]), which leaves the layers that extrapolate, says so, and counts it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wattle_contract::NodeName;

use crate::artifact::Artifact;
use crate::dataset::Dataset;

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
    /// Slack of half a standard deviation, alarm at 12: meant for a false alarm about once in 10^5 independent residuals; not measured.
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

/// What was found to have drifted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// Power of a node is no longer what the model says.
    Power(NodeName),
    /// Latency on a node is no longer what the model says.
    Latency(NodeName),
    /// The utilisation of the cluster is no longer what it was.
    Utilisation,
}

/// Watches a model at work.
#[derive(Clone, Debug)]
pub struct DriftMonitor {
    artifact: Artifact,
    power: BTreeMap<NodeName, PageHinkley>,
    latency: BTreeMap<NodeName, PageHinkley>,
    recent: Vec<f64>,
}

/// Rows of utilisation that the stability index is taken over.
const RECENT: usize = 200;
/// A 90 % half-width in standard deviations of a normal error.
const NINETY: f64 = 1.645;

impl DriftMonitor {
    /// Watches a model.
    #[must_use]
    pub const fn new(artifact: Artifact) -> Self {
        Self { artifact, power: BTreeMap::new(), latency: BTreeMap::new(), recent: Vec::new() }
    }

    /// Takes measured rows and gives every alarm that is on, in order.
    pub fn observe(&mut self, data: &Dataset) -> Vec<Alarm> {
        for row in &data.power {
            self.recent.push(row.features.utilisation());
            let Some(model) = &self.artifact.power else { continue };
            if let Some((watts, _)) = model.predict(row).filter(|(watts, _)| *watts > 0.0) {
                let residual = (row.watts - watts) / (watts * model.margin.max(0.005) / NINETY);
                self.power.entry(row.node.clone()).or_default().observe(residual);
            }
        }
        for row in &data.latency {
            let (Some(model), Some(truth)) = (&self.artifact.p95, row.p95) else { continue };
            let guess = model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate);
            let residual = (truth.mid - guess) / (model.margin.max(0.05) / NINETY);
            self.latency.entry(row.node.clone()).or_default().observe(residual);
        }
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        self.alarms()
    }

    fn alarms(&self) -> Vec<Alarm> {
        let raised = |tests: &BTreeMap<NodeName, PageHinkley>| -> Vec<NodeName> {
            tests.iter().filter(|(_, test)| test.is_raised()).map(|(node, _)| node.clone()).collect()
        };
        let mut alarms: Vec<Alarm> = raised(&self.power).into_iter().map(Alarm::Power).collect();
        alarms.extend(raised(&self.latency).into_iter().map(Alarm::Latency));
        if self.recent.len() == RECENT && self.artifact.stability.index(&self.recent) > UNSTABLE {
            alarms.push(Alarm::Utilisation);
        }
        alarms
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

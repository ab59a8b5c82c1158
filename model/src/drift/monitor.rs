//! A model at work, held against what is measured.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wattle_contract::NodeName;

use super::{PageHinkley, UNSTABLE};
use crate::artifact::Artifact;
use crate::dataset::Dataset;

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

impl Alarm {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Power(_) => "power",
            Self::Latency(_) => "latency",
            Self::Utilisation => "utilisation",
        }
    }

    /// Gives the node that it is about; `None` when it is about all.
    #[must_use]
    pub const fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Power(node) | Self::Latency(node) => Some(node),
            Self::Utilisation => None,
        }
    }
}

/// Watches a model at work. An alarm about a node stays on for the life of the model; that of utilisation ends with it.
#[derive(Clone, Debug)]
pub struct DriftMonitor {
    artifact: Artifact,
    power: BTreeMap<NodeName, Watched>,
    latency: BTreeMap<NodeName, Watched>,
    recent: Vec<f64>,
    observations: u64,
    newest: Errors,
}

/// How far the predictions for rows were from what was measured, without sign. Units: shares of the measured value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    /// Of the power of nodes.
    pub power: Vec<f64>,
    /// Of the 95th percentile of services on nodes; zero inside the bucket that was measured.
    pub latency: Vec<f64>,
}

/// A test, and when it last had a row.
#[derive(Clone, Debug, Default)]
struct Watched {
    test: PageHinkley,
    last: u64,
}

/// Fewest rows of utilisation that the stability index is taken over.
const RECENT: usize = 200;
/// Windows that it is taken over in a cluster of many nodes, so that every node has its part.
const RECENT_WINDOWS: usize = 4;
/// Observations after which a node that had no row is forgotten: nodes come and go.
const FORGOTTEN_AFTER: u64 = 1_000;
/// A 90 % half-width in standard deviations of a normal error.
const NINETY: f64 = 1.645;
/// Least half-widths that residuals are measured in: a change that no meter resolves (power) or that no placement turns
/// on (latency, on the logarithm) is not worth an alarm, however well the model fitted.
const LEAST_POWER: f64 = 0.02;
const LEAST_LATENCY: f64 = 0.1;

impl DriftMonitor {
    /// Watches a model.
    #[must_use]
    pub const fn new(artifact: Artifact) -> Self {
        let newest = Errors { power: Vec::new(), latency: Vec::new() };
        Self { artifact, power: BTreeMap::new(), latency: BTreeMap::new(), recent: Vec::new(), observations: 0, newest }
    }

    /// Gives the errors of the rows that were taken last.
    #[must_use]
    pub const fn newest_errors(&self) -> &Errors {
        &self.newest
    }

    /// Takes measured rows and gives every alarm that is on.
    ///
    /// Residuals of power are relative, those of latency on the logarithm and zero inside the bucket that was measured;
    /// both are divided by the standard deviation that the model's interval stands for.
    pub fn observe(&mut self, data: &Dataset) -> BTreeSet<Alarm> {
        self.observations += 1;
        self.newest = Errors::default();
        for row in &data.power {
            self.recent.push(row.features.utilisation());
            let Some(model) = &self.artifact.power else { continue };
            if let Some((watts, layer)) = model.predict(row).filter(|(watts, _)| *watts > 0.0) {
                let margin = model.margin_of(layer, &row.machine).max(LEAST_POWER);
                let residual = (row.watts - watts) / (watts * margin / NINETY);
                if row.watts > 0.0 {
                    self.newest.power.push(((row.watts - watts) / row.watts).abs());
                }
                self.power.entry(row.node.clone()).or_default().take(residual, self.observations);
            }
        }
        for row in &data.latency {
            let (Some(model), Some(truth)) = (&self.artifact.p95, row.p95) else { continue };
            let guess = model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate);
            let nearest = if truth.low <= guess && guess <= truth.high { guess } else { truth.mid };
            self.newest.latency.push((guess - nearest).exp_m1().abs());
            let residual = (nearest - guess) / (model.margin.max(LEAST_LATENCY) / NINETY);
            self.latency.entry(row.node.clone()).or_default().take(residual, self.observations);
        }
        let most = RECENT.max(RECENT_WINDOWS * data.power.len());
        self.recent.drain(..self.recent.len().saturating_sub(most));
        let oldest = self.observations.saturating_sub(FORGOTTEN_AFTER);
        self.power.retain(|_, watched| watched.last >= oldest);
        self.latency.retain(|_, watched| watched.last >= oldest);
        self.alarms()
    }

    fn alarms(&self) -> BTreeSet<Alarm> {
        let raised = |tests: &BTreeMap<NodeName, Watched>| -> Vec<NodeName> {
            tests.iter().filter(|(_, watched)| watched.test.is_raised()).map(|(node, _)| node.clone()).collect()
        };
        let mut alarms: BTreeSet<Alarm> = raised(&self.power).into_iter().map(Alarm::Power).collect();
        alarms.extend(raised(&self.latency).into_iter().map(Alarm::Latency));
        if self.recent.len() >= RECENT && self.artifact.stability.index(&self.recent) > UNSTABLE {
            alarms.insert(Alarm::Utilisation);
        }
        alarms
    }
}

impl Watched {
    fn take(&mut self, residual: f64, observation: u64) {
        self.test.observe(residual);
        self.last = observation;
    }
}

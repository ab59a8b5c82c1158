//! What was decided for one pod, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Millicores, Milliseconds, NodeName, PodRequest, Timestamp, Watts};

/// Names a decision in logs, metrics' exemplars and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The scores of all candidates for one pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its name.
    pub id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// For which pod.
    pub pod: PodRequest,
    /// Version of the snapshot it was made from; `None` when there was none.
    pub snapshot_version: Option<u64>,
    /// Identity (SHA-256) of the model artifact it was made with; `None` when there was none.
    pub model: Option<String>,
    /// Processor time that the pod was expected to use; `None` in decisions from before it was kept.
    #[serde(default)]
    pub expected_millicores: Option<Millicores>,
    /// One entry a candidate, in the order they were asked about.
    pub candidates: Vec<Candidate>,
}

impl Decision {
    /// Gives the candidate with the highest score; the first asked about wins a tie.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.iter().reduce(|best, next| if next.score > best.score { next } else { best })
    }
}

/// One node as a place for the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// Power that the pod would add; `None` when unknown.
    pub added_watts: Option<Watts>,
    /// Predicted 95th percentile latency of the pod's service here; `None` when unknown.
    pub p95_ms: Option<Milliseconds>,
    /// Half-width of the 90 % interval of `added_watts`; `None` when unknown.
    pub added_watts_margin: Option<Watts>,
    /// Processor time assumed there for pods that no measurement included yet; `None` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_millicores: Option<Millicores>,
    /// What its cost is made of; `None` where nothing that counts is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<CostParts>,
    /// The answer to kube-scheduler. Range: 0..=the configured top (10 by default); higher is better.
    pub score: u32,
    /// Why, in words that do not change from call to call.
    pub reason: Reason,
}

/// The parts of a candidate's cost, before their weights: lower is better. Range: 0..=1 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CostParts {
    /// Added power (or carbon), against the other candidates.
    pub energy: f64,
    /// Latency, against the other candidates.
    pub latency: f64,
    /// Traffic that would leave the node or its zone, against the other candidates.
    pub affinity: f64,
    /// How near the latency comes to the pod's own objective.
    pub slo: f64,
    /// How near the node comes to being full.
    pub headroom: f64,
    /// How much slower services run there than elsewhere.
    pub neighbours: f64,
    /// How far the measurement has aged.
    pub doubt: f64,
    /// The weighted sum. Range: 0 and above.
    pub cost: f64,
}

/// Why a candidate got its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Scored by predicted cost.
    Predicted,
    /// Scored by predicted cost, without the model's trees: what is measured here is no longer what they learnt.
    Drifted,
    /// Neutral score: no model is loaded.
    NoModel,
    /// Neutral score: this node was not measured.
    NoMeasurement,
    /// Neutral score: the newest measurement is too old.
    StaleMeasurement,
    /// Neutral score: no snapshot has arrived yet.
    NoSnapshot,
    /// Lowest score: the node would be loaded beyond its capacity.
    Overload,
}

impl Reason {
    /// Tells whether the score comes from a predicted cost.
    #[must_use]
    pub const fn is_predicted(self) -> bool {
        matches!(self, Self::Predicted | Self::Drifted)
    }

    /// Gives the fixed word for metrics and tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Predicted => "predicted",
            Self::Drifted => "drifted",
            Self::NoModel => "no_model",
            Self::NoMeasurement => "no_measurement",
            Self::StaleMeasurement => "stale_measurement",
            Self::NoSnapshot => "no_snapshot",
            Self::Overload => "overload",
        }
    }
}

//! What the model is told about a node and a service: one function for training and for serving.
//!
//! Formula: `utilisation = (cpu_used + extra) / cpu_capacity`; shares and rates are divided by capacity so that machines
//! of different sizes can be compared. A part that was not measured is NaN inside a feature row (the trees send it to
//! their side for unknown values) and never leaves this crate; a node whose utilisation is unknown has no row at all.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wattle_contract::{Millicores, NodeWindow, ServiceWindow};

/// Whether a prediction may fall or rise as a feature grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monotone {
    /// Any shape.
    #[default]
    Free,
    /// Never falls as the feature grows.
    Up,
    /// Never rises as the feature grows.
    Down,
}

impl Monotone {
    /// Gives +1, -1 or 0.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::Free => 0.0,
            Self::Up => 1.0,
            Self::Down => -1.0,
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its unit; `1` for a ratio.
    pub unit: String,
    /// Least value that makes sense.
    pub low: f64,
    /// Greatest value that makes sense.
    pub high: f64,
    /// Which way the prediction may go with it.
    pub monotone: Monotone,
}

impl Feature {
    /// Declares a column.
    #[must_use]
    pub fn new(name: &str, unit: &str, low: f64, high: f64, monotone: Monotone) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), low, high, monotone }
    }
}

/// The columns of a feature row, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureSchema {
    /// The columns.
    pub features: Vec<Feature>,
}

impl FeatureSchema {
    /// Gives the SHA-256 of names, units, ranges and directions, as hex: two schemas with one hash mean the same.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut text = Sha256::new();
        for Feature { name, unit, low, high, monotone } in &self.features {
            text.update(format!("{name}\t{unit}\t{low}\t{high}\t{}\n", monotone.sign()));
        }
        hex::encode(text.finalize())
    }

    /// Gives the directions, in order.
    #[must_use]
    pub fn monotone(&self) -> Vec<Monotone> {
        self.features.iter().map(|feature| feature.monotone).collect()
    }
}

/// Columns of [`NodeFeatures`].
pub const NODE_COLUMNS: usize = 6;

/// What the model is told about a node.
///
/// Shape: `NODE_COLUMNS` values in the order of [`node_schema`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeFeatures {
    values: [f64; NODE_COLUMNS],
}

/// Describes the columns of [`NodeFeatures`].
#[must_use]
pub fn node_schema() -> FeatureSchema {
    FeatureSchema {
        features: vec![
            Feature::new("utilisation", "1", 0.0, 1.0, Monotone::Up),
            Feature::new("cpu_capacity", "cores", 0.0, 4096.0, Monotone::Free),
            Feature::new("memory_share", "1", 0.0, 1.0, Monotone::Free),
            Feature::new("requests_per_core", "1/s", 0.0, 1e6, Monotone::Free),
            Feature::new("pods_per_core", "1", 0.0, 1e3, Monotone::Free),
            Feature::new("relative_speed", "1", 0.0, 100.0, Monotone::Free),
        ],
    }
}

/// Describes what the latency model is told: the node's columns and the service's.
#[must_use]
pub fn service_schema() -> FeatureSchema {
    let mut schema = node_schema();
    schema.features.push(Feature::new("service_requests", "1/s", 0.0, 1e7, Monotone::Up));
    schema
}

impl NodeFeatures {
    /// Gives the columns; an unknown one is NaN.
    #[must_use]
    pub const fn values(&self) -> &[f64; NODE_COLUMNS] {
        &self.values
    }

    /// Gives used over usable processor time. Range: 0 and above; above 1 only with extra load.
    #[must_use]
    pub const fn utilisation(&self) -> f64 {
        self.values[0]
    }

    /// Gives the usable logical processors.
    #[must_use]
    pub const fn capacity_cores(&self) -> f64 {
        self.values[1]
    }

    /// Gives the speed of one core relative to the cluster's reference; 1 when unknown.
    #[must_use]
    pub const fn speed(&self) -> f64 {
        let speed = self.values[5];
        if speed.is_finite() && speed > 0.0 { speed } else { 1.0 }
    }

    /// Gives the same node at another utilisation.
    #[must_use]
    pub const fn at(mut self, utilisation: f64) -> Self {
        self.values[0] = utilisation;
        self
    }
}

/// Extracts what the model is told about a node that carries `extra` processor use beside what was measured.
///
/// Gives `None` when the node's processor use was not measured or its capacity is unknown: such a node has no
/// prediction. Training calls it without extra, serving with the load of the pod to be placed.
#[must_use]
pub fn extract(node: &NodeWindow, extra: Millicores) -> Option<NodeFeatures> {
    let capacity = node.machine.cpu_capacity_millicores?.get();
    let used = node.cpu_used_millicores?.get() + extra.get();
    if capacity <= 0.0 || used < 0.0 {
        return None;
    }
    let cores = capacity / 1000.0;
    let memory = match (node.memory_used_bytes, node.machine.memory_capacity_bytes) {
        (Some(used), Some(total)) if total.0 > 0 => (used.0 as f64 / total.0 as f64).min(1.0),
        _ => f64::NAN,
    };
    let rate = node.requests_per_second.filter(|rate| rate.is_finite()).map_or(f64::NAN, |rate| rate.max(0.0) / cores);
    let pods = node.pods.map_or(f64::NAN, |pods| f64::from(pods) / cores);
    let speed = node.machine.relative_speed.filter(|speed| speed.is_finite() && *speed > 0.0).unwrap_or(f64::NAN);
    Some(NodeFeatures { values: [used / capacity, cores, memory, rate, pods, speed] })
}

/// Extracts the column that the latency model is told about a service on a node, beside the node's own.
///
/// Formula: `ln(1 + requests_per_second)`, zero for a service that has no traffic there yet.
#[must_use]
pub fn extract_service(service: Option<&ServiceWindow>) -> f64 {
    service
        .map(|service| service.requests_per_second)
        .filter(|rate| rate.is_finite())
        .map_or(0.0, |rate| rate.max(0.0).ln_1p())
}

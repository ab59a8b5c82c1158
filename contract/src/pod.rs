//! A pod that asks for a node.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Millicores, Milliseconds, PodKey, ServiceName, WorkloadName};

/// What the scheduler needs to know of a pod that is to be placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodRequest {
    /// Which pod.
    pub pod: PodKey,
    /// Its unique id; empty when the caller gave none.
    pub uid: String,
    /// What owns it, where known.
    pub workload: Option<WorkloadName>,
    /// The service it will answer for, where its labels tell (`app` label and namespace).
    pub service: Option<ServiceName>,
    /// Sum of its containers' CPU requests; `None` when no container has one.
    pub cpu_request_millicores: Option<Millicores>,
    /// Sum of its containers' memory requests; `None` when no container has one.
    pub memory_request_bytes: Option<Bytes>,
    /// What to optimise for.
    pub objective: Objective,
    /// 95th percentile latency it should keep (`wattle.dev/slo-p95-ms`).
    pub slo_p95_ms: Option<Milliseconds>,
    /// Own weight of energy (`wattle.dev/weight-energy`); overrides the objective's. Range: 0..=100.
    pub weight_energy: Option<f64>,
    /// Own weight of latency (`wattle.dev/weight-latency`); overrides the objective's. Range: 0..=100.
    pub weight_latency: Option<f64>,
}

/// What a placement is to be optimised for (`wattle.dev/objective`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Fewest added watts.
    Energy,
    /// Lowest predicted latency.
    Latency,
    /// Both, by the weights of the settings.
    #[default]
    Balanced,
}

//! The state of the cluster that the scheduler decides by.

use serde::{Deserialize, Serialize};

use crate::{NodeName, PodKey, Timestamp, Window, WorkloadName};

/// The newest complete window and where the pods are: all that a placement needs to know of the present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSnapshot {
    /// Counts up with each publication of one collector; also the ETag of `/api/v1/snapshot`.
    pub version: u64,
    /// When it was put together.
    pub taken: Timestamp,
    /// The measurements.
    pub window: Window,
    /// Running pods, ordered by pod.
    pub placements: Vec<PodPlacement>,
}

/// One pod on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodPlacement {
    /// The pod.
    pub pod: PodKey,
    /// What owns it, where known.
    pub workload: Option<WorkloadName>,
    /// Where it runs.
    pub node: NodeName,
}

//! The state of the cluster that the scheduler decides by.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Millicores, Namespace, NodeName, PodKey, Timestamp, Window, WorkloadName};

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
    /// How far workloads may grow, ordered by namespace and name; empty where Kubernetes is not watched.
    #[serde(default)]
    pub workloads: Vec<WorkloadScale>,
}

impl ClusterSnapshot {
    /// Takes a window as all that is known, as of its end.
    #[must_use]
    pub const fn of(version: u64, window: Window) -> Self {
        Self { version, taken: window.end, window, placements: Vec::new(), workloads: Vec::new() }
    }
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
    /// What it asks for and may use at most; nothing is known of it where Kubernetes is not watched.
    #[serde(default)]
    pub resources: PodResources,
}

impl PodPlacement {
    /// Places a pod of which nothing else is known.
    #[must_use]
    pub const fn new(pod: PodKey, node: NodeName) -> Self {
        Self {
            pod,
            workload: None,
            node,
            resources: PodResources {
                cpu_request_millicores: None,
                cpu_limit_millicores: None,
                memory_request_bytes: None,
                memory_limit_bytes: None,
            },
        }
    }
}

/// What a pod asks for and may use at most, summed over its containers as kube-scheduler sums it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodResources {
    /// Processor time that is kept for it; `None` when no container asks for any.
    pub cpu_request_millicores: Option<Millicores>,
    /// Processor time it may use at most; `None` when a container has no limit.
    pub cpu_limit_millicores: Option<Millicores>,
    /// Memory that is kept for it.
    pub memory_request_bytes: Option<Bytes>,
    /// Memory it may use at most; `None` when a container has no limit.
    pub memory_limit_bytes: Option<Bytes>,
}

/// How far a workload may grow: a HorizontalPodAutoscaler and what it scales.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadScale {
    /// Where it is.
    pub namespace: Namespace,
    /// What is scaled.
    pub workload: WorkloadName,
    /// Fewest pods. Range: 0 and above.
    pub min_replicas: u32,
    /// Most pods.
    pub max_replicas: u32,
    /// Pods there are, as the autoscaler saw them last.
    pub current_replicas: Option<u32>,
    /// Pods it wants.
    pub desired_replicas: Option<u32>,
}

//! WorkloadEntry: a workload outside Kubernetes.

use std::collections::BTreeMap;

use crate::decode::message;

message! {
    /// Istio's `WorkloadEntry`.
    struct WorkloadEntry {
        address: String = "address";
        ports: BTreeMap<String, u32> = "ports";
        labels: BTreeMap<String, String> = "labels";
        network: String = "network" unapplied "endpoints are reached directly, in whatever network";
        locality: String = "locality";
        weight: u32 = "weight";
        service_account: String = "serviceAccount";
    }
}

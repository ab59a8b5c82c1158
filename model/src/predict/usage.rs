//! What pods and requests use, read from a snapshot.

use std::collections::HashMap;

use wattle_contract::{ClusterSnapshot, Millicores, NodeName, ServiceName, WorkloadName};

use super::workload_of;

/// What such pods really use: measured use of each workload per pod.
pub(super) fn usage(snapshot: &ClusterSnapshot) -> HashMap<WorkloadName, Millicores> {
    let mut pods: HashMap<&WorkloadName, f64> = HashMap::new();
    for placement in &snapshot.placements {
        if let Some(workload) = &placement.workload {
            *pods.entry(workload).or_default() += 1.0;
        }
    }
    let mut used: HashMap<WorkloadName, Millicores> = HashMap::new();
    for window in &snapshot.window.services {
        if let Some(cpu) = window.cpu_used_millicores {
            *used.entry(workload_of(&window.service)).or_default() += cpu;
        }
    }
    used.into_iter().filter_map(|(name, cpu)| Some((name.clone(), cpu / *pods.get(&name)?))).collect()
}

/// Pods whose requests must be known before it is said what becomes of requests here.
const ENOUGH_PODS: usize = 20;
/// Requests are rarely that far from what is used; less may be a cluster that has just started.
const LEAST_USED: f64 = 0.2;

/// What pods use of what they ask for.
///
/// formula: processor use of the nodes over the requests of their pods, where both are known. Range: 0.2..=1; `None`
/// while requests of fewer than 20 pods are known. What has no request and what the system uses counts as use: rather too much.
pub(super) fn used_of_requested(snapshot: &ClusterSnapshot) -> Option<f64> {
    let used: HashMap<&NodeName, Millicores> =
        snapshot.window.nodes.iter().filter_map(|node| Some((&node.node, node.cpu_used_millicores?))).collect();
    let mut requested: HashMap<&NodeName, f64> = HashMap::new();
    let mut pods = 0;
    for placement in &snapshot.placements {
        if let Some(cpu) = placement.resources.cpu_request_millicores
            && used.contains_key(&placement.node)
        {
            pods += 1;
            *requested.entry(&placement.node).or_default() += cpu.get();
        }
    }
    // In the order of the names, so that the sums are the same each time.
    let mut nodes: Vec<(&NodeName, f64)> = requested.into_iter().collect();
    nodes.sort_unstable_by_key(|(node, _)| *node);
    let asked: f64 = nodes.iter().map(|(_, asked)| asked).sum();
    let taken: f64 = nodes.iter().map(|(node, _)| used[*node].get()).sum();
    (pods >= ENOUGH_PODS && asked > 0.0).then(|| (taken / asked).clamp(LEAST_USED, 1.0))
}

/// What one request of each service uses, in millicore-seconds.
pub(super) fn per_request(snapshot: &ClusterSnapshot) -> HashMap<ServiceName, f64> {
    let mut sums: HashMap<&ServiceName, (f64, f64)> = HashMap::new();
    for window in &snapshot.window.services {
        if let Some(cpu) = window.cpu_used_millicores.filter(|_| window.requests_per_second > 0.0) {
            let entry = sums.entry(&window.service).or_default();
            *entry = (entry.0 + cpu.get(), entry.1 + window.requests_per_second);
        }
    }
    sums.into_iter().map(|(service, (cpu, rate))| (service.clone(), cpu / rate)).collect()
}

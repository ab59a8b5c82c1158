//! Which pods there are, where they run and what they answer for.

use std::collections::{BTreeMap, BTreeSet};

use wattle_contract::{NodeName, PodKey, PodPlacement, ServiceName, WorkloadName};

use super::Inputs;
use crate::catalog::{kepler_node, known, pod_energy};

struct Pod {
    node: NodeName,
    seen: i64,
    workload: Option<WorkloadName>,
}

/// The running pods of a window.
pub(super) struct Pods {
    pods: BTreeMap<PodKey, Pod>,
    /// Kepler's pod id to the pod.
    by_id: BTreeMap<String, PodKey>,
    /// The service that a pod answers most requests for.
    services: BTreeMap<PodKey, ServiceName>,
}

impl Pods {
    /// Finds the pods that Kepler's pod series and Istio's series of the answering side tell of.
    pub(super) fn find(inputs: &Inputs<'_>) -> Self {
        let mut found = Self { pods: BTreeMap::new(), by_id: BTreeMap::new(), services: BTreeMap::new() };
        for series in inputs.named("kepler_pod_cpu_joules_total") {
            let labels = &series.labels;
            let (Some(namespace), Some(name)) = (labels.get("pod_namespace"), labels.get("pod_name")) else { continue };
            let Some(seen) = inputs.newest(series).filter(|_| labels.get("state") != Some("terminated")) else {
                continue;
            };
            let key = PodKey::new(namespace, name);
            if let Some(id) = labels.get("pod_id") {
                found.by_id.insert(id.to_owned(), key.clone());
            }
            if let Some(node) = kepler_node(labels) {
                found.see(key, node, seen, None);
            }
        }
        // Older Kepler counts by container.
        for series in inputs.named("kepler_container_package_joules_total") {
            let Some(((key, _), node)) = pod_energy(&series.labels).zip(kepler_node(&series.labels)) else { continue };
            if let Some(seen) = inputs.newest(series) {
                found.see(key, node, seen, None);
            }
        }
        let mut answered: BTreeMap<(PodKey, ServiceName), f64> = BTreeMap::new();
        for series in inputs.named("istio_requests_total") {
            let labels = &series.labels;
            let Some(seen) = inputs.newest(series) else { continue };
            let Some(key) = answering_pod(labels) else { continue };
            let workload = known(labels, "destination_workload").map(Into::into);
            if let Some(node) = known(labels, "node") {
                found.see(key.clone(), node.into(), seen, workload);
            }
            if let Some(service) = known(labels, "destination_service") {
                let amount = inputs.growth(series).map_or(0.0, |growth| growth.amount);
                *answered.entry((key, service.into())).or_default() += amount;
            }
        }
        let mut most: BTreeMap<PodKey, (ServiceName, f64)> = BTreeMap::new();
        for ((key, service), amount) in answered {
            if most.get(&key).is_none_or(|(_, best)| amount > *best) {
                most.insert(key, (service, amount));
            }
        }
        found.services = most.into_iter().map(|(key, (service, _))| (key, service)).collect();
        found
    }

    fn see(&mut self, key: PodKey, node: NodeName, seen: i64, workload: Option<WorkloadName>) {
        let pod = self.pods.entry(key).or_insert(Pod { node: node.clone(), seen, workload: None });
        if seen > pod.seen {
            (pod.node, pod.seen) = (node, seen);
        }
        if workload.is_some() {
            pod.workload = workload;
        }
    }

    /// Gives the service that a pod answers for.
    pub(super) fn service(&self, key: &PodKey) -> Option<&ServiceName> {
        self.services.get(key)
    }

    /// Gives the pod of Kepler's pod id.
    pub(super) fn by_id(&self, id: &str) -> Option<&PodKey> {
        self.by_id.get(id)
    }

    /// Counts the pods of a node; `None` where none was seen.
    pub(super) fn count(&self, node: &NodeName) -> Option<u32> {
        let count = self.pods.values().filter(|pod| pod.node == *node).count();
        u32::try_from(count).ok().filter(|&count| count > 0)
    }

    /// Gives the nodes that have pods.
    pub(super) fn nodes(&self) -> BTreeSet<&NodeName> {
        self.pods.values().map(|pod| &pod.node).collect()
    }

    /// Gives where each pod is, ordered by pod.
    pub(super) fn placements(self) -> Vec<PodPlacement> {
        let place =
            |(pod, at): (PodKey, Pod)| PodPlacement { workload: at.workload, ..PodPlacement::new(pod, at.node) };
        self.pods.into_iter().map(place).collect()
    }
}

/// Gives the pod whose proxy reported the answering side of requests.
pub(super) fn answering_pod(labels: &wattle_contract::Labels) -> Option<PodKey> {
    if labels.get("reporter") != Some("destination") {
        return None;
    }
    let namespace = known(labels, "destination_workload_namespace").or_else(|| known(labels, "namespace"))?;
    Some(PodKey::new(namespace, known(labels, "pod")?))
}

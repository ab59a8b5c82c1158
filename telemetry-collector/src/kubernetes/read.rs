//! What a snapshot needs of an object.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Container, Node, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;
use wattle_contract::{
    Bytes, Millicores, Namespace, PodKey, PodPlacement, PodResources, Rounded, WorkloadName, WorkloadScale,
    parse_quantity, pod_total,
};

type Quantities = BTreeMap<String, Quantity>;

/// How large a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) cpu: Option<Millicores>,
    pub(super) memory: Option<Bytes>,
}

impl Size {
    pub(super) fn of(node: &Node) -> Self {
        let capacity = node.status.as_ref().and_then(|status| status.capacity.as_ref());
        Self {
            cpu: capacity.and_then(|capacity| amount(capacity, "cpu", Rounded::Milli)).and_then(millicores),
            memory: capacity.and_then(|capacity| amount(capacity, "memory", Rounded::Unit)).map(Bytes),
        }
    }
}

/// Gives a pod's key; `None` for an object without a name.
pub(super) fn pod_key(pod: &Pod) -> Option<PodKey> {
    let name = pod.metadata.name.as_deref()?;
    Some(PodKey::new(pod.metadata.namespace.as_deref().unwrap_or("default"), name))
}

/// Gives where a pod runs; `None` while it has no node and once it has ended.
pub(super) fn placement(pod: &Pod) -> Option<PodPlacement> {
    let node = pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    Some(PodPlacement { pod: pod_key(pod)?, workload: workload(pod), node: node.into(), resources: resources(pod) })
}

fn workload(pod: &Pod) -> Option<WorkloadName> {
    let owners = pod.metadata.owner_references.as_deref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    WorkloadName::of_owner(&owner.kind, &owner.name, hash.map(String::as_str))
}

fn resources(pod: &Pod) -> PodResources {
    let requests = |name, to| {
        total(
            pod,
            |container| amount(container.resources.as_ref()?.requests.as_ref()?, name, to),
            |of_pod| amount(of_pod.requests.as_ref()?, name, to),
            name,
            to,
        )
    };
    let limits = |name, to| {
        let limit = |container: &Container| amount(container.resources.as_ref()?.limits.as_ref()?, name, to);
        let of_pod = |of_pod: &ResourceRequirements| amount(of_pod.limits.as_ref()?, name, to);
        let spec = pod.spec.as_ref()?;
        let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
        // One container without a limit that goes on running, and the pod has none.
        let has_all = spec.containers.iter().chain(sidecars).all(|container| limit(container).is_some());
        let has_own = spec.resources.as_ref().and_then(of_pod).is_some();
        if has_all || has_own { total(pod, limit, of_pod, name, to) } else { None }
    };
    PodResources {
        cpu_request_millicores: requests("cpu", Rounded::Milli).and_then(millicores),
        cpu_limit_millicores: limits("cpu", Rounded::Milli).and_then(millicores),
        memory_request_bytes: requests("memory", Rounded::Unit).map(Bytes),
        memory_limit_bytes: limits("memory", Rounded::Unit).map(Bytes),
    }
}

fn total(
    pod: &Pod,
    of_container: impl Fn(&Container) -> Option<u64>,
    of_pod: impl Fn(&ResourceRequirements) -> Option<u64>,
    name: &str,
    to: Rounded,
) -> Option<u64> {
    let spec = pod.spec.as_ref()?;
    pod_total(
        spec.containers.iter().map(&of_container),
        spec.init_containers.iter().flatten().map(|container| (of_container(container), is_sidecar(container))),
        spec.resources.as_ref().and_then(of_pod),
        spec.overhead.as_ref().and_then(|overhead| amount(overhead, name, to)),
    )
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Gives an autoscaler's own name.
pub(super) fn scaler_key(scaler: &HorizontalPodAutoscaler) -> Option<(Namespace, String)> {
    Some((scaler.namespace().unwrap_or_default().as_str().into(), scaler.metadata.name.clone()?))
}

/// Gives what an autoscaler says; `None` for one that scales nothing.
pub(super) fn scale(scaler: &HorizontalPodAutoscaler) -> Option<WorkloadScale> {
    let spec = &scaler.spec;
    let count = |replicas: i32| u32::try_from(replicas).unwrap_or(0);
    let status = scaler.status.as_ref();
    Some(WorkloadScale {
        namespace: scaler.namespace().unwrap_or_default().as_str().into(),
        workload: Some(spec.scale_target_ref.name.as_str()).filter(|name| !name.is_empty())?.into(),
        min_replicas: spec.min_replicas.map_or(1, count),
        max_replicas: count(spec.max_replicas),
        current_replicas: status.and_then(|status| status.current_replicas).map(count),
        desired_replicas: status.map(|status| count(status.desired_replicas)),
    })
}

fn amount(of: &Quantities, name: &str, to: Rounded) -> Option<u64> {
    parse_quantity(&of.get(name)?.0, to)
}

#[expect(clippy::cast_precision_loss, reason = "a count of millicores beyond 2^53 is no machine's")]
fn millicores(milli: u64) -> Option<Millicores> {
    Millicores::new(milli as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: &serde_json::Value) -> Pod {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "front-6b9f7c4d5", "uid": "r"});
        let pod = json!({"metadata": {"name": "p", "namespace": "shop", "ownerReferences": [owner]}, "spec": spec});
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_pod_is_placed_with_what_it_asks_for_and_may_use() {
        let container = |limits: serde_json::Value| json!({"name": "c", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": limits}});
        let all = json!({"cpu": "1", "memory": "128Mi"});
        let placed = placement(&pod(&json!({"nodeName": "n", "containers": [container(all.clone()), container(all)]})));
        let half =
            placement(&pod(&json!({"nodeName": "n", "containers": [container(json!({"cpu": "1"})), {"name": "d"}]})));

        let placed = placed.expect("on a node");
        assert_eq!(placed.workload, Some("front".into()));
        let (cpu, memory) = (Millicores::new, Bytes);
        assert_eq!(
            placed.resources,
            PodResources {
                cpu_request_millicores: cpu(500.0),
                cpu_limit_millicores: cpu(2000.0),
                memory_request_bytes: Some(memory(128 << 20)),
                memory_limit_bytes: Some(memory(256 << 20)),
            }
        );
        let half = half.expect("on a node").resources;
        assert_eq!((half.cpu_request_millicores, half.cpu_limit_millicores), (cpu(250.0), None), "one has no limit");
        assert_eq!(half.memory_limit_bytes, None);
        let mut sidecar = container(json!({}));
        sidecar["restartPolicy"] = "Always".into();
        let limited = container(json!({"cpu": "1"}));
        let beside = pod(&json!({"nodeName": "n", "containers": [limited], "initContainers": [sidecar]}));
        let beside = placement(&beside).expect("on a node").resources;
        assert_eq!(
            (beside.cpu_request_millicores, beside.cpu_limit_millicores),
            (cpu(500.0), None),
            "the sidecar has none"
        );
        assert_eq!(placement(&pod(&json!({"containers": []}))), None, "without a node");
    }
}

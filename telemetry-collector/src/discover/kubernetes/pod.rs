//! Pods: each port of each container; a container without ports is a target without a port.

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use kube::ResourceExt;

use super::super::relabel::Labelled;
use super::meta::{address, put, put_metadata};

/// Gives the targets of a pod; none while it has no address.
pub(super) fn targets(pod: &Pod) -> Vec<Labelled> {
    let Some(ip) = ip(pod) else { return Vec::new() };
    let mut base = labels(pod);
    put(&mut base, "namespace", pod.namespace().unwrap_or_default());
    let mut targets = Vec::new();
    for (container, is_init) in containers(pod) {
        let mut of_container = base.clone();
        put_container(&mut of_container, container, is_init);
        put(&mut of_container, "pod_container_id", id(pod, container).unwrap_or_default());
        let ports = container.ports.as_deref().unwrap_or_default();
        if ports.is_empty() {
            of_container.insert("__address__".to_owned(), ip.to_owned());
            targets.push(of_container);
            continue;
        }
        for port in ports {
            let mut labels = of_container.clone();
            labels.insert("__address__".to_owned(), address(ip, port.container_port));
            put_port(&mut labels, port);
            targets.push(labels);
        }
    }
    targets
}

/// Gives a pod's address.
pub(super) fn ip(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())
}

/// Gives a pod's containers, and whether each is one of its start.
pub(super) fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let spec = pod.spec.as_ref();
    let own = spec.into_iter().flat_map(|spec| &spec.containers).map(|container| (container, false));
    let init =
        spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|container| (container, true));
    own.chain(init)
}

pub(super) fn put_container(labels: &mut Labelled, container: &Container, is_init: bool) {
    put(labels, "pod_container_name", container.name.clone());
    put(labels, "pod_container_image", container.image.clone().unwrap_or_default());
    put(labels, "pod_container_init", is_init.to_string());
}

/// Gives what the runtime calls a container; Prometheus tells it in the role `pod` only.
fn id(pod: &Pod, container: &Container) -> Option<String> {
    let status = pod.status.as_ref()?;
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let mut statuses = lists.into_iter().flat_map(|list| list.iter().flatten());
    statuses.find(|status| status.name == container.name)?.container_id.clone()
}

pub(super) fn put_port(labels: &mut Labelled, port: &ContainerPort) {
    put(labels, "pod_container_port_name", port.name.clone().unwrap_or_default());
    put(labels, "pod_container_port_number", port.container_port.to_string());
    put(labels, "pod_container_port_protocol", port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()));
}

/// Gives the labels that a pod has wherever it is joined.
pub(super) fn labels(pod: &Pod) -> Labelled {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let mut labels = Labelled::new();
    put(&mut labels, "pod_name", pod.name_any());
    put(&mut labels, "pod_ip", ip(pod).unwrap_or_default());
    let ready =
        status.and_then(|status| status.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready"));
    put(&mut labels, "pod_ready", ready.map_or_else(|| "unknown".to_owned(), |found| found.status.to_lowercase()));
    put(&mut labels, "pod_phase", status.and_then(|status| status.phase.clone()).unwrap_or_default());
    put(&mut labels, "pod_node_name", spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default());
    put(&mut labels, "pod_host_ip", status.and_then(|status| status.host_ip.clone()).unwrap_or_default());
    put(&mut labels, "pod_uid", pod.uid().unwrap_or_default());
    if let Some(owner) = pod.owner_references().iter().find(|owner| owner.controller == Some(true)) {
        put(&mut labels, "pod_controller_kind", owner.kind.clone());
        put(&mut labels, "pod_controller_name", owner.name.clone());
    }
    put_metadata(&mut labels, "pod", &pod.metadata);
    labels
}

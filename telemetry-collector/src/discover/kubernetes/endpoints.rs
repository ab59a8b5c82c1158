//! Endpoints: each address and port, joined with the service and the pod behind it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, Endpoints};
use kube::ResourceExt;

use super::super::relabel::Labelled;
use super::meta::{Around, address, put, put_metadata};
use super::{pod, service};

/// Gives the targets of an Endpoints object.
pub(super) fn targets(endpoints: &Endpoints, around: &Around) -> Vec<Labelled> {
    let (name, namespace) = (endpoints.name_any(), endpoints.namespace().unwrap_or_default());
    let mut base = Labelled::new();
    put(&mut base, "namespace", namespace.clone());
    put(&mut base, "endpoints_name", name.clone());
    put_metadata(&mut base, "endpoints", &endpoints.metadata);
    if let Some(service) = around.services.get(&(namespace.clone(), name)) {
        base.extend(service::labels(service));
    }
    let mut joined = Joined { around, namespace, base, targets: Vec::new(), pods: BTreeMap::new() };
    for subset in endpoints.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            for (addresses, is_ready) in [(&subset.addresses, true), (&subset.not_ready_addresses, false)] {
                for found in addresses.iter().flatten() {
                    joined.add(port, found, is_ready);
                }
            }
        }
    }
    joined.finish()
}

/// Targets being joined with pods, and which ports of each pod have been seen.
pub(super) struct Joined<'a> {
    pub(super) around: &'a Around,
    pub(super) namespace: String,
    pub(super) base: Labelled,
    pub(super) targets: Vec<Labelled>,
    pub(super) pods: BTreeMap<String, Vec<i32>>,
}

impl Joined<'_> {
    fn add(&mut self, port: &EndpointPort, found: &EndpointAddress, is_ready: bool) {
        let mut labels = self.base.clone();
        labels.insert("__address__".to_owned(), address(&found.ip, port.port));
        put(&mut labels, "endpoint_port_name", port.name.clone().unwrap_or_default());
        put(&mut labels, "endpoint_port_protocol", port.protocol.clone().unwrap_or_default());
        put(&mut labels, "endpoint_ready", is_ready.to_string());
        put(&mut labels, "endpoint_node_name", found.node_name.clone().unwrap_or_default());
        put(&mut labels, "endpoint_hostname", found.hostname.clone().unwrap_or_default());
        if let Some(target) = &found.target_ref {
            let (kind, name) = (target.kind.clone().unwrap_or_default(), target.name.clone().unwrap_or_default());
            put(&mut labels, "endpoint_address_target_kind", kind.clone());
            put(&mut labels, "endpoint_address_target_name", name.clone());
            if kind == "Pod" {
                self.join(&mut labels, &name, port.port);
            }
        }
        self.targets.push(labels);
    }

    /// Adds the labels of the pod behind an address, and of the container whose port it is.
    pub(super) fn join(&mut self, labels: &mut Labelled, name: &str, port: i32) {
        let Some(found) = self.around.pods.get(&(self.namespace.clone(), name.to_owned())) else { return };
        labels.extend(pod::labels(found));
        self.pods.entry(name.to_owned()).or_default().push(port);
        for (container, is_init) in pod::containers(found) {
            if let Some(own) = container.ports.iter().flatten().find(|own| own.container_port == port) {
                pod::put_container(labels, container, is_init);
                pod::put_port(labels, own);
                return;
            }
        }
    }

    /// Adds the other ports of the pods that were joined, as Prometheus does, and gives all.
    pub(super) fn finish(mut self) -> Vec<Labelled> {
        for (name, seen) in &self.pods {
            let Some(found) = self.around.pods.get(&(self.namespace.clone(), name.clone())) else { continue };
            let Some(ip) = pod::ip(found) else { continue };
            for (container, is_init) in pod::containers(found) {
                for port in container.ports.iter().flatten().filter(|port| !seen.contains(&port.container_port)) {
                    let mut labels = self.base.clone();
                    labels.extend(pod::labels(found));
                    labels.insert("__address__".to_owned(), address(ip, port.container_port));
                    pod::put_container(&mut labels, container, is_init);
                    pod::put_port(&mut labels, port);
                    self.targets.push(labels);
                }
            }
        }
        self.targets
    }
}

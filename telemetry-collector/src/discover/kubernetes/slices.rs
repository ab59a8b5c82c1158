//! EndpointSlices: each address and port, joined with the service and the pod behind it.

use std::collections::BTreeMap;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use kube::ResourceExt;

use super::super::relabel::Labelled;
use super::endpoints::Joined;
use super::meta::{Around, address, put, put_metadata};
use super::service;

/// The label by which a slice names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Gives the targets of a slice.
pub(super) fn targets(slice: &EndpointSlice, around: &Around) -> Vec<Labelled> {
    let namespace = slice.namespace().unwrap_or_default();
    let mut base = Labelled::new();
    put(&mut base, "namespace", namespace.clone());
    put(&mut base, "endpointslice_name", slice.name_any());
    put(&mut base, "endpointslice_address_type", slice.address_type.clone());
    put_metadata(&mut base, "endpointslice", &slice.metadata);
    let service = slice.labels().get(SERVICE_NAME).cloned().unwrap_or_default();
    if let Some(service) = around.services.get(&(namespace.clone(), service)) {
        base.extend(service::labels(service));
    }
    let mut joined = Joined { around, namespace, base, targets: Vec::new(), pods: BTreeMap::new() };
    for port in slice.ports.iter().flatten() {
        for endpoint in slice.endpoints.iter().flatten() {
            for host in &endpoint.addresses {
                joined.add_endpoint(port, endpoint, host);
            }
        }
    }
    joined.finish()
}

impl Joined<'_> {
    fn add_endpoint(&mut self, port: &EndpointPort, endpoint: &Endpoint, host: &str) {
        let mut labels = self.base.clone();
        let number = port.port.unwrap_or_default();
        labels.insert("__address__".to_owned(), address(host, number));
        put(&mut labels, "endpointslice_port", number.to_string());
        put(&mut labels, "endpointslice_port_name", port.name.clone().unwrap_or_default());
        put(&mut labels, "endpointslice_port_protocol", port.protocol.clone().unwrap_or_default());
        put(&mut labels, "endpointslice_port_app_protocol", port.app_protocol.clone().unwrap_or_default());
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        for (name, value) in
            [("ready", conditions.ready), ("serving", conditions.serving), ("terminating", conditions.terminating)]
        {
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            put(&mut labels, &format!("endpointslice_endpoint_conditions_{name}"), value);
        }
        put(&mut labels, "endpointslice_endpoint_hostname", endpoint.hostname.clone().unwrap_or_default());
        put(&mut labels, "endpointslice_endpoint_node_name", endpoint.node_name.clone().unwrap_or_default());
        put(&mut labels, "endpointslice_endpoint_zone", endpoint.zone.clone().unwrap_or_default());
        if let Some(target) = &endpoint.target_ref {
            let (kind, name) = (target.kind.clone().unwrap_or_default(), target.name.clone().unwrap_or_default());
            put(&mut labels, "endpointslice_address_target_kind", kind.clone());
            put(&mut labels, "endpointslice_address_target_name", name.clone());
            if kind == "Pod" {
                self.join(&mut labels, &name, number);
            }
        }
        self.targets.push(labels);
    }
}

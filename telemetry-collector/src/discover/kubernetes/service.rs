//! Services: each port, by the service's name in the cluster.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::super::relabel::Labelled;
use super::meta::{put, put_metadata};

/// Gives the targets of a service.
pub(super) fn targets(service: &Service) -> Vec<Labelled> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let (name, namespace) = (service.name_any(), service.namespace().unwrap_or_default());
    let mut base = labels(service);
    put(&mut base, "namespace", namespace.clone());
    put(&mut base, "service_type", spec.type_.clone().unwrap_or_default());
    if spec.type_.as_deref() == Some("ExternalName") {
        put(&mut base, "service_external_name", spec.external_name.clone().unwrap_or_default());
    } else {
        put(&mut base, "service_cluster_ip", spec.cluster_ip.clone().unwrap_or_default());
    }
    put(&mut base, "service_loadbalancer_ip", spec.load_balancer_ip.clone().unwrap_or_default());
    let ports = spec.ports.iter().flatten();
    ports
        .map(|port| {
            let mut labels = base.clone();
            labels.insert("__address__".to_owned(), format!("{name}.{namespace}.svc:{}", port.port));
            put(&mut labels, "service_port_name", port.name.clone().unwrap_or_default());
            put(&mut labels, "service_port_number", port.port.to_string());
            put(&mut labels, "service_port_protocol", port.protocol.clone().unwrap_or_default());
            labels
        })
        .collect()
}

/// Gives the labels that a service has wherever it is joined.
pub(super) fn labels(service: &Service) -> Labelled {
    let mut labels = Labelled::new();
    put(&mut labels, "service_name", service.name_any());
    put_metadata(&mut labels, "service", &service.metadata);
    labels
}

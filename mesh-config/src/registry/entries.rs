//! ServiceEntries: hosts that no Kubernetes Service describes.

use std::sync::Arc;

use wattle_contract::Endpoint;
use wattle_contract::route::{Discovery, Protocol};

use super::endpoints::{address, endpoint, protocol};
use super::workloads::parse_locality;
use super::{Port, Registry, Service, Target, labels_match};
use crate::documents::Documents;
use crate::kinds::service_entry::{Location, Resolution, ServiceEntry, ServicePort};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::resource::Resource;

/// Makes a service of every host of every ServiceEntry.
pub(super) fn services(documents: &Documents, registry: &Registry) -> Vec<Service> {
    let mut services = Vec::new();
    for (resource, entry) in documents.of::<ServiceEntry>() {
        for host in &entry.hosts {
            services.push(service(registry, resource, entry, &host.to_lowercase()));
        }
    }
    services
}

fn service(registry: &Registry, resource: &Arc<Resource>, entry: &ServiceEntry, host: &str) -> Service {
    let discovery = match entry.resolution {
        Resolution::Absent | Resolution::None => Discovery::OriginalDestination,
        Resolution::Static => Discovery::Static,
        Resolution::Dns => Discovery::Dns,
        Resolution::DnsRoundRobin => Discovery::LogicalDns,
        Resolution::DynamicDns => Discovery::DynamicDns,
    };
    let ports = entry.ports.iter().filter_map(|port| {
        let number = u16::try_from(port.number).ok().filter(|number| *number > 0)?;
        let target = u16::try_from(port.target_port).ok().filter(|target| *target > 0).unwrap_or(number);
        Some(Port {
            number,
            protocol: entry_protocol(port),
            target: Target::Number(target),
            endpoints: endpoints(registry, resource, entry, host, port, target, discovery),
        })
    });
    Service {
        host: host.to_owned(),
        ports: ports.collect(),
        external: entry.location != Location::MeshInternal,
        discovery,
        export_to: entry.export_to.clone(),
        selector: Default::default(),
        addresses: entry.addresses.clone(),
        subject_alt_names: entry.subject_alt_names.clone(),
        resource: resource.clone(),
        slices: Vec::new(),
    }
}

/// Tells what a port speaks: by its protocol, else by its name.
fn entry_protocol(port: &ServicePort) -> Protocol {
    if port.protocol.is_empty() { protocol("", &port.name) } else { protocol(&port.protocol, "") }
}

fn endpoints(
    registry: &Registry,
    resource: &Resource,
    entry: &ServiceEntry,
    host: &str,
    port: &ServicePort,
    target: u16,
    discovery: Discovery,
) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = entry.endpoints.iter().map(|one| from_entry(one, port, target)).collect();
    if let Some(selector) = entry.workload_selector.as_ref().filter(|selector| !selector.labels.is_empty()) {
        let workloads = registry
            .workloads_in(resource.namespace())
            .filter(|workload| workload.is_instance() && !workload.pod_ip.is_empty());
        for workload in workloads.filter(|workload| labels_match(&selector.labels, &workload.labels)) {
            let number = workload.entry.as_ref().map_or(target, |one| port_of(one, port, target));
            endpoints.push(endpoint(address(&workload.pod_ip, number), Some(workload)));
        }
    }
    let resolves_itself = matches!(discovery, Discovery::Dns | Discovery::LogicalDns) && !host.starts_with('*');
    if endpoints.is_empty() && resolves_itself {
        endpoints.push(endpoint(address(host, target), None));
    }
    endpoints.sort_by(|a, b| a.address.cmp(&b.address));
    endpoints.dedup_by(|a, b| a.address == b.address);
    endpoints
}

fn port_of(entry: &WorkloadEntry, port: &ServicePort, target: u16) -> u16 {
    entry.ports.get(&port.name).and_then(|number| u16::try_from(*number).ok()).unwrap_or(target)
}

fn from_entry(entry: &WorkloadEntry, port: &ServicePort, target: u16) -> Endpoint {
    let mut made = endpoint(address(&entry.address, port_of(entry, port, target)), None);
    made.labels.clone_from(&entry.labels);
    made.weight = entry.weight.max(1);
    made.locality = parse_locality(&entry.locality);
    made.service_account.clone_from(&entry.service_account);
    made.mesh_tls = entry.labels.get("security.istio.io/tlsMode").is_some_and(|mode| mode == "istio");
    made
}

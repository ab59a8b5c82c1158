//! Kubernetes Services with their EndpointSlices.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wattle_contract::route::Discovery;
use wattle_contract::{Endpoint, Health, Locality, NodeName};

use super::endpoints::{address, endpoint, protocol};
use super::{Port, Registry, Service, Target, labels_match};
use crate::decode::IntOrString;
use crate::documents::Documents;
use crate::kinds::NodeSpec;
use crate::kinds::kubernetes::{EndpointSlice, ServicePort, ServiceSpec, SliceEndpoint};
use crate::resource::Resource;

/// Slices by namespace and service.
type Slices<'a> = HashMap<(&'a str, &'a str), Vec<(&'a Arc<Resource>, &'a EndpointSlice)>>;

/// Makes a service of every Kubernetes Service.
pub(super) fn services(documents: &Documents, registry: &Registry, before: Option<&Registry>) -> Vec<Arc<Service>> {
    let mut slices = Slices::new();
    for (resource, slice) in documents.of::<EndpointSlice>() {
        if let Some(service) = resource.meta.labels.get("kubernetes.io/service-name") {
            slices.entry((resource.namespace(), service)).or_default().push((resource, slice));
        }
    }
    let nodes: BTreeMap<&str, Locality> =
        documents.of::<NodeSpec>().map(|(node, _)| (node.name(), locality(node))).collect();
    let context = Context { registry, slices, nodes };
    let made = documents.of::<ServiceSpec>().map(|(resource, spec)| {
        let host = format!("{}.{}.svc.{}", resource.name(), resource.namespace(), documents.settings().domain);
        let slices = context.slices.get(&(resource.namespace(), resource.name()));
        let slices: Vec<Arc<Resource>> = slices.into_iter().flatten().map(|(slice, _)| Arc::clone(slice)).collect();
        let known = before.and_then(|before| before.made_of(resource, &host, &slices));
        known.cloned().unwrap_or_else(|| Arc::new(context.service(host, resource, spec, slices)))
    });
    made.collect()
}

struct Context<'a> {
    registry: &'a Registry,
    slices: Slices<'a>,
    nodes: BTreeMap<&'a str, Locality>,
}

impl Context<'_> {
    fn service(
        &self,
        host: String,
        resource: &Arc<Resource>,
        spec: &ServiceSpec,
        slices: Vec<Arc<Resource>>,
    ) -> Service {
        let external_name = spec.kind == "ExternalName" && !spec.external_name.is_empty();
        let tcp = spec.ports.iter().filter(|port| port.protocol.is_empty() || port.protocol == "TCP");
        let export_to = resource.meta.annotations.get("networking.istio.io/exportTo");
        let export_to = export_to.map(|scopes| scopes.split(',').map(|scope| scope.trim().to_owned()).collect());
        let virtual_ip = Some(&spec.cluster_ip).filter(|ip| !ip.is_empty() && *ip != "None");
        Service {
            host,
            ports: tcp.filter_map(|port| self.port(resource, spec, port, external_name)).collect(),
            external: external_name,
            discovery: if external_name { Discovery::Dns } else { Discovery::Static },
            export_to: export_to.unwrap_or_default(),
            selector: spec.selector.clone(),
            addresses: virtual_ip.into_iter().cloned().collect(),
            subject_alt_names: Vec::new(),
            resource: resource.clone(),
            slices,
        }
    }

    fn port(&self, resource: &Resource, spec: &ServiceSpec, port: &ServicePort, external_name: bool) -> Option<Port> {
        let number = u16::try_from(port.port).ok().filter(|number| *number > 0)?;
        let target = match &port.target_port {
            IntOrString::Number(target) => {
                Target::Number(u16::try_from(*target).ok().filter(|target| *target > 0).unwrap_or(number))
            }
            IntOrString::Name(name) => match name.parse() {
                Ok(target) => Target::Number(target),
                Err(_) => Target::Name(name.clone()),
            },
            IntOrString::Absent => Target::Number(number),
        };
        let endpoints = if external_name {
            vec![endpoint(address(&spec.external_name, number), None)]
        } else {
            self.endpoints(resource, spec, &port.name, &target)
        };
        Some(Port { number, protocol: protocol(&port.app_protocol, &port.name), target, endpoints })
    }

    /// Gives the endpoints of a port: those of the slices, else those of the pods that the selector picks.
    fn endpoints(&self, resource: &Resource, spec: &ServiceSpec, port_name: &str, target: &Target) -> Vec<Endpoint> {
        let namespace = resource.namespace();
        let mut endpoints = Vec::new();
        if let Some(slices) = self.slices.get(&(namespace, resource.name())) {
            for (_, slice) in slices {
                let ports = slice
                    .ports
                    .iter()
                    .filter(|port| port.name == port_name || (slice.ports.len() == 1 && port.name.is_empty()));
                for number in ports.filter_map(|port| u16::try_from(port.port).ok()) {
                    endpoints.extend(
                        slice.endpoints.iter().flat_map(|entry| self.slice_endpoints(namespace, entry, number)),
                    );
                }
            }
        } else if !spec.selector.is_empty() {
            let pods = self.registry.workloads_in(namespace).filter(|pod| pod.is_instance() && !pod.pod_ip.is_empty());
            for pod in pods.filter(|pod| labels_match(&spec.selector, &pod.labels)) {
                let number = match target {
                    Target::Number(number) => Some(*number),
                    Target::Name(name) => pod.port_named(name),
                };
                endpoints.extend(number.map(|number| self.placed(endpoint(address(&pod.pod_ip, number), Some(pod)))));
            }
        }
        // By address, so that the order of the files does not matter.
        endpoints.sort_by(|a: &Endpoint, b: &Endpoint| a.address.cmp(&b.address));
        endpoints.dedup_by(|a, b| a.address == b.address);
        endpoints
    }

    fn slice_endpoints<'a>(
        &'a self,
        namespace: &'a str,
        entry: &'a SliceEndpoint,
        port: u16,
    ) -> impl Iterator<Item = Endpoint> + 'a {
        let pod = entry.target_ref.as_ref().filter(|target| target.kind == "Pod").and_then(|target| {
            let namespace = if target.namespace.is_empty() { namespace } else { &target.namespace };
            self.registry.pod(namespace, &target.name)
        });
        let conditions = &entry.conditions;
        let health = match (conditions.terminating.unwrap_or(false), conditions.ready.unwrap_or(true)) {
            (true, _) => Health::Draining,
            (false, true) => Health::Healthy,
            (false, false) => Health::Unhealthy,
        };
        entry.addresses.iter().map(move |text| {
            let mut endpoint = endpoint(address(text, port), pod);
            endpoint.health = health;
            if !entry.node_name.is_empty() {
                endpoint.node = Some(NodeName::from(entry.node_name.as_str()));
            }
            if endpoint.locality.zone.is_empty() {
                endpoint.locality.zone.clone_from(&entry.zone);
            }
            self.placed(endpoint)
        })
    }

    /// Adds the locality of the endpoint's node.
    fn placed(&self, mut endpoint: Endpoint) -> Endpoint {
        if endpoint.locality.region.is_empty()
            && let Some(locality) = endpoint.node.as_ref().and_then(|node| self.nodes.get(node.as_str()))
        {
            endpoint.locality = locality.clone();
        }
        endpoint
    }
}

fn locality(node: &Resource) -> Locality {
    let label = |name: &str| node.meta.labels.get(name).cloned().unwrap_or_default();
    Locality {
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        sub_zone: label("topology.istio.io/subzone"),
    }
}

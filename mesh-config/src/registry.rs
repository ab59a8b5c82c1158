//! The services of the mesh: Kubernetes Services and ServiceEntries in one shape, with their endpoints.

mod endpoints;
mod entries;
mod kubernetes;
mod workloads;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wattle_contract::Endpoint;
use wattle_contract::route::{Discovery, Protocol};

use crate::documents::Documents;
use crate::hosts;
use crate::kinds::Kind;
use crate::resource::Resource;

pub(crate) use endpoints::protocol;
pub(crate) use workloads::{Workload, labels_match};

/// A service that can be called.
#[derive(Debug)]
pub(crate) struct Service {
    /// Full host name, or a wildcard.
    pub(crate) host: String,
    pub(crate) ports: Vec<Port>,
    /// Outside the mesh.
    pub(crate) external: bool,
    pub(crate) discovery: Discovery,
    pub(crate) export_to: Vec<String>,
    /// Labels of the pods behind a Kubernetes Service.
    pub(crate) selector: BTreeMap<String, String>,
    /// Virtual addresses, as IPs or networks.
    pub(crate) addresses: Vec<String>,
    pub(crate) subject_alt_names: Vec<String>,
    /// Where it was declared.
    pub(crate) resource: Arc<Resource>,
    /// The EndpointSlices that it was made of.
    pub(crate) slices: Vec<Arc<Resource>>,
}

/// A port of a service.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    /// Where requests go by number; names are resolved per pod.
    pub(crate) target: Target,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Port of the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// By number.
    Number(u16),
    /// By the name of a container's port.
    Name(String),
}

impl Service {
    pub(crate) fn namespace(&self) -> &str {
        self.resource.namespace()
    }

    pub(crate) fn is_visible_to(&self, namespace: &str) -> bool {
        hosts::is_exported(&self.export_to, self.namespace(), namespace)
    }

    pub(crate) fn is_kubernetes(&self) -> bool {
        self.resource.kind == Kind::Service
    }
}

/// All services, workloads and what is known of them.
#[derive(Debug)]
pub(crate) struct Registry {
    /// By host; several may claim one host, the preferred first: Kubernetes Services, then the oldest.
    services: BTreeMap<String, Vec<Arc<Service>>>,
    wildcards: Vec<String>,
    workloads: Vec<Workload>,
    by_namespace: HashMap<String, Vec<usize>>,
    nodes: Vec<Arc<Resource>>,
    /// Hash of what routes depend on: hosts, ports, visibility.
    shape: String,
}

/// Says whether two lists hold the same resources.
fn same(one: &[Arc<Resource>], other: &[Arc<Resource>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

impl Registry {
    /// Builds the registry; services that are made of the same resources as before are used again.
    pub(crate) fn build(documents: &Documents, before: Option<&Self>) -> Self {
        let workloads = workloads::collect(documents);
        let mut by_namespace: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, workload) in workloads.iter().enumerate() {
            by_namespace.entry(workload.namespace.clone()).or_default().push(index);
        }
        let mut registry = Self {
            services: BTreeMap::new(),
            wildcards: Vec::new(),
            workloads,
            by_namespace,
            nodes: documents.of_kind(Kind::Node).to_vec(),
            shape: String::new(),
        };
        // Endpoints carry what pods and nodes say: when these change, everything is made anew.
        let before = before.filter(|before| {
            let resources =
                |registry: &Self| registry.workloads.iter().map(|one| one.resource.clone()).collect::<Vec<_>>();
            same(&before.nodes, &registry.nodes) && same(&resources(before), &resources(&registry))
        });
        let mut services = kubernetes::services(documents, &registry, before);
        services.extend(entries::services(documents, &registry).into_iter().map(Arc::new));
        for service in services {
            registry.services.entry(service.host.clone()).or_default().push(service);
        }
        for claims in registry.services.values_mut() {
            claims
                .sort_by(|a, b| b.is_kubernetes().cmp(&a.is_kubernetes()).then_with(|| a.resource.by_age(&b.resource)));
        }
        let seen = registry.all().map(|service| {
            let ports: Vec<u16> = service.ports.iter().map(|port| port.number).collect();
            (&service.host, service.namespace(), ports, &service.export_to)
        });
        registry.shape = crate::compile::hash_of(&seen.collect::<Vec<_>>());
        registry.wildcards = registry.services.keys().filter(|host| host.starts_with('*')).cloned().collect();
        registry
    }

    /// Gives a service that is made of these resources already.
    fn made_of(&self, resource: &Arc<Resource>, host: &str, slices: &[Arc<Resource>]) -> Option<&Arc<Service>> {
        let claims = self.services.get(host)?;
        claims.iter().find(|service| Arc::ptr_eq(&service.resource, resource) && same(&service.slices, slices))
    }

    /// Gives a hash of what routes depend on.
    pub(crate) fn shape(&self) -> &str {
        &self.shape
    }

    /// Gives the service of a host as a client in a namespace sees it; its own namespace's is preferred.
    pub(crate) fn service(&self, host: &str, client_namespace: &str) -> Option<&Arc<Service>> {
        let pick = |claims: &'_ Vec<Arc<Service>>| -> Option<usize> {
            let visible = |service: &&Arc<Service>| service.is_visible_to(client_namespace);
            let own = claims.iter().position(|service| visible(&service) && service.namespace() == client_namespace);
            own.or_else(|| claims.iter().position(|service| visible(&service)))
        };
        let exact = self.services.get(host).and_then(|claims| pick(claims).map(|index| &claims[index]));
        exact.or_else(|| {
            let wildcards = self.wildcards.iter().filter(|pattern| hosts::within(host, pattern));
            let claims = self.services.get(wildcards.max_by_key(|pattern| pattern.len())?)?;
            pick(claims).map(|index| &claims[index])
        })
    }

    /// Gives every service that a client in a namespace sees, by host.
    pub(crate) fn visible_to<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Service>> {
        self.services.values().filter_map(move |claims| {
            let visible = |service: &&Arc<Service>| service.is_visible_to(namespace);
            let own = claims.iter().find(|service| visible(service) && service.namespace() == namespace);
            own.or_else(|| claims.iter().find(visible))
        })
    }

    /// Gives every service.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values().flatten()
    }

    /// Gives the workloads of a namespace.
    pub(crate) fn workloads_in(&self, namespace: &str) -> impl Iterator<Item = &Workload> {
        self.by_namespace.get(namespace).into_iter().flatten().map(|index| &self.workloads[*index])
    }

    /// Gives every workload.
    pub(crate) fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// Gives a pod.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<&Workload> {
        // Sorted by namespace and name: see `workloads::collect`.
        let key = (namespace, name);
        let index = self
            .workloads
            .binary_search_by(|workload| (workload.namespace.as_str(), workload.pod.as_str()).cmp(&key))
            .ok()?;
        Some(&self.workloads[index]).filter(|workload| !workload.pod.is_empty())
    }
}

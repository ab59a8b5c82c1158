//! Pods and what will become pods: labels, ports, owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_contract::Locality;

use crate::documents::Documents;
use crate::kinds::kubernetes::{DeploymentSpec, ObjectMeta, PodSpec};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::{DaemonSet, Deployment, Kind, Pod, StatefulSet};
use crate::resource::Resource;

/// A workload: a pod, the template of a controller, or a WorkloadEntry.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) namespace: String,
    /// The pod's or entry's name; empty for a template.
    pub(crate) pod: String,
    /// What owns it.
    pub(crate) owner: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) spec: PodSpec,
    pub(crate) pod_ip: String,
    pub(crate) entry: Option<WorkloadEntry>,
    pub(crate) resource: Arc<Resource>,
}

/// Says whether labels hold everything that a selector asks for.
pub(crate) fn labels_match(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

impl Workload {
    /// Gives the number of a container's named port.
    pub(crate) fn port_named(&self, name: &str) -> Option<u16> {
        let ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        ports.filter(|port| port.name == name).find_map(|port| u16::try_from(port.container_port).ok())
    }

    /// Says whether a proxy stands before it: injected already, or so labelled.
    pub(crate) fn has_proxy(&self) -> bool {
        let containers = self.spec.containers.iter().chain(&self.spec.init_containers);
        self.labels.get("security.istio.io/tlsMode").is_some_and(|mode| mode == "istio")
            || containers.into_iter().any(|container| container.name == "istio-proxy")
            || self.annotations.contains_key("sidecar.istio.io/status")
    }

    /// Gives the locality of a WorkloadEntry or of the label that overrides it.
    pub(crate) fn locality(&self) -> Option<Locality> {
        let label = self.labels.get("istio-locality").map(|label| label.replace('.', "/"));
        let text = label.or_else(|| self.entry.as_ref().map(|entry| entry.locality.clone()))?;
        Some(parse_locality(&text)).filter(|locality| !locality.region.is_empty())
    }
}

/// Reads `region/zone/sub-zone`.
pub(crate) fn parse_locality(text: &str) -> Locality {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    Locality {
        region: parts.next().unwrap_or_default(),
        zone: parts.next().unwrap_or_default(),
        sub_zone: parts.next().unwrap_or_default(),
    }
}

/// Collects all workloads, ordered by namespace and pod.
pub(super) fn collect(documents: &Documents) -> Vec<Workload> {
    let mut workloads: Vec<Workload> = documents.of::<Pod>().map(|(resource, pod)| from_pod(resource, pod)).collect();
    workloads.extend(documents.of::<Deployment>().map(|(resource, it)| from_template(resource, &it.0)));
    workloads.extend(documents.of::<StatefulSet>().map(|(resource, it)| from_template(resource, &it.0)));
    workloads.extend(documents.of::<DaemonSet>().map(|(resource, it)| from_template(resource, &it.0)));
    workloads.extend(documents.of::<WorkloadEntry>().map(|(resource, entry)| from_entry(resource, entry)));
    workloads.sort_by(|a, b| (&a.namespace, &a.pod, &a.owner).cmp(&(&b.namespace, &b.pod, &b.owner)));
    workloads
}

fn from_pod(resource: &Arc<Resource>, pod: &Pod) -> Workload {
    Workload {
        namespace: resource.namespace().to_owned(),
        pod: resource.name().to_owned(),
        owner: owner(&resource.meta),
        labels: resource.meta.labels.clone(),
        annotations: resource.meta.annotations.clone(),
        spec: pod.spec.clone(),
        pod_ip: pod.status.pod_ip.clone(),
        entry: None,
        resource: resource.clone(),
    }
}

fn from_template(resource: &Arc<Resource>, spec: &DeploymentSpec) -> Workload {
    Workload {
        namespace: resource.namespace().to_owned(),
        pod: String::new(),
        owner: resource.name().to_owned(),
        labels: spec.template.metadata.labels.clone(),
        annotations: spec.template.metadata.annotations.clone(),
        spec: spec.template.spec.clone(),
        pod_ip: String::new(),
        entry: None,
        resource: resource.clone(),
    }
}

fn from_entry(resource: &Arc<Resource>, entry: &WorkloadEntry) -> Workload {
    let mut labels = resource.meta.labels.clone();
    labels.extend(entry.labels.clone());
    Workload {
        namespace: resource.namespace().to_owned(),
        pod: resource.name().to_owned(),
        owner: resource.name().to_owned(),
        labels,
        annotations: BTreeMap::new(),
        spec: PodSpec { service_account_name: entry.service_account.clone(), ..PodSpec::default() },
        pod_ip: entry.address.clone(),
        entry: Some(entry.clone()),
        resource: resource.clone(),
    }
}

/// Gives the owner's name as Istio reports it: a ReplicaSet's hash is cut off, so that the Deployment remains.
fn owner(meta: &ObjectMeta) -> String {
    let owners = &meta.owner_references;
    let Some(owner) = owners.iter().find(|owner| owner.controller).or_else(|| owners.first()) else {
        return if meta.name.is_empty() {
            meta.generate_name.trim_end_matches('-').to_owned()
        } else {
            meta.name.clone()
        };
    };
    match owner.kind.as_str() {
        "ReplicaSet" => owner.name.rsplit_once('-').map_or(owner.name.as_str(), |(name, _)| name).to_owned(),
        _ => owner.name.clone(),
    }
}

/// Says whether a workload is a real pod or entry, not a template.
impl Workload {
    pub(crate) fn is_instance(&self) -> bool {
        matches!(self.resource.kind, Kind::Pod | Kind::WorkloadEntry)
    }
}

//! What Kubernetes says of the cluster: the nodes' sizes and labels, and which pod is where. Compact: a cluster of
//! 5,000 nodes and 50,000 pods takes tens of megabytes, whatever else the objects carry.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wattle_contract::{ClusterSnapshot, Millicores, Namespace, NodeName, PodKey, Timestamp};

use crate::pod::{Rounded, parse_quantity};

/// The newest state that the API server told.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: HashMap<NodeName, ClusterNode>,
    pods: HashMap<PodKey, Placed>,
    listed_nodes: HashSet<NodeName>,
    listed_pods: HashSet<PodKey>,
}

/// Where a pod is.
#[derive(Debug)]
struct Placed {
    node: NodeName,
    is_daemon: bool,
}

/// A node as Kubernetes knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterNode {
    /// Processor time that pods may ask for.
    pub allocatable_cpu: Option<Millicores>,
    /// Processor time there is.
    pub capacity_cpu: Option<Millicores>,
    /// Its labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// A pod that is on a node, as far as assuming it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundPod {
    /// Which pod.
    pub pod: PodKey,
    /// Its unique id.
    pub uid: String,
    /// The node.
    pub node: NodeName,
    /// Since when it can use anything there; `None` while its containers wait to start.
    pub running_since: Option<Timestamp>,
    /// When it was bound.
    pub bound: Option<Timestamp>,
}

impl Cluster {
    /// Gives a node.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&ClusterNode> {
        self.nodes.get(name)
    }

    /// Gives how many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Gives how many pods are on nodes.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Walks the nodes of all pods but those of daemon sets, which are on every node: once for each pod.
    pub fn count_pods(&self, mut count: impl FnMut(&NodeName)) {
        self.pods.values().filter(|placed| !placed.is_daemon).for_each(|placed| count(&placed.node));
    }

    /// Takes a node that is new or changed.
    pub fn apply_node(&mut self, node: &Node) {
        let Some(name) = node.metadata.name.as_deref() else { return };
        let cpu = |of: Option<&BTreeMap<_, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>| {
            let milli = parse_quantity(&of?.get("cpu")?.0, Rounded::Milli)?;
            #[expect(clippy::cast_precision_loss, reason = "a count of millicores beyond 2^53 is no machine's")]
            Millicores::new(milli as f64)
        };
        let status = node.status.as_ref();
        let labels = node.metadata.labels.iter().flatten();
        let name = NodeName::from(name);
        self.listed_nodes.insert(name.clone());
        self.nodes.insert(
            name,
            ClusterNode {
                allocatable_cpu: cpu(status.and_then(|status| status.allocatable.as_ref())),
                capacity_cpu: cpu(status.and_then(|status| status.capacity.as_ref())),
                labels: labels.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
            },
        );
    }

    /// Forgets a node.
    pub fn delete_node(&mut self, name: &NodeName) {
        self.nodes.remove(name);
    }

    /// Takes a pod that is new or changed; gives it back as bound when it is on a node and not finished.
    pub fn apply_pod(&mut self, pod: &Pod) -> Option<BoundPod> {
        let mut bound = bound(pod)?;
        if let Some((known, _)) = self.nodes.get_key_value(&bound.node) {
            bound.node = known.clone();
        }
        self.listed_pods.insert(bound.pod.clone());
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        let is_daemon = owners.iter().any(|owner| owner.kind == "DaemonSet");
        self.pods.insert(bound.pod.clone(), Placed { node: bound.node.clone(), is_daemon });
        Some(bound)
    }

    /// Forgets a pod.
    pub fn delete_pod(&mut self, pod: &PodKey) {
        self.pods.remove(pod);
    }

    /// A new list of nodes begins.
    pub fn begin_nodes(&mut self) {
        self.listed_nodes.clear();
    }

    /// A list of nodes is complete: those that were not in it are gone.
    pub fn end_nodes(&mut self) {
        let listed = std::mem::take(&mut self.listed_nodes);
        self.nodes.retain(|name, _| listed.contains(name));
    }

    /// A new list of pods begins.
    pub fn begin_pods(&mut self) {
        self.listed_pods.clear();
    }

    /// A list of pods is complete: those that were not in it are gone, and given back.
    pub fn end_pods(&mut self) -> Vec<PodKey> {
        let listed = std::mem::take(&mut self.listed_pods);
        let gone: Vec<PodKey> = self.pods.keys().filter(|pod| !listed.contains(*pod)).cloned().collect();
        gone.iter().for_each(|pod| drop(self.pods.remove(pod)));
        gone
    }

    /// Fills in the processors of nodes whose size no exporter told.
    pub fn complete(&self, snapshot: &mut ClusterSnapshot) {
        for node in &mut snapshot.window.nodes {
            if node.machine.cpu_capacity_millicores.is_none()
                && let Some(known) = self.nodes.get(&node.node)
            {
                node.machine.cpu_capacity_millicores = known.capacity_cpu.or(known.allocatable_cpu);
            }
        }
    }
}

/// Gives the key of a pod object.
#[must_use]
pub fn pod_key(pod: &Pod) -> Option<PodKey> {
    let name = pod.metadata.name.as_deref()?.into();
    Some(PodKey { namespace: Namespace::from(pod.metadata.namespace.as_deref().unwrap_or("default")), name })
}

fn bound(pod: &Pod) -> Option<BoundPod> {
    let node = pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())?;
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "True");
    let bound = scheduled.and_then(|condition| condition.last_transition_time.as_ref()).map(timestamp);
    let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    Some(BoundPod {
        pod: pod_key(pod)?,
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        node: node.into(),
        running_since: if containers.is_empty() { bound } else { all_started(containers) },
        bound,
    })
}

/// Gives when the last container started; `None` while one has not.
fn all_started(containers: &[ContainerStatus]) -> Option<Timestamp> {
    let started = |container: &ContainerStatus| {
        let running = container.state.as_ref()?.running.as_ref()?;
        running.started_at.as_ref().map(timestamp)
    };
    containers.iter().map(started).collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn timestamp(time: &Time) -> Timestamp {
    Timestamp(time.0.as_millisecond())
}

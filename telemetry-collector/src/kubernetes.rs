//! What Kubernetes says of the cluster: how large nodes are, which pod is where and what it asks for, how far workloads grow.
//!
//! Objects are listed and watched and kept as what a snapshot needs of them, a few hundred bytes each. A watch that is too
//! old (410) lists anew, a broken one goes on with back-off, and what was known stays meanwhile. Until pods have been listed
//! once, snapshots say of them what the measurements say.

mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Resource};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wattle_contract::{
    ClusterSnapshot, Namespace, NodeName, PodKey, PodPlacement, Window, WorkloadName, WorkloadScale,
};

use crate::discover::kubernetes::{TRY_AGAIN, client};
use crate::metrics::Metrics;
use read::Size;

/// Pods without a node or at their end use nothing.
const ON_A_NODE: &str = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";

/// The newest state that the API server told; clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kubernetes(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    nodes: Listed<NodeName, Size>,
    pods: Listed<PodKey, PodPlacement>,
    scales: Listed<(Namespace, WorkloadName), WorkloadScale>,
    /// What each autoscaler scales, by its own name: its end is told by that.
    scalers: BTreeMap<(Namespace, String), (Namespace, WorkloadName)>,
}

/// Objects of one kind as a watch tells of them.
#[derive(Debug)]
struct Listed<K, V> {
    known: BTreeMap<K, V>,
    /// What a list that is under way has shown so far.
    listing: Option<BTreeMap<K, V>>,
    is_complete: bool,
}

impl<K, V> Default for Listed<K, V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listing: None, is_complete: false }
    }
}

impl<K: Ord + Clone, V: Clone> Listed<K, V> {
    fn begin(&mut self) {
        self.listing = Some(BTreeMap::new());
    }

    fn put(&mut self, key: K, value: V) {
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone(), value.clone());
        }
        self.known.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        if let Some(listing) = &mut self.listing {
            listing.remove(key);
        }
        self.known.remove(key);
    }

    /// What a complete list did not show is gone.
    fn end(&mut self) {
        if let Some(listing) = self.listing.take() {
            self.known = listing;
        }
        self.is_complete = true;
    }
}

impl Kubernetes {
    /// Begins to watch, within `tasks`, until `shutdown`.
    pub(crate) fn watch(
        kubeconfig: Option<PathBuf>,
        metrics: &Metrics,
        tasks: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Self {
        let this = Self::default();
        let (kept, metrics, shutdown) = (this.clone(), metrics.clone(), shutdown.clone());
        tasks.spawn(async move {
            let watching = async {
                let client = loop {
                    match client(kubeconfig.as_deref()).await {
                        Ok(client) => break client,
                        Err(error) => {
                            metrics.discovery_failures.with_label_values(&["kubernetes"]).inc();
                            tracing::warn!(%error, "no way to the API server: snapshots say what measurements say");
                        }
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                };
                let (nodes, pods, scales) = (kept.clone(), kept.clone(), kept);
                tokio::join!(
                    keep(Api::all(client.clone()), "", "nodes", &metrics, |event| nodes.on_node(event)),
                    keep(Api::all(client.clone()), ON_A_NODE, "pods", &metrics, |event| pods.on_pod(event)),
                    keep(Api::all(client), "", "horizontalpodautoscalers", &metrics, |event| scales.on_scaler(event)),
                );
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = watching => {}
            }
        });
        this
    }

    fn on_node(&self, event: Event<Node>) {
        let nodes = &mut self.0.write().nodes;
        match event {
            Event::Apply(node) | Event::InitApply(node) => {
                if let Some(name) = node.metadata.name.as_deref() {
                    nodes.put(name.into(), Size::of(&node));
                }
            }
            Event::Delete(node) => nodes.remove(&node.metadata.name.unwrap_or_default().into()),
            Event::Init => nodes.begin(),
            Event::InitDone => nodes.end(),
        }
    }

    fn on_pod(&self, event: Event<Pod>) {
        let pods = &mut self.0.write().pods;
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => match (read::pod_key(&pod), read::placement(&pod)) {
                (Some(key), Some(placement)) => pods.put(key, placement),
                (Some(key), None) => pods.remove(&key),
                (None, _) => {}
            },
            Event::Delete(pod) => {
                if let Some(key) = read::pod_key(&pod) {
                    pods.remove(&key);
                }
            }
            Event::Init => pods.begin(),
            Event::InitDone => pods.end(),
        }
    }

    fn on_scaler(&self, event: Event<HorizontalPodAutoscaler>) {
        let known = &mut *self.0.write();
        match event {
            Event::Apply(scaler) | Event::InitApply(scaler) => {
                let (Some(own), Some(scale)) = (read::scaler_key(&scaler), read::scale(&scaler)) else { return };
                let key = (scale.namespace.clone(), scale.workload.clone());
                if let Some(before) = known.scalers.insert(own, key.clone()).filter(|before| *before != key) {
                    known.scales.remove(&before);
                }
                known.scales.put(key, scale);
            }
            Event::Delete(scaler) => {
                if let Some(key) = read::scaler_key(&scaler).and_then(|own| known.scalers.remove(&own)) {
                    known.scales.remove(&key);
                }
            }
            Event::Init => known.scales.begin(),
            Event::InitDone => {
                known.scales.end();
                let scales = &known.scales.known;
                known.scalers.retain(|_, key| scales.contains_key(key));
            }
        }
    }

    /// Fills in the size of nodes that no exporter told.
    pub(crate) fn complete(&self, window: &mut Window) {
        let known = self.0.read();
        for node in &mut window.nodes {
            if let Some(size) = known.nodes.known.get(&node.node) {
                let machine = &mut node.machine;
                machine.cpu_capacity_millicores = machine.cpu_capacity_millicores.or(size.cpu);
                machine.memory_capacity_bytes = machine.memory_capacity_bytes.or(size.memory);
            }
        }
    }

    /// Says where pods are and what they ask for, once pods have been listed: those that only measurements name have ended.
    /// Workloads that an owner does not tell stay as they were measured.
    pub(crate) fn tell(&self, snapshot: &mut ClusterSnapshot) {
        let known = self.0.read();
        snapshot.workloads = known.scales.known.values().cloned().collect();
        if !known.pods.is_complete {
            return;
        }
        let mut measured: BTreeMap<PodKey, WorkloadName> = std::mem::take(&mut snapshot.placements)
            .into_iter()
            .filter_map(|placement| Some((placement.pod, placement.workload?)))
            .collect();
        snapshot.placements = known.pods.known.values().cloned().collect();
        for placement in &mut snapshot.placements {
            if placement.workload.is_none() {
                placement.workload = measured.remove(&placement.pod);
            }
        }
    }
}

/// Watches objects of one kind for good.
async fn keep<K>(api: Api<K>, fields: &str, resource: &'static str, metrics: &Metrics, mut on: impl FnMut(Event<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut how = watcher::Config::default();
    if !fields.is_empty() {
        how = how.fields(fields);
    }
    let events = watch(api, how).default_backoff();
    tokio::pin!(events);
    let mut works = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                works = true;
                on(event);
            }
            Err(error) => {
                metrics.discovery_failures.with_label_values(&["kubernetes"]).inc();
                if works {
                    tracing::warn!(resource, %error, "the watch on Kubernetes failed: what was known stays until it works again");
                }
                works = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_does_not_show_is_gone_and_what_came_meanwhile_stays() {
        let mut listed = Listed::default();
        listed.begin();
        listed.put("a", 1);
        listed.put("b", 1);
        assert!(!listed.is_complete);
        listed.end();

        listed.begin();
        listed.put("b", 2);
        assert_eq!(listed.known.keys().collect::<Vec<_>>(), [&"a", &"b"], "until the list is complete all is known");
        listed.put("c", 2);
        listed.remove(&"b");
        listed.end();

        assert_eq!(listed.known, BTreeMap::from([("c", 2)]));
    }
}

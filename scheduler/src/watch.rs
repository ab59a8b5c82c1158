//! Watching Kubernetes: nodes, and the pods that are on them.
//!
//! The watcher relists after a 410, takes a broken watch up where it was, and backs off while the API server is gone;
//! meanwhile what was known stays. Pods that are bound and not yet measured are assumed on their node.

use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use wattle_contract::{NodeName, PodKey};

use crate::api_server::{Health, WATCH_SECONDS};
use crate::assume::{AssumedPod, is_included};
use crate::cluster::{BoundPod, pod_key};
use crate::decide::pod_cpu;
use crate::extender::Shared;
use crate::pod;

/// Pods without a node or at their end use nothing.
const ON_A_NODE: &str = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";

/// Keeps the nodes up to date until `shutdown`.
pub(crate) async fn keep_nodes(shared: Arc<Shared>, client: Client, health: Health, shutdown: CancellationToken) {
    let how = watcher::Config::default().timeout(WATCH_SECONDS);
    let events = watch(Api::<Node>::all(client), how).default_backoff();
    tokio::pin!(events);
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => shared.on_node(event),
            Some(Err(error)) => health.failed(&error),
            None => return,
        }
    }
}

/// Keeps the pods up to date until `shutdown`.
pub(crate) async fn keep_pods(shared: Arc<Shared>, client: Client, health: Health, shutdown: CancellationToken) {
    let how = watcher::Config::default().timeout(WATCH_SECONDS).fields(ON_A_NODE);
    let events = watch(Api::<Pod>::all(client), how).default_backoff();
    tokio::pin!(events);
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => shared.on_pod(event),
            Some(Err(error)) => health.failed(&error),
            None => return,
        }
    }
}

impl Shared {
    fn on_node(&self, event: Event<Node>) {
        let mut cluster = self.cluster.write();
        match event {
            Event::Apply(node) | Event::InitApply(node) => cluster.apply_node(&node),
            Event::Delete(node) => {
                let name = node.metadata.name.unwrap_or_default();
                cluster.delete_node(&NodeName::from(name));
            }
            Event::Init => cluster.begin_nodes(),
            Event::InitDone => cluster.end_nodes(),
        }
        self.metrics.cluster_nodes.set(i64::try_from(cluster.nodes()).unwrap_or(i64::MAX));
    }

    fn on_pod(&self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => {
                let bound = self.cluster.write().apply_pod(&pod);
                match bound {
                    Some(bound) => self.assume(&pod, &bound),
                    None => self.forget(pod_key(&pod)),
                }
            }
            Event::Delete(pod) => self.forget(pod_key(&pod)),
            Event::Init => self.cluster.write().begin_pods(),
            Event::InitDone => {
                let gone = self.cluster.write().end_pods();
                let mut assumed = self.assumed.write();
                gone.iter().for_each(|pod| assumed.remove(pod));
            }
        }
        self.metrics.cluster_pods.set(i64::try_from(self.cluster.read().pods()).unwrap_or(i64::MAX));
    }

    fn forget(&self, pod: Option<PodKey>) {
        let Some(pod) = pod else { return };
        self.cluster.write().delete_pod(&pod);
        self.assumed.write().remove(&pod);
        self.outcomes.lock().removed(&pod);
    }

    /// Assumes a pod on its node, unless the measurements include it or it has been there for long.
    fn assume(&self, pod: &Pod, bound: &BoundPod) {
        let now = self.config.clock.now();
        let view = self.view.load();
        let bound_at = bound.bound.unwrap_or(now).min(now);
        self.placed(&bound.pod, &bound.node, &bound.uid, bound.running_since.unwrap_or(now).min(now));
        let included = bound.running_since.is_some_and(|since| is_included(&view, &bound.node, since.min(now)));
        if included || now.since(bound_at) > self.config.assumed_ttl {
            self.assumed.write().remove(&bound.pod);
            return;
        }
        let policy = self.config.policy();
        let request = || {
            let text = serde_json::to_string(pod).ok()?;
            Some(pod::read(&text, &self.config.cluster_domain).ok()?.request)
        };
        let request = self.record.newest(&bound.pod).map(|made| made.pod.clone()).or_else(request);
        let cpu = request.as_ref().map_or(policy.default_pod_cpu, |request| pod_cpu(&view, &policy, request));
        let assumed = AssumedPod {
            node: bound.node.clone(),
            uid: bound.uid.clone(),
            cpu,
            memory: request.and_then(|request| request.memory_request_bytes).unwrap_or_default(),
            bound: bound_at,
            running_since: bound.running_since.map(|since| since.min(now)),
        };
        self.assumed.write().add(bound.pod.clone(), assumed);
    }
}

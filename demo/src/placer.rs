//! Stands in for kube-scheduler: has a pending pod now and then, asks the extender where it should go, and puts it there.
//!
//! Every few seconds one service gets one more replica. Beyond a number of them the oldest is stopped first, so that load
//! moves between the nodes. Without a usable answer from the extender a pod goes where the default scheduler would have put
//! it, and the [`Placement`] says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use wattle_contract::{Decision, NodeName, PodKey};

use crate::demo::Event;
use crate::error::Error;
use crate::exporter::pod_uid;
use crate::extender::Extender;
use crate::pods::{Pods, pod_labels};
use crate::service::{CPU_REQUEST_MILLICORES, NAMESPACE, WORKLOADS, Workload};

/// More replicas than this, over all services, are not kept beside the first of each.
const MAX_EXTRA: usize = 6;

/// The services that get more replicas, in turn.
const GROWING: [&str; 4] = ["search", "recommendation-v1", "reservation", "profile"];

/// One pod that was placed.
#[derive(Clone, Debug, Serialize)]
pub struct Placement {
    /// The pod.
    pub pod: PodKey,
    /// Where it went.
    pub node: NodeName,
    /// Where the default scheduler would have put it: on the node with the fewest requested cores.
    pub default_node: NodeName,
    /// The extender's scores; empty when it was of no use.
    pub scores: Vec<(NodeName, i64)>,
    /// The extender's explanation, where it gave one.
    pub decision: Option<Decision>,
    /// Why the extender was not followed, in words; `None` when it was.
    pub fallback: Option<String>,
}

/// Places pods until dropped.
#[derive(Debug)]
pub(crate) struct Placer {
    pub(crate) pods: Pods,
    pub(crate) extender: Extender,
    pub(crate) every: Duration,
    pub(crate) placements: Arc<AtomicU64>,
}

impl Placer {
    /// Places one pod at once, and one more after each interval.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut extra = VecDeque::new();
        for name in GROWING.iter().cycle() {
            ticks.tick().await;
            let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == *name) else { continue };
            match self.place(workload, &mut extra).await {
                Ok(Some(placement)) => {
                    self.placements.fetch_add(1, Ordering::Relaxed);
                    // The receiver may be gone already: then nobody has to know.
                    let _ = self.pods.events.send(Event::Placed(placement)).await;
                }
                Ok(None) => {
                    tracing::warn!(workload = name, "no node passes the extender's filter; the pod is given up")
                }
                Err(error) => tracing::warn!(workload = name, %error, "could not start a demo pod"),
            }
        }
    }

    /// Places and starts one pod; `None` when the extender has no node for it.
    async fn place(
        &mut self,
        workload: &'static Workload,
        extra: &mut VecDeque<PodKey>,
    ) -> Result<Option<Placement>, Error> {
        while extra.len() >= MAX_EXTRA {
            let Some(oldest) = extra.pop_front() else { break };
            self.pods.stop(&oldest).await?;
        }

        let pod = self.pods.name(workload);
        let candidates = self.candidates();
        let Some(default_node) = candidates.first().cloned() else { return Ok(None) };
        let (scores, fallback) = match self.extender.scores(&pod_json(&pod, workload), &candidates).await {
            Ok(scores) => (scores, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let chosen = if fallback.is_some() { Some(default_node.clone()) } else { best(&scores) };
        let Some(node) = self.pods.nodes.iter().find(|node| Some(node.name()) == chosen.as_ref()).cloned() else {
            return Ok(None);
        };

        let decision = if fallback.is_none() { self.extender.explain(&pod).await } else { None };
        let started = self.pods.start(pod.clone(), workload, &node).await?;
        self.pods.publish().await?;
        let _ = self.pods.events.send(Event::PodStarted(started)).await;
        extra.push_back(pod.clone());
        Ok(Some(Placement { pod, node: node.name().clone(), default_node, scores, decision, fallback }))
    }

    /// Gives all nodes, the one that the default scheduler would take first: fewest requested cores, then name.
    fn candidates(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.pods.nodes.iter().map(|node| node.name().clone()).collect();
        nodes.sort_by_key(|node| (self.pods.requested_millicores(node), node.clone()));
        nodes
    }
}

/// Gives the node with the highest score; the first of equals, which is the default scheduler's choice among them.
fn best(scores: &[(NodeName, i64)]) -> Option<NodeName> {
    scores.iter().reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(node, _)| node.clone())
}

/// Writes a pending pod as the API server would.
fn pod_json(pod: &PodKey, workload: &Workload) -> Value {
    let replica_set = pod.name.rsplit_once('-').map_or("", |(replica_set, _)| replica_set);
    json!({
        "metadata": {
            "name": pod.name.as_ref(),
            "namespace": NAMESPACE,
            "uid": pod_uid(pod),
            "labels": pod_labels(pod, workload),
            "annotations": { "wattle.dev/objective": workload.objective },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": "", "controller": true,
            }],
        },
        "spec": {
            "containers": [{
                "name": workload.name,
                "image": "wattle/demo",
                "ports": [{ "name": "http", "containerPort": workload.service().port }],
                "resources": { "requests": { "cpu": format!("{CPU_REQUEST_MILLICORES}m"), "memory": "64Mi" } },
            }],
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "serviceAccountName": workload.service,
        },
        "status": { "phase": "Pending", "qosClass": "Burstable" },
    })
}

#[cfg(test)]
#[path = "placer_tests.rs"]
mod tests;

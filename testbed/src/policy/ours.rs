//! wattle's extender beside kube-scheduler's own plugins: the library's `decide` over the library's view.
//!
//! Nothing here scores: snapshots are completed by the scheduler's memory, compiled by the model and handed to
//! `wattle_scheduler::decide`, with the overlay of assumed pods kept as the extender keeps it. A candidate's final score
//! is kube-scheduler's sum plus the extender's times its weight times ten, as kube-scheduler adds them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use wattle_contract::{Bytes, ClusterSnapshot, Millicores, NodeName, Objective, PodRequest, ServiceName, Timestamp};
use wattle_model::Predictor;
use wattle_scheduler::assume::{Assumed, AssumedPod};
use wattle_scheduler::cluster::Cluster as Kubernetes;
use wattle_scheduler::decide::{Policy as Settings, decide, pod_cpu};
use wattle_scheduler::memory::Memory;
use wattle_scheduler::predict::CostModel;
use wattle_scheduler::steer::{Steering, steer};
use wattle_scheduler::view::{Compiled, Seen, View};

use super::knowledge::{Perfect, Wrong};
use super::kube::{Fit, Search, scores};
use super::{Policy, pick};
use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::server::Server;

/// Where predictions come from.
#[derive(Clone, Debug)]
pub enum Knowledge {
    /// A trained model.
    Model(Predictor),
    /// The same, with every node's power wrong by a factor of its own.
    Wrong(Predictor, HashMap<NodeName, f64>),
    /// The machines' own curves and queues.
    Perfect(Vec<(NodeName, Server)>),
}

/// kube-scheduler with wattle's extender.
#[derive(Debug)]
pub struct Ours {
    knowledge: Knowledge,
    settings: Settings,
    weight: i64,
    search: Search,
    memory: Memory,
    kubernetes: Kubernetes,
    view: View,
    assumed: Assumed,
    assumed_ttl: Duration,
    steering: Option<(f64, Steering)>,
}

impl Ours {
    /// Makes one with the extender's default settings and the documented weight of 5.
    #[must_use]
    pub fn new(knowledge: Knowledge, settings: Settings, weight: i64) -> Self {
        let defaults = wattle_scheduler::Config::default();
        Self {
            knowledge,
            settings,
            weight,
            // The documented configuration: the extender sees every node.
            search: Search::of(100),
            memory: Memory::default(),
            kubernetes: Kubernetes::default(),
            view: View::default(),
            assumed: Assumed::default(),
            assumed_ttl: defaults.assumed_ttl,
            steering: None,
        }
    }

    /// Lets it tell the data plane where requests go, with a bound on the ratio of two weights.
    #[must_use]
    pub fn steering_within(self, ratio: f64) -> Self {
        Self { steering: Some((ratio, Steering::default())), ..self }
    }
}

/// Gives what the extender would read from a pod of the plan.
#[must_use]
pub fn request(pod: usize, plan: &Plan) -> PodRequest {
    let about = &plan.pods[pod];
    PodRequest {
        pod: about.key.clone(),
        uid: format!("uid-{pod}"),
        workload: about.service.map(|_| plan.workloads[about.workload].clone()),
        service: about.service.map(|_| service_name(&plan.workloads[about.workload].to_string())),
        cpu_request_millicores: Millicores::new(about.asks.cpu_milli as f64),
        memory_request_bytes: u64::try_from(about.asks.memory).ok().map(Bytes),
        // What a user would annotate: nobody waits for a batch pod.
        objective: if about.is_sensitive { Objective::Balanced } else { Objective::Energy },
        slo_p95_ms: None,
        weight_energy: None,
        weight_latency: None,
    }
}

/// Gives a service's host.
#[must_use]
pub fn service_name(workload: &str) -> ServiceName {
    format!("{workload}.hotel.svc.cluster.local").as_str().into()
}

impl Policy for Ours {
    fn observe(&mut self, snapshot: &ClusterSnapshot, now: Timestamp) {
        let (completed, nodes) = self.memory.complete(snapshot, self.settings.stale_after);
        let predictions: Box<dyn CostModel> = match &self.knowledge {
            Knowledge::Model(predictor) => Box::new(predictor.compile(&completed)),
            Knowledge::Wrong(predictor, factors) => Box::new(Wrong::new(predictor, &completed, factors)),
            Knowledge::Perfect(servers) => Box::new(Perfect::new(servers, &completed)),
        };
        let seen = Seen {
            snapshot: &completed,
            measured: &nodes,
            model: Some(Compiled { id: String::new(), predictions }),
            cluster: &self.kubernetes,
            power_caps: &[],
            carbon: None,
            now,
        };
        self.view = View::new(seen, &Arc::clone(&self.view.names));
        self.assumed.number(&self.view.names);
        self.assumed.reconcile(&self.view, now, self.assumed_ttl);
        if let Some((ratio, steering)) = &mut self.steering {
            *steering = steer(&self.view, &completed.window, &self.settings.weights, *ratio, steering);
        }
    }

    fn steering(&self) -> Option<&Steering> {
        self.steering.as_ref().map(|(_, steering)| steering)
    }

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, now: Timestamp, random: &mut StdRng) -> Option<usize> {
        let nodes = self.search.feasible(pod, cluster);
        let mut scores = scores(pod, &nodes, cluster, Fit::LeastAllocated);
        let plan = cluster.plan;
        let request = request(pod, plan);
        let names: Vec<&str> = nodes.iter().map(|node| plan.nodes[*node].0.as_str()).collect();
        // kube-scheduler does not ask about a single node.
        if names.len() > 1
            && let Ok(candidates) = decide(&self.view, &self.assumed, &self.settings, &request, &names, now, &|| false)
        {
            for (score, candidate) in scores.iter_mut().zip(&candidates) {
                *score += i64::from(candidate.score) * self.weight * 10;
            }
        }
        let node = pick(&nodes, &scores, random)?;
        let assumed = AssumedPod {
            node: plan.nodes[node].0.clone(),
            uid: request.uid.clone(),
            cpu: pod_cpu(&self.view, &self.settings, &request),
            memory: request.memory_request_bytes.unwrap_or_default(),
            bound: now,
            running_since: Some(now),
        };
        self.assumed.add(request.pod, assumed);
        Some(node)
    }

    fn removed(&mut self, pod: usize, cluster: &Cluster<'_>) {
        self.assumed.remove(&cluster.plan.pods[pod].key);
    }
}

//! Predictions that the extender is not given in production: spoiled ones and perfect ones.

use std::collections::{BTreeMap, HashMap};

use wattle_contract::{ClusterSnapshot, Millicores, Milliseconds, NodeName, PodRequest, ServiceName, Watts};
use wattle_model::{NodePrediction, Predictions, Predictor};
use wattle_scheduler::predict::{CostModel, Interval, NodeModel, ServicePart};

use crate::queue::Queue;
use crate::server::Server;

/// A trained model whose power is wrong by a factor for each node.
#[derive(Debug)]
pub(crate) struct Wrong {
    predictions: Predictions,
    nodes: HashMap<NodeName, WrongNode>,
}

#[derive(Clone, Debug)]
struct WrongNode {
    prediction: NodePrediction,
    factor: f64,
}

impl Wrong {
    pub(crate) fn new(predictor: &Predictor, snapshot: &ClusterSnapshot, factors: &HashMap<NodeName, f64>) -> Self {
        let predictions = predictor.compile(snapshot);
        let known = snapshot.window.nodes.iter().filter_map(|node| {
            let prediction = predictions.node(&node.node)?.clone();
            let factor = factors.get(&node.node).copied().unwrap_or(1.0);
            Some((node.node.clone(), WrongNode { prediction, factor }))
        });
        Self { nodes: known.collect(), predictions }
    }
}

impl CostModel for Wrong {
    fn node(&self, node: &NodeName) -> Option<Box<dyn NodeModel>> {
        self.nodes.get(node).cloned().map(|node| Box::new(node) as Box<dyn NodeModel>)
    }

    fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores> {
        self.predictions.pod_cpu(pod)
    }

    fn service(&self, service: Option<&ServiceName>) -> ServicePart {
        CostModel::service(&self.predictions, service)
    }
}

impl NodeModel for WrongNode {
    fn utilisation(&self, extra: Millicores) -> Option<f64> {
        self.prediction.utilisation(extra)
    }

    fn watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let Interval { low, mid, high } = self.prediction.watts(extra)?;
        Some(Interval { low: low * self.factor, mid: mid * self.factor, high: high * self.factor })
    }

    fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let Interval { low, mid, high } = self.prediction.added_watts(extra)?;
        Some(Interval { low: low * self.factor, mid: mid * self.factor, high: high * self.factor })
    }

    fn p95(&self, service: ServicePart, extra: Millicores) -> Option<Interval<Milliseconds>> {
        NodeModel::p95(&self.prediction, service, extra)
    }
}

/// Work of a visit by which machines are compared. Units: milliseconds.
const VISIT_MS: f64 = 0.4;

/// The machines' own curves and queues.
#[derive(Debug)]
pub(crate) struct Perfect {
    nodes: HashMap<NodeName, PerfectNode>,
    /// Processors that a pod of a workload uses.
    usage: BTreeMap<String, f64>,
}

#[derive(Clone, Debug)]
struct PerfectNode {
    server: Server,
    used: f64,
}

impl Perfect {
    pub(crate) fn new(servers: &[(NodeName, Server)], snapshot: &ClusterSnapshot) -> Self {
        let used: HashMap<&NodeName, f64> = snapshot
            .window
            .nodes
            .iter()
            .filter_map(|node| Some((&node.node, node.cpu_used_millicores?.get() / 1000.0)))
            .collect();
        let known = servers.iter().filter_map(|(name, server)| {
            let used = *used.get(name)?;
            Some((name.clone(), PerfectNode { server: server.clone(), used }))
        });
        let mut usage: BTreeMap<String, f64> = BTreeMap::new();
        for service in &snapshot.window.services {
            let workload = service.service.as_str().split('.').next().unwrap_or_default().to_owned();
            *usage.entry(workload).or_default() += service.cpu_used_millicores.map_or(0.0, Millicores::get);
        }
        let pods = |workload: &str| {
            let of = |name: &wattle_contract::WorkloadName| name.as_str() == workload;
            snapshot.placements.iter().filter(|placement| placement.workload.as_ref().is_some_and(of)).count()
        };
        usage.iter_mut().for_each(|(workload, cpu)| *cpu /= pods(workload).max(1) as f64);
        Self { nodes: known.collect(), usage }
    }
}

impl CostModel for Perfect {
    fn node(&self, node: &NodeName) -> Option<Box<dyn NodeModel>> {
        self.nodes.get(node).cloned().map(|node| Box::new(node) as Box<dyn NodeModel>)
    }

    fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores> {
        let of_workload = pod.workload.as_ref().and_then(|workload| self.usage.get(workload.as_str()));
        of_workload.and_then(|cpu| Millicores::new(*cpu)).or(pod.cpu_request_millicores)
    }

    fn service(&self, _: Option<&ServiceName>) -> ServicePart {
        ServicePart::default()
    }
}

impl PerfectNode {
    fn share(&self, extra: Millicores) -> f64 {
        (self.used + extra.get() / 1000.0) / self.server.cores
    }
}

const fn exactly<T: Copy>(value: T) -> Interval<T> {
    Interval { low: value, mid: value, high: value }
}

impl NodeModel for PerfectNode {
    fn utilisation(&self, extra: Millicores) -> Option<f64> {
        Some(self.share(extra))
    }

    fn watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        Watts::new(self.server.power(self.share(extra))).map(exactly)
    }

    fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let added = self.server.power(self.share(extra)) - self.server.power(self.share(Millicores::ZERO));
        Watts::new(added).map(exactly)
    }

    fn p95(&self, _: ServicePart, extra: Millicores) -> Option<Interval<Milliseconds>> {
        let queue = Queue::of(self.share(extra), self.server.capacity(), self.server.speed);
        Milliseconds::new(queue.p95(VISIT_MS)).map(exactly)
    }
}

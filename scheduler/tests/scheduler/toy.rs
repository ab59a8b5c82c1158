//! A model of three lines, for laws.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_contract::{Millicores, Milliseconds, NodeName, PodKey, PodRequest, ServiceName, Timestamp, Watts};
use wattle_scheduler::decide::Policy;
use wattle_scheduler::memory::Measured;
use wattle_scheduler::names::Names;
use wattle_scheduler::predict::{CostModel, Interval, NodeModel, ServicePart};
use wattle_scheduler::view::{self, Compiled, View};
use wattle_scheduler::{Clock, Config};

/// A node whose power is `idle + span · u^bend` and whose latency is `p95 / (1 - u)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) capacity: f64,
    pub(crate) used: f64,
    pub(crate) span: Option<f64>,
    pub(crate) bend: f64,
    pub(crate) p95: Option<f64>,
}

impl Default for Node {
    fn default() -> Self {
        Self { capacity: 16_000.0, used: 1_600.0, span: Some(200.0), bend: 1.0, p95: Some(10.0) }
    }
}

#[derive(Debug)]
struct Toy(BTreeMap<NodeName, Node>);

impl CostModel for Toy {
    fn node(&self, node: &NodeName) -> Option<Box<dyn NodeModel>> {
        self.0.get(node).map(|node| Box::new(*node) as Box<dyn NodeModel>)
    }

    fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores> {
        pod.cpu_request_millicores
    }

    fn service(&self, _: Option<&ServiceName>) -> ServicePart {
        ServicePart::default()
    }
}

impl NodeModel for Node {
    fn utilisation(&self, extra: Millicores) -> Option<f64> {
        Some((self.used + extra.get()) / self.capacity)
    }

    fn watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let span = self.span?;
        let mid = span / 2.0 + span * ((self.used + extra.get()) / self.capacity).powf(self.bend);
        Some(Interval { low: Watts::new(mid * 0.9)?, mid: Watts::new(mid)?, high: Watts::new(mid * 1.1)? })
    }

    fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let at = |used: f64| self.span.map(|span| span * (used / self.capacity).powf(self.bend));
        let mid = at(self.used + extra.get())? - at(self.used)?;
        Some(Interval { low: Watts::new(mid * 0.9)?, mid: Watts::new(mid)?, high: Watts::new(mid * 1.1)? })
    }

    fn p95(&self, _: ServicePart, extra: Millicores) -> Option<Interval<Milliseconds>> {
        let free = (1.0 - self.utilisation(extra)?).max(0.01);
        let mid = self.p95? / free;
        Some(Interval {
            low: Milliseconds::new(mid)?,
            mid: Milliseconds::new(mid)?,
            high: Milliseconds::new(mid * 1.2)?,
        })
    }
}

/// Last instant of the window that [`view`] was measured in.
pub(crate) const MEASURED: Timestamp = Timestamp(1_000_000);

pub(crate) fn view(nodes: &[(&str, Node)]) -> View {
    let measured = Measured { start: Timestamp(MEASURED.0 - 15_000), end: MEASURED, deviation: 0.0 };
    let node = |node: &Node| view::Node::new(measured, Some(Box::new(*node)));
    View {
        snapshot_version: Some(1),
        measured_until: Some(MEASURED),
        model: Some(Compiled {
            id: "toy".to_owned(),
            predictions: Box::new(Toy(nodes.iter().map(|(name, node)| (NodeName::from(*name), *node)).collect())),
        }),
        names: Arc::new(Names::new(nodes.iter().map(|(name, _)| NodeName::from(*name)))),
        nodes: nodes.iter().map(|(_, known)| node(known)).collect(),
        ..View::default()
    }
}

pub(crate) fn policy() -> Policy {
    Config { clock: Clock::new(|| MEASURED), ..Config::default() }.policy()
}

pub(crate) fn pod(name: &str, millicores: f64) -> PodRequest {
    PodRequest {
        pod: PodKey::new("hotel", name),
        uid: format!("uid-{name}"),
        workload: None,
        service: None,
        cpu_request_millicores: Millicores::new(millicores),
        memory_request_bytes: None,
        objective: wattle_contract::Objective::Balanced,
        slo_p95_ms: None,
        weight_energy: None,
        weight_latency: None,
    }
}

//! What the scheduler asks of a model: the seam to wattle-model, in one file.
//!
//! Decisions are made against [`CostModel`], so that a law can be tested with a model of three lines.

use std::fmt;

use wattle_contract::{Joules, Millicores, Milliseconds, NodeName, PodRequest, ServiceName, Watts};
use wattle_model::{NodePrediction, Predictions, ServiceTime};

pub use wattle_model::Interval;

/// Predictions for one moment of the cluster.
pub trait CostModel: Send + Sync + fmt::Debug {
    /// Gives the predictions for a node; `None` when the node was not measured.
    fn node(&self, node: &NodeName) -> Option<Box<dyn NodeModel>>;

    /// Estimates the processor time that such a pod really uses; `None` when nothing is known.
    fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores>;

    /// Estimates the energy that one more request of a service costs on a node; `None` when nothing is known.
    fn joules_per_request(&self, node: &NodeName, service: &ServiceName) -> Option<Interval<Joules>> {
        let _ = (node, service);
        None
    }

    /// Looks a service's own part of latency up, once for all nodes.
    fn service(&self, service: Option<&ServiceName>) -> ServicePart;
}

/// A service's own part of latency; empty for a service that the model has never seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServicePart(Option<ServiceTime>);

/// Predictions for one node under `extra` processor use on top of what was measured.
pub trait NodeModel: Send + Sync + fmt::Debug {
    /// Estimates the share of the node's processors in use. Range: 0 and above; over 1 is more than there is.
    fn utilisation(&self, extra: Millicores) -> Option<f64>;

    /// Estimates the whole power of the node.
    fn watts(&self, extra: Millicores) -> Option<Interval<Watts>>;

    /// Estimates the power that the extra use adds.
    fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>>;

    /// Estimates the 95th percentile latency of a service, or of the node's pods in general.
    fn p95(&self, service: ServicePart, extra: Millicores) -> Option<Interval<Milliseconds>>;

    /// Tells whether the model fell back to fewer layers here, because what is measured is no longer what it learnt.
    fn has_drifted(&self) -> bool {
        false
    }
}

impl CostModel for Predictions {
    fn node(&self, node: &NodeName) -> Option<Box<dyn NodeModel>> {
        Self::node(self, node).cloned().map(|node| Box::new(node) as Box<dyn NodeModel>)
    }

    fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores> {
        Self::pod_cpu(self, pod)
    }

    fn joules_per_request(&self, node: &NodeName, service: &ServiceName) -> Option<Interval<Joules>> {
        Self::joules_per_request(self, node, service)
    }

    fn service(&self, service: Option<&ServiceName>) -> ServicePart {
        ServicePart(self.service_time(service))
    }
}

impl NodeModel for NodePrediction {
    fn utilisation(&self, extra: Millicores) -> Option<f64> {
        Self::utilisation(self, extra)
    }

    fn watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        Self::watts(self, extra)
    }

    fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        Self::added_watts(self, extra)
    }

    fn p95(&self, service: ServicePart, extra: Millicores) -> Option<Interval<Milliseconds>> {
        self.p95_of(service.0?, extra)
    }

    fn has_drifted(&self) -> bool {
        Self::has_drifted(self)
    }
}

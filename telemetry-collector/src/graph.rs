//! The service graph of a window: services as nodes, calls as edges.

use std::collections::BTreeMap;

use serde::Serialize;
use wattle_contract::{Edge, NodeName, ServiceName, Timestamp, Watts, Window};

/// The service graph of one window.
#[derive(Debug, Serialize)]
pub(crate) struct Graph<'a> {
    start: Timestamp,
    end: Timestamp,
    /// Services, ordered by name.
    nodes: Vec<GraphNode<'a>>,
    /// Calls, ordered by client then server.
    edges: &'a [Edge],
}

/// One service, over all nodes that it answers on.
#[derive(Debug, Serialize)]
struct GraphNode<'a> {
    service: &'a ServiceName,
    requests_per_second: f64,
    error_ratio: f64,
    /// Largest of the nodes' 95th percentiles.
    p95_ms: Option<f64>,
    power_watts: Option<Watts>,
    /// Active energy a request; `None` where power is unknown or nothing was answered.
    joules_per_request: Option<f64>,
    nodes: Vec<&'a NodeName>,
}

/// Puts the graph of a window together; a service that only calls is a node too.
pub(crate) fn of(window: &Window) -> Graph<'_> {
    let mut nodes: BTreeMap<&ServiceName, GraphNode<'_>> = BTreeMap::new();
    let empty = |service| GraphNode {
        service,
        requests_per_second: 0.0,
        error_ratio: 0.0,
        p95_ms: None,
        power_watts: None,
        joules_per_request: None,
        nodes: Vec::new(),
    };
    for part in &window.services {
        let node = nodes.entry(&part.service).or_insert_with(|| empty(&part.service));
        // Weighted by requests; divided below.
        node.error_ratio += part.error_ratio * part.requests_per_second;
        node.requests_per_second += part.requests_per_second;
        node.p95_ms = node.p95_ms.into_iter().chain(part.p95_ms.map(|p95| p95.estimate.get())).reduce(f64::max);
        node.power_watts = match (node.power_watts, part.power_watts) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
        node.nodes.push(&part.node);
    }
    for service in window.edges.iter().flat_map(|edge| [&edge.client, &edge.server]) {
        nodes.entry(service).or_insert_with(|| empty(service));
    }
    let mut nodes: Vec<GraphNode<'_>> = nodes.into_values().collect();
    for node in nodes.iter_mut().filter(|node| node.requests_per_second > 0.0) {
        node.error_ratio /= node.requests_per_second;
        node.joules_per_request = node.power_watts.map(|power| power.get() / node.requests_per_second);
    }
    Graph { start: window.start, end: window.end, nodes, edges: &window.edges }
}

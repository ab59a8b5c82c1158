//! Weights of nodes put on the endpoints of a route table.

use std::sync::Arc;

use wattle_contract::route::{Balancer, Cluster};
use wattle_contract::{Endpoint, RouteTable};

use super::{Steering, UNKNOWN};

/// Gives the table with the weight of every endpoint times that of its node, for the services that are steered.
///
/// An endpoint whose node is not known, or not measured yet, counts like the best. Left alone are clusters that would not
/// change, and those balanced by a hash: their keys stay where they are. The version tells the weights apart.
#[must_use]
pub fn steered(table: &Arc<RouteTable>, steering: &Steering) -> Arc<RouteTable> {
    let mut changed: Vec<Cluster> = table.clusters.values().filter_map(|cluster| one(cluster, steering)).collect();
    if changed.is_empty() {
        return Arc::clone(table);
    }
    let mut steered = RouteTable::clone(table);
    steered.version = format!("{}-{:016x}", table.version, steering.fingerprint());
    for cluster in changed.drain(..) {
        steered.clusters.insert(cluster.name.clone(), Arc::new(cluster));
    }
    Arc::new(steered)
}

fn one(cluster: &Cluster, steering: &Steering) -> Option<Cluster> {
    let nodes = steering.services.get(&cluster.service)?;
    if matches!(cluster.balancer, Balancer::ConsistentHash { .. }) {
        return None;
    }
    let weight = |endpoint: &Endpoint| {
        endpoint.node.as_ref().and_then(|node| nodes.get(node)).copied().unwrap_or(UNKNOWN).max(1)
    };
    let first = cluster.endpoints.first().map(weight);
    if cluster.endpoints.iter().all(|endpoint| Some(weight(endpoint)) == first) {
        return None;
    }
    let mut steered = cluster.clone();
    for endpoint in &mut steered.endpoints {
        endpoint.weight = endpoint.weight.max(1).saturating_mul(weight(endpoint));
    }
    Some(steered)
}

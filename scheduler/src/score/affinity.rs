//! The part of the cost that is network: how much of a pod's traffic would have to leave the node.

use std::collections::HashMap;

use wattle_contract::{NodeName, ServiceName, Window};

use super::relative::LeastSpan;

/// Ten points of local traffic are the least difference that counts in full.
pub(super) const LEAST_SPAN: LeastSpan = LeastSpan(0.1);

/// formula: 1 - local share.
pub(super) fn part(local_traffic: f64) -> f64 {
    1.0 - local_traffic.clamp(0.0, 1.0)
}

/// Who talks to whom, and where they are, in one window.
#[derive(Debug, Default)]
pub struct Affinity {
    /// Service -> its peers and the share of its traffic with each.
    peers: HashMap<ServiceName, Vec<(ServiceName, f64)>>,
    /// Service -> node -> share of its requests answered there.
    spread: HashMap<ServiceName, HashMap<NodeName, f64>>,
}

impl Affinity {
    /// Reads the edges and services of a window.
    #[must_use]
    pub fn from_window(window: &Window) -> Self {
        let mut peers: HashMap<ServiceName, Vec<(ServiceName, f64)>> = HashMap::new();
        for edge in window.edges.iter().filter(|edge| edge.requests_per_second > 0.0 && edge.client != edge.server) {
            for (one, other) in [(&edge.client, &edge.server), (&edge.server, &edge.client)] {
                peers.entry(one.clone()).or_default().push((other.clone(), edge.requests_per_second));
            }
        }
        for traffic in peers.values_mut() {
            let total: f64 = traffic.iter().map(|(_, rate)| rate).sum();
            traffic.iter_mut().for_each(|(_, rate)| *rate /= total);
        }
        let mut spread: HashMap<ServiceName, HashMap<NodeName, f64>> = HashMap::new();
        for service in window.services.iter().filter(|service| service.requests_per_second > 0.0) {
            *spread.entry(service.service.clone()).or_default().entry(service.node.clone()).or_default() +=
                service.requests_per_second;
        }
        for nodes in spread.values_mut() {
            let total: f64 = nodes.values().sum();
            nodes.values_mut().for_each(|rate| *rate /= total);
        }
        Self { peers, spread }
    }

    /// Gives, per node, the share of a service's traffic that would stay there; `None` when its peers are unknown.
    #[must_use]
    pub fn local_shares(&self, service: Option<&ServiceName>) -> Option<HashMap<&NodeName, f64>> {
        let mut shares = HashMap::new();
        let mut is_located = false;
        for (peer, traffic) in self.peers.get(service?)? {
            let Some(nodes) = self.spread.get(peer) else { continue };
            is_located = true;
            for (node, share) in nodes {
                *shares.entry(node).or_insert(0.0) += traffic * share;
            }
        }
        is_located.then_some(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{Edge, ServiceWindow, Timestamp};

    fn served(service: &str, node: &str, rate: f64) -> ServiceWindow {
        ServiceWindow {
            service: service.into(),
            node: node.into(),
            requests_per_second: rate,
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: None,
            cpu_used_millicores: None,
            power_watts: None,
        }
    }

    fn edge(client: &str, server: &str, rate: f64) -> Edge {
        Edge {
            client: client.into(),
            server: server.into(),
            requests_per_second: rate,
            bytes_per_second: None,
            error_ratio: 0.0,
            p95_ms: None,
        }
    }

    #[test]
    fn a_pod_is_drawn_to_the_nodes_of_its_peers_by_their_traffic() {
        let window = Window {
            start: Timestamp(0),
            end: Timestamp(15_000),
            nodes: Vec::new(),
            services: vec![served("geo", "n1", 30.0), served("geo", "n2", 10.0), served("rate", "n2", 5.0)],
            edges: vec![edge("search", "geo", 60.0), edge("search", "rate", 20.0), edge("frontend", "search", 20.0)],
        };

        let affinity = Affinity::from_window(&window);

        let search = ServiceName::from("search");
        let shares = affinity.local_shares(Some(&search)).expect("its peers are known");
        // 60 % of its traffic is with geo (3:1), 20 % with rate; where frontend is nobody knows.
        assert!((shares[&NodeName::from("n1")] - 0.45).abs() < 1e-9);
        assert!((shares[&NodeName::from("n2")] - 0.35).abs() < 1e-9);
        assert!(affinity.local_shares(Some(&"user".into())).is_none());
        assert!(affinity.local_shares(None).is_none());
    }
}

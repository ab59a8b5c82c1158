//! The part of the cost that is network: how much of a pod's traffic would have to leave the node or its zone.

use std::collections::HashMap;

use wattle_contract::{ServiceName, Window};

use super::relative::Scale;
use crate::names::Names;

/// All of a pod's traffic against none of it.
pub(super) const SCALE: Scale = Scale::Difference { whole: 1.0 };

/// Traffic that stays in the zone counts this share of traffic that stays on the node.
const SAME_ZONE: f64 = 0.5;

/// formula: 1 - local share.
pub(super) fn part(local_traffic: f64) -> f64 {
    1.0 - local_traffic.clamp(0.0, 1.0)
}

/// Who talks to whom, and where they are, in one window.
#[derive(Debug, Default)]
pub struct Affinity {
    /// Service -> its peers and the share of its traffic with each.
    peers: HashMap<ServiceName, Vec<(ServiceName, f64)>>,
    /// Service -> number of a node and the share of its requests answered there.
    spread: HashMap<ServiceName, Vec<(usize, f64)>>,
    /// Zone of each node by number; empty where no zones are known.
    zones: Vec<Option<u32>>,
    nodes: usize,
}

impl Affinity {
    /// Reads the edges and services of a window; `zones` has the zone of each node, or nothing.
    #[must_use]
    pub fn new(window: &Window, names: &Names, zones: Vec<Option<u32>>) -> Self {
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
        // What a node answered that is not known any more counts in the total, for no node.
        let mut totals: HashMap<&ServiceName, f64> = HashMap::new();
        let mut spread: HashMap<ServiceName, Vec<(usize, f64)>> = HashMap::new();
        for service in window.services.iter().filter(|service| service.requests_per_second > 0.0) {
            *totals.entry(&service.service).or_default() += service.requests_per_second;
            let nodes = spread.entry(service.service.clone()).or_default();
            if let Some(number) = names.find(service.node.as_str()) {
                nodes.push((number, service.requests_per_second));
            }
        }
        for (service, nodes) in &mut spread {
            let total = totals.get(service).copied().unwrap_or(1.0);
            nodes.iter_mut().for_each(|(_, rate)| *rate /= total);
        }
        Self { peers, spread, zones, nodes: names.len() }
    }

    /// Gives, by number of the node, the share of a service's traffic that would stay there, where half of what stays in
    /// the zone counts; `None` when its peers are unknown.
    #[must_use]
    pub fn local_shares(&self, service: Option<&ServiceName>) -> Option<Vec<f64>> {
        let peers = self.peers.get(service?)?;
        let mut shares = vec![0.0; self.nodes];
        let mut is_located = false;
        for (peer, traffic) in peers {
            let Some(nodes) = self.spread.get(peer) else { continue };
            is_located = true;
            for (node, share) in nodes {
                shares[*node] += traffic * share;
            }
        }
        is_located.then(|| self.with_zones(shares))
    }

    fn with_zones(&self, mut shares: Vec<f64>) -> Vec<f64> {
        let Some(last) = self.zones.iter().flatten().max() else { return shares };
        let mut in_zone = vec![0.0; *last as usize + 1];
        for (share, zone) in shares.iter().zip(&self.zones) {
            if let Some(zone) = zone {
                in_zone[*zone as usize] += share;
            }
        }
        for (share, zone) in shares.iter_mut().zip(&self.zones) {
            if let Some(zone) = zone {
                *share += SAME_ZONE * (in_zone[*zone as usize] - *share);
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{Edge, NodeName, ServiceWindow, Timestamp};

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
        Edge::between(client, server, rate)
    }

    fn window() -> Window {
        Window {
            start: Timestamp(0),
            end: Timestamp(15_000),
            nodes: Vec::new(),
            services: vec![served("geo", "n1", 30.0), served("geo", "n2", 10.0), served("rate", "n2", 5.0)],
            edges: vec![edge("search", "geo", 60.0), edge("search", "rate", 20.0), edge("frontend", "search", 20.0)],
        }
    }

    fn names() -> Names {
        Names::new(["n1", "n2", "n3"].map(NodeName::from))
    }

    #[test]
    fn a_pod_is_drawn_to_the_nodes_of_its_peers_by_their_traffic() {
        let affinity = Affinity::new(&window(), &names(), Vec::new());

        let search = ServiceName::from("search");
        let shares = affinity.local_shares(Some(&search)).expect("its peers are known");
        // 60 % of its traffic is with geo (3:1), 20 % with rate; where frontend is nobody knows.
        assert!((shares[0] - 0.45).abs() < 1e-9);
        assert!((shares[1] - 0.35).abs() < 1e-9);
        assert_eq!(shares[2], 0.0);
        assert!(affinity.local_shares(Some(&"user".into())).is_none());
        assert!(affinity.local_shares(None).is_none());
    }

    #[test]
    fn the_zone_of_its_peers_is_half_as_near_as_their_node() {
        let affinity = Affinity::new(&window(), &names(), vec![Some(0), Some(1), Some(1)]);

        let search = ServiceName::from("search");
        let shares = affinity.local_shares(Some(&search)).expect("its peers are known");
        assert!((shares[1] - 0.35).abs() < 1e-9);
        assert!((shares[2] - 0.175).abs() < 1e-9);
    }
}

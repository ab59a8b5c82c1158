//! Energy and processor use of the nodes, from Kepler's series.

use std::collections::BTreeMap;

use wattle_contract::{EnergySource, Joules, Millicores, NodeName, NodeWindow, ServiceWindow, Watts};

use super::counter::{self, Growth};
use super::{Inputs, pods::Pods};
use crate::catalog::{Zone, kepler_node, node_energy};

#[derive(Default)]
struct Node {
    zones: BTreeMap<Zone, (f64, f64)>,
    source: Option<EnergySource>,
    cpu_ratio: Option<f64>,
    processors: u32,
    /// Something inside the window tells of it.
    is_heard: bool,
}

/// What Kepler measured of the nodes.
pub(super) struct Energy {
    nodes: BTreeMap<NodeName, Node>,
}

impl Energy {
    /// Reads the nodes' energy, use and processors.
    pub(super) fn find(inputs: &Inputs<'_>) -> Self {
        let mut nodes: BTreeMap<NodeName, Node> = BTreeMap::new();
        // The processor series have no node label: they are told apart by the target they came from.
        let mut targets: BTreeMap<(&str, &str), NodeName> = BTreeMap::new();
        for series in inputs.series {
            let Some((zone, source)) = node_energy(&series.labels) else { continue };
            let Some(name) = kepler_node(&series.labels).filter(|_| inputs.newest(series).is_some()) else { continue };
            targets.insert(target(series), name.clone());
            let node = nodes.entry(name).or_default();
            node.is_heard = true;
            // A zone that stands still has no meter behind it: no machine that answers takes nothing.
            if let Some(Growth { amount, seconds }) = inputs.growth(series).filter(|growth| growth.amount > 0.0) {
                let (energy, power) = node.zones.entry(zone).or_default();
                *energy += amount;
                *power += amount / seconds;
                node.source = Some(source);
            }
        }
        for series in inputs.named("kepler_node_cpu_usage_ratio") {
            let Some(name) = kepler_node(&series.labels) else { continue };
            if let Some(mean) = counter::mean(&series.points, inputs.start, inputs.end) {
                targets.insert(target(series), name.clone());
                let node = nodes.entry(name).or_default();
                (node.cpu_ratio, node.is_heard) = (Some(mean), true);
            }
        }
        for series in inputs.named("kepler_node_cpu_info") {
            if let Some(node) = targets.get(&target(series)).and_then(|name| nodes.get_mut(name)) {
                node.processors += 1;
            }
        }
        Self { nodes }
    }

    /// Gives the zones whose energy stands for the node's.
    pub(super) fn zones(&self, node: &NodeName) -> Vec<Zone> {
        self.nodes.get(node).map(|node| Zone::widest(node.zones.keys().copied())).unwrap_or_default()
    }

    /// Gives one entry a node heard of, ordered by name.
    pub(super) fn nodes(mut self, inputs: &Inputs<'_>, pods: &Pods, services: &[ServiceWindow]) -> Vec<NodeWindow> {
        for name in pods.nodes().into_iter().chain(services.iter().map(|service| &service.node)) {
            self.nodes.entry(name.clone()).or_default().is_heard = true;
        }
        self.nodes.retain(|_, node| node.is_heard);
        self.nodes.into_iter().map(|(name, node)| node.window(name, inputs, pods, services)).collect()
    }
}

impl Node {
    fn window(self, name: NodeName, inputs: &Inputs<'_>, pods: &Pods, services: &[ServiceWindow]) -> NodeWindow {
        let mut machine = inputs.machines.get(&name).cloned().unwrap_or_default();
        if machine.cpu_capacity_millicores.is_none() && self.processors > 0 {
            machine.cpu_capacity_millicores = Millicores::new(f64::from(self.processors) * 1000.0);
        }
        let zones = Zone::widest(self.zones.keys().copied());
        let sum = |part: fn(&(f64, f64)) -> f64| -> Option<f64> {
            (!zones.is_empty()).then(|| zones.iter().filter_map(|zone| self.zones.get(zone)).map(part).sum())
        };
        let mut here = services.iter().filter(|service| service.node == name).peekable();
        let requests_per_second = here.peek().is_some().then(|| here.map(|service| service.requests_per_second).sum());
        let capacity = machine.cpu_capacity_millicores;
        NodeWindow {
            power_watts: sum(|zone| zone.1).and_then(Watts::new),
            energy_joules: sum(|zone| zone.0).and_then(Joules::new),
            energy_source: self.source,
            cpu_used_millicores: self.cpu_ratio.zip(capacity).map(|(ratio, capacity)| capacity * ratio.clamp(0.0, 1.0)),
            memory_used_bytes: None,
            requests_per_second,
            pods: pods.count(&name),
            machine,
            node: name,
        }
    }
}

fn target(series: &crate::store::samples::Selected) -> (&str, &str) {
    (series.labels.get("job").unwrap_or(""), series.labels.get("instance").unwrap_or(""))
}

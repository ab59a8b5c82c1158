//! The present as decisions see it: measurements, predictions compiled from them, and how old each is.
//!
//! A view is built off the request path and never changes; requests look things up in the newest one.

use std::collections::HashMap;
use std::time::Duration;

use wattle_contract::{ClusterSnapshot, NodeName, NodeWindow, Timestamp};

use crate::filter::CapGroups;
use crate::predict::CostModel;
use crate::score::Affinity;

/// What is known at one moment.
#[derive(Debug, Default)]
pub struct View {
    /// Version of the snapshot; `None` before the first.
    pub snapshot_version: Option<u64>,
    /// Last instant of the newest window.
    pub measured_until: Option<Timestamp>,
    /// Predictions; `None` without a model or a snapshot.
    pub model: Option<Compiled>,
    /// When each known node was last measured.
    pub nodes: HashMap<NodeName, Measured>,
    /// Who talks to whom.
    pub affinity: Affinity,
    /// Which power caps hold for which nodes.
    pub caps: CapGroups,
}

/// Predictions and the model they are from.
#[derive(Debug)]
pub struct Compiled {
    /// SHA-256 of the artifact.
    pub id: String,
    /// The predictions.
    pub predictions: Box<dyn CostModel>,
}

/// The window in which a node was last measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// First instant of the window.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

impl View {
    /// Gives the name of a node without allocating where the node is known.
    #[must_use]
    pub fn intern(&self, name: &str) -> NodeName {
        self.nodes.get_key_value(name).map_or_else(|| NodeName::from(name), |(known, _)| known.clone())
    }
}

/// Remembers the last measurement of each node, so that one missed scrape does not make a node unknown.
#[derive(Debug, Default)]
pub struct Memory {
    nodes: HashMap<NodeName, (NodeWindow, Measured)>,
}

impl Memory {
    /// Gives a snapshot in which nodes that the newest window lacks stand as they were last measured, and when each was.
    ///
    /// Measurements older than `keep` are forgotten.
    pub fn complete(
        &mut self,
        snapshot: &ClusterSnapshot,
        keep: Duration,
    ) -> (ClusterSnapshot, HashMap<NodeName, Measured>) {
        let window = &snapshot.window;
        let measured = Measured { start: window.start, end: window.end };
        for node in window.nodes.iter().filter(|node| is_measured(node)) {
            self.nodes.insert(node.node.clone(), (node.clone(), measured));
        }
        self.nodes.retain(|_, (_, measured)| window.end.since(measured.end) <= keep);

        let mut completed = snapshot.clone();
        completed.window.nodes = self.nodes.values().map(|(node, _)| node.clone()).collect();
        completed.window.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let spans = self.nodes.iter().map(|(name, (_, measured))| (name.clone(), *measured)).collect();
        (completed, spans)
    }
}

/// Without processor use there is nothing to predict from.
const fn is_measured(node: &NodeWindow) -> bool {
    node.cpu_used_millicores.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{MachineFacts, Millicores, Window};

    fn snapshot(at: i64, nodes: &[(&str, Option<f64>)]) -> ClusterSnapshot {
        let node = |(name, cpu): &(&str, Option<f64>)| NodeWindow {
            node: (*name).into(),
            machine: MachineFacts::default(),
            power_watts: None,
            energy_joules: None,
            energy_source: None,
            cpu_used_millicores: cpu.and_then(Millicores::new),
            memory_used_bytes: None,
            requests_per_second: None,
            pods: None,
        };
        let (start, end) = (Timestamp(at * 15_000), Timestamp((at + 1) * 15_000));
        let window =
            Window { start, end, nodes: nodes.iter().map(node).collect(), services: Vec::new(), edges: Vec::new() };
        ClusterSnapshot { version: 1, taken: end, window, placements: Vec::new() }
    }

    #[test]
    fn a_node_that_a_window_lacks_keeps_its_last_measurement_for_a_while() {
        let mut memory = Memory::default();
        let keep = Duration::from_secs(30);

        memory.complete(&snapshot(0, &[("a", Some(10.0)), ("b", Some(20.0))]), keep);
        let (completed, measured) = memory.complete(&snapshot(1, &[("a", Some(30.0)), ("b", None)]), keep);
        let used = |snapshot: &ClusterSnapshot| -> Vec<f64> {
            snapshot.window.nodes.iter().filter_map(|node| Some(node.cpu_used_millicores?.get())).collect()
        };
        assert_eq!(used(&completed), [30.0, 20.0]);
        assert_eq!((measured["a"].end, measured["b"].end), (Timestamp(30_000), Timestamp(15_000)));

        let (completed, measured) = memory.complete(&snapshot(3, &[("a", Some(40.0))]), keep);
        assert_eq!(used(&completed), [40.0]);
        assert!(!measured.contains_key("b"));
    }
}

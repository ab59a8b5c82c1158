//! The last measurement of each node, so that one missed scrape does not make a node unknown, and how steady it was.

use std::collections::HashMap;
use std::time::Duration;

use wattle_contract::{ClusterSnapshot, NodeName, NodeWindow, Timestamp};

/// When a node was last measured, and how steady its load has been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// First instant of the window.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
    /// Standard deviation of its utilisation over the last windows. Range: 0 and above.
    pub deviation: f64,
}

/// Weight of the newest window in the running mean and variance: about the last twenty windows count.
const NEWEST: f64 = 0.1;

/// Remembers nodes from window to window.
#[derive(Debug, Default)]
pub struct Memory {
    nodes: HashMap<NodeName, Remembered>,
}

#[derive(Debug)]
struct Remembered {
    window: NodeWindow,
    measured: Measured,
    load: Option<Load>,
}

/// Exponentially weighted mean and variance of a utilisation.
#[derive(Clone, Copy, Debug)]
struct Load {
    mean: f64,
    variance: f64,
}

impl Load {
    /// Source: West 1979, incremental mean and variance with exponential weights.
    fn with(self, utilisation: f64) -> Self {
        let off = utilisation - self.mean;
        let step = NEWEST * off;
        Self { mean: self.mean + step, variance: (1.0 - NEWEST) * (self.variance + off * step) }
    }
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
        for node in window.nodes.iter().filter(|node| is_measured(node)) {
            self.remember(node, window.start, window.end);
        }
        self.nodes.retain(|_, known| window.end.since(known.measured.end) <= keep);

        let mut completed = snapshot.clone();
        completed.window.nodes = self.nodes.values().map(|known| known.window.clone()).collect();
        completed.window.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let spans = self.nodes.iter().map(|(name, known)| (name.clone(), known.measured)).collect();
        (completed, spans)
    }

    fn remember(&mut self, node: &NodeWindow, start: Timestamp, end: Timestamp) {
        let known = self.nodes.get(&node.node);
        let is_new = known.is_none_or(|known| known.measured.end < end);
        let earlier = known.and_then(|known| known.load);
        let load = match (earlier, utilisation(node)) {
            (Some(load), Some(now)) if is_new => Some(load.with(now)),
            (None, Some(now)) => Some(Load { mean: now, variance: 0.0 }),
            (earlier, _) => earlier,
        };
        let deviation = load.map_or(0.0, |load| load.variance.max(0.0).sqrt());
        let measured = Measured { start, end, deviation };
        self.nodes.insert(node.node.clone(), Remembered { window: node.clone(), measured, load });
    }
}

/// Without processor use there is nothing to predict from.
const fn is_measured(node: &NodeWindow) -> bool {
    node.cpu_used_millicores.is_some()
}

fn utilisation(node: &NodeWindow) -> Option<f64> {
    let capacity = node.machine.cpu_capacity_millicores?.get();
    (capacity > 0.0).then_some(node.cpu_used_millicores?.get() / capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{MachineFacts, Millicores, Window};

    fn snapshot(at: i64, nodes: &[(&str, Option<f64>)]) -> ClusterSnapshot {
        let node = |(name, cpu): &(&str, Option<f64>)| NodeWindow {
            node: (*name).into(),
            machine: MachineFacts { cpu_capacity_millicores: Millicores::new(100.0), ..MachineFacts::default() },
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
        ClusterSnapshot { taken: end, ..ClusterSnapshot::of(1, window) }
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

    #[test]
    fn an_unsteady_node_is_told_from_a_steady_one() {
        let mut memory = Memory::default();
        let keep = Duration::from_secs(300);
        let mut measured = HashMap::new();

        for at in 0..100 {
            let swing = if at % 2 == 0 { 20.0 } else { 80.0 };
            let nodes = [("calm", Some(50.0)), ("wild", Some(swing))];
            measured = memory.complete(&snapshot(at, &nodes), keep).1;
            // The same window again, as when the model changes, counts once.
            memory.complete(&snapshot(at, &nodes), keep);
        }

        assert!(measured["calm"].deviation < 1e-9);
        assert!((measured["wild"].deviation - 0.3).abs() < 0.03, "{:?}", measured["wild"]);
    }
}

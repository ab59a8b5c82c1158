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

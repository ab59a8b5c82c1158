//! The present as decisions see it: measurements, predictions compiled from them, and how old each is.
//!
//! A view is built off the request path and never changes; requests look things up in the newest one. Everything about a
//! node stands under its number ([`Names`]), so that a request hashes each name once.

use std::collections::HashMap;
use std::sync::Arc;

use wattle_contract::{ClusterSnapshot, Millicores, NodeName, Timestamp};

use crate::carbon::Carbon;
use crate::cluster::Cluster;
use crate::decide::Shapes;
use crate::filter::{CapGroups, PowerCap};
use crate::memory::Measured;
use crate::names::Names;
use crate::predict::{CostModel, NodeModel};
use crate::score::{Affinity, Processors, slowdowns};

/// The label that names a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The label that every node has: its own name.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

/// What is known at one moment.
#[derive(Debug, Default)]
pub struct View {
    /// Version of the snapshot; `None` before the first.
    pub snapshot_version: Option<u64>,
    /// Last instant of the newest window.
    pub measured_until: Option<Timestamp>,
    /// Predictions; `None` without a model or a snapshot.
    pub model: Option<Compiled>,
    /// The measured nodes, numbered.
    pub names: Arc<Names>,
    /// What is known of each, by number.
    pub nodes: Vec<Node>,
    /// Who talks to whom.
    pub affinity: Affinity,
    /// Which power caps hold for which nodes.
    pub caps: CapGroups,
    /// What decisions so far found out of it.
    pub shapes: Shapes,
}

/// Predictions and the model they are from.
#[derive(Debug)]
pub struct Compiled {
    /// SHA-256 of the artifact.
    pub id: String,
    /// The predictions.
    pub predictions: Box<dyn CostModel>,
}

/// One measured node.
#[derive(Debug)]
pub struct Node {
    /// When it was last measured.
    pub measured: Measured,
    /// Its predictions; `None` when the model has none.
    pub model: Option<Box<dyn NodeModel>>,
    /// Memory in use, and how much there is. Units: bytes.
    pub memory: Option<(f64, f64)>,
    /// How many times slower services run here than elsewhere.
    pub slowdown: Option<f64>,
    /// Carbon intensity of its zone over the mean of the zones; 1 where it is unknown.
    pub carbon: f64,
    /// Whether no pod is known to run here but those of daemon sets.
    pub is_empty: bool,
    /// Its processors, as its predictions count them.
    pub(crate) processors: Option<Processors>,
}

impl Node {
    /// A node of which only the predictions are known.
    #[must_use]
    pub fn new(measured: Measured, model: Option<Box<dyn NodeModel>>) -> Self {
        let share = |model: &dyn NodeModel| {
            let one = Millicores::new(1000.0)?;
            Some(model.utilisation(one)? - model.utilisation(Millicores::ZERO)?)
        };
        let processors = model.as_deref().and_then(share).and_then(|share| Processors::new(1.0 / share));
        Self { measured, model, memory: None, slowdown: None, carbon: 1.0, is_empty: false, processors }
    }
}

/// What a view is made from.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The newest snapshot, in which nodes that it lacks stand as they were last measured.
    pub snapshot: &'a ClusterSnapshot,
    /// When each node was last measured.
    pub measured: &'a HashMap<NodeName, Measured>,
    /// Predictions for it.
    pub model: Option<Compiled>,
    /// What Kubernetes says.
    pub cluster: &'a Cluster,
    /// Limits on the power of groups of nodes.
    pub power_caps: &'a [PowerCap],
    /// Carbon intensities, where a source of them is set.
    pub carbon: Option<&'a Carbon>,
    /// The present.
    pub now: Timestamp,
}

impl View {
    /// Puts together what was seen; numbers stay as in `previous` while the nodes are the same.
    #[must_use]
    pub fn new(seen: Seen<'_>, previous: &Arc<Names>) -> Self {
        let windows = &seen.snapshot.window.nodes;
        let is_same = windows.len() == previous.len() && windows.iter().map(|node| &node.node).eq(previous.all());
        let names = match is_same {
            true => Arc::clone(previous),
            false => Arc::new(Names::new(windows.iter().map(|node| node.node.clone()))),
        };
        let label = |node: &NodeName, label: &str| seen.cluster.node(node)?.labels.get(label).cloned();
        let slow = slowdowns(&seen.snapshot.window, &names);
        let shares = seen.carbon.map(|carbon| carbon.relative(names.all(), seen.now, &label));
        let pods = pods_by_node(&seen, &names);
        let mut nodes = Vec::with_capacity(windows.len());
        for (number, window) in windows.iter().enumerate() {
            let nowhere = Measured { start: Timestamp(0), end: Timestamp(0), deviation: 0.0 };
            let measured = seen.measured.get(&window.node).copied().unwrap_or(nowhere);
            let model = seen.model.as_ref().and_then(|model| model.predictions.node(&window.node));
            #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes of memory")]
            let bytes = |amount: Option<wattle_contract::Bytes>| amount.map(|bytes| bytes.0 as f64);
            let memory = bytes(window.memory_used_bytes)
                .zip(bytes(window.machine.memory_capacity_bytes).filter(|capacity| *capacity > 0.0));
            nodes.push(Node {
                memory,
                slowdown: slow.get(number).copied().flatten(),
                carbon: shares.as_ref().and_then(|shares| shares.get(number).copied()).unwrap_or(1.0),
                is_empty: pods.get(number).is_some_and(|pods| *pods == Some(0)),
                ..Node::new(measured, model)
            });
        }
        let caps = CapGroups::new(seen.power_caps, windows, &nodes, label);
        Self {
            snapshot_version: Some(seen.snapshot.version),
            measured_until: Some(seen.snapshot.window.end),
            affinity: Affinity::new(&seen.snapshot.window, &names, zones(&names, seen.cluster)),
            model: seen.model,
            names,
            nodes,
            caps,
            shapes: Shapes::default(),
        }
    }

    /// Gives a node by its name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(self.names.find(name.as_str())?)
    }
}

/// Gives how many pods each node runs, those of daemon sets left out where Kubernetes tells; `None` where nobody knows.
fn pods_by_node(seen: &Seen<'_>, names: &Names) -> Vec<Option<usize>> {
    let mut counts = vec![0_usize; names.len()];
    let is_watched = seen.cluster.pods() > 0;
    let placed = &seen.snapshot.placements;
    if is_watched {
        seen.cluster.count_pods(|node| {
            if let Some(number) = names.find(node.as_str()) {
                counts[number] += 1;
            }
        });
    } else {
        for number in placed.iter().filter_map(|placed| names.find(placed.node.as_str())) {
            counts[number] += 1;
        }
    }
    let windows = &seen.snapshot.window.nodes;
    let known = |(number, count): (usize, usize)| match (is_watched || !placed.is_empty(), windows[number].pods) {
        (true, _) => Some(count),
        (false, pods) => pods.map(|pods| pods as usize),
    };
    counts.into_iter().enumerate().map(known).collect()
}

/// Numbers the zones that Kubernetes names; empty where there are fewer than two.
fn zones(names: &Names, cluster: &Cluster) -> Vec<Option<u32>> {
    let mut numbers: HashMap<Arc<str>, u32> = HashMap::new();
    let mut zones = Vec::with_capacity(names.len());
    for name in names.all() {
        let zone = cluster.node(name).and_then(|node| node.labels.get(ZONE));
        zones.push(zone.map(|zone| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(Arc::clone(zone)).or_insert(next)
        }));
    }
    if numbers.len() < 2 { Vec::new() } else { zones }
}

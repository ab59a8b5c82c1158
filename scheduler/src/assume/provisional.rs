//! Pods that were scored and whose binding is not seen yet.
//!
//! kube-scheduler asks about the next pod within milliseconds of an answer; the binding is seen through the API server, and
//! under a burst that is dozens of pods later. Until then what a pod will use stands provisionally on the node that got the
//! best score, or is shared among the nodes that got it. An answer is no commitment: asking again replaces it, the pod's own
//! share does not count when it is asked about, and it ends when the binding is seen, the pod is gone, or after a short time.

use std::collections::HashMap;
use std::time::Duration;

use wattle_contract::{Bytes, Millicores, NodeName, PodKey, Timestamp};

use super::Load;
use crate::decide::Scored;
use crate::view::View;

/// How long a binding is waited for. kube-scheduler's own bind takes milliseconds; slow ones are those of volumes.
const LIFE: Duration = Duration::from_secs(10);

/// Nodes that a pod is shared among at most: with more equals kube-scheduler's own scores spread a burst.
const MOST_EQUALS: usize = 32;

/// Gives which candidates, by place, a pod will most likely go to: those with the best score, when it is a predicted one
/// and they are few. Range of their count: 0..=32.
#[must_use]
pub fn favourites(scored: &[Scored]) -> Vec<usize> {
    let best = scored.iter().map(|scored| scored.score).max();
    let is_best = |scored: &Scored| Some(scored.score) == best && scored.reason.is_predicted();
    let places: Vec<usize> = (0..scored.len()).filter(|at| is_best(&scored[*at])).take(MOST_EQUALS + 1).collect();
    if places.len() > MOST_EQUALS { Vec::new() } else { places }
}

/// One pod that waits to be seen on a node.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The nodes that it is shared among.
    pub(super) nodes: Vec<NodeName>,
    /// What each of them gets.
    pub(super) share: Load,
    since: Timestamp,
}

impl Waiting {
    #[expect(clippy::cast_precision_loss, reason = "at most 32 nodes")]
    pub(super) fn new(nodes: Vec<NodeName>, cpu: Millicores, memory: Bytes, since: Timestamp) -> Self {
        let count = nodes.len().max(1);
        let share = Load { pods: 1, cpu: cpu * (1.0 / count as f64), memory: Bytes(memory.0 / count as u64) };
        Self { nodes, share, since }
    }
}

/// The pods that wait, by name.
#[derive(Debug, Default)]
pub(super) struct Provisional(HashMap<PodKey, Waiting>);

impl Provisional {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, pod: &PodKey) -> Option<&Waiting> {
        self.0.get(pod)
    }

    pub(super) fn insert(&mut self, pod: PodKey, waiting: Waiting) {
        self.0.insert(pod, waiting);
    }

    pub(super) fn remove(&mut self, pod: &PodKey) -> Option<Waiting> {
        self.0.remove(pod)
    }

    /// Gives the pods that waited for too long.
    pub(super) fn over(&self, now: Timestamp) -> Vec<PodKey> {
        self.0.iter().filter(|(_, waiting)| now.since(waiting.since) > LIFE).map(|(pod, _)| pod.clone()).collect()
    }
}

/// What one pod has provisionally on the nodes of a view: left out when that pod is asked about again.
#[derive(Debug, Default)]
pub struct Own {
    pub(super) numbers: Vec<usize>,
    pub(super) share: Load,
}

impl Own {
    pub(super) fn new(waiting: &Waiting, view: &View) -> Self {
        let numbers = waiting.nodes.iter().filter_map(|node| view.names.find(node.as_str())).collect();
        Self { numbers, share: waiting.share }
    }

    /// Gives a node's load without it.
    #[must_use]
    pub fn without(&self, number: usize, load: Load) -> Load {
        if self.numbers.contains(&number) { load.less(&self.share) } else { load }
    }
}

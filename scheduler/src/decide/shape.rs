//! What is known of each node for pods of one kind, kept while the view is: the next pod of a deployment is like the last.
//!
//! An entry holds for one load and one doubt; where either changed it is made anew. So a decision is the same, bit for bit,
//! as if nothing had been kept.

use std::time::Duration;

use parking_lot::Mutex;
use wattle_contract::{Bytes, Millicores, Milliseconds, PodRequest, Reason, ServiceName, Timestamp, Watts};

use super::{Policy, pod_cpu};
use crate::assume::Load;
use crate::predict::{Interval, NodeModel, ServicePart};
use crate::score::{Estimate, Figures};
use crate::view::{Node, View};

/// Kinds of pods that are kept: a scheduler places few at a time. With 5,000 nodes each takes a megabyte.
const MOST: usize = 8;

/// One candidate before it is compared with the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) added_watts: Option<Interval<Watts>>,
    pub(crate) p95: Option<Milliseconds>,
    pub(crate) assumed: Millicores,
    pub(crate) reason: Reason,
    pub(crate) figures: Figures,
}

impl Known {
    pub(crate) fn new(estimate: &Estimate, reason: Reason, assumed: Millicores, slo: Option<Milliseconds>) -> Self {
        Self {
            added_watts: estimate.added_watts,
            p95: estimate.p95.map(|p95| p95.mid),
            assumed,
            reason,
            figures: Figures::new(estimate, slo),
        }
    }
}

/// The kinds of pods that a view was asked about last.
#[derive(Debug, Default)]
pub struct Shapes(Mutex<Vec<Shape>>);

impl Shapes {
    /// Gives what is known for pods of a kind, to be given back with [`keep`](Self::keep); a second asker meanwhile begins
    /// with nothing.
    pub(super) fn take(&self, view: &View, policy: &Policy, pod: &PodRequest) -> Shape {
        let key = Key {
            service: pod.service.clone(),
            cpu: pod_cpu(view, policy, pod),
            memory: pod.memory_request_bytes,
            slo: pod.slo_p95_ms,
            stale_after: policy.stale_after,
            empty_nodes_off: policy.empty_nodes_off,
        };
        let mut kept = self.0.lock();
        match kept.iter().position(|shape| shape.key == key) {
            Some(at) => kept.remove(at),
            None => {
                drop(kept);
                Shape::new(view, key)
            }
        }
    }

    /// Keeps a kind, in place of the one that was asked about longest ago.
    pub(super) fn keep(&self, shape: Shape) {
        let mut kept = self.0.lock();
        let oldest = if kept.len() >= MOST { Some(kept.remove(0)) } else { None };
        kept.push(shape);
        drop(kept);
        drop(oldest);
    }
}

/// What of a pod, and of the policy, makes a difference before candidates are compared.
#[derive(Debug, PartialEq)]
struct Key {
    service: Option<ServiceName>,
    cpu: Millicores,
    memory: Option<Bytes>,
    slo: Option<Milliseconds>,
    stale_after: Duration,
    empty_nodes_off: bool,
}

/// What is known of each node for pods of one kind.
#[derive(Debug)]
pub(super) struct Shape {
    key: Key,
    service: ServicePart,
    typical: ServicePart,
    /// Share of the pod's traffic that would stay, by number of the node; `None` when nobody knows.
    local_traffic: Option<Vec<f64>>,
    entries: Vec<Option<Entry>>,
    /// What stands for nodes that the view does not have.
    stranger: Known,
}

/// What was known of one node under a load.
#[derive(Debug)]
struct Entry {
    load: Load,
    doubt: Option<f64>,
    known: Known,
}

impl Shape {
    fn new(view: &View, key: Key) -> Self {
        let part = |service| view.model.as_ref().map(|model| model.predictions.service(service)).unwrap_or_default();
        let reason = match (view.snapshot_version, &view.model) {
            (None, _) => Reason::NoSnapshot,
            (_, None) => Reason::NoModel,
            _ => Reason::NoMeasurement,
        };
        Self {
            service: part(key.service.as_ref()),
            typical: part(None),
            local_traffic: view.affinity.local_shares(key.service.as_ref()),
            entries: std::iter::repeat_with(|| None).take(view.nodes.len()).collect(),
            stranger: Known::new(&Estimate::default(), reason, Millicores::ZERO, None),
            key,
        }
    }

    /// Brings what is known of a node up to date.
    pub(super) fn see(&mut self, view: &View, number: usize, load: Load, now: Timestamp) {
        let Some(node) = view.nodes.get(number) else { return };
        let doubt = doubt(now.since(node.measured.end), self.key.stale_after);
        if self.entries.get(number).is_some_and(|entry| entry.as_ref().is_some_and(|entry| entry.holds(load, doubt))) {
            return;
        }
        let (estimate, reason) = match self.estimate(node, load, doubt) {
            Ok(estimate) => {
                let share = |shares: &Vec<f64>| shares.get(number).copied().unwrap_or(0.0);
                let local_traffic = self.local_traffic.as_ref().map(share);
                (Estimate { local_traffic, ..estimate }, standing(node, &estimate))
            }
            Err(reason) => (Estimate::default(), reason),
        };
        let known = Known::new(&estimate, reason, load.cpu, self.key.slo);
        if let Some(entry) = self.entries.get_mut(number) {
            *entry = Some(Entry { load, doubt, known });
        }
    }

    /// Gives what is known of a node that was [seen](Self::see), or of one that the view does not have.
    pub(super) fn known(&self, number: usize) -> &Known {
        self.entries.get(number).and_then(Option::as_ref).map_or(&self.stranger, |entry| &entry.known)
    }

    fn estimate(&self, node: &Node, load: Load, doubt: Option<f64>) -> Result<Estimate, Reason> {
        if self.stranger.reason != Reason::NoMeasurement {
            // Nothing was measured yet, or there is no model: all nodes are strangers.
            return Err(self.stranger.reason);
        }
        let doubt = doubt.ok_or(Reason::StaleMeasurement)?;
        let model = node.model.as_deref().ok_or(Reason::NoMeasurement)?;
        let after = load.cpu + self.key.cpu;
        let p95 = model.p95(self.service, after);
        let shares = model.utilisation(load.cpu).zip(model.utilisation(after));
        Ok(Estimate {
            added_watts: self.added_watts(node, model, load, shares),
            p95,
            typical_p95: if p95.is_none() { model.p95(self.typical, after) } else { None },
            utilisation: shares.map(|(_, after)| after),
            // A load that swings counts by a standard deviation more than it was.
            waiting: node.processors.zip(shares).map(|(processors, (before, after))| {
                processors.added_waiting(before + node.measured.deviation, after + node.measured.deviation)
            }),
            memory: self.memory(node, load),
            local_traffic: None,
            slowdown: node.slowdown,
            carbon: node.carbon,
            doubt,
        })
    }

    /// Gives what the pod adds; where empty nodes are off, its share of the node's whole power by use, which is all of it
    /// on a node that it would wake up: full nodes are cheap, near-empty ones are left to drain.
    fn added_watts(
        &self,
        node: &Node,
        model: &dyn NodeModel,
        load: Load,
        shares: Option<(f64, f64)>,
    ) -> Option<Interval<Watts>> {
        let after = load.cpu + self.key.cpu;
        let (true, Some((before, with))) = (self.key.empty_nodes_off, shares) else {
            return step(model, load.cpu, after);
        };
        let whole = model.watts(after)?;
        if (node.is_empty && load.pods == 0) || with <= 0.0 {
            return Some(whole);
        }
        let share = (with - before) / with;
        Some(Interval { low: whole.low * share, mid: whole.mid * share, high: whole.high * share })
    }

    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes of memory")]
    fn memory(&self, node: &Node, load: Load) -> Option<f64> {
        let (used, capacity) = node.memory?;
        let own = self.key.memory.map_or(0.0, |bytes| bytes.0 as f64);
        Some((used + load.memory.0 as f64 + own) / capacity)
    }
}

impl Entry {
    fn holds(&self, load: Load, doubt: Option<f64>) -> bool {
        self.load == load && self.doubt == doubt
    }
}

/// Says how a node that has an estimate stands: overloaded, or predicted by which layers of the model.
fn standing(node: &Node, estimate: &Estimate) -> Reason {
    match node.model.as_deref() {
        _ if estimate.utilisation.is_some_and(|share| share > 1.0) => Reason::Overload,
        Some(model) if model.has_drifted() => Reason::Drifted,
        _ => Reason::Predicted,
    }
}

/// Gives what the step from `before` to `after` adds: the ends of the interval move together.
pub(crate) fn step(node: &dyn NodeModel, before: Millicores, after: Millicores) -> Option<Interval<Watts>> {
    let with = node.added_watts(after)?;
    if before == Millicores::ZERO {
        return Some(with);
    }
    let without = node.added_watts(before)?;
    let (low, mid, high) = (with.low - without.low, with.mid - without.mid, with.high - without.high);
    Some(Interval { low: low.min(mid).min(high), mid, high: high.max(mid).max(low) })
}

/// Gives how far to doubt a measurement of this age; `None` when it is too old to be used.
///
/// formula: 0 up to half of `stale_after`, rising linearly to 1 at `stale_after`.
fn doubt(age: Duration, stale_after: Duration) -> Option<f64> {
    if age > stale_after {
        return None;
    }
    let half = stale_after.as_secs_f64() / 2.0;
    if half > 0.0 { Some(((age.as_secs_f64() - half) / half).clamp(0.0, 1.0)) } else { Some(0.0) }
}

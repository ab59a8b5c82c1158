//! Steering: weights for the data plane, so that requests go where they cost fewer joules and milliseconds.
//!
//! For each service that answers on two nodes or more, a node's weight is made of the same predictions that score pods:
//!
//! ```text
//! cost(n)   = (w_energy · ln(J(n) / min J) + w_latency · ln(p95(n) / min p95)) / (w_energy + w_latency)
//!             + w_headroom · (crowding(n) - min crowding)
//! wanted(n) = max(1 / ratio, exp(-2 · cost(n)))
//! weight(n) = round(100 · wanted(n) / max wanted), moved by at most a quarter of itself a step
//! ```
//!
//! Crowding is the part of a pod's cost of that name, for a hundredth of the node's processors more. The ratio of two weights stays within the bound, every node keeps at least a weight of 1 (law 10), what is unknown
//! counts as the middle of the bound, and a change of less than a tenth is none: requests move load, load moves
//! predictions, and a loop without damping swings.

mod apply;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use wattle_contract::{Millicores, NodeName, ServiceName, Window};

use crate::score::{Weights, headroom};
use crate::view::View;

pub use apply::steered;

/// Weight of the best node.
const TOP: f64 = 100.0;
/// The same, of an endpoint that nothing is known of.
const UNKNOWN: u32 = 100;
/// How steeply a weight falls with cost: at twice the joules and milliseconds it is a quarter.
const STEEPNESS: f64 = 2.0;
/// More load by which crowding is judged, as a share of a node's processors.
const LITTLE: f64 = 0.01;
/// Greatest change of a weight in one step, as a share of it.
const STEP: f64 = 0.25;
/// Smallest change that is one.
const DEAD_BAND: f64 = 0.1;

/// Weights of the nodes of each service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Counts up with every change.
    pub version: u64,
    /// Service -> node -> weight of its endpoints there. Range: 1..=100.
    pub services: BTreeMap<ServiceName, BTreeMap<NodeName, u32>>,
}

impl Steering {
    /// Gives a number that is the same for the same weights, in any process.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (service, nodes) in &self.services {
            (service.as_str(), nodes.len()).hash(&mut hasher);
            nodes.iter().for_each(|(node, weight)| (node.as_str(), weight).hash(&mut hasher));
        }
        hasher.finish()
    }

    /// Gives what holds when the measurements are too old to say anything: no weights.
    #[must_use]
    pub fn withdrawn(&self) -> Self {
        Self { version: self.version + 1, services: BTreeMap::new() }
    }
}

/// Makes the weights of a view, moving on from `last`.
#[must_use]
pub fn steer(view: &View, window: &Window, weights: &Weights, ratio: f64, last: &Steering) -> Steering {
    let mut nodes_of: HashMap<&ServiceName, Vec<&NodeName>> = HashMap::new();
    for service in window.services.iter().filter(|service| service.requests_per_second > 0.0) {
        nodes_of.entry(&service.service).or_default().push(&service.node);
    }
    let mut services = BTreeMap::new();
    for (service, nodes) in nodes_of.into_iter().filter(|(_, nodes)| nodes.len() > 1) {
        let wanted = wanted(view, service, &nodes, weights, ratio);
        let before = last.services.get(service);
        let moved = nodes.iter().zip(wanted).map(|(node, wanted)| {
            let before = before.and_then(|before| before.get(*node)).copied();
            ((*node).clone(), moved(before, wanted, ratio))
        });
        services.insert(service.clone(), moved.collect());
    }
    let version = last.version + u64::from(services != last.services);
    Steering { version, services }
}

/// Gives what each node should get. Range: 1 / ratio..=1.
fn wanted(view: &View, service: &ServiceName, nodes: &[&NodeName], weights: &Weights, ratio: f64) -> Vec<f64> {
    let least = 1.0 / ratio.max(1.0);
    let Some(model) = &view.model else { return vec![1.0; nodes.len()] };
    let part = model.predictions.service(Some(service));
    let joules: Vec<Option<f64>> = nodes
        .iter()
        .map(|node| model.predictions.joules_per_request(node, service).map(|joules| joules.mid.get()))
        .collect();
    let p95: Vec<Option<f64>> = nodes
        .iter()
        .map(|node| Some(view.node(node)?.model.as_ref()?.p95(part, Millicores::ZERO)?.mid.get()))
        .collect();
    let crowding: Vec<Option<f64>> = nodes.iter().map(|node| crowding(view, node)).collect();
    let least_crowded = crowding.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let (joules, p95) = (above_least(&joules), above_least(&p95));
    let total = weights.energy + weights.latency;
    let cost = |at: usize| {
        let relative = match (joules[at], p95[at]) {
            (Some(joules), Some(p95)) if total > 0.0 => (weights.energy * joules + weights.latency * p95) / total,
            (Some(known), None) | (None, Some(known)) => known,
            _ => return None,
        };
        Some(relative + weights.headroom * crowding[at].map_or(0.0, |crowding| crowding - least_crowded))
    };
    let middle = least.sqrt();
    (0..nodes.len()).map(|at| cost(at).map_or(middle, |cost| (-STEEPNESS * cost).exp().clamp(least, 1.0))).collect()
}

/// Gives how crowded a node would be with a little more; `None` where its use is unknown.
fn crowding(view: &View, node: &NodeName) -> Option<f64> {
    let node = view.node(node)?;
    let used = node.model.as_ref()?.utilisation(Millicores::ZERO)?;
    let swings = node.measured.deviation;
    let waiting = node.processors.map(|processors| processors.added_waiting(used + swings, used + swings + LITTLE));
    Some(headroom::part(waiting, Some(used), None))
}

/// Gives the logarithm of each value over the least one.
fn above_least(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let least = values.iter().flatten().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    values.iter().map(|value| value.filter(|_| least.is_finite()).map(|value| (value / least).max(1.0).ln())).collect()
}

/// Moves a weight towards what is wanted, by no more than a step, and not at all for little.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=100 before the cast")]
fn moved(before: Option<u32>, wanted: f64, ratio: f64) -> u32 {
    let least = (TOP / ratio.max(1.0)).max(1.0);
    let goal = (TOP * wanted).clamp(least, TOP);
    let next = match before.map(f64::from) {
        None => TOP,
        Some(before) if (goal - before).abs() <= DEAD_BAND * before => before,
        // At least one, or a small weight would never grow.
        Some(before) => goal.clamp(before - (STEP * before).max(1.0), before + (STEP * before).max(1.0)),
    };
    next.clamp(least.ceil(), TOP).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_moves_in_steps_and_stays_within_the_bound() {
        let mut weight = None;
        let mut seen = Vec::new();
        for _ in 0..12 {
            weight = Some(moved(weight, 0.01, 4.0));
            seen.extend(weight);
        }

        assert_eq!(seen[..4], [100, 75, 56, 42]);
        assert_eq!(seen.last(), Some(&25), "{seen:?}");
        let mut back = 25;
        for _ in 0..20 {
            back = moved(Some(back), 1.0, 4.0);
        }
        assert!(back >= 91, "{back}");
    }

    #[test]
    fn a_small_change_is_none() {
        assert_eq!(moved(Some(50), 0.54, 4.0), 50);
        assert_eq!(moved(Some(50), 0.6, 4.0), 60);
    }

    #[test]
    fn every_node_keeps_requests() {
        for ratio in [1.0, 4.0, 100.0] {
            for before in [None, Some(1), Some(100)] {
                for wanted in [0.0, 0.5, 1.0] {
                    let weight = moved(before, wanted, ratio);
                    assert!(weight >= 1 && f64::from(weight) * ratio >= 99.0, "{weight} at {ratio}");
                }
            }
        }
    }
}

//! What became of decisions: the prediction for a placed pod against what was measured afterwards.
//!
//! A placement is settled by the first window of its node that began after the pod ran. What its pod added is the change
//! of the power attributed to its service on that node, or of the node's whole power where no attribution is known, shared
//! among the pods placed there since by what was predicted of them. Load that changes meanwhile is part of it: a single
//! figure is noisy, a mean over many is not.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use wattle_contract::{
    DecisionId, Joules, Milliseconds, NodeName, PodKey, ServiceName, ServiceWindow, Timestamp, Watts, Window,
};

/// Placements that wait for their window, and settled ones that are remembered.
const MOST: usize = 1_000;
/// Placements that no window includes after this long are given up.
const GIVE_UP_MS: i64 = 15 * 60_000;

/// What was expected of a placed pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The decision.
    pub decision: DecisionId,
    /// The pod.
    pub pod: PodKey,
    /// The service it answers for.
    pub service: Option<ServiceName>,
    /// Where it was put.
    pub node: NodeName,
    /// Since when it can use anything there.
    pub since: Timestamp,
    /// Power that it was predicted to add there.
    pub predicted_watts: Option<Watts>,
    /// Least power that it was predicted to add on any candidate.
    pub least_watts: Option<Watts>,
    /// Predicted latency of its service there.
    pub predicted_p95_ms: Option<Milliseconds>,
}

/// A placement and what was measured after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The decision.
    pub decision: DecisionId,
    /// The pod.
    pub pod: PodKey,
    /// Where it was put.
    pub node: NodeName,
    /// End of the window that settled it.
    pub at: Timestamp,
    /// Power that it was predicted to add.
    pub predicted_watts: Option<Watts>,
    /// Power that came with it.
    pub realised_watts: Option<Watts>,
    /// What the power was read from.
    pub read_from: ReadFrom,
    /// Realised power less the least that was predicted on any candidate: what the placement cost against the best known
    /// alternative. Negative when it came cheaper than any prediction.
    pub regret_watts: Option<Watts>,
    /// Predicted latency of its service there.
    pub predicted_p95_ms: Option<Milliseconds>,
    /// Measured latency of its service there.
    pub realised_p95_ms: Option<Milliseconds>,
    /// Predicted power over the window that settled it.
    pub predicted_joules: Option<Joules>,
    /// Realised power over the same window.
    pub realised_joules: Option<Joules>,
}

/// What a realised power was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// The power attributed to its service on the node.
    Service,
    /// The power of the whole node.
    Node,
    /// Nothing: there is no meter.
    Nothing,
}

/// Placements under way and what became of the last ones.
#[derive(Debug, Default)]
pub struct Outcomes {
    waiting: Vec<(Placement, Before)>,
    settled: VecDeque<Outcome>,
    last: Power,
}

/// Power before a placement.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    node: Option<Watts>,
    service: Option<Watts>,
    /// Whether power of services on that node was known at all.
    is_attributed: bool,
}

/// Power of nodes and of services on them in the last window.
#[derive(Debug, Default)]
struct Power {
    nodes: HashMap<NodeName, Watts>,
    services: HashMap<NodeName, HashMap<ServiceName, Watts>>,
    end: Timestamp,
}

impl Power {
    fn of(window: &Window) -> Self {
        let nodes = window.nodes.iter().filter_map(|node| Some((node.node.clone(), node.power_watts?))).collect();
        let mut services: HashMap<NodeName, HashMap<ServiceName, Watts>> = HashMap::new();
        for service in &window.services {
            if let Some(watts) = service.power_watts {
                *services.entry(service.node.clone()).or_default().entry(service.service.clone()).or_default() += watts;
            }
        }
        Self { nodes, services, end: window.end }
    }

    fn before(&self, placement: &Placement) -> Before {
        let on_node = self.services.get(&placement.node);
        let service = on_node.zip(placement.service.as_ref()).and_then(|(on, service)| on.get(service)).copied();
        Before { node: self.nodes.get(&placement.node).copied(), service, is_attributed: on_node.is_some() }
    }
}

impl Outcomes {
    /// Begins to wait for what becomes of a placement; one of the same pod takes its place.
    pub fn placed(&mut self, placement: Placement) {
        self.waiting.retain(|(waiting, _)| waiting.pod != placement.pod);
        if self.waiting.len() >= MOST {
            self.waiting.remove(0);
        }
        let before = self.last.before(&placement);
        self.waiting.push((placement, before));
    }

    /// Forgets a pod that is gone before a window could include it.
    pub fn removed(&mut self, pod: &PodKey) {
        self.waiting.retain(|(waiting, _)| waiting.pod != *pod);
    }

    /// Settles the placements that a new window includes, and gives them.
    pub fn settle(&mut self, window: &Window) -> Vec<Outcome> {
        if window.end <= self.last.end {
            return Vec::new();
        }
        let now = Power::of(window);
        let measured: HashSet<&NodeName> = window.nodes.iter().map(|node| &node.node).collect();
        let waiting = std::mem::take(&mut self.waiting);
        let (ripe, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(p, _)| p.since <= window.start && measured.contains(&p.node));
        self.waiting =
            waiting.into_iter().filter(|(p, _)| window.end.0.saturating_sub(p.since.0) < GIVE_UP_MS).collect();
        let settled: Vec<Outcome> = ripe.iter().map(|one| outcome(one, &ripe, &now, window)).collect();
        self.settled.extend(settled.iter().cloned());
        while self.settled.len() > MOST {
            self.settled.pop_front();
        }
        self.last = now;
        settled
    }

    /// Gives the last outcomes, the newest first.
    #[must_use]
    pub fn newest(&self, most: usize) -> Vec<Outcome> {
        self.settled.iter().rev().take(most).cloned().collect()
    }
}

type Ripe = (Placement, Before);

fn outcome((placement, before): &Ripe, all: &[Ripe], now: &Power, window: &Window) -> Outcome {
    let after = now.before(placement);
    let is_peer = |other: &Placement| other.node == placement.node;
    let is_sibling = |other: &Placement| is_peer(other) && other.service == placement.service;
    let own = placement.predicted_watts;
    let (read_from, realised) = match (after.service, before.service, before.node, after.node) {
        (Some(after), was, _, _) if was.is_some() || before.is_attributed => {
            let share = share(own, all.iter().filter(|(other, _)| is_sibling(other)));
            (ReadFrom::Service, Some((after - was.unwrap_or_default()) * share))
        }
        (_, _, Some(before), Some(after)) => {
            let share = share(own, all.iter().filter(|(other, _)| is_peer(other)));
            (ReadFrom::Node, Some((after - before) * share))
        }
        _ => (ReadFrom::Nothing, None),
    };
    let span = window.end.since(window.start);
    Outcome {
        decision: placement.decision,
        pod: placement.pod.clone(),
        node: placement.node.clone(),
        at: window.end,
        predicted_watts: own,
        realised_watts: realised,
        read_from,
        regret_watts: realised.zip(placement.least_watts).map(|(realised, least)| realised - least),
        predicted_p95_ms: placement.predicted_p95_ms,
        realised_p95_ms: p95(window, placement),
        predicted_joules: own.map(|watts| watts.during(span)),
        realised_joules: realised.map(|watts| watts.during(span)),
    }
}

/// Gives the share of one placement in what came of all: by what was predicted, or alike where that is unknown.
fn share<'a>(own: Option<Watts>, all: impl Iterator<Item = &'a Ripe>) -> f64 {
    let mut count = 0.0;
    let mut sum = Some(0.0);
    for (placement, _) in all {
        count += 1.0;
        sum = sum.zip(placement.predicted_watts).map(|(sum, watts)| sum + watts.get().max(0.0));
    }
    match (own, sum) {
        (Some(own), Some(sum)) if sum > 0.0 => own.get().max(0.0) / sum,
        _ => 1.0 / f64::max(count, 1.0),
    }
}

fn p95(window: &Window, placement: &Placement) -> Option<Milliseconds> {
    let is_it = |s: &&ServiceWindow| Some(&s.service) == placement.service.as_ref() && s.node == placement.node;
    window.services.iter().find(is_it)?.p95_ms.map(|p95| p95.estimate)
}

#[cfg(test)]
mod tests;

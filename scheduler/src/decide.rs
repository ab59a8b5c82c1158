//! The decision for one pod: pure, synchronous, the same for the same input.
//!
//! ```text
//! candidates ─► estimate (view + assumed pods) ─► cost (score) ─► normalize ─► Scored, with the reason
//! ```
//!
//! Candidates are numbers of the view; nothing is allocated for a single one. A [`Decision`](wattle_contract::Decision)
//! with names is made of it later, where somebody asks for one.

use std::time::Duration;

use wattle_contract::{Candidate, CostParts, Millicores, Milliseconds, NodeName, PodRequest, Reason, Timestamp, Watts};

use crate::assume::{Assumed, Load};
use crate::normalize::{Standing, normalize};
use crate::predict::{Interval, NodeModel, ServicePart};
use crate::score::{Cost, Estimate, Weights, added_waiting, costs};
use crate::view::{Node, View};

/// The settings that a decision obeys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The highest score. Range: 1 and above.
    pub top_score: u32,
    /// How much each part of the cost counts.
    pub weights: Weights,
    /// Age from which a measurement is no longer used; from half of it on the bad end of an interval counts more and more.
    pub stale_after: Duration,
    /// Use of a pod of which nothing is known.
    pub default_pod_cpu: Millicores,
    /// Whether nodes without pods are switched off: a pod then costs its share of all of its node's power.
    pub empty_nodes_off: bool,
}

/// The time for an answer ran out before the decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTime;

/// Candidates between two looks at the clock.
const CLOCK_EVERY: usize = 256;

/// What was decided about one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Power that the pod would add.
    pub added_watts: Option<Interval<Watts>>,
    /// Latency of the pod's service there.
    pub p95: Option<Milliseconds>,
    /// Use assumed there for pods that no measurement includes.
    pub assumed: Millicores,
    /// What its cost is made of.
    pub parts: Option<CostParts>,
    /// The answer to kube-scheduler.
    pub score: u32,
    /// Why.
    pub reason: Reason,
}

/// Scores every candidate, in the order given. Candidates are numbers of the view; others are unknown.
///
/// # Errors
/// `is_late` said so before the end.
pub fn weigh(
    view: &View,
    assumed: &Assumed,
    policy: &Policy,
    pod: &PodRequest,
    candidates: &[u32],
    now: Timestamp,
    is_late: &dyn Fn() -> bool,
) -> Result<Vec<Scored>, OutOfTime> {
    let cpu = pod_cpu(view, policy, pod);
    let part = |service| view.model.as_ref().map(|model| model.predictions.service(service)).unwrap_or_default();
    let shares = view.affinity.local_shares(pod.service.as_ref());
    let asked = Asked { view, policy, pod, cpu, now, service: part(pod.service.as_ref()), typical: part(None) };
    let own = assumed.own(view, &pod.pod);
    let mut known = Vec::with_capacity(candidates.len());
    for (i, number) in candidates.iter().enumerate() {
        if i % CLOCK_EVERY == CLOCK_EVERY - 1 && is_late() {
            return Err(OutOfTime);
        }
        let number = *number as usize;
        let load = own.without(number, assumed.load(view, number));
        let local_traffic = shares.as_ref().map(|shares| shares.get(number).copied().unwrap_or(0.0));
        let (estimate, reason) = match asked.estimate(number, load) {
            Ok(estimate) if estimate.utilisation.is_some_and(|share| share > 1.0) => (estimate, Reason::Overload),
            Ok(estimate) => (Estimate { local_traffic, ..estimate }, asked.predicted(number)),
            Err(reason) => (Estimate::default(), reason),
        };
        known.push(Known { estimate, reason, assumed: load.cpu });
    }
    Ok(scored(&known, policy, pod))
}

/// Scores candidates by name: [`weigh`], for those who have names and want them back.
///
/// # Errors
/// `is_late` said so before the end.
pub fn decide(
    view: &View,
    assumed: &Assumed,
    policy: &Policy,
    pod: &PodRequest,
    nodes: &[&str],
    now: Timestamp,
    is_late: &dyn Fn() -> bool,
) -> Result<Vec<Candidate>, OutOfTime> {
    let number = |name: &&str| view.names.find(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX);
    let numbers: Vec<u32> = nodes.iter().map(number).collect();
    let scored = weigh(view, assumed, policy, pod, &numbers, now, is_late)?;
    Ok(scored.iter().zip(nodes).map(|(scored, name)| scored.candidate(NodeName::from(*name))).collect())
}

impl Scored {
    /// Puts it down under a name.
    #[must_use]
    pub fn candidate(&self, node: NodeName) -> Candidate {
        Candidate {
            node,
            added_watts: self.added_watts.map(|watts| watts.mid),
            p95_ms: self.p95,
            added_watts_margin: self.added_watts.map(|watts| (watts.high - watts.low) / 2.0),
            assumed_millicores: Some(self.assumed).filter(|assumed| *assumed > Millicores::ZERO),
            parts: self.parts,
            score: self.score,
            reason: self.reason,
        }
    }
}

/// Gives the processor time that a pod is expected to use: as the model measured it, else its request, else the default.
#[must_use]
pub fn pod_cpu(view: &View, policy: &Policy, pod: &PodRequest) -> Millicores {
    view.model
        .as_ref()
        .and_then(|model| model.predictions.pod_cpu(pod))
        .or(pod.cpu_request_millicores)
        .unwrap_or(policy.default_pod_cpu)
}

/// What does not change from candidate to candidate.
struct Asked<'a> {
    view: &'a View,
    policy: &'a Policy,
    pod: &'a PodRequest,
    cpu: Millicores,
    now: Timestamp,
    service: ServicePart,
    typical: ServicePart,
}

impl Asked<'_> {
    /// Says by which layers of the model a node that has an estimate is predicted.
    fn predicted(&self, number: usize) -> Reason {
        let model = self.view.nodes.get(number).and_then(|node| node.model.as_deref());
        if model.is_some_and(NodeModel::has_drifted) { Reason::Drifted } else { Reason::Predicted }
    }

    fn estimate(&self, number: usize, load: Load) -> Result<Estimate, Reason> {
        if self.view.snapshot_version.is_none() {
            return Err(Reason::NoSnapshot);
        }
        if self.view.model.is_none() {
            return Err(Reason::NoModel);
        }
        let node = self.view.nodes.get(number).ok_or(Reason::NoMeasurement)?;
        let age = self.now.since(node.measured.end);
        let doubt = doubt(age, self.policy.stale_after).ok_or(Reason::StaleMeasurement)?;
        let model = node.model.as_deref().ok_or(Reason::NoMeasurement)?;
        let after = load.cpu + self.cpu;
        let p95 = model.p95(self.service, after);
        let shares = model.utilisation(load.cpu).zip(model.utilisation(after));
        Ok(Estimate {
            added_watts: self.added_watts(node, model, load, shares),
            p95,
            typical_p95: if p95.is_none() { model.p95(self.typical, after) } else { None },
            utilisation: shares.map(|(_, after)| after),
            waiting: shares.map(|shares| self.waiting(shares, node.measured.deviation)),
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
        let after = load.cpu + self.cpu;
        let (true, Some((before, with))) = (self.policy.empty_nodes_off, shares) else {
            return step(model, load.cpu, after);
        };
        let whole = model.watts(after)?;
        if (node.is_empty && load.pods == 0) || with <= 0.0 {
            return Some(whole);
        }
        let share = (with - before) / with;
        Some(Interval { low: whole.low * share, mid: whole.mid * share, high: whole.high * share })
    }

    /// Gives how many more requests wait; a load that swings counts by a standard deviation more than it was.
    fn waiting(&self, (before, after): (f64, f64), deviation: f64) -> f64 {
        let cores = self.cpu.get() / 1000.0 / (after - before);
        added_waiting(cores, before + deviation, after + deviation)
    }

    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes of memory")]
    fn memory(&self, node: &Node, load: Load) -> Option<f64> {
        let (used, capacity) = node.memory?;
        let own = self.pod.memory_request_bytes.map_or(0.0, |bytes| bytes.0 as f64);
        Some((used + load.memory.0 as f64 + own) / capacity)
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

/// One candidate before it is compared with the others.
pub(crate) struct Known {
    pub(crate) estimate: Estimate,
    pub(crate) reason: Reason,
    pub(crate) assumed: Millicores,
}

/// Compares candidates and turns what is known of them into scores.
pub(crate) fn scored(known: &[Known], policy: &Policy, pod: &PodRequest) -> Vec<Scored> {
    let predicted = known.iter().filter(|known| known.reason.is_predicted());
    let usable: Vec<Estimate> = predicted.map(|known| known.estimate).collect();
    let costs = costs(&usable, &policy.weights.for_pod(pod), pod.slo_p95_ms);
    ranked(known, costs, policy)
}

/// Turns costs into scores; there is one cost for each candidate whose reason is that it is predicted.
pub(crate) fn ranked(known: &[Known], costs: Vec<Option<CostParts>>, policy: &Policy) -> Vec<Scored> {
    let mut next = costs.iter();
    let standing = |known: &Known| match known.reason {
        reason if reason.is_predicted() => {
            next.next().and_then(|parts| Cost::new(parts.as_ref()?.cost)).map_or(Standing::Unknown, Standing::Known)
        }
        Reason::Overload => Standing::Overloaded,
        _ => Standing::Unknown,
    };
    let standings: Vec<Standing> = known.iter().map(standing).collect();
    let scores = normalize(&standings, policy.top_score);
    let mut next = costs.into_iter();
    let one = |((known, standing), score): ((&Known, &Standing), u32)| {
        let parts = if known.reason.is_predicted() { next.next().flatten() } else { None };
        Scored {
            added_watts: known.estimate.added_watts,
            p95: known.estimate.p95.map(|p95| p95.mid),
            assumed: known.assumed,
            parts,
            score,
            reason: match (known.reason, standing) {
                (reason, Standing::Unknown) if reason.is_predicted() => Reason::NoMeasurement,
                (reason, _) => reason,
            },
        }
    };
    known.iter().zip(&standings).zip(scores).map(one).collect()
}

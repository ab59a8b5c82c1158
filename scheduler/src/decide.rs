//! The decision for one pod: pure, synchronous, the same for the same input.
//!
//! ```text
//! candidates ─► estimate (view + assumed pods) ─► cost (score) ─► normalize ─► Scored, with the reason
//! ```
//!
//! Candidates are numbers of the view; nothing is allocated for a single one. A [`Decision`](wattle_contract::Decision)
//! with names is made of it later, where somebody asks for one.

mod shape;

use std::time::Duration;

use wattle_contract::{Candidate, CostParts, Millicores, Milliseconds, NodeName, PodRequest, Reason, Timestamp, Watts};

use crate::assume::Assumed;
use crate::normalize::{Standing, normalize};
use crate::predict::Interval;
use crate::score::{Cost, Weights, costs_of};
use crate::view::View;

pub use shape::Shapes;

pub(crate) use shape::{Known, step};

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
    let mut shape = view.shapes.take(view, policy, pod);
    let own = assumed.own(view, &pod.pod);
    for (i, number) in candidates.iter().enumerate() {
        if i % CLOCK_EVERY == CLOCK_EVERY - 1 && is_late() {
            view.shapes.keep(shape);
            return Err(OutOfTime);
        }
        let number = *number as usize;
        shape.see(view, number, own.without(number, assumed.load(view, number)), now);
    }
    let known: Vec<&Known> = candidates.iter().map(|number| shape.known(*number as usize)).collect();
    let scored = scored(&known, policy, pod);
    drop(known);
    view.shapes.keep(shape);
    Ok(scored)
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

/// Compares candidates and turns what is known of them into scores.
pub(crate) fn scored(known: &[&Known], policy: &Policy, pod: &PodRequest) -> Vec<Scored> {
    let predicted = known.iter().filter(|known| known.reason.is_predicted());
    let costs = costs_of(predicted.map(|known| &known.figures), &policy.weights.for_pod(pod));
    ranked(known, costs, policy)
}

/// Turns costs into scores; there is one cost for each candidate whose reason is that it is predicted.
pub(crate) fn ranked(known: &[&Known], costs: Vec<Option<CostParts>>, policy: &Policy) -> Vec<Scored> {
    let mut next = costs.iter();
    let standing = |known: &&Known| match known.reason {
        reason if reason.is_predicted() => {
            next.next().and_then(|parts| Cost::new(parts.as_ref()?.cost)).map_or(Standing::Unknown, Standing::Known)
        }
        Reason::Overload => Standing::Overloaded,
        _ => Standing::Unknown,
    };
    let standings: Vec<Standing> = known.iter().map(standing).collect();
    let scores = normalize(&standings, policy.top_score);
    let mut next = costs.into_iter();
    let one = |((known, standing), score): ((&&Known, &Standing), u32)| {
        let parts = if known.reason.is_predicted() { next.next().flatten() } else { None };
        Scored {
            added_watts: known.added_watts,
            p95: known.p95,
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

//! The decision for one pod: pure, synchronous, the same for the same input.
//!
//! ```text
//! candidates ─► estimate (view + assumed pods) ─► cost (score) ─► normalize ─► Candidate, with the reason
//! ```

use std::time::Duration;

use wattle_contract::{Candidate, Millicores, NodeName, PodRequest, Reason, Timestamp, Watts};

use crate::assume::Assumed;
use crate::normalize::{Standing, normalize};
use crate::predict::{Interval, NodeModel};
use crate::score::{Estimate, Weights, costs};
use crate::view::View;

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
}

/// The time for an answer ran out before the decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTime;

/// Candidates between two looks at the clock.
const CLOCK_EVERY: usize = 256;

/// Scores every candidate, in the order given.
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
    let asked = Asked { view, assumed, policy, pod, cpu: pod_cpu(view, policy, pod), now };
    let shares = view.affinity.local_shares(pod.service.as_ref());
    let mut known = Vec::with_capacity(nodes.len());
    for (i, name) in nodes.iter().enumerate() {
        if i % CLOCK_EVERY == CLOCK_EVERY - 1 && is_late() {
            return Err(OutOfTime);
        }
        let node = view.intern(name);
        let local_traffic = shares.as_ref().map(|shares| shares.get(&node).copied().unwrap_or(0.0));
        let (estimate, reason) = match asked.estimate(&node) {
            Ok(estimate) if estimate.utilisation.is_some_and(|share| share > 1.0) => (estimate, Reason::Overload),
            Ok(estimate) => (Estimate { local_traffic, ..estimate }, asked.predicted(&node)),
            Err(reason) => (Estimate::default(), reason),
        };
        known.push(Known { node, estimate, reason });
    }
    Ok(scored(known, policy, pod))
}

/// Gives the answer when there was no time for one: the same neutral score for every candidate.
#[must_use]
pub fn neutral_scores<'a>(nodes: &[&'a str], policy: &Policy) -> Vec<(&'a str, u32)> {
    nodes.iter().map(|node| (*node, crate::normalize::neutral(policy.top_score))).collect()
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
    assumed: &'a Assumed,
    policy: &'a Policy,
    pod: &'a PodRequest,
    cpu: Millicores,
    now: Timestamp,
}

impl Asked<'_> {
    /// Says by which layers of the model a node that has an estimate is predicted.
    fn predicted(&self, node: &NodeName) -> Reason {
        let predictions = self.view.model.as_ref().and_then(|model| model.predictions.node(node));
        if predictions.is_some_and(NodeModel::has_drifted) { Reason::Drifted } else { Reason::Predicted }
    }

    fn estimate(&self, node: &NodeName) -> Result<Estimate, Reason> {
        if self.view.snapshot_version.is_none() {
            return Err(Reason::NoSnapshot);
        }
        let model = self.view.model.as_ref().ok_or(Reason::NoModel)?;
        let measured = self.view.nodes.get(node).ok_or(Reason::NoMeasurement)?;
        let age = self.now.since(measured.end);
        let doubt = doubt(age, self.policy.stale_after).ok_or(Reason::StaleMeasurement)?;
        let predictions = model.predictions.node(node).ok_or(Reason::NoMeasurement)?;
        let before = self.assumed.on(node);
        let after = before + self.cpu;
        let p95 = predictions.p95(self.pod.service.as_ref(), after);
        Ok(Estimate {
            added_watts: added_watts(predictions, before, after),
            p95,
            typical_p95: if p95.is_none() { predictions.p95(None, after) } else { None },
            utilisation: predictions.utilisation(after),
            local_traffic: None,
            doubt,
        })
    }
}

/// Gives what the step from `before` to `after` adds: the ends of the interval move together.
fn added_watts(node: &dyn NodeModel, before: Millicores, after: Millicores) -> Option<Interval<Watts>> {
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
    pub(crate) node: NodeName,
    pub(crate) estimate: Estimate,
    pub(crate) reason: Reason,
}

/// Compares candidates and turns what is known of them into scores.
pub(crate) fn scored(known: Vec<Known>, policy: &Policy, pod: &PodRequest) -> Vec<Candidate> {
    let weights = policy.weights.for_pod(pod);
    let usable: Vec<Estimate> =
        known.iter().filter(|known| known.reason.is_predicted()).map(|known| known.estimate).collect();
    let mut costs = costs(&usable, &weights, pod.slo_p95_ms).into_iter();
    let standings: Vec<Standing> = known
        .iter()
        .map(|known| match known.reason {
            reason if reason.is_predicted() => costs.next().flatten().map_or(Standing::Unknown, Standing::Known),
            Reason::Overload => Standing::Overloaded,
            _ => Standing::Unknown,
        })
        .collect();
    let scores = normalize(&standings, policy.top_score);
    let candidate = |((known, standing), score): ((Known, Standing), u32)| Candidate {
        node: known.node,
        added_watts: known.estimate.added_watts.map(|watts| watts.mid),
        p95_ms: known.estimate.p95.map(|p95| p95.mid),
        added_watts_margin: known.estimate.added_watts.map(|watts| (watts.high - watts.low) / 2.0),
        score,
        reason: match (known.reason, standing) {
            (reason, Standing::Unknown) if reason.is_predicted() => Reason::NoMeasurement,
            (reason, _) => reason,
        },
    };
    known.into_iter().zip(standings).zip(scores).map(candidate).collect()
}

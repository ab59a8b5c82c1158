//! Recorded decisions under another policy: where pods would have gone, and what that would have cost.
//!
//! The parts of each cost are those that were recorded, weighed anew; another model's figures replace the parts that come
//! of them (energy, latency, the objective), and crowding, local traffic and neighbours stay. Each decision is taken alone: a pod that would have gone elsewhere does not
//! change the next decision.

use wattle_contract::{Candidate, CostParts, Decision, DecisionId, Milliseconds, NodeName, PodKey, Reason, Watts};

use crate::decide::{Known, Policy, ranked, scored, step};
use crate::predict::{CostModel, Interval};
use crate::score::{Estimate, Figures, Weights, costs_of, weighed};

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// Decisions looked at.
    pub decisions: usize,
    /// Those whose choice is predicted under both policies: only they enter the sums.
    pub compared: usize,
    /// Pods that would have gone elsewhere.
    pub moves: Vec<Move>,
    /// What was chosen.
    pub recorded: Sums,
    /// What would have been chosen.
    pub replayed: Sums,
}

/// One pod that would have gone elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The decision.
    pub decision: DecisionId,
    /// The pod.
    pub pod: PodKey,
    /// Where it went.
    pub from: NodeName,
    /// Where it would have gone.
    pub to: NodeName,
}

/// Sums over the compared decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Power added by all pods.
    pub added_watts: Watts,
    /// Mean of the predicted 95th percentiles; `None` when none was predicted under both.
    pub mean_p95_ms: Option<Milliseconds>,
    /// Pods whose predicted latency breaks their own objective.
    pub slo_broken: usize,
}

/// Takes recorded decisions again under another policy.
#[must_use]
pub fn replay(decisions: &[Decision], policy: &Policy) -> Replay {
    let mut replay = Replay { decisions: decisions.len(), ..Replay::default() };
    let mut p95 = (0.0, 0.0, 0.0);
    for decision in decisions {
        let rescored = Decision { candidates: rescored(decision, policy), ..decision.clone() };
        let (Some(was), Some(now)) = (decision.best(), rescored.best()) else { continue };
        if was.node != now.node {
            let (from, to) = (was.node.clone(), now.node.clone());
            replay.moves.push(Move { decision: decision.id, pod: decision.pod.pod.clone(), from, to });
        }
        let (Some(was_watts), Some(now_watts)) = (was.added_watts, now.added_watts) else { continue };
        replay.compared += 1;
        replay.recorded.added_watts += was_watts;
        replay.replayed.added_watts += now_watts;
        replay.recorded.slo_broken += usize::from(breaks_slo(decision, was));
        replay.replayed.slo_broken += usize::from(breaks_slo(decision, now));
        if let (Some(was), Some(now)) = (was.p95_ms, now.p95_ms) {
            p95 = (p95.0 + was.get(), p95.1 + now.get(), p95.2 + 1.0);
        }
    }
    if p95.2 > 0.0 {
        replay.recorded.mean_p95_ms = Milliseconds::new(p95.0 / p95.2);
        replay.replayed.mean_p95_ms = Milliseconds::new(p95.1 / p95.2);
    }
    replay
}

/// Gives a decision as another model predicts it: the figures of each candidate anew, the scores as they were.
///
/// A candidate that this model knows nothing of loses its figures.
#[must_use]
pub fn predicted_by(decision: &Decision, model: &dyn CostModel, id: &str) -> Decision {
    let cpu = decision.expected_millicores.or(decision.pod.cpu_request_millicores).unwrap_or_default();
    let service = model.service(decision.pod.service.as_ref());
    let again = |candidate: &Candidate| {
        let assumed = candidate.assumed_millicores.unwrap_or_default();
        let node = model.node(&candidate.node);
        let watts = node.as_ref().and_then(|node| step(node.as_ref(), assumed, assumed + cpu));
        Candidate {
            added_watts: watts.map(|watts| watts.mid),
            added_watts_margin: watts.map(|watts| (watts.high - watts.low) / 2.0),
            p95_ms: node.and_then(|node| node.p95(service, assumed + cpu)).map(|p95| p95.mid),
            ..candidate.clone()
        }
    };
    let mut candidates: Vec<Candidate> = decision.candidates.iter().map(again).collect();
    let slo = decision.pod.slo_p95_ms;
    let is_predicted = |candidate: &Candidate| known(candidate, slo).reason.is_predicted();
    let figures: Vec<Figures> = candidates
        .iter()
        .filter(|candidate| is_predicted(candidate))
        .map(|candidate| known(candidate, slo).figures)
        .collect();
    // Which weights does not matter: only the parts are taken.
    let new = costs_of(figures.iter(), &Weights::default());
    let predicted = candidates.iter_mut().filter(|candidate| is_predicted(candidate));
    for (candidate, new) in predicted.zip(new) {
        let both = candidate.parts.zip(new);
        candidate.parts =
            both.map(|(was, new)| CostParts { energy: new.energy, latency: new.latency, slo: new.slo, ..was });
    }
    Decision { model: Some(id.to_owned()), candidates, ..decision.clone() }
}

fn rescored(decision: &Decision, policy: &Policy) -> Vec<Candidate> {
    let known: Vec<Known> =
        decision.candidates.iter().map(|candidate| known(candidate, decision.pod.slo_p95_ms)).collect();
    let known: Vec<&Known> = known.iter().collect();
    let scored = match recorded_costs(decision, &known, policy) {
        Some(costs) => ranked(&known, costs, policy),
        None => scored(&known, policy, &decision.pod),
    };
    scored.iter().zip(&decision.candidates).map(|(scored, was)| scored.candidate(was.node.clone())).collect()
}

fn known(candidate: &Candidate, slo: Option<Milliseconds>) -> Known {
    let watts = candidate.added_watts.map(|mid| {
        let margin = candidate.added_watts_margin.unwrap_or(Watts::ZERO);
        Interval { low: mid - margin, mid, high: mid + margin }
    });
    let p95 = candidate.p95_ms.map(|mid| Interval { low: mid, mid, high: mid });
    // Whether the policy had a use for what was known is decided anew.
    let has_figures = watts.is_some() || p95.is_some();
    let reason = match candidate.reason {
        Reason::NoMeasurement if has_figures => Reason::Predicted,
        reason => reason,
    };
    let doubt = candidate.parts.map_or(0.0, |parts| parts.doubt);
    let estimate = Estimate { added_watts: watts, p95, doubt, ..Estimate::default() };
    Known::new(&estimate, reason, candidate.assumed_millicores.unwrap_or_default(), slo)
}

/// Gives what the recorded parts cost under a policy; `None` where a candidate's were not recorded.
fn recorded_costs(decision: &Decision, known: &[&Known], policy: &Policy) -> Option<Vec<Option<CostParts>>> {
    let weights = policy.weights.for_pod(&decision.pod);
    let predicted = decision.candidates.iter().zip(known).filter(|(_, known)| known.reason.is_predicted());
    let one = |(candidate, known): (&Candidate, &&Known)| {
        let parts = candidate.parts?;
        let has_latency = known.p95.is_some() || parts.latency > 0.0;
        let counts = (known.added_watts.is_some() && weights.energy > 0.0) || (has_latency && weights.latency > 0.0);
        Some(if counts { weighed(&parts, &weights) } else { None })
    };
    predicted.map(one).collect()
}

fn breaks_slo(decision: &Decision, chosen: &Candidate) -> bool {
    matches!((decision.pod.slo_p95_ms, chosen.p95_ms), (Some(slo), Some(p95)) if p95 > slo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use wattle_contract::{Objective, PodRequest, Timestamp};

    fn decision(candidates: &[(&str, f64, f64, u32)]) -> Decision {
        let candidate = |&(node, watts, p95, score): &(&str, f64, f64, u32)| Candidate {
            node: node.into(),
            added_watts: Watts::new(watts),
            p95_ms: Milliseconds::new(p95),
            added_watts_margin: Watts::new(0.1),
            assumed_millicores: None,
            parts: None,
            score,
            reason: Reason::Predicted,
        };
        Decision {
            id: DecisionId(7),
            at: Timestamp(0),
            pod: PodRequest {
                pod: PodKey::new("hotel", "search-1"),
                uid: String::new(),
                workload: None,
                service: None,
                cpu_request_millicores: None,
                memory_request_bytes: None,
                objective: Objective::Balanced,
                slo_p95_ms: Milliseconds::new(20.0),
                weight_energy: None,
                weight_latency: None,
            },
            snapshot_version: Some(1),
            model: None,
            expected_millicores: None,
            candidates: candidates.iter().map(candidate).collect(),
        }
    }

    #[test]
    fn another_policy_moves_pods_and_says_what_that_costs() {
        let recorded = decision(&[("fast", 9.0, 4.0, 10), ("frugal", 3.0, 30.0, 0)]);
        let frugal = Config { weight_energy: 1.0, weight_latency: 0.0, weight_slo: 0.0, ..Config::default() };

        let replay = replay(&[recorded], &frugal.policy());

        assert_eq!((replay.decisions, replay.compared), (1, 1));
        assert_eq!((replay.moves[0].from.as_str(), replay.moves[0].to.as_str()), ("fast", "frugal"));
        assert_eq!(replay.recorded.added_watts.get() - replay.replayed.added_watts.get(), 6.0);
        assert_eq!((replay.recorded.slo_broken, replay.replayed.slo_broken), (0, 1));
        assert_eq!(replay.replayed.mean_p95_ms, Milliseconds::new(30.0));
    }

    #[test]
    fn the_same_policy_moves_nothing() {
        let policy = Config::default().policy();
        let mut recorded = decision(&[("a", 9.0, 4.0, 0), ("b", 3.0, 8.0, 0), ("c", 5.0, 16.0, 0)]);
        recorded.candidates = rescored(&recorded, &policy);

        assert_eq!(replay(&[recorded], &policy).moves, []);
        assert_eq!(replay(&[], &policy), Replay::default());
    }

    #[test]
    fn what_decided_beside_the_figures_decides_again() {
        let policy = Config::default().policy();
        let mut recorded = decision(&[("crowded", 3.0, 4.0, 0), ("free", 4.0, 4.0, 0)]);
        recorded.candidates = rescored(&recorded, &policy);
        let crowded = recorded.candidates[0].parts.expect("predicted");
        recorded.candidates[0].parts = Some(CostParts { headroom: 1.0, ..crowded });
        recorded.candidates = rescored(&recorded, &policy);
        assert_eq!(recorded.best().map(|best| best.node.as_str()), Some("free"));

        let careless = Config { weight_headroom: 0.0, ..Config::default() };

        assert_eq!(replay(&[recorded.clone()], &policy).moves, []);
        assert_eq!(replay(&[recorded], &careless.policy()).moves[0].to.as_str(), "crowded");
    }
}

//! What a candidate costs: the parts of the cost, their weights and their sum.
//!
//! formula: cost = (w_energy·energy + w_latency·(latency + w_affinity·affinity)) / (w_energy + w_latency)
//!               + w_slo·slo + w_headroom·headroom
//!
//! Every part lies in 0..=1. Energy, latency and affinity are relative to the other candidates; slo and headroom are
//! absolute. A part that is unknown for one candidate but known for others counts one half; a part that nobody knows
//! is left out. Where every part with a weight is unknown, the cost is unknown.

mod affinity;
mod energy;
mod headroom;
mod latency;
mod relative;

use wattle_contract::{Milliseconds, Objective, PodRequest, Watts};

pub use affinity::Affinity;

use crate::predict::Interval;

/// What is known of one candidate before it is compared with the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Power that the pod adds.
    pub added_watts: Option<Interval<Watts>>,
    /// Latency of the pod's service there.
    pub p95: Option<Interval<Milliseconds>>,
    /// Latency of a typical service there: compares nodes for a service that the model has never seen.
    pub typical_p95: Option<Interval<Milliseconds>>,
    /// Processor use with the pod there. Range: 0 and above, 1 is all there is.
    pub utilisation: Option<f64>,
    /// Share of the pod's traffic that would stay on the node. Range: 0..=1.
    pub local_traffic: Option<f64>,
    /// How far the node's measurement has aged. Range: 0 (fresh: the likely value counts) to 1 (the bad end of the
    /// interval counts).
    pub doubt: f64,
}

/// What a placement costs: lower is better. Only [`normalize`](crate::normalize::normalize) turns it into a score.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Cost(f64);

impl Cost {
    /// Takes a finite cost; `None` for NaN and the infinities.
    #[must_use]
    pub const fn new(value: f64) -> Option<Self> {
        if value.is_finite() { Some(Self(value)) } else { None }
    }

    /// Gives the plain number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// How much each part of the cost counts. Range: every weight is 0 or more and finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of added power.
    pub energy: f64,
    /// Of latency.
    pub latency: f64,
    /// Of traffic that leaves the node, as a share of the latency weight.
    pub affinity: f64,
    /// Of a 95th percentile that nears or breaks the pod's own objective.
    pub slo: f64,
    /// Of crowding: the last fifth of a node's processors.
    pub headroom: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { energy: 1.0, latency: 1.0, affinity: 0.1, slo: 2.0, headroom: 0.5 }
    }
}

impl Weights {
    /// Applies a pod's wishes: its objective, then its own weights.
    #[must_use]
    pub fn for_pod(self, pod: &PodRequest) -> Self {
        let (energy, latency) = match pod.objective {
            Objective::Energy => (1.0, 0.0),
            Objective::Latency => (0.0, 1.0),
            Objective::Balanced => (self.energy, self.latency),
        };
        let energy = pod.weight_energy.unwrap_or(energy);
        let latency = pod.weight_latency.unwrap_or(latency);
        if energy + latency > 0.0 { Self { energy, latency, ..self } } else { self }
    }
}

/// Computes the cost of every candidate.
///
/// The answer has one entry a candidate; `None` where nothing that counts is known.
#[must_use]
pub fn costs(estimates: &[Estimate], weights: &Weights, slo: Option<Milliseconds>) -> Vec<Option<Cost>> {
    let energy: Vec<_> = estimates.iter().map(|known| energy::part(known.added_watts, known.doubt)).collect();
    let latency: Vec<_> = estimates.iter().map(latency_part(slo)).collect();
    let affinity: Vec<_> = estimates.iter().map(|known| known.local_traffic.map(affinity::part)).collect();
    let energy = relative::against_others(&energy, energy::LEAST_SPAN);
    let latency = relative::against_others(&latency, latency::LEAST_SPAN);
    let affinity = relative::against_others(&affinity, affinity::LEAST_SPAN);
    let total = weights.energy + weights.latency;
    let cost = |(i, known): (usize, &Estimate)| {
        let counts = (energy[i].is_known && weights.energy > 0.0) || (latency[i].is_known && weights.latency > 0.0);
        if !counts || total <= 0.0 {
            return None;
        }
        let sum = weights.energy * energy[i].value
            + weights.latency * (latency[i].value + weights.affinity * affinity[i].value);
        let slo_part = known.p95.map_or(0.0, |p95| latency::slo_part(p95, slo, known.doubt));
        let headroom = known.utilisation.map_or(0.0, headroom::part);
        Cost::new(sum / total + weights.slo * slo_part + weights.headroom * headroom)
    };
    estimates.iter().enumerate().map(cost).collect()
}

fn latency_part(slo: Option<Milliseconds>) -> impl Fn(&Estimate) -> Option<f64> {
    // The objective is in milliseconds of the pod's own service: a typical one's cannot be held against it.
    move |known| match known.p95 {
        Some(p95) => Some(latency::part(p95, slo, known.doubt)),
        None => known.typical_p95.map(|p95| latency::part(p95, None, known.doubt)),
    }
}

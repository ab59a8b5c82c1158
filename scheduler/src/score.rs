//! What a candidate costs: the parts of the cost, their weights and their sum.
//!
//! formula: cost = (w_energy·energy + w_latency·(latency + w_affinity·affinity)) / (w_energy + w_latency)
//!               + w_slo·slo + w_headroom·headroom + w_neighbours·neighbours
//!
//! Every part lies in 0..=1. Energy, latency and affinity are relative to the best candidate, on a fixed scale; slo, headroom
//! and neighbours are absolute. A part that is unknown for one candidate but known for others counts one half; a part that nobody knows
//! is left out. Where every part with a weight is unknown, the cost is unknown.

mod affinity;
mod energy;
pub(crate) mod headroom;
mod latency;
mod neighbours;
mod relative;

use wattle_contract::{CostParts, Milliseconds, Objective, PodRequest, Watts};

pub use affinity::Affinity;
pub use neighbours::slowdowns;

pub(crate) use headroom::Processors;

use relative::{Compared, Scale};

use crate::predict::Interval;

/// What is known of one candidate before it is compared with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Power that the pod adds; where empty nodes are off, its share of the node's power.
    pub added_watts: Option<Interval<Watts>>,
    /// Latency of the pod's service there.
    pub p95: Option<Interval<Milliseconds>>,
    /// Latency of a typical service there: compares nodes for a service that the model has never seen.
    pub typical_p95: Option<Interval<Milliseconds>>,
    /// Processor use with the pod there. Range: 0 and above, 1 is all there is.
    pub utilisation: Option<f64>,
    /// Requests that more wait there, for each processor that the pod keeps busy. Range: 0 and above.
    pub waiting: Option<f64>,
    /// Memory use with the pod there. Range: 0 and above, 1 is all there is.
    pub memory: Option<f64>,
    /// Share of the pod's traffic that would stay on the node. Range: 0..=1.
    pub local_traffic: Option<f64>,
    /// How many times slower services run there than elsewhere. Range: above 0.
    pub slowdown: Option<f64>,
    /// Carbon intensity of the node's zone over the mean of the zones; 1 where it is unknown. Range: 0 and above.
    pub carbon: f64,
    /// How far the node's measurement has aged. Range: 0 (fresh: the likely value counts) to 1 (the bad end of the
    /// interval counts).
    pub doubt: f64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            added_watts: None,
            p95: None,
            typical_p95: None,
            utilisation: None,
            waiting: None,
            memory: None,
            local_traffic: None,
            slowdown: None,
            carbon: 1.0,
            doubt: 0.0,
        }
    }
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
    /// Of crowding: requests that wait for each other, the last fifth of a node's processors, the last seventh of its memory.
    pub headroom: f64,
    /// Of neighbours that already run slower than elsewhere.
    pub neighbours: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { energy: 1.0, latency: 0.25, affinity: 0.4, slo: 2.0, headroom: 6.0, neighbours: 0.25 }
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

/// What of an estimate is compared, or costs by itself: as much as can be said without the other candidates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Scaled, for comparing: [`energy::SCALE`].
    energy: Option<f64>,
    /// Scaled, for comparing: [`latency::SCALE`].
    latency: Option<f64>,
    /// Scaled, for comparing: [`affinity::SCALE`].
    affinity: Option<f64>,
    slo: f64,
    headroom: f64,
    neighbours: f64,
    doubt: f64,
}

impl Figures {
    pub(crate) fn new(known: &Estimate, slo: Option<Milliseconds>) -> Self {
        let scaled = |scale: Scale, value: Option<f64>| value.map(|value| scale.scaled(value));
        Self {
            energy: scaled(energy::SCALE, energy::part(known.added_watts, known.doubt, known.carbon)),
            latency: scaled(latency::SCALE, latency_part(known, slo)),
            affinity: scaled(affinity::SCALE, known.local_traffic.map(affinity::part)),
            slo: known.p95.map_or(0.0, |p95| latency::slo_part(p95, slo, known.doubt)),
            headroom: headroom::part(known.waiting, known.utilisation, known.memory),
            neighbours: known.slowdown.map_or(0.0, neighbours::part),
            doubt: known.doubt,
        }
    }
}

/// Computes the cost of every candidate, with its parts.
///
/// The answer has one entry a candidate; `None` where nothing that counts is known.
#[must_use]
pub fn costs(estimates: &[Estimate], weights: &Weights, slo: Option<Milliseconds>) -> Vec<Option<CostParts>> {
    let figures: Vec<Figures> = estimates.iter().map(|known| Figures::new(known, slo)).collect();
    costs_of(figures.iter(), weights)
}

/// The same of figures that are there; they are walked several times.
pub(crate) fn costs_of<'a>(
    figures: impl Iterator<Item = &'a Figures> + Clone,
    weights: &Weights,
) -> Vec<Option<CostParts>> {
    let energy = Compared::new(energy::SCALE, figures.clone().map(|known| known.energy));
    let latency = Compared::new(latency::SCALE, figures.clone().map(|known| known.latency));
    let affinity = Compared::new(affinity::SCALE, figures.clone().map(|known| known.affinity));
    let total = weights.energy + weights.latency;
    let cost = |known: &Figures| {
        let (energy, latency) = (energy.part(known.energy), latency.part(known.latency));
        let counts = (energy.is_known && weights.energy > 0.0) || (latency.is_known && weights.latency > 0.0);
        if !counts || total <= 0.0 {
            return None;
        }
        let parts = CostParts {
            energy: energy.value,
            latency: latency.value,
            affinity: affinity.part(known.affinity).value,
            slo: known.slo,
            headroom: known.headroom,
            neighbours: known.neighbours,
            doubt: known.doubt,
            cost: 0.0,
        };
        weighed(&parts, weights)
    };
    figures.map(cost).collect()
}

/// Gives the parts with the cost that weights make of them; `None` where energy and latency weigh nothing.
pub(crate) fn weighed(parts: &CostParts, weights: &Weights) -> Option<CostParts> {
    let total = weights.energy + weights.latency;
    let latency = parts.latency + weights.affinity * parts.affinity;
    let cost = (weights.energy * parts.energy + weights.latency * latency) / total
        + weights.slo * parts.slo
        + weights.headroom * parts.headroom
        + weights.neighbours * parts.neighbours;
    Cost::new(cost).map(|cost| CostParts { cost: cost.get(), ..*parts })
}

/// The objective is in milliseconds of the pod's own service: a typical one's cannot be held against it.
fn latency_part(known: &Estimate, slo: Option<Milliseconds>) -> Option<f64> {
    match known.p95 {
        Some(p95) => Some(latency::part(p95, slo, known.doubt)),
        None => known.typical_p95.map(|p95| latency::part(p95, None, known.doubt)),
    }
}

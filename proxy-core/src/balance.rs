//! Picking one of the endpoints that may be used.
//!
//! A [`Picker`] sees candidates as weights and loads, draws from a [`Dice`] and answers with an index: it knows neither
//! addresses nor connections. Every candidate with a weight stays reachable (law 10).

mod hash;

use std::sync::atomic::{AtomicU64, Ordering};

use wattle_contract::route::Balancer;

use crate::dice::Dice;
use hash::Places;
pub(crate) use hash::hash_of;

/// One endpoint that may be picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Position in the cluster's list.
    pub(crate) index: usize,
    /// Relative weight, at least 1.
    pub(crate) weight: u32,
    /// Requests in flight.
    pub(crate) load: u32,
}

/// How one is picked.
#[derive(Debug)]
pub(crate) enum Picker {
    LeastRequest,
    RoundRobin(AtomicU64),
    Random,
    Hash(Places),
}

impl Picker {
    /// Gives the picker of a balancer over endpoints given by name and weight.
    pub(crate) fn new(balancer: &Balancer, endpoints: &[(String, u32)], dice: &Dice) -> Self {
        match balancer {
            Balancer::LeastRequest => Self::LeastRequest,
            // Each proxy begins somewhere else: otherwise all would send their first request to the same endpoint.
            Balancer::RoundRobin => Self::RoundRobin(AtomicU64::new(dice.roll() >> 32)),
            // An explicit listener does not know the address the client wanted: such a cluster has no endpoints.
            Balancer::Random | Balancer::Passthrough => Self::Random,
            Balancer::ConsistentHash { table, .. } => Self::Hash(Places::new(*table, endpoints)),
        }
    }

    /// Picks one; `None` when there are none.
    pub(crate) fn pick(&self, candidates: &[Candidate], hash: Option<u64>, dice: &Dice) -> Option<usize> {
        if let (Self::Hash(places), Some(hash)) = (self, hash) {
            return places.pick(hash, |index| candidates.iter().any(|candidate| candidate.index == index));
        }
        let total: u64 = candidates.iter().map(|candidate| u64::from(candidate.weight.max(1))).sum();
        if total == 0 {
            return None;
        }
        let picked = match self {
            Self::LeastRequest => {
                let one = at(candidates, dice.below(total))?;
                let other = at(candidates, dice.below(total))?;
                // A tie goes to the first draw: idle endpoints are then used by weight.
                if other.load < one.load { other } else { one }
            }
            Self::RoundRobin(turn) => {
                let turn = turn.fetch_add(1, Ordering::Relaxed) % total;
                let stride = if total == candidates.len() as u64 { 1 } else { stride(total) };
                let point = u128::from(turn) * u128::from(stride) % u128::from(total);
                at(candidates, u64::try_from(point).unwrap_or(0))?
            }
            Self::Random | Self::Hash(_) => at(candidates, dice.below(total))?,
        };
        Some(picked.index)
    }
}

/// Gives a step that visits every point of a line of this length once, neighbours far apart: an endpoint of weight 100
/// does not get a hundred requests in a row.
///
/// formula: the number nearest to 0.618 · total that has no divisor with it (the golden section spreads best).
fn stride(total: u64) -> u64 {
    let divisor = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let golden = total - total * 382 / 1000;
    let mut near = (0..golden).flat_map(|away| [golden - away, golden + away]);
    near.find(|step| *step < total && divisor(*step, total) == 1).unwrap_or(1)
}

/// Gives the candidate at a point of the line on which each is as long as its weight.
fn at(candidates: &[Candidate], mut point: u64) -> Option<&Candidate> {
    for candidate in candidates {
        let weight = u64::from(candidate.weight.max(1));
        if point < weight {
            return Some(candidate);
        }
        point -= weight;
    }
    candidates.last()
}
#[cfg(test)]
mod tests;

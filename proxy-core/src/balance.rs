//! Picking one of the endpoints that may be used.
//!
//! A [`Picker`] sees candidates as weights and loads, draws from a [`Dice`] and answers with an index: it knows neither
//! addresses nor connections. Every candidate with a weight stays reachable (law 10).

use std::sync::atomic::{AtomicU64, Ordering};

use wattle_contract::route::Balancer;

use crate::dice::Dice;

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
}

impl Picker {
    /// Gives the picker of a balancer; `None` when this build has none.
    pub(crate) fn new(balancer: &Balancer, dice: &Dice) -> Option<Self> {
        match balancer {
            Balancer::LeastRequest => Some(Self::LeastRequest),
            // Each proxy begins somewhere else: otherwise all would send their first request to the same endpoint.
            Balancer::RoundRobin => Some(Self::RoundRobin(AtomicU64::new(dice.roll() >> 32))),
            // An explicit listener does not know the address the client wanted: such a cluster has no endpoints.
            Balancer::Random | Balancer::Passthrough => Some(Self::Random),
            Balancer::ConsistentHash { .. } => None,
        }
    }

    /// Picks one; `None` when there are none.
    pub(crate) fn pick(&self, candidates: &[Candidate], dice: &Dice) -> Option<usize> {
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
            Self::RoundRobin(turn) => at(candidates, turn.fetch_add(1, Ordering::Relaxed) % total)?,
            Self::Random => at(candidates, dice.below(total))?,
        };
        Some(picked.index)
    }
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

//! The physics prior: what a machine draws before anyone has measured it.
//!
//! Formula: `P(u) = idle + (peak - idle) * s(u)`, with `s` the mean normalised curve of servers of the machine's age: steep
//! in the first tenth, flat in the middle and, for every server since about 2013, convex above half load. Idle and peak
//! come from the machine's facts; where those are missing they are inferred from its thermal design power or its cores.
//!
//! Units: watts at the wall. Source: SPECpower_ssj2008 published results, snapshot 2022, 526 single-node machines of
//! 2004 to 2019; the curves are plain means, the inference is ordinary least squares on logarithms.

use serde::{Deserialize, Serialize};
use wattle_contract::MachineFacts;

/// A normalised load curve: power above idle at 0, 10 ... 100 % load as a share of peak minus idle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape(pub [f64; 11]);

/// Hardware years up to (and with) which a curve is the mean one, and the curve.
const SHAPES: [(u16, Shape); 4] = [
    (2009, Shape([0.0, 0.130, 0.240, 0.342, 0.443, 0.545, 0.645, 0.742, 0.837, 0.925, 1.0])),
    (2012, Shape([0.0, 0.165, 0.236, 0.303, 0.379, 0.458, 0.552, 0.655, 0.765, 0.888, 1.0])),
    (2016, Shape([0.0, 0.150, 0.219, 0.288, 0.358, 0.426, 0.508, 0.608, 0.728, 0.874, 1.0])),
    (u16::MAX, MODERN),
];

/// Mean curve of servers from 2017 on; the one to take when the age is unknown.
pub const MODERN: Shape = Shape([0.0, 0.184, 0.249, 0.313, 0.376, 0.443, 0.521, 0.613, 0.726, 0.858, 1.0]);

impl Shape {
    /// Gives the mean curve of machines of an age.
    #[must_use]
    pub fn of_year(year: Option<u16>) -> Self {
        year.and_then(|year| SHAPES.iter().find(|(until, _)| year <= *until)).map_or(MODERN, |(_, shape)| *shape)
    }

    /// Gives the curve at a utilisation; beyond full load it goes on as steeply as in its last tenth.
    #[must_use]
    pub fn at(&self, utilisation: f64) -> f64 {
        let place = utilisation.max(0.0) * 10.0;
        let below = (place.floor() as usize).min(9);
        self.0[below] + (self.0[below + 1] - self.0[below]) * (place - below as f64)
    }
}

/// Where idle and peak come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorSource {
    /// The machine's facts name both.
    Facts,
    /// Inferred from thermal design power.
    DesignPower,
    /// Inferred from the number of cores.
    Cores,
}

/// What a machine draws, as far as its facts tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Power at active idle, watts.
    pub idle: f64,
    /// Power at full load, watts.
    pub peak: f64,
    /// The way between.
    pub shape: Shape,
    /// Where idle and peak come from.
    pub source: PriorSource,
}

/// Widest plausible power of one node, watts: eight-socket and eight-accelerator machines stay below it.
pub const MOST_WATTS: f64 = 20_000.0;

impl Prior {
    /// Gives the power at a utilisation, in watts.
    #[must_use]
    pub fn watts(&self, utilisation: f64) -> f64 {
        self.idle + (self.peak - self.idle) * self.shape.at(utilisation)
    }

    /// Gives the relative error to expect of it, as a half-width; a judgement by how much is known, not measured.
    #[must_use]
    pub const fn margin(&self) -> f64 {
        match self.source {
            PriorSource::Facts => 0.15,
            PriorSource::DesignPower => 0.45,
            PriorSource::Cores => 0.60,
        }
    }

    /// Infers what a machine draws; `None` when its facts do not say what it is.
    ///
    /// Formula: `ln peak = 0.3123 + 0.9760 ln(tdp * chips) - 0.0427 (year - 2014)` (residual 0.19),
    /// `ln idle = -0.1749 + 0.8010 ln(tdp * chips) - 0.1330 (year - 2014)` (residual 0.39); without a design power
    /// `ln peak = 3.1999 + 0.7710 ln cores - 0.1033 (year - 2014)` (0.27) and
    /// `ln idle = 2.0809 + 0.6693 ln cores - 0.1898 (year - 2014)` (0.39). Years are held to 2006..=2022, 2017 if unknown.
    #[must_use]
    pub fn infer(machine: &MachineFacts) -> Option<Self> {
        let shape = Shape::of_year(machine.hardware_year);
        let given =
            |watts: Option<wattle_contract::Watts>| watts.map(|w| w.get()).filter(|w| *w > 0.0 && *w <= MOST_WATTS);
        let (idle, peak) = (given(machine.idle_watts), given(machine.peak_watts));
        if let (Some(idle), Some(peak)) = (idle, peak)
            && peak > idle
        {
            return Some(Self { idle, peak, shape, source: PriorSource::Facts });
        }
        let age = f64::from(machine.hardware_year.unwrap_or(2017).clamp(2006, 2022)) - 2014.0;
        let design = machine.tdp_watts.map(|w| w.get() * f64::from(machine.chips.unwrap_or(1).max(1)));
        let cores = machine.cores.filter(|cores| *cores > 0).map(|cores| f64::from(cores).ln());
        let (low, high, source) = match (design.filter(|w| *w > 0.0).map(f64::ln), cores) {
            (Some(tdp), _) => {
                (-0.1749 + 0.8010 * tdp - 0.1330 * age, 0.3123 + 0.9760 * tdp - 0.0427 * age, PriorSource::DesignPower)
            }
            (None, Some(cores)) => {
                (2.0809 + 0.6693 * cores - 0.1898 * age, 3.1999 + 0.7710 * cores - 0.1033 * age, PriorSource::Cores)
            }
            (None, None) => return None,
        };
        let (low, high) = (idle.unwrap_or(low.exp()), peak.unwrap_or(high.exp()));
        (high <= MOST_WATTS).then_some(Self { idle: low.min(0.95 * high), peak: high, shape, source })
    }
}

/// Gives the logarithm of how much longer a request takes because its machine is busy.
///
/// Formula: `ln(1 + W)`, `W = (1 + cv2) / 2 * rho^(sqrt(2 (k + 1)) - 1) / (k (1 - rho))`: the mean wait of an M/G/k queue in
/// units of the service time, with squared coefficient of variation `cv2` = 1. `rho` is held to 0..=0.98 and the wait
/// grows in a straight line beyond, so that overload stays finite and never looks cheap.
///
/// Source: Sakasegawa, "An approximation formula L = alpha * rho^beta / (1 - rho)", 1977.
#[must_use]
pub fn queueing(utilisation: f64, cores: f64) -> f64 {
    const MOST: f64 = 0.98;
    let (rho, k) = (utilisation.clamp(0.0, MOST), cores.max(1.0));
    let wait = rho.powf((2.0 * (k + 1.0)).sqrt() - 1.0) / (k * (1.0 - rho));
    wait.ln_1p() + 10.0 * (utilisation - MOST).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::Watts;

    #[test]
    fn a_machine_of_which_nothing_is_known_has_no_prior() {
        assert_eq!(Prior::infer(&MachineFacts::default()), None);
    }

    #[test]
    fn facts_win_over_inference_and_are_met_at_both_ends() {
        let facts = MachineFacts {
            cores: Some(16),
            tdp_watts: Watts::new(150.0),
            chips: Some(1),
            idle_watts: Watts::new(50.0),
            peak_watts: Watts::new(220.0),
            ..MachineFacts::default()
        };

        let prior = Prior::infer(&facts).expect("a prior");

        assert_eq!(prior.source, PriorSource::Facts);
        assert_eq!((prior.watts(0.0), prior.watts(1.0)), (50.0, 220.0));
        assert!(prior.watts(1.1) > 220.0);
    }

    #[test]
    fn no_prior_of_any_age_or_size_falls_with_load() {
        for year in 2004..2025 {
            for cores in [1, 4, 64] {
                let facts = MachineFacts { cores: Some(cores), hardware_year: Some(year), ..MachineFacts::default() };
                let prior = Prior::infer(&facts).expect("a prior");
                for step in 0..120_u32 {
                    let (low, high) = (f64::from(step) / 100.0, f64::from(step + 1) / 100.0);
                    assert!(prior.watts(low) < prior.watts(high));
                    assert!(queueing(low, f64::from(cores)) <= queueing(high, f64::from(cores)));
                }
            }
        }
    }
}

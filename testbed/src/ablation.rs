//! What is left of `full` when what it knows is spoiled, one fault at a time, against the default scheduler.

use std::fmt::Write as _;
use std::time::Duration;

use crate::outcome::Outcome;
use crate::scenario::Cell;
use crate::statistics::Mean;
use crate::study::{Outcomes, Study};
use crate::telemetry::Faults;

/// By how much `full` may be worse than the default under any fault, in energy and in the 95th percentile. Units: percent.
pub const MOST_WORSE: f64 = 2.0;

/// The faults, each alone; the first is none, for comparison.
pub const FAULTS: [(&str, Faults); 9] = [
    ("no fault", Faults::usual()),
    ("telemetry 30 s old", stale(30)),
    ("telemetry 120 s old", stale(120)),
    ("telemetry 600 s old", stale(600)),
    ("20 % of nodes without meters", Faults { without_meter: 0.2, ..Faults::usual() }),
    ("model +20 %", Faults { model_bias: 0.2, ..Faults::usual() }),
    ("model -20 %", Faults { model_bias: -0.2, ..Faults::usual() }),
    ("model +20 or -20 % by node", Faults { model_error: 0.2, ..Faults::usual() }),
    ("wrong machine class", Faults { wrong_class: true, ..Faults::usual() }),
];

const fn stale(seconds: u64) -> Faults {
    Faults { stale: Duration::from_secs(seconds), ..Faults::usual() }
}

/// What came of one fault, against the default on the same plans.
#[derive(Clone, Debug)]
pub struct Ablation {
    /// The fault.
    pub fault: &'static str,
    /// Difference of energy with all nodes on. Units: percent.
    pub energy: Mean,
    /// Difference of the 95th percentile. Units: percent.
    pub p95: Mean,
    /// Minutes above the objective, mean of the plans: the default's, and `full`'s.
    pub slo_minutes: (f64, f64),
}

/// Whether a fault is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both intervals end within [`MOST_WORSE`].
    Met,
    /// Both means are within it, an interval is not.
    Unsure,
    /// A mean is beyond it.
    NotMet,
}

/// Runs the default once and `full` under each fault, on the plans of a study.
///
/// # Errors
/// No model can be trained.
pub fn run(study: &Study, cell: &Cell) -> anyhow::Result<Vec<Ablation>> {
    let alone = |policy: &str, faults| Study { policies: vec![policy.to_owned()], faults, ..study.clone() };
    // The default does not look at measurements: no fault touches it.
    let base = alone("default", Faults::usual()).run(cell)?;
    // Lateness and the model's error come after training: those models are one.
    let untouched = study.trained(cell, Faults::usual())?;
    let mut ablations = Vec::new();
    for (fault, faults) in FAULTS {
        let spoiled = alone("full", faults);
        let ours = if faults.touches_training() { spoiled.run(cell)? } else { spoiled.run_with(cell, &untouched)? };
        let both = Outcomes([&base, &ours].into_iter().enumerate().filter_map(first).collect());
        let slo = |at| both.mean(at, |outcome: &Outcome| outcome.slo_minutes).mean;
        ablations.push(Ablation {
            fault,
            energy: both.against_first(1, |outcome| outcome.joules_on),
            p95: both.against_first(1, |outcome| outcome.latency.quantile(0.95)),
            slo_minutes: (slo(0), slo(1)),
        });
    }
    Ok(ablations)
}

fn first((at, outcomes): (usize, &Outcomes)) -> Option<(usize, Vec<Outcome>)> {
    outcomes.0.get(&0).map(|outcomes| (at, outcomes.clone()))
}

impl Ablation {
    /// Judges energy and the 95th percentile.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let both = [self.energy, self.p95];
        if both.iter().any(|by| by.mean > MOST_WORSE) {
            return Verdict::NotMet;
        }
        let is_sure = both.iter().all(|by| by.mean + by.half <= MOST_WORSE);
        if is_sure { Verdict::Met } else { Verdict::Unsure }
    }
}

impl Verdict {
    /// Gives it in words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Unsure => "met, interval beyond",
            Self::NotMet => "NOT MET",
        }
    }
}

/// Makes the table of one combination: `full` under each fault against the default, with half-widths of 95 % intervals.
#[must_use]
pub fn table(ablations: &[Ablation]) -> String {
    let mut text = format!("{:<30} {:>15} {:>15} {:>17}  never", "full with", "on %", "p95 %", "SLO min (default)");
    // Writing into a text does not fail.
    let _ = write!(text, " worse than {MOST_WORSE} %");
    for ablation in ablations {
        let (energy, p95, (base, ours)) = (ablation.energy, ablation.p95, ablation.slo_minutes);
        let _ = write!(
            text,
            "\n{:<30} {:>8.2} ±{:>5.2} {:>8.2} ±{:>5.2} {:>17}  {}",
            ablation.fault,
            energy.mean,
            energy.half,
            p95.mean,
            p95.half,
            format!("{ours:.2} ({base:.2})"),
            ablation.verdict().label()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ablation(energy: (f64, f64), p95: (f64, f64)) -> Ablation {
        let mean = |(mean, half)| Mean { mean, half };
        Ablation { fault: "a fault", energy: mean(energy), p95: mean(p95), slo_minutes: (0.0, 0.0) }
    }

    #[test]
    fn a_fault_is_borne_only_where_both_figures_stay_within_the_bar() {
        assert_eq!(ablation((-5.0, 1.0), (1.0, 0.9)).verdict(), Verdict::Met);
        assert_eq!(ablation((-5.0, 1.0), (1.0, 1.1)).verdict(), Verdict::Unsure);
        assert_eq!(ablation((2.1, 0.0), (-9.0, 0.0)).verdict(), Verdict::NotMet);
        assert_eq!(ablation((-9.0, 0.0), (2.1, 5.0)).verdict(), Verdict::NotMet);
    }
}

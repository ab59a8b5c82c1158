//! What came of a study, as text: one line a policy.

use std::fmt::Write as _;

use crate::outcome::{FIGURES, Outcome};
use crate::study::{Outcomes, Study};

/// Figures of a table, by their place among all.
const SHOWN: [usize; 12] = [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14];

/// Makes the table of one combination.
///
/// Columns: means over the plans; then, against the first policy and with the half-width of the 95 % interval, energy, the
/// share of the bound's saving (all on, and empty off), and the 95th percentile.
#[must_use]
pub fn of(study: &Study, outcomes: &Outcomes) -> String {
    let mut text = format!("{:<15}", "policy");
    // Writing into a text does not fail.
    for at in SHOWN {
        let _ = write!(text, " {:>11}", FIGURES[at].short);
    }
    for name in ["on %", "of bound %", "off %", "of bound %", "p95 %"] {
        let _ = write!(text, " {name:>15}");
    }
    for at in outcomes.0.keys() {
        let _ = write!(text, "\n{:<15}", study.policies[*at]);
        for shown in SHOWN {
            let value = outcomes.mean(*at, FIGURES[shown].of).mean;
            let digits = if value.abs() >= 1000.0 { 0 } else { 3 };
            let _ = write!(text, " {value:>11.digits$}");
        }
        for difference in differences(outcomes, *at) {
            let _ = write!(text, " {:>8.2} ±{:>5.2}", difference.mean, difference.half);
        }
    }
    text
}

/// Gives what is compared with the first policy: energy and share of the bound's saving with all on, the same with empty
/// nodes off, 95th percentile. Units: percent.
#[must_use]
pub fn differences(outcomes: &Outcomes, policy: usize) -> [crate::statistics::Mean; 5] {
    let (on, off) = (|outcome: &Outcome| outcome.joules_on, |outcome: &Outcome| outcome.joules_off);
    [
        outcomes.against_first(policy, on),
        outcomes.of_bound(policy, on, |outcome| outcome.bound_on),
        outcomes.against_first(policy, off),
        outcomes.of_bound(policy, off, |outcome| outcome.bound_off),
        outcomes.against_first(policy, |outcome| outcome.latency.quantile(0.95)),
    ]
}

//! The parts of the cost that are latency: against the other candidates, and against the pod's own objective.

use wattle_contract::Milliseconds;

use super::relative::Scale;
use crate::predict::Interval;

/// Eight times the milliseconds of the best candidate is as slow as counts; under ten microseconds nothing is told apart.
pub(super) const SCALE: Scale = Scale::Ratio { whole: 8.0, floor: 0.01 };

/// Up to this share of its objective a latency is good enough: lower does not count as better.
const GOOD_ENOUGH: f64 = 0.8;
/// At this share of its objective a latency is as bad as any worse one.
const BROKEN: f64 = 1.2;

/// formula: max(mid + doubt · (1 + doubt) · (high - mid), 0.8 · objective). Units: milliseconds.
pub(super) fn part(p95: Interval<Milliseconds>, slo: Option<Milliseconds>, doubt: f64) -> f64 {
    let ms = doubted(p95, doubt);
    slo.map_or(ms, |slo| ms.max(GOOD_ENOUGH * slo.get()))
}

/// formula: 0 up to 0.8 of the objective, rising linearly to 1 at 1.2 of it; 0 without an objective.
pub(super) fn slo_part(p95: Interval<Milliseconds>, slo: Option<Milliseconds>, doubt: f64) -> f64 {
    let Some(slo) = slo.filter(|slo| slo.get() > 0.0) else { return 0.0 };
    let share = doubted(p95, doubt) / slo.get();
    ((share - GOOD_ENOUGH) / (BROKEN - GOOD_ENOUGH)).clamp(0.0, 1.0)
}

fn doubted(p95: Interval<Milliseconds>, doubt: f64) -> f64 {
    let (mid, high) = (p95.mid.get(), p95.high.get().max(p95.mid.get()));
    let doubt = doubt.clamp(0.0, 1.0);
    mid + doubt * (1.0 + doubt) * (high - mid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(ms: f64) -> Interval<Milliseconds> {
        let ms = Milliseconds::new(ms).expect("finite");
        Interval { low: ms, mid: ms, high: ms }
    }

    #[test]
    fn within_its_objective_a_latency_costs_nothing_and_beyond_it_all() {
        let slo = Milliseconds::new(20.0);

        assert_eq!(slo_part(exactly(10.0), slo, 0.0), 0.0);
        assert!((slo_part(exactly(20.0), slo, 0.0) - 0.5).abs() < 1e-9);
        assert_eq!(slo_part(exactly(100.0), slo, 0.0), 1.0);
        assert_eq!(slo_part(exactly(100.0), None, 0.0), 0.0);
        assert_eq!(part(exactly(3.0), slo, 0.0), part(exactly(9.0), slo, 0.0));
    }
}

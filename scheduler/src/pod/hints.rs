//! What the annotations of a pod wish for.

use std::collections::BTreeMap;

use wattle_contract::{Milliseconds, Objective};

use super::Ignored;

/// Annotation: `energy`, `latency` or `balanced`.
pub const OBJECTIVE: &str = "wattle.dev/objective";
/// Annotation: 95th percentile latency to keep. Units: milliseconds. Range: above 0, at most one hour.
pub const SLO_P95_MS: &str = "wattle.dev/slo-p95-ms";
/// Annotation: own weight of energy. Range: 0..=100.
pub const WEIGHT_ENERGY: &str = "wattle.dev/weight-energy";
/// Annotation: own weight of latency. Range: 0..=100.
pub const WEIGHT_LATENCY: &str = "wattle.dev/weight-latency";

const MAX_SLO_MS: f64 = 3_600_000.0;
const MAX_WEIGHT: f64 = 100.0;

#[derive(Default)]
pub(super) struct Hints {
    pub(super) objective: Objective,
    pub(super) slo_p95_ms: Option<Milliseconds>,
    pub(super) weight_energy: Option<f64>,
    pub(super) weight_latency: Option<f64>,
}

pub(super) fn read(annotations: &BTreeMap<String, String>, ignored: &mut Vec<Ignored>) -> Hints {
    let mut number = |what: &'static str, fits: fn(f64) -> bool| {
        let text = annotations.get(what)?;
        let number = text.trim().parse::<f64>().ok().filter(|number| fits(*number));
        if number.is_none() {
            ignored.push(Ignored::new(what, text));
        }
        number
    };
    let slo = number(SLO_P95_MS, |ms| ms > 0.0 && ms <= MAX_SLO_MS);
    let weight_energy = number(WEIGHT_ENERGY, |weight| (0.0..=MAX_WEIGHT).contains(&weight));
    let weight_latency = number(WEIGHT_LATENCY, |weight| (0.0..=MAX_WEIGHT).contains(&weight));
    let objective = annotations.get(OBJECTIVE).map_or(Some(Objective::default()), |text| objective(text));
    if objective.is_none() {
        ignored.push(Ignored::new(OBJECTIVE, annotations.get(OBJECTIVE).map_or("", String::as_str)));
    }
    Hints {
        objective: objective.unwrap_or_default(),
        slo_p95_ms: slo.and_then(Milliseconds::new),
        weight_energy,
        weight_latency,
    }
}

fn objective(text: &str) -> Option<Objective> {
    match text.trim().to_ascii_lowercase().as_str() {
        "energy" => Some(Objective::Energy),
        "latency" => Some(Objective::Latency),
        "balanced" => Some(Objective::Balanced),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_wishes_are_ignored_and_named() {
        for (what, value) in [
            (OBJECTIVE, "fast"),
            (SLO_P95_MS, "0"),
            (SLO_P95_MS, "-5"),
            (SLO_P95_MS, "NaN"),
            (SLO_P95_MS, "1e300"),
            (WEIGHT_ENERGY, "inf"),
            (WEIGHT_ENERGY, "101"),
            (WEIGHT_LATENCY, "-0.1"),
            (WEIGHT_LATENCY, ""),
        ] {
            let annotations = BTreeMap::from([(what.to_owned(), value.to_owned())]);
            let mut ignored = Vec::new();

            let hints = read(&annotations, &mut ignored);

            assert_eq!(ignored, [Ignored::new(what, value)], "{what}={value}");
            assert_eq!(hints.objective, Objective::Balanced);
            assert_eq!((hints.slo_p95_ms, hints.weight_energy, hints.weight_latency), (None, None, None));
        }
    }
}

//! From rows to an artifact: fit on the oldest windows, calibrate on the next, score on the newest.
//!
//! ```text
//! |---------- fit ----------|-- calibrate --|---- held out ----|      time ──►
//! |------------ refit with the margins ------|    scored once    |
//! ```

use std::collections::BTreeMap;

use wattle_contract::NodeName;

use crate::Error;
use crate::artifact::{Artifact, Provenance};
use crate::dataset::{Dataset, LatencyRow, PowerRow};
use crate::drift::Stability;
use crate::evaluate::{Baseline, Evaluation, evaluate};
use crate::features::{node_schema, service_schema};
use crate::latency::{LatencyModel, Quantile};
use crate::power::PowerModel;
use crate::score::{conformal_quantile, mean};

/// Share of truths that an interval is to hold.
pub const COVERAGE: f64 = 0.9;
/// Least difference of utilisation of two windows from which the error of a slope is learnt.
const LEAST_STEP: f64 = 0.02;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// Seed of everything random; the same rows, options and seed give the same bytes.
    pub seed: u64,
    /// Share of the windows, the newest, that is held out for scoring. Range: above 0, below 0.9.
    pub holdout: f64,
    /// Share of the training windows, the newest, that sets the width of intervals. Range: above 0, below 0.9.
    pub calibration: f64,
    /// Fewest windows to train on. Range: 4 and above.
    pub least_windows: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { seed: 1, holdout: 0.25, calibration: 0.25, least_windows: 8 }
    }
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// A model and its scores.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The model.
    pub artifact: Artifact,
    /// Its scores on the held-out windows, which the artifact carries too.
    pub evaluation: Evaluation,
}

const STEPS: u64 = 5;

/// Trains a model.
///
/// # Errors
/// [`Error::Option`] for an option out of range, [`Error::TooLittle`] when there is too little to learn from, and the
/// errors of the layers.
pub fn train(data: &Dataset, options: &TrainOptions, progress: &mut dyn FnMut(Progress)) -> Result<Trained, Error> {
    check(data, options)?;
    let mut step = |done: u64, step| progress(Progress { step, done, total: STEPS });
    step(0, "split by time");
    let (seen, held_out) = data.split(options.holdout);
    no_leak(&seen, &held_out)?;
    let (early, late) = seen.split(options.calibration);

    step(1, "fit power");
    let power = fit_power(&early, &late, &seen, options.seed)?;
    step(2, "fit median latency");
    let p50 = fit_latency(&early, &late, &seen, Quantile::P50, options.seed)?;
    step(3, "fit p95 latency");
    let p95 = fit_latency(&early, &late, &seen, Quantile::P95, options.seed)?;

    step(4, "score on held-out windows");
    let mut artifact = Artifact {
        provenance: provenance(&seen, data, options),
        node_schema: node_schema(),
        service_schema: service_schema(),
        node_schema_hash: node_schema().hash(),
        service_schema_hash: service_schema().hash(),
        power_unit: "watts".to_owned(),
        latency_unit: "natural logarithm of milliseconds".to_owned(),
        evaluation: Evaluation::default(),
        baseline: Baseline::fit(&seen),
        stability: Stability::fit(&seen.power.iter().map(|row| row.features.utilisation()).collect::<Vec<_>>()),
        power,
        p50,
        p95,
    };
    artifact.evaluation = evaluate(&artifact, &held_out)?;
    step(STEPS, "trained");
    Ok(Trained { evaluation: artifact.evaluation.clone(), artifact })
}

fn check(data: &Dataset, options: &TrainOptions) -> Result<(), Error> {
    for (option, value) in [("holdout", options.holdout), ("calibration", options.calibration)] {
        if !(value > 0.0 && value < 0.9) {
            return Err(Error::Option { option, value: value.to_string(), range: "above 0 and below 0.9" });
        }
    }
    if options.least_windows < 4 {
        return Err(Error::Option {
            option: "least_windows",
            value: options.least_windows.to_string(),
            range: "4 and above",
        });
    }
    if data.windows() < options.least_windows {
        return Err(Error::TooLittle {
            target: "power and latency",
            rows: data.power.len() + data.latency.len(),
            windows: data.windows(),
            least: options.least_windows,
            excluded: data.excluded.to_string(),
        });
    }
    Ok(())
}

/// Refuses rows of the future among those to learn from.
///
/// # Errors
/// [`Error::Leak`] when the newest row of `seen` ends after the oldest of `held_out` starts.
pub fn no_leak(seen: &Dataset, held_out: &Dataset) -> Result<(), Error> {
    match (seen.span(), held_out.span()) {
        (Some((_, end)), Some((start, _))) if end > start => Err(Error::Leak { train_end: end.0, test_start: start.0 }),
        _ => Ok(()),
    }
}

fn provenance(seen: &Dataset, data: &Dataset, options: &TrainOptions) -> Provenance {
    let (from, until) = seen.span().unwrap_or_default();
    Provenance {
        from,
        until,
        windows: seen.windows(),
        rows: seen.power.len() + seen.latency.len(),
        power_rows: seen.power.len(),
        latency_rows: seen.latency.len(),
        excluded: data.excluded.clone(),
        seed: options.seed,
        split: format!("by time: the newest {:.0} % of {} windows held out", 100.0 * options.holdout, data.windows()),
        program: concat!("wattle ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Least share of the error that trees must take off on later windows to be kept.
const WORTH: f64 = 0.02;

fn fit_power(early: &Dataset, late: &Dataset, seen: &Dataset, seed: u64) -> Result<Option<PowerModel>, Error> {
    if seen.power.is_empty() {
        return Ok(None);
    }
    let (early, all): (Vec<&PowerRow>, Vec<&PowerRow>) = (early.power.iter().collect(), seen.power.iter().collect());
    let late = &late.power;
    let mut trial = PowerModel::fit(&early);
    let error = |model: &PowerModel| {
        mean(late.iter().filter_map(|row| Some((row.watts - model.predict(row)?.0).abs() / row.watts))).unwrap_or(0.0)
    };
    let without = error(&trial);
    trial.grow(&early, seed)?;
    if trial.residual.is_some() && error(&trial) > (1.0 - WORTH) * without {
        trial.residual = None;
    }
    let (relative, slopes) = power_errors(&trial, late);
    let mut model = PowerModel::fit(&all);
    if trial.residual.is_some() {
        model.grow(&all, seed)?;
    }
    model.margin = conformal_quantile(relative, COVERAGE).unwrap_or(0.5);
    model.slope_margin = conformal_quantile(slopes, COVERAGE).unwrap_or(0.5);
    Ok(Some(model))
}

/// Gives relative errors of powers, and errors of differences of a node's neighbouring windows per scale and utilisation.
fn power_errors(trial: &PowerModel, late: &[PowerRow]) -> (Vec<f64>, Vec<f64>) {
    let (mut relative, mut slopes) = (Vec::new(), Vec::new());
    let mut last: BTreeMap<&NodeName, (&PowerRow, f64)> = BTreeMap::new();
    for row in late {
        let (Some((watts, _)), Some((curve, _))) = (trial.predict(row), trial.curve(&row.node, &row.machine)) else {
            continue;
        };
        relative.push((row.watts - watts).abs() / watts.max(1e-6));
        if let Some((before, guess)) = last.insert(&row.node, (row, watts)) {
            let step = (row.features.utilisation() - before.features.utilisation()).abs();
            if step >= LEAST_STEP {
                slopes.push(((row.watts - before.watts) - (watts - guess)).abs() / (curve.scale * step));
            }
        }
    }
    (relative, slopes)
}

fn fit_latency(
    early: &Dataset,
    late: &Dataset,
    seen: &Dataset,
    quantile: Quantile,
    seed: u64,
) -> Result<Option<LatencyModel>, Error> {
    let (early, seen): (Vec<&LatencyRow>, Vec<&LatencyRow>) =
        (early.latency.iter().collect(), seen.latency.iter().collect());
    let late = &late.latency;
    let Some(mut model) = LatencyModel::fit(&seen, quantile) else { return Ok(None) };
    let mut errors = Vec::new();
    if let Some(mut trial) = LatencyModel::fit(&early, quantile) {
        let on_late = |model: &LatencyModel| -> Vec<f64> {
            let ln_ms = |row: &LatencyRow| model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate);
            late.iter().filter_map(|row| Some((quantile.of(row)?.mid - ln_ms(row)).abs())).collect()
        };
        errors = on_late(&trial);
        trial.grow(&early, quantile, seed)?;
        let with_trees = on_late(&trial);
        let worth = mean(with_trees.iter().copied()) < mean(errors.iter().map(|error| (1.0 - WORTH) * error));
        if trial.residual.is_some() && worth {
            errors = with_trees;
            model.grow(&seen, quantile, seed)?;
        }
    }
    model.margin = conformal_quantile(errors, COVERAGE).unwrap_or(1.0);
    Ok(Some(model))
}

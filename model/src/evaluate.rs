//! How good a model is on rows it has not seen, beside a baseline that costs nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wattle_contract::{NodeName, ServiceName};

use crate::artifact::Artifact;
use crate::dataset::{Dataset, LatencyRow, PowerRow};
use crate::latency::Quantile;
use crate::{Error, score};

/// What the power of [`Baseline`] is, in words.
pub const POWER_BASELINE: &str = "each node's mean power over the training rows";
/// What the latency of [`Baseline`] is, in words.
pub const LATENCY_BASELINE: &str = "each service's median p95 over the training rows";

/// Scores on held-out rows. Errors are `None` where there was nothing to score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Rows it was trained on, power and latency together.
    pub rows: usize,
    /// Rows that were scored.
    pub rows_held_out: usize,
    /// Mean absolute percentage error of power. Units: percent.
    pub power_mape: Option<f64>,
    /// The same of the baseline.
    pub power_mape_baseline: Option<f64>,
    /// What the baseline is.
    pub power_baseline: String,
    /// Mean absolute error of power. Units: watts.
    pub power_mae_watts: Option<f64>,
    /// Share of measured powers inside their 90 % interval. Units: percent.
    pub power_coverage: Option<f64>,
    /// Mean absolute percentage error of p95 against its interpolated value. Units: percent.
    pub latency_mape: Option<f64>,
    /// The same of the baseline.
    pub latency_mape_baseline: Option<f64>,
    /// What the baseline is.
    pub latency_baseline: String,
    /// Mean absolute error of p95. Units: milliseconds.
    pub latency_mae_ms: Option<f64>,
    /// Share of measured p95 inside their 90 % interval. Units: percent.
    pub latency_coverage: Option<f64>,
    /// Share of predictions of p95 inside the bucket that was measured. Units: percent.
    pub latency_in_bracket: Option<f64>,
}

impl Evaluation {
    /// Tells whether a target is predicted no better than its baseline, naming it.
    #[must_use]
    pub fn worse_than_baseline(&self) -> Option<&'static str> {
        let worse = |model: Option<f64>, baseline: Option<f64>| model.zip(baseline).is_some_and(|(m, b)| m > b);
        if worse(self.power_mape, self.power_mape_baseline) {
            Some("power")
        } else if worse(self.latency_mape, self.latency_mape_baseline) {
            Some("latency")
        } else {
            None
        }
    }
}

/// What a guess without a model would be, learnt from the training rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Mean watts of each node.
    pub node_watts: BTreeMap<NodeName, f64>,
    /// Mean watts of all rows; `None` without rows.
    pub watts: Option<f64>,
    /// Median p95 of each service, milliseconds.
    pub service_ms: BTreeMap<ServiceName, f64>,
    /// Median p95 of all rows; `None` without rows.
    pub ms: Option<f64>,
}

impl Baseline {
    /// Learns it.
    #[must_use]
    pub fn fit(data: &Dataset) -> Self {
        let mut by_node: BTreeMap<&NodeName, Vec<f64>> = BTreeMap::new();
        for row in &data.power {
            by_node.entry(&row.node).or_default().push(row.watts);
        }
        let mut by_service: BTreeMap<&ServiceName, Vec<f64>> = BTreeMap::new();
        for row in &data.latency {
            if let Some(p95) = row.p95 {
                by_service.entry(&row.service).or_default().push(p95.mid.exp());
            }
        }
        let all = by_service.values().flatten().copied().collect();
        Self {
            watts: score::mean(data.power.iter().map(|row| row.watts)),
            ms: score::quantile(all, 0.5),
            node_watts: by_node.into_iter().filter_map(|(node, w)| Some((node.clone(), score::mean(w)?))).collect(),
            service_ms: by_service
                .into_iter()
                .filter_map(|(s, ms)| Some((s.clone(), score::quantile(ms, 0.5)?)))
                .collect(),
        }
    }
}

/// Scores a model on data; rows that it has no prediction for are not scored.
///
/// # Errors
/// [`Error::Schema`] when the artifact was trained on other features.
pub fn evaluate(artifact: &Artifact, data: &Dataset) -> Result<Evaluation, Error> {
    artifact.check()?;
    let mut evaluation = Evaluation {
        rows: artifact.provenance.rows,
        power_baseline: POWER_BASELINE.to_owned(),
        latency_baseline: LATENCY_BASELINE.to_owned(),
        ..Evaluation::default()
    };
    power(artifact, &data.power, &mut evaluation);
    latency(artifact, &data.latency, &mut evaluation);
    Ok(evaluation)
}

/// Gives the share of true claims in percent; `None` without claims.
pub(crate) fn share(claims: &[bool]) -> Option<f64> {
    score::mean(claims.iter().map(|claim| if *claim { 100.0 } else { 0.0 }))
}

fn power(artifact: &Artifact, rows: &[PowerRow], evaluation: &mut Evaluation) {
    let Some(model) = &artifact.power else { return };
    let (mut ours, mut theirs, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let baseline = artifact.baseline.node_watts.get(&row.node).copied().or(artifact.baseline.watts);
        let (Some((watts, layer)), Some(baseline)) = (model.predict(row), baseline) else { continue };
        ours.push((row.watts, watts));
        theirs.push((row.watts, baseline));
        inside.push((row.watts - watts).abs() <= watts * model.margin_of(layer, &row.machine));
    }
    evaluation.rows_held_out += ours.len();
    evaluation.power_mape = score::mape(&ours);
    evaluation.power_mape_baseline = score::mape(&theirs);
    evaluation.power_mae_watts = score::mae(&ours);
    evaluation.power_coverage = share(&inside);
}

fn latency(artifact: &Artifact, rows: &[LatencyRow], evaluation: &mut Evaluation) {
    let Some(model) = &artifact.p95 else { return };
    let (mut ours, mut theirs, mut inside, mut bracketed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let baseline = artifact.baseline.service_ms.get(&row.service).copied().or(artifact.baseline.ms);
        let (Some(bracket), Some(baseline)) = (Quantile::P95.of(row), baseline) else { continue };
        let ln_ms = model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate);
        ours.push((bracket.mid.exp(), ln_ms.exp()));
        theirs.push((bracket.mid.exp(), baseline));
        inside.push((bracket.mid - ln_ms).abs() <= model.margin);
        bracketed.push(bracket.low <= ln_ms && ln_ms <= bracket.high);
    }
    evaluation.rows_held_out += ours.len();
    evaluation.latency_mape = score::mape(&ours);
    evaluation.latency_mape_baseline = score::mape(&theirs);
    evaluation.latency_mae_ms = score::mae(&ours);
    evaluation.latency_coverage = share(&inside);
    evaluation.latency_in_bracket = share(&bracketed);
}

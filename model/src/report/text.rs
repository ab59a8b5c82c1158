//! A model and its scores as text.

use std::fmt::Write;

use crate::artifact::Artifact;
use crate::evaluate::Evaluation;
use crate::features::FeatureSchema;
use crate::latency::LatencyModel;
use crate::named::TaskScore;

/// Tells where a model comes from, in a sentence.
pub(super) fn origin(artifact: &Artifact) -> String {
    let provenance = &artifact.provenance;
    let hours = (provenance.until.0.saturating_sub(provenance.from.0)) as f64 / 3_600_000.0;
    let nodes = artifact.power.as_ref().map_or(0, |power| power.nodes.len());
    let services = artifact.p95.as_ref().map_or(0, |p95| p95.services.len());
    format!(
        "{} learnt {nodes} nodes and {services} services from {} windows over {hours:.1} hours; {}.",
        provenance.program, provenance.windows, provenance.excluded
    )
}

/// Lays scores out as a table, each beside its baseline.
#[must_use]
pub fn table(evaluation: &Evaluation) -> String {
    let cell =
        |value: Option<f64>, unit: &str| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} {unit}"));
    let mut text = format!(
        "{:12} {:>11} {:>11} {:>12} {:>10} {:>11}\n",
        "TARGET", "MAPE", "BASELINE", "MAE", "INSIDE 90%", "IN BUCKET"
    );
    let mut row = |name: &str, figures: [Option<f64>; 5], unit: &str| {
        let [ours, baseline, mae, inside, bucket] = figures;
        let _ = writeln!(
            text,
            "{name:12} {:>11} {:>11} {:>12} {:>10} {:>11}",
            cell(ours, "%"),
            cell(baseline, "%"),
            cell(mae, unit),
            cell(inside, "%"),
            cell(bucket, "%")
        );
    };
    let e = evaluation;
    row("power", [e.power_mape, e.power_mape_baseline, e.power_mae_watts, e.power_coverage, None], "W");
    row(
        "p95",
        [e.latency_mape, e.latency_mape_baseline, e.latency_mae_ms, e.latency_coverage, e.latency_in_bracket],
        "ms",
    );
    let _ = writeln!(text, "{} rows scored, {} learnt from", e.rows_held_out, e.rows);
    let _ = writeln!(text, "baselines: {}; {}", e.power_baseline, e.latency_baseline);
    text
}

/// Tells what is in a model: layers, features with units and ranges, scores and provenance.
#[must_use]
pub fn show(artifact: &Artifact) -> String {
    let mut text = String::new();
    let provenance = &artifact.provenance;
    let _ = writeln!(
        text,
        "trained by    {} on {} windows, {} to {} ms since 1970",
        provenance.program, provenance.windows, provenance.from.0, provenance.until.0
    );
    let _ = writeln!(
        text,
        "rows          {} of power, {} of latency; {}",
        provenance.power_rows, provenance.latency_rows, provenance.excluded
    );
    let _ = writeln!(text, "split         {}, seed {}", provenance.split, provenance.seed);
    scores(artifact, &mut text);
    if let Some(power) = &artifact.power {
        let trees = power.residual.as_ref().map_or(0, |residual| residual.trees().trees.len());
        let _ = writeln!(
            text,
            "power         {} nodes, {} classes, {trees} trees; interval +-{:.1} %",
            power.nodes.len(),
            power.classes.len(),
            100.0 * power.margin
        );
        for (node, curve) in power.nodes.iter().take(20) {
            let _ = writeln!(
                text,
                "  {node}: {:.1} W at rest, {:.1} W at half load, {:.1} W at full load; {} rows, utilisation {:.0} to {:.0} %",
                curve.watts(0.0),
                curve.watts(0.5),
                curve.watts(1.0),
                curve.rows,
                100.0 * curve.seen.0,
                100.0 * curve.seen.1
            );
        }
    }
    latency("p50", artifact.p50.as_ref(), &mut text);
    latency("p95", artifact.p95.as_ref(), &mut text);
    features("node", &artifact.node_schema, &artifact.node_schema_hash, &mut text);
    features("service", &artifact.service_schema, &artifact.service_schema_hash, &mut text);
    text
}

fn scores(artifact: &Artifact, text: &mut String) {
    let evaluation = &artifact.evaluation;
    let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} %"));
    for (name, ours, baseline, inside, what) in [
        (
            "power",
            evaluation.power_mape,
            evaluation.power_mape_baseline,
            evaluation.power_coverage,
            &evaluation.power_baseline,
        ),
        (
            "p95",
            evaluation.latency_mape,
            evaluation.latency_mape_baseline,
            evaluation.latency_coverage,
            &evaluation.latency_baseline,
        ),
    ] {
        let _ = writeln!(
            text,
            "{name:13} error {} against {} ({what}); {} inside the 90 % interval",
            cell(ours),
            cell(baseline),
            cell(inside)
        );
    }
}

fn latency(name: &str, model: Option<&LatencyModel>, text: &mut String) {
    let Some(model) = model else { return };
    let trees = model.residual.as_ref().map_or(0, |residual| residual.trees().trees.len());
    let [node, core, slowness, rate] = model.terms;
    let _ = writeln!(
        text,
        "{name:13} {} services, {} nodes, {trees} trees, {} rows; node queue {node:.2}, core queue {core:.2}, slowness {slowness:.2}, rate {rate:.3}; interval x{:.2}",
        model.services.len(),
        model.nodes.len(),
        model.rows,
        model.margin.exp()
    );
}

fn features(name: &str, schema: &FeatureSchema, hash: &str, text: &mut String) {
    let _ = writeln!(text, "{name} features (schema {})", hash.get(..12).unwrap_or(hash));
    for feature in &schema.features {
        let _ = writeln!(text, "  {:20} {:6} {} to {}", feature.name, feature.unit, feature.low, feature.high);
    }
}

/// Writes the model card: scores on published data as a Markdown page.
#[must_use]
pub fn card(scores: &[TaskScore]) -> String {
    let mut text = String::from(
        "# Model card\n\nGenerated by `cargo run --release -p wattle-model --example bench -- card DIRECTORY`; not edited by hand.\n\n\
         **What it predicts.** The power of a node (watts) and the 95th percentile latency of a service on it (milliseconds) for a\n\
         placement that has not happened, each with a 90 % interval.\n\n\
         **What it must not be used for.** Billing, or machines that neither a meter nor a data sheet describes: those have no\n\
         prediction. Intervals hold for load like that of the training span; where the scheduler sees it\n\
         drift it falls back to physics and the linear layer.\n\n\
         **How it was tested.** Published data sets with fixed splits. The column *inner* is cross-validation inside the training\n\
         rows. Test scores were in view while recipes were chosen, so read them as optimistic; docs/model.md says where.\n\
         MAPE in percent, MAE in the target's unit;\n\
         *constant* is the median of the training rows, *inside* the share of test rows in their 90 % interval.\n\n\
         | data set | split | target | train / test rows | MAPE | MAE | R2 | inside | inner MAPE | constant MAPE / MAE |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let cell =
        |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
    for score in scores {
        let TaskScore { dataset, split, target, rows, rows_test, .. } = score;
        let _ = writeln!(
            text,
            "| {dataset} | {split} | {target} | {rows} / {rows_test} | {} | {} | {} | {} | {} | {} / {} |",
            cell(score.mape, 2),
            cell(score.mae, 2),
            cell(score.r2, 3),
            cell(score.coverage, 1),
            cell(score.mape_inner, 2),
            cell(score.mape_constant, 1),
            cell(score.mae_constant, 1)
        );
    }
    text
}

//! A model as one page to look at, and as text.
//!
//! [`html`] is one self-contained file: no script, no font, no address is loaded. Every figure on it comes from the rows
//! that it is given; give it held-out rows.

mod svg;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write;

use wattle_contract::NodeName;

use crate::Error;
use crate::artifact::Artifact;
use crate::dataset::{Dataset, PowerRow};
use crate::evaluate::{Evaluation, evaluate, share};
use crate::score::{mape, mean, quantile};
use crate::train::{TrainOptions, train};
use svg::{Axis, Chart};

pub use text::{card, show};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;\
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem 1rem .5rem 0}\
figcaption{font-size:.85rem;color:#555;max-width:28rem}svg text{font:11px system-ui,sans-serif;fill:#555}pre{background:#f6f6f6;padding:1rem;overflow:auto}";

/// Draws a model on rows that it has not learnt from; `history` is everything there was, for the learning curve.
///
/// # Errors
/// [`Error::Schema`] when the artifact does not fit this program.
pub fn html(artifact: &Artifact, held_out: &Dataset, history: &Dataset) -> Result<String, Error> {
    let evaluation = evaluate(artifact, held_out)?;
    let mut page =
        String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>wattle model</title><style>");
    page.push_str(STYLE);
    page.push_str("</style><h1>Model of watts and latency</h1>");
    page.push_str(&scores(&evaluation));
    let power: Vec<(&PowerRow, f64)> = match &artifact.power {
        Some(model) => held_out.power.iter().filter_map(|row| Some((row, model.predict(row)?.0))).collect(),
        None => Vec::new(),
    };
    let latency: Vec<(f64, f64)> = match &artifact.p95 {
        Some(model) => {
            let guess = |row: &crate::dataset::LatencyRow| {
                model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate).exp()
            };
            held_out.latency.iter().filter_map(|row| Some((row.p95?.mid.exp(), guess(row)))).collect()
        }
        None => Vec::new(),
    };
    page.push_str("<h2>Predicted against measured</h2>");
    let pairs: Vec<(f64, f64)> = power.iter().map(|(row, guess)| (row.watts, *guess)).collect();
    page.push_str(&agreement("power, watts", &pairs));
    page.push_str(&agreement("p95, milliseconds", &latency));
    page.push_str("<h2>Where it errs, and how sure it is</h2>");
    page.push_str(&residuals(&power));
    page.push_str(&coverage(artifact, &power, &latency));
    page.push_str("<h2>What it has learnt</h2>");
    page.push_str(&effects(artifact));
    page.push_str(&learning(history));
    let _ = write!(page, "<h2>Provenance</h2><pre>{}</pre></html>", escape(&show(artifact)));
    Ok(page)
}

/// Makes text safe inside HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn scores(evaluation: &Evaluation) -> String {
    let cell =
        |value: Option<f64>, unit: &str| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2} {unit}"));
    let row = |name: &str, ours: String, baseline: String, inside: String| {
        format!("<tr><td>{name}<td>{ours}<td>{baseline}<td>{inside}")
    };
    format!(
        "<table><tr><th>target<th>error (MAPE)<th>baseline<th>inside 90 % interval{}{}</table><p>{} rows scored. Baselines: {}; {}.</p>",
        row(
            "power",
            cell(evaluation.power_mape, "%"),
            cell(evaluation.power_mape_baseline, "%"),
            cell(evaluation.power_coverage, "%")
        ),
        row(
            "p95 latency",
            cell(evaluation.latency_mape, "%"),
            cell(evaluation.latency_mape_baseline, "%"),
            cell(evaluation.latency_coverage, "%")
        ),
        evaluation.rows_held_out,
        escape(&evaluation.power_baseline),
        escape(&evaluation.latency_baseline),
    )
}

fn agreement(what: &str, pairs: &[(f64, f64)]) -> String {
    let Some(axis) = Axis::over(pairs.iter().flat_map(|(a, b)| [*a, *b])) else {
        return format!("<p>No rows of {what}.</p>");
    };
    let mut chart = Chart::new(axis, axis, &format!("measured {what}"), "predicted");
    chart.line(&[(axis.low, axis.low), (axis.high, axis.high)], "#bbb");
    chart.dots(pairs, "#2a6f97");
    chart.figure(&format!("{} held-out rows; on the line the prediction is right.", pairs.len()))
}

fn residuals(power: &[(&PowerRow, f64)]) -> String {
    let mut by_node: BTreeMap<&NodeName, Vec<f64>> = BTreeMap::new();
    for (row, guess) in power {
        by_node.entry(&row.node).or_default().push(row.watts - guess);
    }
    let Some(axis) = Axis::over(by_node.values().flatten().copied().chain([0.0])) else { return String::new() };
    let places = Axis { low: -0.5, high: by_node.len() as f64 - 0.5 };
    let mut chart = Chart::new(places, axis, "node, in the order of names", "measured less predicted, watts");
    chart.line(&[(places.low, 0.0), (places.high, 0.0)], "#bbb");
    for (at, errors) in by_node.values().enumerate() {
        let at = at as f64;
        let level = |q: f64| quantile(errors.clone(), q).unwrap_or(0.0);
        chart.line(&[(at, level(0.05)), (at, level(0.95))], "#89c2d9");
        chart.dots(&[(at, level(0.5))], "#013a63");
    }
    let worst = by_node.iter().filter_map(|(node, errors)| Some((mean(errors.iter().map(|error| error.abs()))?, node)));
    let worst = worst
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(error, node)| format!(" Worst: {node}, {error:.1} W."));
    chart.figure(&format!("Median and 5th to 95th percentile of each node's residuals.{}", escape(&worst)))
}

fn coverage(artifact: &Artifact, power: &[(&PowerRow, f64)], latency: &[(f64, f64)]) -> String {
    let unit = Axis { low: 0.0, high: 100.0 };
    let mut chart = Chart::new(unit, unit, "promised share, percent", "held-out rows inside, percent");
    chart.line(&[(0.0, 0.0), (100.0, 100.0)], "#bbb");
    // Widths for other shares than 90 % follow from the half-width as those of a normal error would.
    let levels = [(50.0, 0.41), (68.0, 0.605), (80.0, 0.779), (90.0, 1.0), (95.0, 1.192), (99.0, 1.566)];
    let mut curve = |margin: Option<f64>, errors: &[f64], colour: &str| {
        let Some(margin) = margin.filter(|_| !errors.is_empty()) else { return };
        let inside = |factor: f64| {
            share(&errors.iter().map(|error| *error <= factor * margin).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let points: Vec<(f64, f64)> = levels.iter().map(|(level, factor)| (*level, inside(*factor))).collect();
        chart.line(&points, colour);
        chart.dots(&points, colour);
    };
    let errors: Vec<f64> = power.iter().map(|(row, guess)| (row.watts - guess).abs() / guess.max(1e-6)).collect();
    curve(artifact.power.as_ref().map(|model| model.margin), &errors, "#2a6f97");
    let errors: Vec<f64> = latency.iter().map(|(truth, guess)| (truth.ln() - guess.ln()).abs()).collect();
    curve(artifact.p95.as_ref().map(|model| model.margin), &errors, "#bc6c25");
    chart.figure("Coverage of intervals: power blue, p95 brown. Above the line intervals are wider than promised.")
}

fn effects(artifact: &Artifact) -> String {
    let Some(model) = &artifact.power else { return String::new() };
    let steps: Vec<f64> = (0..=50).map(|step| f64::from(step) / 50.0).collect();
    let curves: Vec<Vec<(f64, f64)>> = model
        .nodes
        .values()
        .take(40)
        .map(|curve| steps.iter().map(|u| (100.0 * u, curve.watts(*u))).collect())
        .collect();
    let Some(axis) = Axis::over(curves.iter().flatten().map(|point| point.1)) else { return String::new() };
    let mut chart = Chart::new(Axis { low: 0.0, high: 100.0 }, axis, "utilisation, percent", "watts");
    for curve in &curves {
        chart.line(curve, "#2a6f97");
    }
    chart.figure(&format!(
        "Power against utilisation, a line a node ({} of {}). None can fall.",
        curves.len(),
        model.nodes.len()
    ))
}

/// Trains on growing shares of the rows and scores each on the newest quarter.
fn learning(history: &Dataset) -> String {
    let options = TrainOptions::default();
    let (seen, newest) = history.split(options.holdout);
    let mut points = Vec::new();
    for share in [0.25, 0.5, 0.75, 1.0] {
        let part = if share < 1.0 { seen.split(1.0 - share).0 } else { seen.clone() };
        let Ok(trained) = train(&part, &options, &mut |_| ()) else { continue };
        let Some(model) = &trained.artifact.power else { continue };
        let pairs: Vec<(f64, f64)> =
            newest.power.iter().filter_map(|row| Some((row.watts, model.predict(row)?.0))).collect();
        if let Some(error) = mape(&pairs) {
            points.push((part.windows() as f64, error));
        }
    }
    let (Some(x), Some(y)) =
        (Axis::over(points.iter().map(|p| p.0)), Axis::over(points.iter().map(|p| p.1).chain([0.0])))
    else {
        return String::new();
    };
    let mut chart = Chart::new(x, y, "windows learnt from", "error of power on the newest quarter, percent");
    chart.line(&points, "#2a6f97");
    chart.dots(&points, "#2a6f97");
    chart.figure("Learning curve: where it is flat, more of the same data does not help.")
}

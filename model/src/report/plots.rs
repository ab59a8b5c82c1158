//! The plots of the page, each a figure with its title and caption.

use std::collections::BTreeMap;

use wattle_contract::NodeName;

use super::svg::{Axis, Chart, Ink};
use super::{Predicted, escape};
use crate::artifact::Artifact;
use crate::dataset::Dataset;
use crate::evaluate::{evaluate, share};
use crate::features::{NodeFeatures, node_schema};
use crate::prior::queueing;
use crate::score::{mean, quantile};
use crate::train::{TrainOptions, train};

/// Lines or boxes a plot: beyond that nobody tells them apart.
const MOST: usize = 40;

/// Says that there is nothing to draw.
fn nothing(title: &str, why: &str) -> String {
    format!("<figure><h3>{title}</h3><figcaption>{why}</figcaption></figure>")
}

pub(super) fn power(predicted: &Predicted<'_>) -> String {
    let pairs: Vec<(f64, f64)> = predicted.power.iter().map(|(row, guess)| (row.watts, *guess)).collect();
    let Some(axis) = Axis::over(pairs.iter().flat_map(|(a, b)| [*a, *b])) else {
        return nothing("Power of nodes", "No held-out row has a meter.");
    };
    let mut chart = Chart::new(axis, axis, "measured, watts", "predicted, watts");
    agreement(&mut chart, axis, &pairs, Ink::Power);
    chart.figure(
        "Power of nodes",
        &format!("{} held-out rows. On the dashed line the prediction is right.", pairs.len()),
    )
}

pub(super) fn latency(predicted: &Predicted<'_>) -> String {
    let pairs: Vec<(f64, f64)> = predicted.latency.iter().map(|(_, truth, guess)| (*truth, *guess)).collect();
    let Some(axis) = Axis::logarithmic(pairs.iter().flat_map(|(a, b)| [*a, *b])) else {
        return nothing("95th percentile of services", "No held-out row has a latency.");
    };
    let mut chart = Chart::new(axis, axis, "measured, milliseconds", "predicted, milliseconds");
    agreement(&mut chart, axis, &pairs, Ink::Latency);
    chart.figure(
        "95th percentile of services",
        &format!(
            "{} held-out rows, both axes logarithmic. Columns of dots are the buckets of the histograms.",
            pairs.len()
        ),
    )
}

fn agreement(chart: &mut Chart, axis: Axis, pairs: &[(f64, f64)], ink: Ink) {
    let (low, high) = axis.ends();
    chart.dots(pairs, ink);
    chart.line(&[(low, low), (high, high)], Ink::Guide);
}

pub(super) fn residuals(predicted: &Predicted<'_>) -> String {
    let title = "Residuals by node";
    let mut by_node: BTreeMap<&NodeName, Vec<f64>> = BTreeMap::new();
    for (row, guess) in &predicted.power {
        by_node.entry(&row.node).or_default().push(100.0 * (row.watts - guess) / guess.max(1e-6));
    }
    let size = |errors: &[f64]| mean(errors.iter().map(|error| error.abs())).unwrap_or(0.0);
    let mut worst_first: Vec<(&NodeName, Vec<f64>)> = by_node.into_iter().collect();
    worst_first.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)).then(a.0.cmp(b.0)));
    let count = worst_first.len();
    worst_first.truncate(MOST);
    let level = |errors: &Vec<f64>, q: f64| quantile(errors.clone(), q).unwrap_or(0.0);
    let ends = worst_first.iter().flat_map(|(_, errors)| [level(errors, 0.05), level(errors, 0.95)]);
    let Some(axis) = Axis::over(ends.chain([0.0])) else { return nothing(title, "No held-out row has a meter.") };
    let names: Vec<String> = worst_first.iter().map(|(node, _)| node.to_string()).collect();
    let mut chart = Chart::of_names(&names, axis, "measured less predicted, percent");
    chart.line(&[(-0.5, 0.0), (names.len() as f64 - 0.5, 0.0)], Ink::Guide);
    for (at, (_, errors)) in worst_first.iter().enumerate() {
        let five = [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| level(errors, q));
        chart.spread(at as f64, five, Ink::Power, 0.3);
    }
    let worst = worst_first
        .first()
        .map_or_else(String::new, |(node, errors)| format!(" {node} is worst: {:.1} % off.", size(errors)));
    chart.figure(
        title,
        &format!("Median, quartiles and 5th to 95th percentile, worst of {count} nodes first.{}", escape(&worst)),
    )
}

pub(super) fn coverage(artifact: &Artifact, predicted: &Predicted<'_>) -> String {
    let unit = Axis::new(0.0, 100.0);
    let mut chart = Chart::new(unit, unit, "promised share, percent", "held-out rows inside, percent");
    chart.line(&[(0.0, 0.0), (100.0, 100.0)], Ink::Guide);
    // Widths for other shares than 90 % follow from the half-width as those of a normal error would.
    let levels = [(50.0, 0.41), (68.0, 0.605), (80.0, 0.779), (90.0, 1.0), (95.0, 1.192), (99.0, 1.566)];
    let mut curve = |margin: Option<f64>, errors: &[f64], ink: Ink| {
        let Some(margin) = margin.filter(|_| !errors.is_empty()) else { return };
        let inside = |factor: f64| {
            share(&errors.iter().map(|error| *error <= factor * margin).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let points: Vec<(f64, f64)> = levels.iter().map(|(level, factor)| (*level, inside(*factor))).collect();
        chart.line(&points, ink);
        chart.dots(&points, ink);
    };
    let errors: Vec<f64> =
        predicted.power.iter().map(|(row, guess)| (row.watts - guess).abs() / guess.max(1e-6)).collect();
    curve(artifact.power.as_ref().map(|model| model.margin), &errors, Ink::Power);
    let errors: Vec<f64> = predicted.latency.iter().map(|(_, truth, guess)| (truth.ln() - guess.ln()).abs()).collect();
    curve(artifact.p95.as_ref().map(|model| model.margin), &errors, Ink::Latency);
    chart.figure(
        "Coverage of intervals",
        "Green: power, orange: p95. Above the dashed line intervals are wider than promised, below it they are too narrow. \
         Only 90 % is calibrated; the other shares assume errors of normal shape.",
    )
}

pub(super) fn curves(artifact: &Artifact, held_out: &Dataset) -> String {
    let title = "Power against utilisation";
    let Some(model) = &artifact.power else { return nothing(title, "No node had a meter.") };
    let steps: Vec<f64> = (0..=50).map(|step| f64::from(step) / 50.0).collect();
    let nodes = model.nodes.values().take(MOST);
    let curves: Vec<(&crate::power::Curve, Vec<(f64, f64)>)> =
        nodes.map(|curve| (curve, steps.iter().map(|u| (100.0 * u, curve.watts(*u))).collect())).collect();
    let seen = held_out.power.iter().map(|row| row.watts);
    let Some(axis) = Axis::over(curves.iter().flat_map(|(_, c)| c).map(|point| point.1).chain(seen).chain([0.0]))
    else {
        return nothing(title, "No node was learnt.");
    };
    let mut chart = Chart::new(Axis::new(0.0, 100.0), axis, "utilisation, percent", "watts");
    for (curve, points) in &curves {
        chart.line(points, Ink::Faint);
        let known = |point: &&(f64, f64)| (100.0 * curve.seen.0..=100.0 * curve.seen.1).contains(&point.0);
        chart.line(&points.iter().filter(known).copied().collect::<Vec<_>>(), Ink::Power);
    }
    chart.figure(
        title,
        &format!(
            "A line a node ({} of {}), dark where it was seen, pale where physics goes on. None can fall.",
            curves.len(),
            model.nodes.len()
        ),
    )
}

pub(super) fn queues(artifact: &Artifact, held_out: &Dataset) -> String {
    let title = "Latency against utilisation";
    let Some(model) = &artifact.p95 else { return nothing(title, "No service had a latency.") };
    let Some(cores) = held_out.latency.iter().map(|row| row.features.capacity_cores()).reduce(f64::max) else {
        return nothing(title, "No held-out row has a latency.");
    };
    let factor = |u: f64| {
        let queue = |u: f64| model.terms[0] * queueing(u, cores) + model.terms[1] * queueing(u, 1.0);
        (queue(u) - queue(0.0)).exp()
    };
    let points: Vec<(f64, f64)> = (0..=47).map(|step| f64::from(step) / 50.0).map(|u| (100.0 * u, factor(u))).collect();
    let Some(axis) = Axis::over(points.iter().map(|point| point.1).chain([0.0])) else {
        return nothing(title, "Nothing was learnt.");
    };
    let mut chart = Chart::new(Axis::new(0.0, 100.0), axis, "utilisation, percent", "times the p95 of an idle node");
    chart.line(&points, Ink::Latency);
    let used: Vec<f64> = held_out.latency.iter().map(|row| row.features.utilisation()).collect();
    let marks: Vec<(f64, f64)> =
        [0.05, 0.5, 0.95].iter().filter_map(|q| quantile(used.clone(), *q)).map(|u| (100.0 * u, factor(u))).collect();
    chart.dots(&marks, Ink::Latency);
    chart.figure(
        title,
        "What waiting does to a service on the largest node, without trees. Dots: 5, 50 and 95 % of the held-out rows.",
    )
}

/// Draws how much the trees move a prediction by each feature.
pub(super) fn parts(artifact: &Artifact, held_out: &Dataset) -> String {
    let title = "What the trees look at";
    let power = artifact.power.as_ref().and_then(|model| model.residual.as_ref());
    let p95 = artifact.p95.as_ref().and_then(|model| model.residual.as_ref());
    if power.is_none() && p95.is_none() {
        return nothing(title, "No trees were kept: physics and the linear layer did as well on later windows.");
    }
    let names: Vec<String> = node_schema().features.into_iter().map(|feature| feature.name).collect();
    let effect = |trees: &crate::residual::Residual, rows: &[&NodeFeatures]| -> Vec<f64> {
        let every = rows.len().div_ceil(500).max(1);
        let parts: Vec<Vec<f64>> =
            rows.iter().step_by(every).map(|row| trees.trees().explain(row.values()).1).collect();
        (0..names.len()).map(|at| 100.0 * mean(parts.iter().map(|part| part[at].abs())).unwrap_or(0.0)).collect()
    };
    let rows: Vec<&NodeFeatures> = held_out.power.iter().map(|row| &row.features).collect();
    let of_power = power.map_or_else(|| vec![0.0; names.len()], |trees| effect(trees, &rows));
    let rows: Vec<&NodeFeatures> = held_out.latency.iter().map(|row| &row.features).collect();
    let of_p95 = p95.map_or_else(|| vec![0.0; names.len()], |trees| effect(trees, &rows));
    let Some(axis) = Axis::over(of_power.iter().chain(&of_p95).copied().chain([0.0])) else {
        return nothing(title, "Nothing moved.");
    };
    let word = |name: &String| {
        let name = name.split("_per_").next().unwrap_or_default();
        name.trim_start_matches("relative_").trim_start_matches("cpu_").trim_end_matches("_share").to_owned()
    };
    let short: Vec<String> = names.iter().map(word).collect();
    let mut chart = Chart::of_names(&short, axis, "mean change, percent");
    for at in 0..names.len() {
        chart.bar(at as f64 - 0.18, of_power[at], Ink::Power);
        chart.bar(at as f64 + 0.18, of_p95[at], Ink::Latency);
    }
    chart.figure(title, "Mean size of what trees add by each feature, before trust. Green: power, in percent of the node's span. Orange: p95.")
}

/// Trains on growing shares of the rows and scores each on the newest quarter.
pub(super) fn learning(history: &Dataset) -> String {
    let title = "Learning curve";
    let options = TrainOptions::default();
    let (seen, newest) = history.split(options.holdout);
    let (mut power, mut latency) = (Vec::new(), Vec::new());
    for share in [0.25, 0.5, 0.75, 1.0] {
        let part = if share < 1.0 { seen.split(1.0 - share).0 } else { seen.clone() };
        let Ok(trained) = train(&part, &options, &mut |_| ()) else { continue };
        let Ok(scores) = evaluate(&trained.artifact, &newest) else { continue };
        let windows = part.windows() as f64;
        power.extend(scores.power_mape.map(|error| (windows, error)));
        latency.extend(scores.latency_mape.map(|error| (windows, error)));
    }
    let both = || power.iter().chain(&latency).copied();
    let axes = Axis::over(both().map(|p| p.0).chain([0.0])).zip(Axis::over(both().map(|p| p.1).chain([0.0])));
    let Some((x, y)) = axes.filter(|_| both().next().is_some()) else {
        return nothing(title, "Too few windows to learn from a part of them.");
    };
    let mut chart = Chart::new(x, y, "windows learnt from", "error, percent");
    for (points, ink) in [(&power, Ink::Power), (&latency, Ink::Latency)] {
        chart.line(points, ink);
        chart.dots(points, ink);
    }
    chart.figure(
        title,
        "Error on the newest quarter; green: power, orange: p95. Where it is flat, more of the same data does not help.",
    )
}

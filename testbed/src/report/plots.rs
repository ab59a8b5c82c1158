//! The plots of the page.

use std::fmt::Write as _;

use super::Section;
use super::svg::{Axis, Curves, Rows};
use crate::ablation::{Ablation, MOST_WORSE, Verdict};
use crate::outcome::Outcome;
use crate::study::Outcomes;
use crate::table::differences;

/// Nodes whose use is drawn at most: beyond that the fields cannot be read.
const MOST_NODES: usize = 16;

/// Draws saving, 95th percentile and minutes above the objective over the load.
pub(super) fn over_load(policies: &[String], family: &[&Section]) -> String {
    let of = |at: usize, value: &dyn Fn(&Outcomes) -> f64| -> Vec<(f64, f64)> {
        let there = family.iter().filter(|section| section.outcomes.0.contains_key(&at));
        there.map(|section| (section.cell.load, value(&section.outcomes))).collect()
    };
    let loads = || family.iter().map(|section| section.cell.load);
    let is_share = loads().all(|load| load <= 1.0);
    let x_name = if is_share { "load, share of processors" } else { "load, user requests/s" };
    let x = Axis::over(loads());
    let mut figures = String::new();
    let mut draw = |title: &str,
                    y_name: &str,
                    caption: &str,
                    skipped: usize,
                    is_log: bool,
                    value: &dyn Fn(usize, &Outcomes) -> f64| {
        let curves: Vec<_> =
            (skipped..policies.len()).map(|at| (at, of(at, &|outcomes| value(at, outcomes)))).collect();
        let all = curves.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
        let y = if is_log { Axis::logarithmic(all) } else { Axis::over(all.chain([0.0])) };
        let mut chart = Curves::new(x, y, x_name, y_name);
        curves.iter().for_each(|(at, points)| chart.line(points, &format!("p{at}")));
        figures.push_str(&chart.figure(title, caption));
    };
    draw(
        "Saving",
        "share of the bound's saving, percent",
        "All nodes on, against the first policy.",
        1,
        false,
        &|at, outcomes| differences(outcomes, at)[1].mean,
    );
    draw("95th percentile", "milliseconds, logarithmic", "Mean of the plans.", 0, true, &|at, outcomes| {
        outcomes.mean(at, |outcome| outcome.latency.quantile(0.95)).mean
    });
    draw(
        "Above the objective",
        "minutes",
        "Minutes of a run in which the 95th percentile was too long.",
        0,
        false,
        &|at, outcomes| outcomes.mean(at, |outcome| outcome.slo_minutes).mean,
    );
    figures
}

/// Draws what each policy draws, and the bound.
pub(super) fn energy(policies: &[String], outcomes: &Outcomes) -> String {
    let kwh = |outcome: &Outcome| outcome.joules_on / 3.6e6;
    let shown: Vec<usize> = outcomes.0.keys().copied().collect();
    let names: Vec<&str> = shown.iter().map(|at| policies[*at].as_str()).collect();
    let means: Vec<_> = shown.iter().map(|at| outcomes.mean(*at, kwh)).collect();
    let bound = shown.first().map_or(0.0, |at| outcomes.mean(*at, |outcome| outcome.bound_on / 3.6e6).mean);
    let ends = means.iter().map(|mean| mean.mean + mean.half);
    let mut rows = Rows::new(&names, Axis::over(ends.chain([0.0, bound])), "kWh, all nodes on");
    for (row, (at, mean)) in shown.iter().zip(&means).enumerate() {
        rows.bar(row, mean.mean, &format!("p{at}"));
        rows.interval(row, *mean, 0.0, "interval");
    }
    rows.rule(bound, "guide");
    rows.figure("Energy", &format!("Mean of the plans and its interval. Dashed: the bound, {bound:.3} kWh."))
}

/// Draws how busy each node was.
pub(super) fn nodes(policies: &[String], outcomes: &Outcomes) -> String {
    let nodes = outcomes.0.values().flatten().map(|outcome| outcome.node_used.len()).max().unwrap_or(0);
    if nodes == 0 || nodes > MOST_NODES {
        return String::new();
    }
    let mut table = "<figure><h3>Use of nodes</h3><table class=\"map\"><tr><th></th>".to_owned();
    (1..=nodes).for_each(|node| {
        let _ = write!(table, "<th>node {node}</th>");
    });
    for at in outcomes.0.keys() {
        let _ = write!(table, "</tr><tr><th>{}</th>", policies[*at]);
        for node in 0..nodes {
            let used = |outcome: &Outcome| {
                100.0 * outcome.node_used.get(node).copied().unwrap_or(0.0) / outcome.seconds.max(1.0)
            };
            let used = outcomes.mean(*at, used).mean;
            let _ = write!(table, "<td style=\"--used:{used:.0}%\">{used:.0} %</td>");
        }
    }
    table.push_str("</tr></table><figcaption>Mean share of a node's processors that was busy.</figcaption></figure>");
    table
}

/// Draws what each fault does to energy and latency.
pub(super) fn ablations(ablations: &[Ablation]) -> String {
    let names: Vec<&str> = ablations.iter().map(|ablation| ablation.fault).collect();
    let ends = ablations
        .iter()
        .flat_map(|by| [by.energy, by.p95].into_iter().flat_map(|mean| [mean.mean - mean.half, mean.mean + mean.half]));
    let axis = Axis::over(ends.chain([0.0, MOST_WORSE]));
    let mut rows = Rows::new(&names, axis, "against default, percent");
    rows.rule(0.0, "zero");
    rows.rule(MOST_WORSE, "guide");
    for (row, by) in ablations.iter().enumerate() {
        for (mean, lift, class) in [(by.energy, 5.0, "energy"), (by.p95, -5.0, "latency")] {
            rows.interval(row, mean, lift, class);
            rows.dot(row, mean, lift, class);
        }
    }
    let missed: Vec<&str> = ablations.iter().filter(|by| by.verdict() == Verdict::NotMet).map(|by| by.fault).collect();
    let missed = if missed.is_empty() { "none".to_owned() } else { missed.join(", ") };
    rows.figure(
        "Faults",
        &format!("<b class=\"energy\">Energy</b> and <b class=\"latency\">p95</b> of full. Dashed: {MOST_WORSE} %, the bar. Not met with: {missed}."),
    )
}

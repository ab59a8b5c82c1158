//! A decision as a table for people.

use std::fmt::Write as _;

use wattle_contract::{Candidate, Decision, Reason};

use crate::outcome::{Outcome, ReadFrom};

const HEAD: [&str; 5] = ["NODE", "ADDED W", "P95 MS", "SCORE", "REASON"];

/// Writes a decision as a table: the best candidate first, ties in the order they were asked about.
///
/// `ADDED W` is the predicted added power with the half-width of its 90 % interval, `P95 MS` the predicted 95th
/// percentile of the pod's service on that node; `-` where nothing is known.
#[must_use]
pub fn table(decision: &Decision) -> String {
    let mut candidates: Vec<&Candidate> = decision.candidates.iter().collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.score));
    let rows: Vec<[String; 5]> = candidates.into_iter().map(row).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    line(&mut table, &HEAD.map(str::to_owned), &widths);
    rows.iter().for_each(|row| line(&mut table, row, &widths));
    table
}

/// Writes what became of placements as a table, the newest first.
#[must_use]
pub fn outcomes(outcomes: &[Outcome]) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let mut table = String::new();
    let mut line = |cells: [&str; 8]| {
        let [pod, node, predicted, realised, regret, p95, measured, read_from] = cells;
        writeln!(
            table,
            "{pod:<36}  {node:<20}  {predicted:>11}  {realised:>10}  {regret:>8}  {p95:>8}  {measured:>8}  {read_from}"
        )
        .expect("a String takes every text");
    };
    line(["POD", "NODE", "PREDICTED W", "REALISED W", "REGRET W", "P95 MS", "MEASURED", "READ FROM"]);
    for outcome in outcomes {
        let read_from = match outcome.read_from {
            ReadFrom::Service => "its service",
            ReadFrom::Node => "the node",
            ReadFrom::Nothing => "no meter",
        };
        line([
            &outcome.pod.to_string(),
            outcome.node.as_str(),
            &number(outcome.predicted_watts.map(f64::from)),
            &number(outcome.realised_watts.map(f64::from)),
            &number(outcome.regret_watts.map(f64::from)),
            &number(outcome.predicted_p95_ms.map(f64::from)),
            &number(outcome.realised_p95_ms.map(f64::from)),
            read_from,
        ]);
    }
    table
}

/// Says in a sentence why a candidate got its score.
#[must_use]
pub const fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Predicted => "predicted cost",
        Reason::Drifted => "predicted cost, without trees: the model has drifted here",
        Reason::NoModel => "neutral: no model is loaded",
        Reason::NoMeasurement => "neutral: not measured",
        Reason::StaleMeasurement => "neutral: measurement too old",
        Reason::NoSnapshot => "neutral: no snapshot yet",
        Reason::Overload => "lowest: beyond capacity",
    }
}

fn row(candidate: &Candidate) -> [String; 5] {
    let unknown = || "-".to_owned();
    let watts = candidate.added_watts.map_or_else(unknown, |watts| {
        let margin = candidate.added_watts_margin.map_or_else(String::new, |margin| format!(" ±{:.2}", margin.get()));
        format!("{:.2}{margin}", watts.get())
    });
    let p95 = candidate.p95_ms.map_or_else(unknown, |p95| format!("{:.2}", p95.get()));
    [candidate.node.to_string(), watts, p95, candidate.score.to_string(), sentence(candidate.reason).to_owned()]
}

fn line(table: &mut String, cells: &[String; 5], widths: &[usize; 5]) {
    let [node, watts, p95, score, reason] = cells;
    let [n, w, p, s, _] = widths;
    writeln!(table, "{node:<n$}  {watts:>w$}  {p95:>p$}  {score:>s$}  {reason}").expect("a String takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{DecisionId, Milliseconds, Objective, PodKey, PodRequest, Timestamp, Watts};

    #[test]
    fn the_table_is_aligned_and_best_first() {
        let candidate = |node: &str, watts, p95, score, reason| Candidate {
            node: node.into(),
            added_watts: Watts::new(watts),
            p95_ms: Milliseconds::new(p95),
            added_watts_margin: Watts::new(0.5),
            assumed_millicores: None,
            parts: None,
            score,
            reason,
        };
        let unknown = Candidate {
            added_watts: None,
            p95_ms: None,
            added_watts_margin: None,
            ..candidate("new-node", 0.0, 0.0, 5, Reason::NoMeasurement)
        };
        let decision = Decision {
            id: DecisionId(1),
            at: Timestamp(0),
            pod: PodRequest {
                pod: PodKey::new("hotel", "search-1"),
                uid: String::new(),
                workload: None,
                service: None,
                cpu_request_millicores: None,
                memory_request_bytes: None,
                objective: Objective::Balanced,
                slo_p95_ms: None,
                weight_energy: None,
                weight_latency: None,
            },
            snapshot_version: Some(3),
            model: None,
            expected_millicores: None,
            candidates: vec![
                candidate("n1", 12.25, 8.0, 0, Reason::Predicted),
                unknown,
                candidate("n2", 3.125, 110.5, 10, Reason::Predicted),
            ],
        };

        let expected = "\
NODE          ADDED W  P95 MS  SCORE  REASON
n2         3.12 ±0.50  110.50     10  predicted cost
new-node            -       -      5  neutral: not measured
n1        12.25 ±0.50    8.00      0  predicted cost
";
        assert_eq!(table(&decision), expected);
    }
}

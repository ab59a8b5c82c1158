//! `/api/v1/graph`: the service graph over a span of time, from roll-ups.

use std::collections::BTreeMap;

use serde::Serialize;
use wattle_contract::{NodeName, Timestamp, Watts, Window};

use super::edge::{self, STEPS_MS};
use super::merge::{Both, Told};
use crate::Error;
use crate::receive::intake::Intake;

/// Tables of one source that a question may read.
const TABLES: i64 = 400;
/// What is told when nothing is asked for.
pub(crate) const RECENT_MS: i64 = 300_000;

/// The service graph over a span of time.
#[derive(Debug, Serialize)]
pub(crate) struct Graph {
    start: i64,
    end: i64,
    /// Length of the roll-ups that it was summed from.
    step_seconds: i64,
    /// Services, ordered by name; power and placement are of the newest window.
    nodes: Vec<Node>,
    edges: Vec<Told>,
    /// Ends of calls that are on no edge, by reason, since the start of the collector.
    unpaired_spans: BTreeMap<&'static str, u64>,
}

/// One service, over all nodes that it answers on.
#[derive(Debug, Default, Serialize)]
struct Node {
    service: String,
    requests_per_second: f64,
    error_ratio: f64,
    /// Largest of the 95th percentiles of those who call it, or of the nodes it runs on.
    p95_ms: Option<f64>,
    power_watts: Option<Watts>,
    /// Active energy a request; `None` where power is unknown or nothing was answered.
    joules_per_request: Option<f64>,
    nodes: Vec<NodeName>,
}

/// Sums up what both sources told between two times, in whole roll-ups; gives the times that were taken, too.
pub(crate) async fn both(intake: &Intake, start: i64, end: i64, now: Timestamp) -> Result<(Both, [i64; 3]), Error> {
    let [first, last, step] = tables(start, end);
    let metrics = intake.store.rollups(edge::METRICS, step, first, last).await?;
    let mut spans = intake.store.rollups(edge::SPANS, step, first, last).await?;
    intake.traces.rollups_in_memory(step, |at, table| {
        if (first..last).contains(&at) {
            spans.add(table);
        }
    });
    let seconds = (last.min(now.0.max(first + 1)) - first) as f64 / 1e3;
    Ok((Both { metrics, spans, seconds }, [first, last, step]))
}

/// Chooses the roll-ups that a question is answered from: where the first begins, where the last ends, and their length.
///
/// Range: at most [`TABLES`] and one, whatever the retention; of a longer time the newest part.
fn tables(start: i64, end: i64) -> [i64; 3] {
    let span = end.saturating_sub(start);
    let step = STEPS_MS.into_iter().find(|step| span / step < TABLES).unwrap_or(STEPS_MS[2]);
    let last = end.saturating_sub(end.rem_euclid(step)).saturating_add(step);
    let first = start.max(end.saturating_sub(TABLES * step));
    [first.saturating_sub(first.rem_euclid(step)), last, step]
}

/// Puts the graph together.
pub(crate) async fn graph(
    intake: &Intake,
    window: Option<&Window>,
    (start, end): (i64, i64),
    now: Timestamp,
) -> Result<Graph, Error> {
    let (both, [start, end, step]) = both(intake, start, end, now).await?;
    let edges = both.edges();
    let nodes = nodes(&edges, window);
    let unpaired = intake.traces.graph.unpaired();
    let unpaired_spans = unpaired.into_iter().map(|(reason, count)| (reason.label(), count)).collect();
    Ok(Graph { start, end: end.min(now.0), step_seconds: step / 1_000, nodes, edges, unpaired_spans })
}

fn nodes(edges: &[Told], window: Option<&Window>) -> Vec<Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for edge in edges {
        nodes.entry(edge.client.clone()).or_default();
        let node = nodes.entry(edge.server.clone()).or_default();
        // Weighted by requests; divided below.
        node.error_ratio += edge.error_ratio * edge.requests_per_second;
        node.requests_per_second += edge.requests_per_second;
        node.p95_ms = node.p95_ms.into_iter().chain(edge.p95_ms).reduce(f64::max);
    }
    for node in nodes.values_mut().filter(|node| node.requests_per_second > 0.0) {
        node.error_ratio /= node.requests_per_second;
    }
    let mut measured: BTreeMap<&str, f64> = BTreeMap::new();
    for part in window.into_iter().flat_map(|window| &window.services) {
        let node = nodes.entry(part.service.to_string()).or_default();
        node.nodes.push(part.node.clone());
        *measured.entry(part.service.as_str()).or_default() += part.requests_per_second;
        node.power_watts = match (node.power_watts, part.power_watts) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
    }
    for (service, node) in &mut nodes {
        node.service.clone_from(service);
        if let Some(&rate) = measured.get(service.as_str()) {
            // The server's own count has the requests from outside the mesh, too.
            node.requests_per_second = node.requests_per_second.max(rate);
            node.joules_per_request = node.power_watts.filter(|_| rate > 0.0).map(|power| power.get() / rate);
        }
    }
    nodes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_some_hundreds_of_tables_whatever_the_retention() {
        let now = 1_760_000_000_123;
        let day = 86_400_000;
        for span in [1, 300_000, day / 3, day, 15 * day, 90 * day, 400 * day, 4_000 * day, now, i64::MAX] {
            let [first, last, step] = tables(now - span.min(now), now);
            let count = (last - first) / step;

            assert!(first % step == 0 && first <= now && last > now, "{span}");
            assert!(count <= TABLES + 1, "{span} ms: {count} tables");
            assert!(first <= now - span.min(TABLES * day - day), "{span} ms: begins at {first}");
        }
        assert_eq!(tables(i64::MIN, i64::MAX)[2], STEPS_MS[2]);
    }
}

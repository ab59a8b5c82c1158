//! What metrics and spans tell of the same edge, put together.
//!
//! Metrics name a service in full (`geo.hotel.svc.cluster.local`), spans as the program was told (`geo.hotel`, or just
//! `geo`). A short name is the service whose name begins so, when there is one only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wattle_contract::{Edge, LatencyBracket, Milliseconds};

use super::edge::{Connection, Key, Stats, Table};

const SUFFIX: &str = ".svc.cluster.local";

/// One edge as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Told {
    pub(crate) client: String,
    pub(crate) server: String,
    /// Empty for a call of which both ends are known, as in Tempo's label.
    pub(crate) connection_type: &'static str,
    /// `metrics`, `spans` or `both`.
    pub(crate) source: &'static str,
    pub(crate) requests_per_second: f64,
    pub(crate) error_ratio: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) joules_per_request: Option<f64>,
    pub(crate) critical_path_share: Option<f64>,
    pub(crate) same_node_share: Option<f64>,
}

/// Tables of the two sources over one span of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Both {
    pub(crate) metrics: Table,
    pub(crate) spans: Table,
    /// Length of the time that the spans are from.
    pub(crate) seconds: f64,
}

impl Both {
    /// Gives the edges, ordered by client then server.
    pub(crate) fn edges(&self) -> Vec<Told> {
        let mut of_spans = self.renamed_spans();
        let mut told = Vec::new();
        for (key, stats) in &self.metrics.edges {
            let shape = of_spans.remove(key);
            let source = if shape.is_some() { "both" } else { "metrics" };
            let mut edge = tell(key, stats, source, self.metrics.covered_seconds);
            if let Some(shape) = shape {
                edge.critical_path_share = self.critical_share(&shape);
                edge.same_node_share = share(shape.same_node, shape.located).or(edge.same_node_share);
                edge.bytes_per_second = edge.bytes_per_second.or(shape.bytes.map(|bytes| bytes / self.seconds));
            }
            told.push(edge);
        }
        for (key, stats) in &of_spans {
            let mut edge = tell(key, stats, "spans", self.seconds);
            edge.critical_path_share = self.critical_share(stats);
            told.push(edge);
        }
        told.sort_by(|a, b| (&a.client, &a.server, a.connection_type).cmp(&(&b.client, &b.server, b.connection_type)));
        told
    }

    /// Adds to the edges of a window what spans know of them, and the edges that only spans know.
    pub(crate) fn complete(&self, edges: &mut Vec<Edge>) {
        let mut of_spans = self.renamed_spans();
        for edge in edges.iter_mut() {
            let (client, server) = (edge.client.as_str().to_owned(), edge.server.as_str().to_owned());
            let Some(shape) = of_spans.remove(&Key { client, server, connection: Connection::Call }) else { continue };
            edge.critical_path_share = self.critical_share(&shape);
            edge.same_node_share = share(shape.same_node, shape.located).or(edge.same_node_share);
        }
        for (key, stats) in of_spans.iter().filter(|(_, stats)| stats.requests > 0.0 && self.seconds > 0.0) {
            let mut edge = Edge::between(key.client.as_str(), key.server.as_str(), stats.requests / self.seconds);
            edge.error_ratio = share(stats.errors, stats.requests).unwrap_or(0.0);
            edge.bytes_per_second = stats.bytes.map(|bytes| bytes / self.seconds);
            let bracket = |q| stats.latency.quantile(q).and_then(exact);
            (edge.p50_ms, edge.p95_ms, edge.p99_ms) = (bracket(0.5), bracket(0.95), bracket(0.99));
            edge.critical_path_share = self.critical_share(stats);
            edge.same_node_share = share(stats.same_node, stats.located);
            edges.push(edge);
        }
        edges.sort_by(|a, b| (&a.client, &a.server).cmp(&(&b.client, &b.server)));
        // A database and a call to the same name are one edge here.
        edges.dedup_by(|later, first| {
            let is_same = later.client == first.client && later.server == first.server;
            if is_same {
                first.requests_per_second += later.requests_per_second;
            }
            is_same
        });
    }

    fn critical_share(&self, stats: &Stats) -> Option<f64> {
        share(stats.critical_seconds, self.spans.trace_seconds)
    }

    /// Gives the edges of the spans under the names that the metrics have.
    fn renamed_spans(&self) -> BTreeMap<Key, Stats> {
        let full: BTreeSet<&str> =
            self.metrics.edges.keys().flat_map(|key| [key.client.as_str(), key.server.as_str()]).collect();
        let mut renamed = Table::default();
        for (key, stats) in &self.spans.edges {
            let of = |name: &str| full_name(name, &full).unwrap_or(name).to_owned();
            let key = Key { client: of(&key.client), server: of(&key.server), connection: key.connection };
            renamed.add(&Table { edges: BTreeMap::from([(key, stats.clone())]), ..Table::default() });
        }
        renamed.edges
    }
}

fn full_name<'a>(name: &str, full: &BTreeSet<&'a str>) -> Option<&'a str> {
    let mut alike = full.iter().filter(|full| {
        let short = full.strip_suffix(SUFFIX).unwrap_or(full);
        **full == name || short == name || short.split('.').next() == Some(name)
    });
    let first = alike.next()?;
    alike.next().is_none().then_some(*first)
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

/// A latency that was measured exactly and counted in narrow buckets.
fn exact(seconds: f64) -> Option<LatencyBracket> {
    let estimate = Milliseconds::new(seconds * 1e3)?;
    Some(LatencyBracket { low: estimate, estimate, high: Some(estimate) })
}

fn tell(key: &Key, stats: &Stats, source: &'static str, seconds: f64) -> Told {
    let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
    let quantile = |q| stats.latency.quantile(q).map(|seconds| seconds * 1e3);
    Told {
        client: key.client.clone(),
        server: key.server.clone(),
        connection_type: key.connection.label(),
        source,
        requests_per_second: per_second(stats.requests),
        error_ratio: share(stats.errors, stats.requests).unwrap_or(0.0),
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
        bytes_per_second: stats.bytes.map(per_second),
        joules_per_request: stats.joules.filter(|_| stats.metered > 0.0).map(|joules| joules / stats.metered),
        critical_path_share: None,
        same_node_share: share(stats.same_node, stats.located),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_the_one_service_that_begins_so() {
        let full =
            BTreeSet::from(["geo.hotel.svc.cluster.local", "rate.a.svc.cluster.local", "rate.b.svc.cluster.local"]);

        assert_eq!(full_name("geo", &full), Some("geo.hotel.svc.cluster.local"));
        assert_eq!(full_name("rate.b", &full), Some("rate.b.svc.cluster.local"));
        assert_eq!(full_name("rate", &full), None, "two begin so");
        assert_eq!(full_name("ge", &full), None);
    }

    #[test]
    fn metrics_give_the_rate_and_spans_the_shape() {
        let mut both = Both { seconds: 100.0, ..Both::default() };
        both.metrics.covered_seconds = 100.0;
        both.metrics.edge("a.x.svc.cluster.local", "b.x.svc.cluster.local", Connection::Call).requests = 500.0;
        both.spans.trace_seconds = 10.0;
        let shape = both.spans.edge("a", "b.x", Connection::Call);
        (shape.requests, shape.critical_seconds, shape.located, shape.same_node) = (5.0, 4.0, 5.0, 1.0);
        both.spans.edge("b.x", "mongo", Connection::Database).requests = 7.0;

        let edges = both.edges();

        assert_eq!(edges.len(), 2);
        assert_eq!((edges[0].source, edges[0].requests_per_second), ("both", 5.0));
        assert_eq!((edges[0].critical_path_share, edges[0].same_node_share), (Some(0.4), Some(0.2)));
        assert_eq!((edges[1].source, edges[1].connection_type), ("spans", "database"));
        assert_eq!(edges[1].client, "b.x.svc.cluster.local");
        let mut window = vec![Edge::between("a.x.svc.cluster.local", "b.x.svc.cluster.local", 5.0)];
        both.complete(&mut window);
        assert_eq!((window.len(), window[0].critical_path_share), (2, Some(0.4)));
    }
}

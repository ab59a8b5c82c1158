//! The graph and the spans as counters in the sample store: what Grafana's service graph page and dashboards ask for.

use std::collections::HashMap;

use wattle_contract::{Labels, METRIC_NAME, Sample, Timestamp};

use super::edge::Connection;

/// Upper bounds in seconds: Tempo's for span metrics, from 2 ms by doubling.
const BOUNDS: [f64; 14] =
    [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
/// Edges that have series; others are counted in the roll-ups alone.
const EDGES: usize = 2_000;
/// Pairs of service and span name that have series.
const SPANS: usize = 2_000;
/// Span names of one service that have series; the others share one name.
const NAMES: usize = 200;
/// The name of the others.
const OTHER: &str = "other";
/// After this long without a span a series ends.
const IDLE_MS: i64 = 3_600_000;
/// How long before its first value a counter says that it was zero, so that its first growth is seen.
const ZERO_BEFORE_MS: i64 = 1_000;

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

#[derive(Clone, Debug, Default)]
struct Histogram {
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += seconds;
    }
}

#[derive(Clone, Debug, Default)]
struct Edge {
    total: u64,
    failed: u64,
    client: Histogram,
    server: Histogram,
    age: Age,
}

#[derive(Clone, Debug, Default)]
struct Spans {
    calls: u64,
    latency: Histogram,
    age: Age,
}

/// Whether something was counted since the last time it was written, and when that was.
#[derive(Clone, Copy, Debug, Default)]
struct Age {
    is_told: bool,
    is_changed: bool,
    changed_ms: i64,
}

type Servers = HashMap<(Box<str>, Connection), Edge>;
type Kinds = HashMap<(u8, u8), Spans>;

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Series {
    edges: HashMap<Box<str>, Servers>,
    edge_count: usize,
    spans: HashMap<Box<str>, HashMap<Box<str>, Kinds>>,
    span_count: usize,
}

impl Series {
    /// Counts a span.
    pub(super) fn span(&mut self, service: &str, name: &str, key: (u8, u8), seconds: f64) {
        let is_full = self.span_count >= SPANS;
        if !self.spans.contains_key(service) {
            if is_full {
                return;
            }
            self.spans.insert(service.into(), HashMap::new());
        }
        let Some(names) = self.spans.get_mut(service) else { return };
        let name = if names.contains_key(name) || (names.len() < NAMES && !is_full) { name } else { OTHER };
        if !names.contains_key(name) {
            self.span_count += 1;
            names.insert(name.into(), HashMap::new());
        }
        let Some(kinds) = names.get_mut(name) else { return };
        let spans = kinds.entry(key).or_default();
        spans.calls += 1;
        spans.latency.observe(seconds);
        spans.age.is_changed = true;
    }

    /// Counts a call over an edge.
    pub(super) fn edge(
        &mut self,
        (client, server, connection): (&str, &str, Connection),
        is_error: bool,
        client_seconds: f64,
        server_seconds: Option<f64>,
    ) {
        if !self.edges.contains_key(client) {
            self.edges.insert(client.into(), HashMap::new());
        }
        let Some(servers) = self.edges.get_mut(client) else { return };
        let key = (server.into(), connection);
        if !servers.contains_key(&key) {
            if self.edge_count >= EDGES {
                return;
            }
            self.edge_count += 1;
        }
        let edge = servers.entry(key).or_default();
        edge.total += 1;
        edge.failed += u64::from(is_error);
        edge.client.observe(client_seconds);
        if let Some(seconds) = server_seconds {
            edge.server.observe(seconds);
        }
        edge.age.is_changed = true;
    }

    /// Gives every counter as it stands; those that are new begin with zero.
    pub(super) fn samples(&mut self, now: Timestamp) -> Vec<Sample> {
        let mut out = Out { now, samples: Vec::new(), is_new: false };
        for (client, servers) in &mut self.edges {
            for ((server, connection), edge) in servers.iter_mut() {
                out.is_new = edge.age.tell(now);
                let labels = [("client", &**client), ("server", server), ("connection_type", connection.label())];
                out.counter("traces_service_graph_request_total", &labels, edge.total as f64);
                out.counter("traces_service_graph_request_failed_total", &labels, edge.failed as f64);
                out.histogram("traces_service_graph_request_client_seconds", &labels, &edge.client);
                out.histogram("traces_service_graph_request_server_seconds", &labels, &edge.server);
            }
            servers.retain(|_, edge| !edge.age.is_over(now));
        }
        self.edges.retain(|_, servers| !servers.is_empty());
        self.edge_count = self.edges.values().map(HashMap::len).sum();
        for (service, names) in &mut self.spans {
            for (name, kinds) in names.iter_mut() {
                for ((kind, status), spans) in kinds.iter_mut() {
                    out.is_new = spans.age.tell(now);
                    let word = |words: &[&'static str], at: u8| words.get(usize::from(at)).copied().unwrap_or_default();
                    let labels = [
                        ("service", &**service),
                        ("span_name", &**name),
                        ("span_kind", word(&KINDS, *kind)),
                        ("status_code", word(&STATUS, *status)),
                    ];
                    out.counter("traces_spanmetrics_calls_total", &labels, spans.calls as f64);
                    out.histogram("traces_spanmetrics_latency", &labels, &spans.latency);
                }
                kinds.retain(|_, spans| !spans.age.is_over(now));
            }
            names.retain(|_, kinds| !kinds.is_empty());
        }
        self.spans.retain(|_, names| !names.is_empty());
        self.span_count = self.spans.values().map(HashMap::len).sum();
        out.samples
    }
}

impl Age {
    /// Notes that it is told now; gives whether for the first time.
    fn tell(&mut self, now: Timestamp) -> bool {
        if std::mem::take(&mut self.is_changed) {
            self.changed_ms = now.0;
        }
        !std::mem::replace(&mut self.is_told, true)
    }

    const fn is_over(&self, now: Timestamp) -> bool {
        now.0 - self.changed_ms > IDLE_MS
    }
}

struct Out {
    now: Timestamp,
    samples: Vec<Sample>,
    is_new: bool,
}

impl Out {
    fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.put(name, labels, None, value);
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut count = 0;
        let bucket = format!("{name}_bucket");
        for (at, more) in histogram.counts.iter().enumerate() {
            count += more;
            let bound = BOUNDS.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.put(&bucket, labels, Some(&bound), count as f64);
        }
        self.put(&format!("{name}_sum"), labels, None, histogram.sum);
        self.put(&format!("{name}_count"), labels, None, count as f64);
    }

    fn put(&mut self, name: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        let bound = bound.map(|bound| ("le", bound));
        let pairs = [(METRIC_NAME, name)].into_iter().chain(labels.iter().copied()).chain(bound);
        let labels = Labels::new(pairs);
        if self.is_new {
            let before = Timestamp(self.now.0 - ZERO_BEFORE_MS);
            self.samples.push(Sample { labels: labels.clone(), timestamp: before, value: 0.0 });
        }
        self.samples.push(Sample { labels, timestamp: self.now, value });
    }
}

//! What passed over the edges of the service graph in one span of time, in a form that adds up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Source of what spans tell.
pub(crate) const SPANS: &str = "spans";
/// Source of what Istio's metrics tell.
pub(crate) const METRICS: &str = "metrics";
/// Lengths of the roll-ups, shortest first: a question is answered from at most some hundreds of them.
pub(crate) const STEPS_MS: [i64; 3] = [300_000, 3_600_000, 86_400_000];
/// Latency buckets per doubling: a quantile is at most 4.4 % off.
const PER_DOUBLING: f64 = 8.0;
/// Most bytes a stored table may unpack to.
const LIMIT: usize = 256 << 20;

/// Tables by source, step and start.
pub(crate) type Rollups = BTreeMap<(&'static str, i64, i64), Table>;

/// Who calls whom, and over what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) connection: Connection,
}

/// What kind of call it is, in the words of the label `connection_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Connection {
    /// Both ends are known.
    Call,
    /// A database, which sends no spans.
    Database,
    /// Through a queue or topic.
    MessagingSystem,
    /// The other end sends no spans; the client names it.
    VirtualNode,
}

impl Connection {
    /// Gives the value of the label `connection_type`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Call => "",
            Self::Database => "database",
            Self::MessagingSystem => "messaging_system",
            Self::VirtualNode => "virtual_node",
        }
    }
}

/// What passed over one edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    /// Bodies in both directions, where somebody counted them.
    pub(crate) bytes: Option<f64>,
    /// Energy of the server for these requests, where it is known.
    pub(crate) joules: Option<f64>,
    /// Requests whose energy is known.
    pub(crate) metered: f64,
    pub(crate) latency: Latency,
    /// Time that the critical paths of traces spend beyond this edge, until the next one.
    pub(crate) critical_seconds: f64,
    /// Requests of which both nodes are known, and those where they are the same.
    pub(crate) located: f64,
    pub(crate) same_node: f64,
}

impl Stats {
    fn add(&mut self, more: &Self) {
        let sum = |one: Option<f64>, more: Option<f64>| match (one, more) {
            (Some(one), Some(more)) => Some(one + more),
            (one, more) => one.or(more),
        };
        self.requests += more.requests;
        self.errors += more.errors;
        self.bytes = sum(self.bytes, more.bytes);
        self.joules = sum(self.joules, more.joules);
        self.metered += more.metered;
        self.latency.add(&more.latency);
        self.critical_seconds += more.critical_seconds;
        self.located += more.located;
        self.same_node += more.same_node;
    }
}

impl Stats {
    fn negate(&mut self) {
        self.bytes = self.bytes.map(|bytes| -bytes);
        self.joules = self.joules.map(|joules| -joules);
        let counts = [
            &mut self.requests,
            &mut self.errors,
            &mut self.metered,
            &mut self.critical_seconds,
            &mut self.located,
            &mut self.same_node,
        ];
        counts.into_iter().chain(self.latency.0.values_mut()).for_each(|count| *count = -*count);
    }
}

/// Counts by logarithm of the latency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency(BTreeMap<i32, f64>);

impl Latency {
    /// Counts requests of one latency.
    pub(crate) fn count(&mut self, seconds: f64, count: f64) {
        if count > 0.0 && seconds.is_finite() {
            // Nothing is quicker than a nanosecond.
            let at = (seconds.max(1e-9).log2() * PER_DOUBLING).ceil();
            *self.0.entry(at as i32).or_default() += count;
        }
    }

    fn add(&mut self, more: &Self) {
        more.0.iter().for_each(|(&at, count)| *self.0.entry(at).or_default() += count);
    }

    /// Gives a quantile in seconds; `None` without requests. Range: `q` in 0..=1.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let total: f64 = self.0.values().sum();
        let mut below = 0.0;
        for (&at, count) in &self.0 {
            below += count;
            if below >= q * total && below > 0.0 {
                // The middle of the bucket, as logarithms go.
                return Some(((f64::from(at) - 0.5) / PER_DOUBLING).exp2());
            }
        }
        None
    }
}

/// Everything that passed in one span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) edges: BTreeMap<Key, Stats>,
    /// Time that traces took, from the start to the end of their roots.
    pub(crate) trace_seconds: f64,
    /// Time that was measured, where it comes from windows.
    pub(crate) covered_seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    edges: Vec<(Key, Stats)>,
    trace_seconds: f64,
    covered_seconds: f64,
}

impl Table {
    /// Gives the counts of an edge.
    pub(crate) fn edge(&mut self, client: &str, server: &str, connection: Connection) -> &mut Stats {
        let key = Key { client: client.to_owned(), server: server.to_owned(), connection };
        self.edges.entry(key).or_default()
    }

    /// Adds another table.
    pub(crate) fn add(&mut self, more: &Self) {
        more.edges.iter().for_each(|(key, stats)| self.edges.entry(key.clone()).or_default().add(stats));
        self.trace_seconds += more.trace_seconds;
        self.covered_seconds += more.covered_seconds;
    }

    /// Takes another table off that was added before.
    pub(crate) fn take_off(&mut self, less: &Self) {
        let mut negative = less.clone();
        for stats in negative.edges.values_mut() {
            stats.negate();
        }
        negative.trace_seconds = -negative.trace_seconds;
        negative.covered_seconds = -negative.covered_seconds;
        self.add(&negative);
    }

    /// Writes it for a row.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let edges = self.edges.iter().map(|(key, stats)| (key.clone(), stats.clone())).collect();
        let stored = Stored { edges, trace_seconds: self.trace_seconds, covered_seconds: self.covered_seconds };
        let plain = serde_json::to_vec(&stored).unwrap_or_default();
        zstd::bulk::compress(&plain, 1).unwrap_or_default()
    }

    /// Reads it from a row; a row that does not decode counts as empty, and is told of.
    pub(crate) fn unpack(body: &[u8]) -> Self {
        let plain = zstd::bulk::decompress(body, LIMIT.min(size(body)));
        match plain.ok().and_then(|plain| serde_json::from_slice::<Stored>(&plain).ok()) {
            Some(stored) => Self {
                edges: stored.edges.into_iter().collect(),
                trace_seconds: stored.trace_seconds,
                covered_seconds: stored.covered_seconds,
            },
            None => {
                tracing::warn!(bytes = body.len(), "a roll-up of the service graph does not decode and is left out");
                Self::default()
            }
        }
    }
}

fn size(body: &[u8]) -> usize {
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
}

/// Adds a table to the roll-ups of every length that its time is in.
pub(crate) fn roll_up(rollups: &mut Rollups, source: &'static str, time_ms: i64, table: &Table) {
    for step in STEPS_MS {
        rollups.entry((source, step, time_ms - time_ms.rem_euclid(step))).or_default().add(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_five_per_cent() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|ms| latency.count(f64::from(ms) / 1e3, 1.0));

        for q in [0.5, 0.95, 0.99] {
            let found = latency.quantile(q).expect("observations");
            assert!((found / q - 1.0).abs() < 0.05, "{q}: {found}");
        }
        assert_eq!(Latency::default().quantile(0.5), None);
    }

    #[test]
    fn a_table_comes_back_as_it_was_and_adds_up() {
        let mut table = Table::default();
        let edge = table.edge("a", "b", Connection::Call);
        (edge.requests, edge.bytes) = (2.0, Some(5.0));
        edge.latency.count(0.1, 2.0);
        table.trace_seconds = 0.5;

        assert_eq!(Table::unpack(&table.pack()), table);
        let mut sum = Table::unpack(&table.pack());
        sum.add(&table);
        assert_eq!(sum.edge("a", "b", Connection::Call).requests, 4.0);
        assert_eq!(sum.edge("a", "b", Connection::Call).bytes, Some(10.0));
        assert_eq!(Table::unpack(b"nonsense"), Table::default());
    }
}

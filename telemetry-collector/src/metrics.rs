//! The collector's own metrics.
//!
//! | metric | what |
//! |---|---|
//! | `wattle_collector_samples_total{way}` | samples acknowledged, by way in (`scrape`, `remote_write`, `otlp`, `spans`, `rules`) |
//! | `wattle_collector_samples_rejected_total{reason}` | samples not taken; `not_stored`: scraped while the store failed |
//! | `wattle_collector_exemplars_total{way}`, `wattle_collector_exemplars_rejected_total{reason}` | exemplars acknowledged (repetitions included) and not taken |
//! | `wattle_collector_requests_refused_total{way}` | requests that could not be read |
//! | `wattle_collector_series` | series in memory |
//! | `wattle_collector_spans_total`, `wattle_collector_spans_rejected_total{reason}` | spans acknowledged and not taken |
//! | `wattle_collector_graph_unpaired_spans` `{reason}` | ends of calls whose other end did not come, since the start |
//! | `wattle_collector_scrapes_total`, `wattle_collector_scrape_failures_total{reason}` | scrapes |
//! | `wattle_collector_targets{job}` | targets that are scraped |
//! | `wattle_collector_discovery_failures_total{way}` | times that looking for targets failed (`file`, `kubernetes`) |
//! | `wattle_collector_store_errors_total{kind}` | operations that failed in the store, by kind of error |
//! | `wattle_collector_append_seconds` | time from a parsed batch to its acknowledgement |
//! | `wattle_collector_store_bytes` | what the store takes, its indexes included |
//! | `wattle_collector_chunks_total` | chunks cut |
//! | `wattle_collector_nodes{energy}` | nodes of the last window by where their energy is known from (`measured`, `simulated`, `estimated`, `none`: no meter) |
//! | `wattle_collector_windows_total` | windows published |
//! | `wattle_collector_rule_evaluations_total`, `wattle_collector_rule_failures_total` | rules evaluated, and those that failed |
//! | `wattle_collector_query_seconds`, `wattle_collector_query_errors_total{reason}` | queries |

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::Error;

/// The collector's own metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) samples: IntCounterVec,
    pub(crate) rejected: IntCounterVec,
    pub(crate) exemplars: IntCounterVec,
    pub(crate) exemplars_rejected: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) series: IntGauge,
    pub(crate) spans: IntCounter,
    pub(crate) spans_rejected: IntCounterVec,
    pub(crate) graph_unpaired: IntGaugeVec,
    pub(crate) scrapes: IntCounter,
    pub(crate) scrape_failures: IntCounterVec,
    pub(crate) targets: IntGaugeVec,
    pub(crate) discovery_failures: IntCounterVec,
    pub(crate) store_errors: IntCounterVec,
    pub(crate) append_seconds: Histogram,
    pub(crate) store_bytes: IntGauge,
    pub(crate) chunks: IntCounter,
    pub(crate) nodes: IntGaugeVec,
    pub(crate) windows: IntCounter,
    pub(crate) rule_evaluations: IntCounter,
    pub(crate) rule_failures: IntCounter,
    pub(crate) query_seconds: Histogram,
    pub(crate) query_errors: IntCounterVec,
}

impl Metrics {
    /// Declares them in a registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, Error> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counters = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let seconds = |name: &str, help: &str| -> Result<Histogram, Error> {
            let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let series = IntGauge::new("wattle_collector_series", "Series in memory")?;
        registry.register(Box::new(series.clone()))?;
        let store_bytes = IntGauge::new("wattle_collector_store_bytes", "What the store takes")?;
        registry.register(Box::new(store_bytes.clone()))?;
        let nodes = Opts::new("wattle_collector_nodes", "Nodes of the last window by where their energy is known from");
        let nodes = IntGaugeVec::new(nodes, &["energy"])?;
        registry.register(Box::new(nodes.clone()))?;
        let unpaired = Opts::new("wattle_collector_graph_unpaired_spans", "Ends of calls whose other end did not come");
        let graph_unpaired = IntGaugeVec::new(unpaired, &["reason"])?;
        registry.register(Box::new(graph_unpaired.clone()))?;
        let scraped = Opts::new("wattle_collector_targets", "Targets that are scraped");
        let targets = IntGaugeVec::new(scraped, &["job"])?;
        registry.register(Box::new(targets.clone()))?;
        let discovery_failures =
            counters("wattle_collector_discovery_failures_total", "Times that looking for targets failed", "way")?;
        for way in ["file", "kubernetes"] {
            discovery_failures.with_label_values(&[way]);
        }
        Ok(Self {
            samples: counters("wattle_collector_samples_total", "Samples acknowledged", "way")?,
            rejected: counters("wattle_collector_samples_rejected_total", "Samples not taken", "reason")?,
            exemplars: counters("wattle_collector_exemplars_total", "Exemplars acknowledged", "way")?,
            exemplars_rejected: counters("wattle_collector_exemplars_rejected_total", "Exemplars not taken", "reason")?,
            refused: counters("wattle_collector_requests_refused_total", "Requests that could not be read", "way")?,
            series,
            spans: counter("wattle_collector_spans_total", "Spans acknowledged")?,
            spans_rejected: counters("wattle_collector_spans_rejected_total", "Spans not taken", "reason")?,
            graph_unpaired,
            scrapes: counter("wattle_collector_scrapes_total", "Scrapes tried")?,
            scrape_failures: counters("wattle_collector_scrape_failures_total", "Scrapes that failed", "reason")?,
            targets,
            discovery_failures,
            store_errors: counters("wattle_collector_store_errors_total", "Operations failed in the store", "kind")?,
            append_seconds: seconds("wattle_collector_append_seconds", "Time to acknowledge a batch")?,
            store_bytes,
            chunks: counter("wattle_collector_chunks_total", "Chunks cut")?,
            nodes,
            windows: counter("wattle_collector_windows_total", "Windows published")?,
            rule_evaluations: counter("wattle_collector_rule_evaluations_total", "Rules evaluated")?,
            rule_failures: counter("wattle_collector_rule_failures_total", "Rules whose evaluation failed")?,
            query_seconds: seconds("wattle_collector_query_seconds", "Time to answer a query")?,
            query_errors: counters("wattle_collector_query_errors_total", "Queries refused or failed", "reason")?,
        })
    }
}

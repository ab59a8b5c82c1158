//! The one door into the store: counts what every receiver brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::time::Instant;
use wattle_contract::{Sample, Timestamp};

use super::known::Known;
use super::remote_write::Buffers;
use crate::Error;
use crate::discover::Board;
use crate::metrics::Metrics;
use crate::receive::otlp::Deltas;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::exemplars::{self, Exemplars};
use crate::store::outcome::Appended;
use crate::store::samples::{AHEAD_MS, Samples};
use crate::store::traces::{self, Traces};

/// Metrics whose help is kept; senders with more have them stored but not described.
pub(super) const METADATA_LIMIT: usize = 20_000;

/// The reason by which scraped samples are counted that the store did not take.
pub(super) const NOT_STORED: &str = "not_stored";

/// What the labels of an exemplar may be in characters, names and values together: the bound of OpenMetrics 1.0.
pub(super) const EXEMPLAR_LABELS: usize = 128;

/// Gives the wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

/// The one door into the store.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) store: Arc<Store>,
    pub(crate) samples: Arc<Samples>,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Arc<Traces>,
    pub(crate) exemplars: Arc<Exemplars>,
    pub(super) known: Arc<Known>,
    pub(super) buffers: Arc<Buffers>,
    pub(crate) metadata: Arc<parking_lot::RwLock<Metadata>>,
    pub(crate) deltas: Arc<tokio::sync::Mutex<Deltas>>,
    pub(crate) board: Arc<Board>,
    accepted: Arc<AtomicU64>,
    spans: Arc<AtomicU64>,
}

/// Metric name to (type, help, unit), as targets tell.
pub(crate) type Metadata = std::collections::BTreeMap<Arc<str>, MetricMetadata>;

/// What a target says of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct MetricMetadata {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: String,
}

impl Intake {
    pub(crate) fn new(
        store: Arc<Store>,
        samples: Arc<Samples>,
        traces: Arc<Traces>,
        exemplars: Arc<Exemplars>,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            samples,
            metrics,
            traces,
            exemplars,
            known: Arc::default(),
            buffers: Arc::default(),
            metadata: Arc::default(),
            deltas: Arc::default(),
            board: Arc::default(),
            accepted: Arc::default(),
            spans: Arc::default(),
        }
    }

    /// Takes samples of which every one names its series; `way` is the fixed word of the way in.
    pub(crate) async fn samples(&self, way: &'static str, batch: Vec<Sample>) -> Result<Appended, Error> {
        let outcome = self.append(batch).await?;
        self.count(way, &outcome);
        Ok(outcome)
    }

    /// Takes samples; what became of them is to be counted by [`count`](Self::count).
    pub(super) async fn append(&self, batch: impl Into<Batch>) -> Result<Appended, Error> {
        let started = Instant::now();
        let outcome = self.samples.append(batch, now()).await;
        self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        match &outcome {
            Ok(appended) if appended.created > 0 => {
                self.metrics.series.set(i64::try_from(self.samples.series_count()).unwrap_or(i64::MAX));
            }
            Ok(_) => {}
            Err(error) => self.metrics.store_errors.with_label_values(&[error.label()]).inc(),
        }
        outcome
    }

    /// Counts what became of samples.
    pub(super) fn count(&self, way: &'static str, appended: &Appended) {
        self.accepted.fetch_add(appended.accepted as u64, Ordering::Relaxed);
        self.metrics.samples.with_label_values(&[way]).inc_by(appended.accepted as u64);
        for (reason, count) in &appended.rejected {
            self.metrics.rejected.with_label_values(&[reason.label()]).inc_by(*count as u64);
        }
    }

    /// Takes exemplars of series that are there; gives how many. Those that cannot be kept are counted and dropped: as in
    /// Prometheus they are no reason to refuse a request.
    pub(super) async fn exemplars(&self, way: &'static str, mut found: Vec<exemplars::Of>) -> Result<usize, Error> {
        if found.is_empty() || !self.exemplars.is_on() {
            return Ok(0);
        }
        let newest = now().0.saturating_add(AHEAD_MS);
        let refuse = |reason: &str| self.metrics.exemplars_rejected.with_label_values(&[reason]).inc();
        self.samples.read(|head| {
            found.retain(|(series, exemplar)| {
                let characters = |(name, value): (&str, &str)| name.chars().count() + value.chars().count();
                let reason = if exemplar.labels.iter().map(characters).sum::<usize>() > EXEMPLAR_LABELS {
                    "labels_too_long"
                } else if exemplar.time > newest {
                    "too_new"
                } else if head.find(series).is_none() {
                    "no_series"
                } else {
                    return true;
                };
                refuse(reason);
                false
            });
        });
        let count = found.len();
        if let Err(error) = self.exemplars.append(found).await {
            self.metrics.exemplars_rejected.with_label_values(&[NOT_STORED]).inc_by(count as u64);
            self.metrics.store_errors.with_label_values(&[error.label()]).inc();
            return Err(error);
        }
        self.metrics.exemplars.with_label_values(&[way]).inc_by(count as u64);
        Ok(count)
    }

    /// Notes what senders say of metrics.
    pub(crate) fn describe(&self, entries: Vec<(String, MetricMetadata)>) {
        if entries.is_empty() {
            return;
        }
        let mut known = self.metadata.write();
        for (metric, entry) in entries {
            if known.len() < METADATA_LIMIT || known.contains_key(metric.as_str()) {
                known.insert(metric.into(), entry);
            }
        }
    }

    /// Takes spans; `body` is the request as protobuf. Gives how many were taken and how many are not valid.
    pub(crate) async fn spans(&self, body: Bytes, request: ExportTraceServiceRequest) -> Result<(u64, u64), Error> {
        let all = traces::count_all(&request) as u64;
        let outcome = self.traces.append(body, request).await.map(|taken| (taken as u64, all - taken as u64));
        match &outcome {
            Ok((taken, invalid)) => {
                self.spans.fetch_add(*taken, Ordering::Relaxed);
                self.metrics.spans.inc_by(*taken);
                self.metrics.spans_rejected.with_label_values(&["invalid_id"]).inc_by(*invalid);
            }
            Err(Error::Busy) => self.metrics.spans_rejected.with_label_values(&["busy"]).inc_by(all),
            Err(error) => self.metrics.store_errors.with_label_values(&[error.label()]).inc(),
        }
        outcome
    }

    /// Gives a door into a store that takes nothing.
    #[cfg(test)]
    pub(crate) async fn of_a_closed_store(dir: &std::path::Path) -> Self {
        let intake = Self::of_a_new_store(dir).await;
        intake.store.close().await;
        intake
    }

    /// Gives a door into a store of its own.
    #[cfg(test)]
    pub(crate) async fn of_a_new_store(dir: &std::path::Path) -> Self {
        let url = format!("sqlite://{}", dir.join("new.db").display());
        let store = Arc::new(Store::open(&url).await.expect("the store opens"));
        let samples = Samples::open(store.clone(), 15_000, now()).await.expect("an empty store");
        let writer = traces::Writer::open(store.clone(), traces::Keeping::default(), Arc::default()).await;
        let writer = writer.expect("an empty store");
        let traces = writer.traces();
        tokio::spawn(writer.run(tokio_util::sync::CancellationToken::new()));
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let exemplars = Exemplars::open(store.clone(), 100).await.expect("an empty store");
        Self::new(store, Arc::new(samples), traces, Arc::new(exemplars), metrics)
    }

    /// Gives the samples acknowledged since the start.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Gives the spans acknowledged since the start.
    pub(crate) fn span_count(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("store", &self.store).finish_non_exhaustive()
    }
}

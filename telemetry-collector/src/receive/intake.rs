//! The one door into the store: counts what every receiver brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::time::Instant;
use wattle_contract::{Sample, Timestamp};

use crate::Error;
use crate::metrics::Metrics;
use crate::receive::otlp::Deltas;
use crate::store::Store;
use crate::store::outcome::Appended;
use crate::store::samples::Samples;
use crate::store::traces::{self, Traces};

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
    pub(crate) metadata: Arc<parking_lot::RwLock<Metadata>>,
    pub(crate) deltas: Arc<tokio::sync::Mutex<Deltas>>,
    accepted: Arc<AtomicU64>,
    spans: Arc<AtomicU64>,
}

/// Metric name to (type, help, unit), as targets tell.
pub(crate) type Metadata = std::collections::BTreeMap<String, MetricMetadata>;

/// What a target says of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct MetricMetadata {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: String,
}

impl Intake {
    pub(crate) fn new(store: Arc<Store>, samples: Arc<Samples>, traces: Arc<Traces>, metrics: Metrics) -> Self {
        Self {
            store,
            samples,
            metrics,
            traces,
            metadata: Arc::default(),
            deltas: Arc::default(),
            accepted: Arc::default(),
            spans: Arc::default(),
        }
    }

    /// Takes samples; `way` is the fixed word of the way in.
    pub(crate) async fn samples(&self, way: &'static str, batch: Vec<Sample>) -> Result<Appended, Error> {
        let started = Instant::now();
        let outcome = self.samples.append(batch, now()).await;
        self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        match &outcome {
            Ok(appended) => {
                self.accepted.fetch_add(appended.accepted as u64, Ordering::Relaxed);
                self.metrics.samples.with_label_values(&[way]).inc_by(appended.accepted as u64);
                for (reason, count) in &appended.rejected {
                    self.metrics.rejected.with_label_values(&[reason.label()]).inc_by(*count as u64);
                }
                if appended.created > 0 {
                    self.metrics.series.set(i64::try_from(self.samples.series_count()).unwrap_or(i64::MAX));
                }
            }
            Err(error) => self.metrics.store_errors.with_label_values(&[error.label()]).inc(),
        }
        outcome
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
        let url = format!("sqlite://{}", dir.join("closed.db").display());
        let store = Arc::new(Store::open(&url).await.expect("the store opens"));
        let samples = Samples::open(store.clone(), 15_000, now()).await.expect("an empty store");
        let writer = traces::Writer::open(store.clone(), traces::Keeping::default(), Arc::default()).await;
        let writer = writer.expect("an empty store");
        let traces = writer.traces();
        tokio::spawn(writer.run(tokio_util::sync::CancellationToken::new()));
        store.close().await;
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("an empty registry");
        Self::new(store, Arc::new(samples), traces, metrics)
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

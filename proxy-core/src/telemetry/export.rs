//! Sending spans to a collector over OTLP gRPC: batched, bounded, tried again with pauses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::span::Finished;
use crate::Error;
use crate::dice::Dice;
use crate::metrics::Metrics;
use crate::resilience::backoff;

/// Spans in one message.
const BATCH: usize = 512;
/// The longest a span waits for its batch to fill.
const LINGER: Duration = Duration::from_secs(1);
/// Bound on sending one message.
const DEADLINE: Duration = Duration::from_secs(5);
/// Tries for one message; then its spans are dropped and counted.
const TRIES: u32 = 5;
/// First pause between tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes finished spans.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Starts the sender; the task ends after `stop` with one last try for what is queued.
    pub(crate) fn start(
        uri: &Uri,
        queue: usize,
        metrics: Arc<Metrics>,
        dice: Arc<Dice>,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let endpoint = Endpoint::from_shared(uri.to_string())
            .map_err(|source| Error::Otlp { uri: uri.to_string(), source })?
            .connect_timeout(DEADLINE)
            .timeout(DEADLINE);
        let client = TraceServiceClient::new(endpoint.connect_lazy());
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let task = Task { client, receiver, metrics: Arc::clone(&metrics), dice, stop };
        Ok((Self { queue: sender, metrics }, tokio::spawn(task.run())))
    }

    /// Queues a span, or drops and counts it when the queue is full.
    pub(crate) fn send(&self, span: Finished) {
        if self.queue.try_send(span).is_err() {
            self.metrics.spans.with_label_values(&["dropped"]).inc();
        }
    }
}

struct Task {
    client: TraceServiceClient<Channel>,
    receiver: mpsc::Receiver<Finished>,
    metrics: Arc<Metrics>,
    dice: Arc<Dice>,
    stop: CancellationToken,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let ended = tokio::select! {
                received = self.receiver.recv_many(&mut batch, BATCH) => received == 0,
                () = self.stop.cancelled() => true,
            };
            if ended {
                break;
            }
            self.fill(&mut batch).await;
            self.deliver(std::mem::take(&mut batch)).await;
        }
        while let Ok(span) = self.receiver.try_recv() {
            batch.push(span);
        }
        for chunk in batch.chunks(BATCH) {
            self.deliver(chunk.to_vec()).await;
        }
    }

    async fn fill(&mut self, batch: &mut Vec<Finished>) {
        let stop = self.stop.clone();
        let more =
            async { while batch.len() < BATCH && self.receiver.recv_many(batch, BATCH - batch.len()).await > 0 {} };
        tokio::select! {
            _ = timeout(LINGER, more) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn deliver(&mut self, batch: Vec<Finished>) {
        let spans = batch.len() as u64;
        if spans == 0 {
            return;
        }
        let request = message(batch);
        for tries in 0..TRIES {
            match timeout(DEADLINE, self.client.export(request.clone())).await {
                Ok(Ok(_)) => {
                    self.metrics.spans.with_label_values(&["sent"]).inc_by(spans);
                    return;
                }
                Ok(Err(status)) => tracing::debug!(code = ?status.code(), spans, tries, "spans were not taken"),
                Err(_) => tracing::debug!(spans, tries, "spans were not taken in time"),
            }
            // The end waits for one more try, not for all.
            if self.stop.is_cancelled() && tries > 0 {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff::pause(PAUSE, tries, &self.dice) + PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.metrics.spans.with_label_values(&["failed"]).inc_by(spans);
    }
}

/// Groups spans by whose they are.
fn message(batch: Vec<Finished>) -> ExportTraceServiceRequest {
    let mut by_resource: BTreeMap<String, ResourceSpans> = BTreeMap::new();
    for finished in batch {
        let key = format!("{}\0{:?}", finished.service, finished.resource.attributes);
        let group = by_resource.entry(key).or_insert_with(|| ResourceSpans {
            resource: Some(finished.resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "wattle-proxy".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
        group.scope_spans[0].spans.push(finished.span);
    }
    ExportTraceServiceRequest { resource_spans: by_resource.into_values().collect() }
}

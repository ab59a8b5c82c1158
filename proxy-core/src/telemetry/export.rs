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
/// How long the end may take: what is not sent by then is dropped and counted, however much is queued.
const LAST: Duration = Duration::from_secs(2);
/// First pause between tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes finished spans.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Starts the sender; the task ends at most two seconds after `stop`, with one last try for what is queued.
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
        let (batch, in_hand) = (Vec::new(), 0);
        let task = Task { client, receiver, batch, in_hand, metrics: Arc::clone(&metrics), dice, stop };
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
    /// Taken off the queue, not yet in a message.
    batch: Vec<Finished>,
    /// Spans in the message that is being sent.
    in_hand: u64,
    metrics: Arc<Metrics>,
    dice: Arc<Dice>,
    stop: CancellationToken,
}

impl Task {
    async fn run(mut self) {
        let stop = self.stop.clone();
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        tokio::select! {
            () = self.send_all() => return,
            () = too_late => {}
        }
        let unsent = self.in_hand + (self.batch.len() + self.receiver.len()) as u64;
        self.metrics.spans.with_label_values(&["failed"]).inc_by(unsent);
    }

    async fn send_all(&mut self) {
        loop {
            let ended = tokio::select! {
                received = self.receiver.recv_many(&mut self.batch, BATCH) => received == 0,
                () = self.stop.cancelled() => true,
            };
            if ended {
                break;
            }
            self.fill().await;
            self.deliver().await;
        }
        while let Ok(span) = self.receiver.try_recv() {
            self.batch.push(span);
        }
        while !self.batch.is_empty() {
            self.deliver().await;
        }
    }

    async fn fill(&mut self) {
        let stop = self.stop.clone();
        let (batch, receiver) = (&mut self.batch, &mut self.receiver);
        let more = async { while batch.len() < BATCH && receiver.recv_many(batch, BATCH - batch.len()).await > 0 {} };
        tokio::select! {
            _ = timeout(LINGER, more) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Sends the first message of the batch.
    async fn deliver(&mut self) {
        let spans = self.batch.len().min(BATCH);
        let request = message(self.batch.drain(..spans));
        self.in_hand = spans as u64;
        let result = if self.send(&request).await { "sent" } else { "failed" };
        self.metrics.spans.with_label_values(&[result]).inc_by(std::mem::take(&mut self.in_hand));
    }

    async fn send(&mut self, request: &ExportTraceServiceRequest) -> bool {
        let spans = self.in_hand;
        for tries in 0..TRIES {
            match timeout(DEADLINE, self.client.export(request.clone())).await {
                Ok(Ok(_)) => return true,
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
        false
    }
}

/// Groups spans by whose they are.
fn message(batch: impl Iterator<Item = Finished>) -> ExportTraceServiceRequest {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_does_not_answer_holds_the_end_up_for_two_seconds() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}", silent.local_addr().expect("bound")).parse().expect("an address");
        let metrics = Arc::new(Metrics::new(&prometheus::Registry::new()).expect("an empty registry"));
        let stop = CancellationToken::new();
        let (exporter, task) =
            Exporter::start(&uri, 8192, Arc::clone(&metrics), Arc::new(Dice::new(1)), stop.clone()).expect("starts");
        for _ in 0..3000 {
            let (service, resource, span) = (String::new(), Default::default(), Default::default());
            exporter.send(Finished { service, resource, span });
        }

        let stopped = tokio::time::Instant::now();
        stop.cancel();
        task.await.expect("ends in order");

        assert!(stopped.elapsed() <= LAST + Duration::from_millis(10), "{:?}", stopped.elapsed());
        assert_eq!(metrics.spans.with_label_values(&["failed"]).get(), 3000);
    }
}

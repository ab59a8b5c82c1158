//! OTLP: traces and metrics, over gRPC and over HTTP as protobuf or JSON.
//!
//! What cannot be kept of a request is told of as partial success; the rest is kept. A request is refused as a whole
//! when it does not parse (do not send it again) or when the store is behind or fails (send it again later).

mod delta;
mod exemplars;
mod http;
mod names;
mod points;
mod walk;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::grpc::{self, Answer, Methods, Service};
use super::intake::Intake;
use crate::Error;

pub(crate) use delta::Deltas;
pub(crate) use http::{gunzip, metrics_route, routes as http_routes};
pub(crate) use names::text;

/// Largest request accepted, unpacked.
pub(crate) const LIMIT: usize = 16 << 20;

/// Why a request that parses was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The store is behind: again later.
    Busy(String),
    /// The store failed: again later.
    Unavailable(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::Busy(error.to_string()),
            error => {
                tracing::error!(%error, "spans or metrics were not stored");
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy(message) => Self::resource_exhausted(message),
            Refusal::Unavailable(message) => Self::unavailable(message),
        }
    }
}

/// Takes spans; `body` is the request as protobuf.
pub(crate) async fn take_traces(
    intake: &Intake,
    body: Bytes,
    request: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Refusal> {
    let (_, invalid) = intake.spans(body, request).await?;
    let partial_success = (invalid > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(invalid).unwrap_or(i64::MAX),
        error_message: "spans without a trace id of 16 bytes and a span id of 8, not all zero, cannot be kept"
            .to_owned(),
    });
    Ok(ExportTraceServiceResponse { partial_success })
}

/// Takes metrics.
pub(crate) async fn take_metrics(
    intake: &Intake,
    request: ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Refusal> {
    let mut deltas = intake.deltas.lock().await;
    let found = walk::samples(request, &mut deltas);
    intake.describe(found.metadata);
    let (mut rejected, mut message) = (found.rejected, found.reason);
    let appended = intake.samples("otlp", found.samples).await.inspect_err(|_| deltas.take_back())?;
    deltas.keep();
    drop(deltas);
    intake.exemplars("otlp", found.exemplars).await?;
    if let Some((reason, labels)) = appended.first {
        rejected += appended.rejected.iter().map(|(_, count)| *count as i64).sum::<i64>();
        let series = crate::store::outcome::describe(&labels);
        message.get_or_insert_with(|| format!("{series}: {}", reason.message()));
    }
    let partial_success =
        message.map(|error_message| ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message });
    Ok(ExportMetricsServiceResponse { partial_success })
}

/// Gives how many samples a request of metrics has; sums of deltas are kept and taken back on the way.
pub(crate) fn probe(request: ExportMetricsServiceRequest) -> usize {
    let mut deltas = Deltas::default();
    let first = walk::samples(request.clone(), &mut deltas).samples.len();
    deltas.take_back();
    let again = walk::samples(request, &mut deltas);
    deltas.keep();
    assert_eq!(again.samples.len(), first, "what was taken back is as if it had never come");
    first
}

#[derive(Clone)]
struct Traces(Intake);

impl Methods for Traces {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";

    fn call(&self, method: &str, message: Bytes) -> BoxFuture<'static, Result<Answer, Status>> {
        let (intake, is_known) = (self.0.clone(), method == "Export");
        Box::pin(async move {
            let request = decoded(is_known, &message)?;
            Ok(vec![take_traces(&intake, message, request).await?.encode_to_vec()])
        })
    }
}

#[derive(Clone)]
struct Metrics(Intake);

impl Methods for Metrics {
    const NAME: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";

    fn call(&self, method: &str, message: Bytes) -> BoxFuture<'static, Result<Answer, Status>> {
        let (intake, is_known) = (self.0.clone(), method == "Export");
        Box::pin(async move {
            let request = decoded(is_known, &message)?;
            Ok(vec![take_metrics(&intake, request).await?.encode_to_vec()])
        })
    }
}

fn decoded<M: Message + Default>(is_known: bool, message: &[u8]) -> Result<M, Status> {
    if !is_known {
        return Err(Status::unimplemented("the one method is Export"));
    }
    M::decode(message).map_err(|error| Status::invalid_argument(format!("message does not decode: {error}")))
}

/// Serves OTLP over gRPC until told to stop.
pub(crate) async fn serve_grpc(intake: Intake, listener: TcpListener, shutdown: CancellationToken) {
    let routes = tonic::service::Routes::new(Service::new(Traces(intake.clone()), LIMIT));
    grpc::serve(routes.add_service(Service::new(Metrics(intake), LIMIT)), listener, shutdown).await;
}

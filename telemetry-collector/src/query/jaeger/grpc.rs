//! `jaeger.api_v2.QueryService`.

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::model::{self, Trace};
use super::proto::{self, Seconds};
use super::{Failure, found, links, params, search};
use crate::receive::grpc::{self, Answer, Methods, Service};
use crate::receive::intake::{Intake, now};
use crate::store::traces::TraceQuery;

/// Largest question accepted.
const LIMIT: usize = 1 << 20;
/// Spans of one message of a stream: clients take 4 MiB at most.
const CHUNK: usize = 100;
/// Traces that are given when no number is asked for.
const DEPTH: usize = 20;

/// Serves until told to stop.
pub(crate) async fn serve(intake: Intake, listener: TcpListener, shutdown: CancellationToken) {
    let routes = tonic::service::Routes::new(Service::new(QueryService(intake), LIMIT));
    grpc::serve(routes, listener, shutdown).await;
}

#[derive(Clone)]
struct QueryService(Intake);

impl Methods for QueryService {
    const NAME: &'static str = "jaeger.api_v2.QueryService";

    fn call(&self, method: &str, message: Bytes) -> BoxFuture<'static, Result<Answer, Status>> {
        let (intake, method) = (self.0.clone(), method.to_owned());
        Box::pin(async move {
            match method.as_str() {
                "GetTrace" => get_trace(&intake, &decode::<proto::GetTraceRequest>(&message)?).await,
                "FindTraces" => find_traces(&intake, decode::<proto::FindTracesRequest>(&message)?).await,
                "GetServices" => {
                    Ok(vec![proto::GetServicesResponse { services: intake.traces.services() }.encode_to_vec()])
                }
                "GetOperations" => Ok(get_operations(&intake, &decode(&message)?)),
                "GetDependencies" => get_dependencies(&intake, &decode(&message)?).await,
                "ArchiveTrace" => Err(Status::unimplemented("there is no archive")),
                other => Err(Status::unimplemented(format!("jaeger.api_v2.QueryService has no method {other}"))),
            }
        })
    }
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, Status> {
    M::decode(message).map_err(|error| Status::invalid_argument(format!("message does not decode: {error}")))
}

fn status((status, message): Failure) -> Status {
    match status {
        StatusCode::BAD_REQUEST => Status::invalid_argument(message),
        StatusCode::NOT_FOUND => Status::not_found(message),
        _ => Status::internal(message),
    }
}

async fn get_trace(intake: &Intake, request: &proto::GetTraceRequest) -> Result<Answer, Status> {
    let id = match request.trace_id.len() {
        16 => request.trace_id.as_slice().try_into().unwrap_or_default(),
        length => return Err(Status::invalid_argument(format!("a trace id has 16 bytes, not {length}"))),
    };
    let traces = found(intake, &[id]).await.map_err(status)?;
    if traces.is_empty() {
        return Err(Status::not_found("trace not found"));
    }
    Ok(chunks(&traces))
}

async fn find_traces(intake: &Intake, request: proto::FindTracesRequest) -> Result<Answer, Status> {
    let Some(query) = request.query.filter(|query| !query.service_name.is_empty()) else {
        return Err(Status::invalid_argument("a service name is required"));
    };
    let given = |time: Option<Seconds>| time.map(Seconds::nanos).filter(|nanos| *nanos > 0);
    let query = TraceQuery {
        service: Some(query.service_name),
        operation: Some(query.operation_name).filter(|name| !name.is_empty()),
        kind: None,
        tags: query.tags.into_iter().collect(),
        shortest: given(query.duration_min),
        longest: given(query.duration_max),
        since: given(query.start_time_min).unwrap_or(0),
        until: given(query.start_time_max).unwrap_or(u64::MAX),
        limit: usize::try_from(query.search_depth).ok().filter(|depth| *depth > 0).unwrap_or(DEPTH).min(params::MOST),
    };
    Ok(chunks(&search(intake, &query).await.map_err(status)?))
}

fn get_operations(intake: &Intake, request: &proto::GetOperationsRequest) -> Answer {
    let operations = intake.traces.operations(&request.service).into_iter();
    let operations: Vec<proto::Operation> = operations
        .map(|(name, kind)| proto::Operation { name, span_kind: model::kind(kind).to_owned() })
        .filter(|operation| request.span_kind.is_empty() || operation.span_kind == request.span_kind)
        .collect();
    let mut operation_names: Vec<String> = operations.iter().map(|operation| operation.name.clone()).collect();
    operation_names.dedup();
    vec![proto::GetOperationsResponse { operation_names, operations }.encode_to_vec()]
}

async fn get_dependencies(intake: &Intake, request: &proto::GetDependenciesRequest) -> Result<Answer, Status> {
    let millis = |time: Seconds| i64::try_from(time.nanos() / 1_000_000).unwrap_or(i64::MAX);
    let end = request.end_time.map_or_else(|| now().0, millis);
    let start = request.start_time.map_or(end - 86_400_000, millis);
    let found = links(intake, start, end).await.map_err(|error| Status::internal(error.to_string()))?;
    let link = |(parent, child, call_count)| proto::DependencyLink { parent, child, call_count };
    Ok(vec![proto::GetDependenciesResponse { dependencies: found.into_iter().map(link).collect() }.encode_to_vec()])
}

fn chunks(traces: &[Trace]) -> Answer {
    let mut answer = Vec::new();
    for trace in traces {
        let spans = proto::spans(trace);
        let chunk = |part: &[proto::Span]| proto::SpansResponseChunk { spans: part.to_vec() }.encode_to_vec();
        answer.extend(spans.chunks(CHUNK).map(chunk));
    }
    answer
}

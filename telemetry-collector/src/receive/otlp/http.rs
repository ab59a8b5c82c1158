//! OTLP over HTTP.

use std::io::Read;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{LIMIT, Refusal, take_metrics, take_traces};
use crate::receive::intake::Intake;

/// When a sender is asked to come again: a commit takes milliseconds, a queue of them a second.
const AGAIN_BUSY: &str = "1";
/// When a sender is asked to come again after the store failed.
const AGAIN_FAILED: &str = "5";

/// `google.rpc.Status`, in which OTLP tells of errors.
#[derive(Clone, PartialEq, Message, Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Gives the routes of OTLP over HTTP.
pub(crate) fn routes(intake: Intake) -> Router {
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(metrics))
        .layer(DefaultBodyLimit::max(LIMIT))
        .with_state(intake)
}

/// Gives the route that Prometheus has for OTLP metrics.
pub(crate) fn metrics_route(intake: Intake) -> Router {
    Router::new().route("/api/v1/otlp/v1/metrics", post(metrics)).layer(DefaultBodyLimit::max(LIMIT)).with_state(intake)
}

async fn traces(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    let form = match Form::of(&headers) {
        Ok(form) => form,
        Err(response) => return response,
    };
    let answer = async {
        let plain = unpacked(&headers, body)?;
        let request: ExportTraceServiceRequest = form.decode(&plain)?;
        // The journal keeps protobuf.
        let plain = if form == Form::Json { request.encode_to_vec().into() } else { plain };
        take_traces(&intake, plain, request).await.map_err(refused)
    };
    form.respond(answer.await)
}

async fn metrics(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    let form = match Form::of(&headers) {
        Ok(form) => form,
        Err(response) => return response,
    };
    let answer = async {
        let plain = unpacked(&headers, body)?;
        let request: ExportMetricsServiceRequest = form.decode(&plain)?;
        take_metrics(&intake, request).await.map_err(refused)
    };
    form.respond(answer.await)
}

/// An error: status, when to come again, and the message.
type Failure = (StatusCode, Option<&'static str>, String);

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Busy(message) => (StatusCode::TOO_MANY_REQUESTS, Some(AGAIN_BUSY), message),
        Refusal::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, Some(AGAIN_FAILED), message),
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn of(headers: &HeaderMap) -> Result<Self, Response> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        match kind.split(';').next().unwrap_or("").trim() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => {
                let message = "content-type is neither application/x-protobuf nor application/json";
                Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response())
            }
        }
    }

    fn decode<M: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<M, Failure> {
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| format!("body is no OTLP JSON: {error}")),
            Self::Protobuf => M::decode(body).map_err(|error| format!("body is no OTLP protobuf: {error}")),
        }
        .map_err(|message| (StatusCode::BAD_REQUEST, None, message))
    }

    fn respond<M: Message + Serialize>(self, answer: Result<M, Failure>) -> Response {
        match answer {
            Ok(message) => (StatusCode::OK, self.body(&message)).into_response(),
            Err((status, again, message)) => {
                // Codes of gRPC: INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE.
                let code = match status {
                    StatusCode::TOO_MANY_REQUESTS => 8,
                    StatusCode::SERVICE_UNAVAILABLE => 14,
                    _ => 3,
                };
                let mut response = (status, self.body(&RpcStatus { code, message })).into_response();
                if let Some(again) = again {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(again));
                }
                response
            }
        }
    }

    fn body<M: Message + Serialize>(self, message: &M) -> Response {
        match self {
            Self::Json => {
                let mut body = serde_json::to_value(message).unwrap_or_default();
                // Protobuf's JSON leaves out what is not there.
                if let Some(fields) = body.as_object_mut() {
                    fields.retain(|_, value| !value.is_null());
                }
                ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
            }
            Self::Protobuf => {
                ([(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response()
            }
        }
    }
}

/// Undoes gzip, up to the limit.
fn unpacked(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(body),
        Some(b"gzip") => gunzip(&body, LIMIT).map(Bytes::from).map_err(|(status, message)| (status, None, message)),
        Some(_) => {
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, None, "content-encoding is neither gzip nor identity".to_owned()))
        }
    }
}

/// Undoes gzip; never unpacks more than the limit.
pub(crate) fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, (StatusCode, String)> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(limit as u64 + 1);
    let read = reader.read_to_end(&mut plain);
    read.map_err(|error| (StatusCode::BAD_REQUEST, format!("body is not gzip: {error}")))?;
    if plain.len() > limit {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("body is longer than {limit} bytes unpacked")));
    }
    Ok(plain)
}

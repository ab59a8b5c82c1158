//! Zipkin's spans, version 2 and 1 of its JSON, as OTLP.
//!
//! A 64-bit trace id becomes the low half of a 128-bit one. Both ends of a B3 call keep their shared id: the graph pairs
//! by it, and the trace is drawn with the server as the client's child. A span of version 1 that holds both ends is two.

mod v1;
mod v2;

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::intake::Intake;
use super::otlp::{LIMIT, Refusal, gunzip, take_traces};

/// Gives the routes of Zipkin's listener.
pub(crate) fn routes(intake: Intake) -> Router {
    Router::new()
        .route("/api/v2/spans", post(async |intake, headers, body| take(intake, headers, body, v2::parse).await))
        .route("/api/v1/spans", post(async |intake, headers, body| take(intake, headers, body, v1::parse).await))
        .layer(DefaultBodyLimit::max(LIMIT))
        .with_state(intake)
}

/// Reads bytes as lists of spans of both versions.
pub(crate) fn probe(body: &[u8]) -> [Option<ExportTraceServiceRequest>; 2] {
    [v2::parse(body), v1::parse(body)].map(|read| read.ok().map(request))
}

/// Spans by the service that sent them.
type Parsed = Result<Vec<(String, Span)>, String>;

async fn take(State(intake): State<Intake>, headers: HeaderMap, body: Bytes, parse: fn(&[u8]) -> Parsed) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    if !kind.starts_with("application/json") && !kind.starts_with("text/plain") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "spans are taken as application/json\n").into_response();
    }
    let body = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip") => match gunzip(&body, LIMIT) {
            Ok(plain) => Bytes::from(plain),
            Err(refusal) => return refusal.into_response(),
        },
        _ => body,
    };
    let request = match parse(&body) {
        Ok(spans) => request(spans),
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let encoded = request.encode_to_vec().into();
    match take_traces(&intake, encoded, request).await {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(Refusal::Busy(message)) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], message).into_response()
        }
        Err(Refusal::Unavailable(message)) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], message).into_response()
        }
    }
}

fn request(spans: Vec<(String, Span)>) -> ExportTraceServiceRequest {
    let mut services: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for (service, span) in spans {
        services.entry(service).or_default().push(span);
    }
    let resource = |(service, spans): (String, Vec<Span>)| ResourceSpans {
        resource: Some(Resource { attributes: vec![string("service.name", service)], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: services.into_iter().map(resource).collect() }
}

fn string(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Reads an id of up to `N` bytes written in hex; shorter ones have zeros in front.
fn id<const N: usize>(text: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("id {text:?} is not 1 to {} hexadecimal digits", 2 * N);
    if text.is_empty() || text.len() > 2 * N || !text.is_ascii() {
        return Err(bad());
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| bad())?;
    Ok(number.to_be_bytes()[16 - N..].to_vec())
}

const fn nanos(micros: u64) -> u64 {
    micros.saturating_mul(1_000)
}

#[cfg(test)]
mod tests;

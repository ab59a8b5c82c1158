//! Version 2 of Zipkin's JSON: one end of a call a span.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Deserialize;

use super::{Parsed, attribute, id, nanos, string};
use crate::store::traces::block::UNKNOWN_SERVICE;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinSpan {
    trace_id: String,
    id: String,
    parent_id: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    timestamp: Option<u64>,
    duration: Option<u64>,
    local_endpoint: Option<Endpoint>,
    remote_endpoint: Option<Endpoint>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// One end of a connection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) service_name: Option<String>,
    pub(super) ipv4: Option<String>,
    pub(super) ipv6: Option<String>,
    pub(super) port: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

/// Reads a list of spans.
pub(super) fn parse(body: &[u8]) -> Parsed {
    let spans: Vec<ZipkinSpan> =
        serde_json::from_slice(body).map_err(|error| format!("body is no list of Zipkin v2 spans: {error}"))?;
    let numbered = spans.into_iter().enumerate();
    numbered.map(|(at, span)| convert(span).map_err(|error| format!("span {at}: {error}"))).collect()
}

fn convert(from: ZipkinSpan) -> Result<(String, Span), String> {
    let start = nanos(from.timestamp.unwrap_or(0));
    let mut attributes: Vec<KeyValue> = from.tags.iter().map(|(key, value)| string(key, value.as_str())).collect();
    attributes.extend(from.remote_endpoint.iter().flat_map(peer));
    let kind = match from.kind.as_deref() {
        Some("CLIENT") => SpanKind::Client,
        Some("SERVER") => SpanKind::Server,
        Some("PRODUCER") => SpanKind::Producer,
        Some("CONSUMER") => SpanKind::Consumer,
        Some(other) => return Err(format!("kind {other:?} is none of CLIENT, SERVER, PRODUCER, CONSUMER")),
        None => SpanKind::Internal,
    };
    let event = |annotation: Annotation| Event {
        time_unix_nano: nanos(annotation.timestamp),
        name: annotation.value,
        ..Event::default()
    };
    let span = Span {
        trace_id: id::<16>(&from.trace_id)?,
        span_id: id::<8>(&from.id)?,
        parent_span_id: from
            .parent_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .map(id::<8>)
            .transpose()?
            .unwrap_or_default(),
        name: from.name.unwrap_or_default(),
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(nanos(from.duration.unwrap_or(0))),
        attributes,
        events: from.annotations.into_iter().map(event).collect(),
        status: status(from.tags.get("error").map(String::as_str)),
        ..Span::default()
    };
    let service = from.local_endpoint.and_then(|endpoint| endpoint.service_name);
    Ok((service.filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN_SERVICE.to_owned()), span))
}

/// In Zipkin the tag `error` alone says that a call failed; its text may say why.
pub(super) fn status(error: Option<&str>) -> Option<Status> {
    let message = error.filter(|error| *error != "false")?;
    let message = if message == "true" { "" } else { message };
    Some(Status { code: StatusCode::Error.into(), message: message.to_owned() })
}

/// Gives what is known of the other end.
pub(super) fn peer(endpoint: &Endpoint) -> Vec<KeyValue> {
    let mut found = Vec::new();
    found.extend(endpoint.service_name.as_deref().filter(|n| !n.is_empty()).map(|name| string("peer.service", name)));
    let address = endpoint.ipv4.as_deref().or(endpoint.ipv6.as_deref());
    found.extend(address.map(|address| string("network.peer.address", address)));
    found.extend(endpoint.port.map(|port| attribute("network.peer.port", any_value::Value::IntValue(port))));
    found
}

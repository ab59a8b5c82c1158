//! Version 1 of Zipkin's JSON: annotations `cs`, `cr`, `sr`, `ss` say which ends of the call a span holds.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use serde::Deserialize;

use super::v2::{Endpoint, peer, status};
use super::{Parsed, attribute, id, nanos, string};
use crate::store::traces::block::UNKNOWN_SERVICE;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinSpan {
    trace_id: String,
    id: String,
    parent_id: Option<String>,
    name: Option<String>,
    timestamp: Option<u64>,
    duration: Option<u64>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    binary_annotations: Vec<BinaryAnnotation>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    timestamp: u64,
    value: String,
    endpoint: Option<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct BinaryAnnotation {
    key: String,
    value: serde_json::Value,
    endpoint: Option<Endpoint>,
}

/// Which end of a call, the annotations of its start and end, and that of the other end's address.
const ENDS: [(SpanKind, &str, &str, &str); 4] = [
    (SpanKind::Client, "cs", "cr", "sa"),
    (SpanKind::Server, "sr", "ss", "ca"),
    (SpanKind::Producer, "ms", "", "ma"),
    (SpanKind::Consumer, "mr", "", "ma"),
];

/// Reads a list of spans.
pub(super) fn parse(body: &[u8]) -> Parsed {
    let spans: Vec<ZipkinSpan> =
        serde_json::from_slice(body).map_err(|error| format!("body is no list of Zipkin v1 spans: {error}"))?;
    let mut found = Vec::with_capacity(spans.len());
    for (at, span) in spans.iter().enumerate() {
        found.extend(convert(span).map_err(|error| format!("span {at}: {error}"))?);
    }
    Ok(found)
}

fn convert(from: &ZipkinSpan) -> Result<Vec<(String, Span)>, String> {
    let at = |value: &str| from.annotations.iter().find(|annotation| annotation.value == value);
    let mut found = Vec::new();
    for (kind, start, end, address) in ENDS {
        let (start, end) = (at(start), at(end));
        let Some(known) = start.or(end) else { continue };
        let begin = start.map_or(from.timestamp.unwrap_or(known.timestamp), |start| start.timestamp);
        let stop = end.map_or(begin.saturating_add(from.duration.unwrap_or(0)), |end| end.timestamp);
        let other = from.binary_annotations.iter().find(|annotation| annotation.key == address);
        let other = other.and_then(|annotation| annotation.endpoint.as_ref());
        found.push(span(from, kind, (begin, stop), (known.endpoint.as_ref(), other))?);
    }
    if found.is_empty() {
        let begin = from.timestamp.unwrap_or(0);
        let stop = begin.saturating_add(from.duration.unwrap_or(0));
        let local = from.binary_annotations.iter().find_map(|annotation| annotation.endpoint.as_ref());
        found.push(span(from, SpanKind::Internal, (begin, stop), (local, None))?);
    }
    Ok(found)
}

fn span(
    from: &ZipkinSpan,
    kind: SpanKind,
    (begin, stop): (u64, u64),
    (local, other): (Option<&Endpoint>, Option<&Endpoint>),
) -> Result<(String, Span), String> {
    let is_end = |value: &str| ENDS.iter().any(|(_, start, end, _)| value == *start || value == *end);
    let events = from.annotations.iter().filter(|annotation| !is_end(&annotation.value)).map(|annotation| Event {
        time_unix_nano: nanos(annotation.timestamp),
        name: annotation.value.clone(),
        ..Event::default()
    });
    let tags = from.binary_annotations.iter().filter(|tag| !ENDS.iter().any(|(.., address)| tag.key == *address));
    let mut attributes: Vec<KeyValue> = tags.map(tag).collect();
    attributes.extend(other.into_iter().flat_map(peer));
    let error = from.binary_annotations.iter().find(|tag| tag.key == "error").map(|tag| text(&tag.value));
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
        name: from.name.clone().unwrap_or_default(),
        kind: kind.into(),
        start_time_unix_nano: nanos(begin),
        end_time_unix_nano: nanos(stop),
        attributes,
        events: events.collect(),
        status: status(error.as_deref()),
        ..Span::default()
    };
    let service = local.and_then(|endpoint| endpoint.service_name.clone()).filter(|name| !name.is_empty());
    Ok((service.unwrap_or_else(|| UNKNOWN_SERVICE.to_owned()), span))
}

fn tag(tag: &BinaryAnnotation) -> KeyValue {
    match &tag.value {
        serde_json::Value::Bool(truth) => attribute(&tag.key, any_value::Value::BoolValue(*truth)),
        other => string(&tag.key, text(other)),
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

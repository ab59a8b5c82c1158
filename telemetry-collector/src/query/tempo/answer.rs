//! A found trace as Tempo tells of it.

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use serde_json::{Value, json};

use super::traceql::{TraceQl, field};
use crate::query::spans::hex;
use crate::store::traces::service_of;

/// Tells of a trace; `None` when it does not match.
pub(super) fn trace(id: &[u8; 16], trace: &[ResourceSpans], query: &TraceQl, most: usize) -> Option<Value> {
    let matching = query.matching(trace);
    if matching.is_empty() {
        return None;
    }
    let spans: Vec<(&ResourceSpans, &Span)> = trace
        .iter()
        .flat_map(|resource| resource.scope_spans.iter().map(move |scope| (resource, scope)))
        .flat_map(|(resource, scope)| scope.spans.iter().map(move |span| (resource, span)))
        .collect();
    let start = spans.iter().map(|(_, span)| span.start_time_unix_nano).min().unwrap_or(0);
    let end = spans.iter().map(|(_, span)| span.end_time_unix_nano).max().unwrap_or(0);
    let roots = spans.iter().filter(|(_, span)| span.parent_span_id.is_empty());
    let root = roots.min_by_key(|(_, span)| span.start_time_unix_nano);
    let shown: Vec<Value> = matching.iter().take(most).map(|pair| self::span(pair, query)).collect();
    let set = json!({ "spans": shown, "matched": matching.len() });
    Some(json!({
        "traceID": hex(id),
        "rootServiceName": root.map_or("<root span not yet received>".to_owned(), |(r, _)| service_of(r.resource.as_ref())),
        "rootTraceName": root.map_or("", |(_, span)| span.name.as_str()),
        "startTimeUnixNano": start.to_string(),
        "durationMs": end.saturating_sub(start) / 1_000_000,
        "spanSet": set,
        "spanSets": [set],
    }))
}

fn span((resource, span): &(&ResourceSpans, &Span), query: &TraceQl) -> Value {
    let mut attributes = vec![json!({
        "key": "service.name", "value": { "stringValue": service_of(resource.resource.as_ref()) }
    })];
    for wanted in &query.select {
        if let Some(value) = field(wanted, resource, span).into_iter().next() {
            let key = ["resource.", "span.", "."].iter().find_map(|scope| wanted.strip_prefix(scope)).unwrap_or(wanted);
            attributes.push(json!({ "key": key, "value": { "stringValue": value } }));
        }
    }
    json!({
        "spanID": hex(&span.span_id),
        "name": span.name,
        "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "durationNanos": span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano).to_string(),
        "attributes": attributes,
    })
}

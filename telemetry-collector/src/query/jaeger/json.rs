//! A trace in Jaeger's JSON.

use serde_json::{Map, Value, json};

use super::model::{Span, Tag, Tags, Trace};
use crate::query::spans::hex;

/// Writes a trace.
pub(super) fn trace(trace: &Trace) -> Value {
    let id = trace_id(&trace.id);
    let process = |(at, (service, own)): (usize, &(String, Tags))| {
        (process_id(at), json!({ "serviceName": service, "tags": tags(own) }))
    };
    let processes: Map<String, Value> = trace.processes.iter().enumerate().map(process).collect();
    let spans: Vec<Value> = trace.spans.iter().map(|one| span(one, &id)).collect();
    json!({ "traceID": id, "spans": spans, "processes": processes, "warnings": null })
}

fn span(span: &Span, trace: &str) -> Value {
    let reference = |(trace, span, is_parent): &([u8; 16], [u8; 8], bool)| {
        let kind = if *is_parent { "CHILD_OF" } else { "FOLLOWS_FROM" };
        json!({ "refType": kind, "traceID": trace_id(trace), "spanID": hex(span) })
    };
    let log = |(nanos, fields): &(u64, Tags)| json!({ "timestamp": nanos / 1_000, "fields": tags(fields) });
    json!({
        "traceID": trace,
        "spanID": hex(&span.id),
        "flags": span.flags,
        "operationName": span.name,
        "references": span.references.iter().map(reference).collect::<Vec<_>>(),
        "startTime": span.start_nanos / 1_000,
        "duration": span.duration_nanos / 1_000,
        "tags": tags(&span.tags),
        "logs": span.logs.iter().map(log).collect::<Vec<_>>(),
        "processID": process_id(span.process),
        "warnings": null,
    })
}

fn tags(tags: &Tags) -> Vec<Value> {
    let tag = |(key, value): &(String, Tag)| {
        let (kind, value) = match value {
            Tag::Text(text) => ("string", Value::from(text.as_str())),
            Tag::Truth(truth) => ("bool", Value::from(*truth)),
            Tag::Whole(number) => ("int64", Value::from(*number)),
            // JSON has no NaN.
            Tag::Real(number) if number.is_finite() => ("float64", Value::from(*number)),
            Tag::Real(number) => ("string", Value::from(number.to_string())),
            Tag::Bytes(bytes) => ("binary", Value::from(hex(bytes))),
        };
        json!({ "key": key, "type": kind, "value": value })
    };
    tags.iter().map(tag).collect()
}

fn process_id(at: usize) -> String {
    format!("p{}", at + 1)
}

/// Writes a 64-bit id without the zeros in front, as Jaeger does.
pub(super) fn trace_id(id: &[u8; 16]) -> String {
    let (high, low) = id.split_at(8);
    if high == [0; 8] { hex(low) } else { hex(id) }
}

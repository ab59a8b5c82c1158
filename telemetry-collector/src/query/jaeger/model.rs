//! A trace as Jaeger means it: spans with references, tags and logs.

use std::collections::{HashMap, HashSet};

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as OtlpSpan};

use crate::store::traces::block::service_of;

/// A tag's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tag {
    Text(String),
    Truth(bool),
    Whole(i64),
    Real(f64),
    Bytes(Vec<u8>),
}

pub(super) type Tags = Vec<(String, Tag)>;

/// Which span another one refers to: trace, span, and whether it is its parent.
pub(super) type Reference = ([u8; 16], [u8; 8], bool);

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) id: [u8; 8],
    pub(super) name: String,
    pub(super) flags: u32,
    pub(super) references: Vec<Reference>,
    pub(super) start_nanos: u64,
    pub(super) duration_nanos: u64,
    pub(super) tags: Tags,
    pub(super) logs: Vec<(u64, Tags)>,
    /// Which of the trace's processes sent it.
    pub(super) process: usize,
}

/// One trace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    pub(super) spans: Vec<Span>,
    /// Service and tags of each process.
    pub(super) processes: Vec<(String, Tags)>,
}

impl Trace {
    /// Makes a trace of its spans.
    pub(super) fn of(id: [u8; 16], from: &[ResourceSpans]) -> Self {
        let mut trace = Self { id, spans: Vec::new(), processes: Vec::new() };
        let mut kinds = Vec::new();
        for resource in from {
            let process = process(resource.resource.as_ref());
            let known = trace.processes.iter().position(|other| *other == process);
            let number = known.unwrap_or(trace.processes.len());
            if known.is_none() {
                trace.processes.push(process);
            }
            for scope in &resource.scope_spans {
                for span in &scope.spans {
                    kinds.push(span.kind);
                    trace.spans.push(convert(span, id, scope.scope.as_ref(), number));
                }
            }
        }
        part_shared_ids(&mut trace, &kinds);
        trace.spans.sort_by_key(|span| span.start_nanos);
        trace
    }
}

/// Gives the word for a kind of span.
pub(super) fn kind(kind: u8) -> &'static str {
    crate::store::traces::KINDS.get(usize::from(kind)).copied().unwrap_or("")
}

fn process(resource: Option<&Resource>) -> (String, Tags) {
    let attributes = resource.map_or(&[][..], |resource| resource.attributes.as_slice());
    let others = attributes.iter().filter(|attribute| attribute.key != "service.name");
    (service_of(resource), others.map(tag).collect())
}

fn convert(span: &OtlpSpan, trace: [u8; 16], scope: Option<&InstrumentationScope>, process: usize) -> Span {
    let mut references = Vec::new();
    if let Ok(parent) = span.parent_span_id.as_slice().try_into() {
        references.push((trace, parent, true));
    }
    for link in &span.links {
        if let (Ok(trace), Ok(id)) = (link.trace_id.as_slice().try_into(), link.span_id.as_slice().try_into()) {
            references.push((trace, id, false));
        }
    }
    let log = |event: &opentelemetry_proto::tonic::trace::v1::span::Event| {
        let mut fields = vec![("event".to_owned(), Tag::Text(event.name.clone()))];
        fields.extend(event.attributes.iter().map(tag));
        (event.time_unix_nano, fields)
    };
    Span {
        id: span.span_id.as_slice().try_into().unwrap_or_default(),
        name: span.name.clone(),
        flags: span.flags & 0xff,
        references,
        start_nanos: span.start_time_unix_nano,
        duration_nanos: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
        tags: tags(span, scope),
        logs: span.events.iter().map(log).collect(),
        process,
    }
}

/// Gives the attributes, and as tags what Jaeger has no field for.
fn tags(span: &OtlpSpan, scope: Option<&InstrumentationScope>) -> Tags {
    let mut tags: Tags = span.attributes.iter().map(tag).collect();
    let mut add = |key: &str, value: Tag| {
        if !tags.iter().any(|(other, _)| other == key) {
            tags.push((key.to_owned(), value));
        }
    };
    let kind = kind(u8::try_from(span.kind).unwrap_or(0));
    if !kind.is_empty() {
        add("span.kind", Tag::Text(kind.to_owned()));
    }
    if let Some(status) = &span.status {
        match status.code {
            1 => add("otel.status_code", Tag::Text("OK".to_owned())),
            2 => {
                add("error", Tag::Truth(true));
                add("otel.status_code", Tag::Text("ERROR".to_owned()));
            }
            _ => {}
        }
        if !status.message.is_empty() {
            add("otel.status_description", Tag::Text(status.message.clone()));
        }
    }
    if let Some(scope) = scope.filter(|scope| !scope.name.is_empty()) {
        add("otel.scope.name", Tag::Text(scope.name.clone()));
        if !scope.version.is_empty() {
            add("otel.scope.version", Tag::Text(scope.version.clone()));
        }
    }
    if !span.trace_state.is_empty() {
        add("w3c.tracestate", Tag::Text(span.trace_state.clone()));
    }
    tags
}

fn tag(attribute: &KeyValue) -> (String, Tag) {
    let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => Tag::Text(text.clone()),
        Some(any_value::Value::BoolValue(truth)) => Tag::Truth(*truth),
        Some(any_value::Value::IntValue(number)) => Tag::Whole(*number),
        Some(any_value::Value::DoubleValue(number)) => Tag::Real(*number),
        Some(any_value::Value::BytesValue(bytes)) => Tag::Bytes(bytes.clone()),
        _ => {
            let none = AnyValue::default();
            Tag::Text(crate::receive::otlp::text(attribute.value.as_ref().unwrap_or(&none)))
        }
    };
    (attribute.key.clone(), value)
}

/// B3: client and server of a call have one id. The server gets another, as the client's child and its children's parent.
fn part_shared_ids(trace: &mut Trace, kinds: &[i32]) {
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    let clients: HashSet<[u8; 8]> =
        trace.spans.iter().zip(kinds).filter(|(_, kind)| **kind == CLIENT).map(|(span, _)| span.id).collect();
    let mut renamed: HashMap<[u8; 8], [u8; 8]> = HashMap::new();
    for (span, kind) in trace.spans.iter_mut().zip(kinds) {
        if *kind == SERVER && clients.contains(&span.id) {
            let own = other_id(span.id);
            renamed.insert(span.id, own);
            span.references.retain(|(_, _, is_parent)| !is_parent);
            span.references.insert(0, (trace.id, span.id, true));
            span.id = own;
        }
    }
    let servers: HashSet<[u8; 8]> = renamed.values().copied().collect();
    for span in trace.spans.iter_mut().filter(|span| !servers.contains(&span.id)) {
        for (_, parent, is_parent) in &mut span.references {
            if let Some(server) = renamed.get(parent).filter(|_| *is_parent) {
                *parent = *server;
            }
        }
    }
}

/// The same one every time: pages remember spans by their id.
fn other_id(id: [u8; 8]) -> [u8; 8] {
    let mixed = u64::from_be_bytes(id).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    mixed.max(1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::ScopeSpans;

    use super::*;

    #[test]
    fn ends_that_share_an_id_are_parent_and_child() {
        let span = |id: u8, parent: u8, kind: i32, start: u64| OtlpSpan {
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            kind,
            start_time_unix_nano: start,
            ..OtlpSpan::default()
        };
        let spans = vec![span(1, 9, 3, 1), span(1, 9, 2, 2), span(2, 1, 3, 3)];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];

        let trace = Trace::of([7; 16], &[ResourceSpans { scope_spans, ..ResourceSpans::default() }]);

        let server = trace.spans[1].id;
        assert_ne!(server, [1; 8]);
        assert_eq!(trace.spans[0].references, [([7; 16], [9; 8], true)]);
        assert_eq!(trace.spans[1].references, [([7; 16], [1; 8], true)]);
        assert_eq!(trace.spans[2].references, [([7; 16], server, true)]);
    }
}

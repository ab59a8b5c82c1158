//! Spans of one stretch of arrival, with everything that repeats written once.
//!
//! The same shape in memory (the newest spans, which are searched there) and read back from a row: a record a span, and
//! words that it refers to by number. An attribute is one word, key and value together.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::words::Words;
use crate::store::varint;

/// A trace's id.
pub(crate) type TraceId = [u8; 16];
/// A span's id; all zero where there is none.
pub(crate) type SpanId = [u8; 8];

/// One span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start: u64,
    /// End less start; negative where the clock went back.
    pub(crate) length: i64,
    pub(crate) name: u32,
    pub(crate) kind: u8,
    pub(crate) status: u8,
    /// Number of the status' text, plus one.
    pub(crate) message: u32,
    pub(crate) resource: u32,
    pub(crate) scope: u32,
    /// Where its attributes are in `lists`.
    pub(crate) list: u32,
    pub(crate) list_length: u32,
    /// Number of what is rare (events, links, state) as a protobuf span, plus one.
    pub(crate) rest: u32,
}

impl Record {
    /// Gives the time from start to end; zero where the clock went back.
    pub(crate) const fn duration(&self) -> u64 {
        if self.length < 0 { 0 } else { self.length.unsigned_abs() }
    }
}

/// Spans and what they refer to.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) records: Vec<Record>,
    pub(crate) lists: Vec<u32>,
    /// Span names and status texts.
    pub(crate) texts: Words,
    /// Attributes: length of the key, key, value as protobuf.
    pub(crate) pairs: Words,
    /// `ResourceSpans` without their spans.
    pub(crate) resources: Words,
    /// `ScopeSpans` without their spans.
    pub(crate) scopes: Words,
    pub(crate) rests: Words,
    /// Service of each resource.
    pub(crate) services: Vec<Box<str>>,
    /// Node of each resource.
    pub(crate) nodes: Vec<Option<Box<str>>>,
    pub(super) scratch: Vec<u8>,
}

/// Name of the service of a resource that names none, as the specification has it.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";
/// Longest service and operation that is kept for search, in bytes: an index entry of PostgreSQL must be shorter than
/// 2,704.
pub(crate) const NAME_BYTES: usize = 512;

impl Block {
    /// Takes the valid spans of a resource; gives how many.
    pub(crate) fn push(&mut self, from: &ResourceSpans) -> usize {
        let before = self.records.len();
        let bare = ResourceSpans {
            resource: from.resource.clone(),
            scope_spans: Vec::new(),
            schema_url: from.schema_url.clone(),
        };
        let resource = self.resources.number(&bare.encode_to_vec());
        if resource as usize == self.services.len() {
            self.name_resource(from.resource.as_ref());
        }
        for part in &from.scope_spans {
            let bare = ScopeSpans { scope: part.scope.clone(), spans: Vec::new(), schema_url: part.schema_url.clone() };
            let scope = self.scopes.number(&bare.encode_to_vec());
            for span in &part.spans {
                if let Some((trace, id)) = ids(span) {
                    self.push_span(span, (trace, id), (resource, scope));
                }
            }
        }
        self.records.len() - before
    }

    /// Notes whose resource the next one is.
    pub(super) fn name_resource(&mut self, resource: Option<&Resource>) {
        self.services.push(service_of(resource).into());
        let attributes = resource.map_or(&[][..], |resource| resource.attributes.as_slice());
        let node = ["k8s.node.name", "host.name"].iter().find_map(|key| text(attributes, key));
        self.nodes.push(node.map(Into::into));
    }

    fn push_span(&mut self, span: &Span, (trace, id): (TraceId, SpanId), (resource, scope): (u32, u32)) {
        let list = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        for attribute in &span.attributes {
            write_pair(&mut self.scratch, attribute);
            self.lists.push(self.pairs.number(&self.scratch));
        }
        let (status, message) = match &span.status {
            Some(status) if status.message.is_empty() => (code(status.code, 2), 0),
            Some(status) => (code(status.code, 2), self.texts.number(status.message.as_bytes()) + 1),
            None => (0, 0),
        };
        let (name, rest) = (self.texts.number(span.name.as_bytes()), self.rest(span));
        self.records.push(Record {
            trace,
            id,
            parent: span.parent_span_id.as_slice().try_into().unwrap_or_default(),
            start: span.start_time_unix_nano,
            length: span.end_time_unix_nano.wrapping_sub(span.start_time_unix_nano).cast_signed(),
            name,
            kind: code(span.kind, 5),
            status,
            message,
            resource,
            scope,
            list,
            list_length: u32::try_from(span.attributes.len()).unwrap_or(u32::MAX),
            rest,
        });
    }

    /// Keeps what most spans do not have.
    fn rest(&mut self, span: &Span) -> u32 {
        let counts = span.flags | span.dropped_attributes_count | span.dropped_events_count | span.dropped_links_count;
        if counts == 0 && span.trace_state.is_empty() && span.events.is_empty() && span.links.is_empty() {
            return 0;
        }
        let rest = Span {
            trace_state: span.trace_state.clone(),
            flags: span.flags,
            dropped_attributes_count: span.dropped_attributes_count,
            events: span.events.clone(),
            dropped_events_count: span.dropped_events_count,
            links: span.links.clone(),
            dropped_links_count: span.dropped_links_count,
            ..Span::default()
        };
        self.rests.number(&rest.encode_to_vec()) + 1
    }

    /// Gives the service of a span.
    pub(crate) fn service(&self, record: &Record) -> &str {
        self.services.get(record.resource as usize).map_or(UNKNOWN_SERVICE, AsRef::as_ref)
    }

    /// Gives the node of a resource, where it says.
    pub(crate) fn node(&self, resource: u32) -> Option<&str> {
        self.nodes.get(resource as usize)?.as_deref()
    }

    /// Gives the name of a span.
    pub(crate) fn name(&self, record: &Record) -> &str {
        self.texts.text(record.name)
    }

    /// Gives the numbers of a span's attributes.
    pub(crate) fn list(&self, record: &Record) -> &[u32] {
        let start = record.list as usize;
        self.lists.get(start..start + record.list_length as usize).unwrap_or_default()
    }

    /// Gives a resource's attributes and the like.
    pub(crate) fn resource(&self, number: u32) -> ResourceSpans {
        ResourceSpans::decode(self.resources.get(number)).unwrap_or_default()
    }

    /// Puts the spans of a trace together again, by resource and scope.
    pub(crate) fn trace(&self, trace: &TraceId) -> Vec<ResourceSpans> {
        let mut found: Vec<&Record> = self.records.iter().filter(|record| record.trace == *trace).collect();
        found.sort_by_key(|record| (record.resource, record.scope, record.start));
        let mut out = Vec::new();
        for of_resource in found.chunk_by(|one, next| one.resource == next.resource) {
            let mut resource = self.resource(of_resource[0].resource);
            for of_scope in of_resource.chunk_by(|one, next| one.scope == next.scope) {
                let mut scope = ScopeSpans::decode(self.scopes.get(of_scope[0].scope)).unwrap_or_default();
                scope.spans = of_scope.iter().map(|record| self.span(record)).collect();
                resource.scope_spans.push(scope);
            }
            out.push(resource);
        }
        out
    }

    /// Puts a span together again.
    pub(crate) fn span(&self, record: &Record) -> Span {
        let rest = match record.rest {
            0 => Span::default(),
            rest => Span::decode(self.rests.get(rest - 1)).unwrap_or_default(),
        };
        let message = if record.message == 0 { "" } else { self.texts.text(record.message - 1) };
        let status = (record.status != 0 || record.message != 0)
            .then(|| Status { message: message.to_owned(), code: i32::from(record.status) });
        Span {
            trace_id: record.trace.to_vec(),
            span_id: record.id.to_vec(),
            parent_span_id: if record.parent == [0; 8] { Vec::new() } else { record.parent.to_vec() },
            name: self.name(record).to_owned(),
            kind: i32::from(record.kind),
            start_time_unix_nano: record.start,
            end_time_unix_nano: record.start.wrapping_add(record.length.cast_unsigned()),
            attributes: self.list(record).iter().filter_map(|&pair| read_pair(self.pairs.get(pair))).collect(),
            status,
            ..rest
        }
    }

    /// Estimates the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let words = [&self.texts, &self.pairs, &self.resources, &self.scopes, &self.rests];
        let words: usize = words.iter().map(|words| words.bytes() + 40 * words.len()).sum();
        words + self.records.len() * size_of::<Record>() + self.lists.len() * 4
    }
}

/// Gives the ids of a span; `None` where they are not what OpenTelemetry's protocol wants.
pub(crate) fn ids(span: &Span) -> Option<(TraceId, SpanId)> {
    let trace: TraceId = span.trace_id.as_slice().try_into().ok()?;
    let id: SpanId = span.span_id.as_slice().try_into().ok()?;
    (trace != [0; 16] && id != [0; 8]).then_some((trace, id))
}

/// Gives the name of a resource's service, cut to what is searchable.
pub(crate) fn service_of(resource: Option<&Resource>) -> String {
    let attributes = resource.map_or(&[][..], |resource| resource.attributes.as_slice());
    searchable(text(attributes, "service.name").filter(|name| !name.is_empty()).unwrap_or(UNKNOWN_SERVICE))
}

/// Gives the text of an attribute that is one.
pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Cuts a name to what an index takes; PostgreSQL has no NUL in text.
pub(crate) fn searchable(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].replace('\0', "")
}

fn code(value: i32, most: u8) -> u8 {
    u8::try_from(value).ok().filter(|value| *value <= most).unwrap_or(0)
}

/// Writes an attribute as one word.
pub(crate) fn write_pair(out: &mut Vec<u8>, attribute: &KeyValue) {
    out.clear();
    varint::put(out, attribute.key.len() as u64);
    out.extend_from_slice(attribute.key.as_bytes());
    if let Some(value) = &attribute.value {
        // A vector grows: there is always room.
        value.encode(out).unwrap_or_default();
    }
}

/// Reads an attribute from its word.
pub(crate) fn read_pair(word: &[u8]) -> Option<KeyValue> {
    let (key, value) = split_pair(word)?;
    Some(KeyValue { key: key.to_owned(), value: AnyValue::decode(value).ok(), ..KeyValue::default() })
}

/// Gives the key and the encoded value of an attribute's word.
pub(crate) fn split_pair(word: &[u8]) -> Option<(&str, &[u8])> {
    let mut rest = word;
    let length = usize::try_from(varint::take(&mut rest)?).ok()?;
    let (key, value) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(key).ok()?, value))
}

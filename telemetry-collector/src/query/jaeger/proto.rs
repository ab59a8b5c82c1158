//! Messages of `jaeger.api_v2`, as far as a query needs them; field numbers are those of Jaeger's `model.proto` and
//! `query.proto`.

use std::collections::HashMap;

use prost::{Enumeration, Message};

use super::model;

/// `google.protobuf.Timestamp` and `google.protobuf.Duration`: the same on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Seconds {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl Seconds {
    pub(super) fn from_nanos(nanos: u64) -> Self {
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Self { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: i32::try_from(rest).unwrap_or(0) }
    }

    /// Gives nanoseconds; zero before 1970.
    pub(super) fn nanos(self) -> u64 {
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(self.nanos).unwrap_or(0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum ValueType {
    String = 0,
    Bool = 1,
    Int64 = 2,
    Float64 = 3,
    Binary = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(enumeration = "ValueType", tag = "2")]
    v_type: i32,
    #[prost(string, tag = "3")]
    v_str: String,
    #[prost(bool, tag = "4")]
    v_bool: bool,
    #[prost(int64, tag = "5")]
    v_int64: i64,
    #[prost(double, tag = "6")]
    v_float64: f64,
    #[prost(bytes = "vec", tag = "7")]
    v_binary: Vec<u8>,
}

impl From<&(String, model::Tag)> for KeyValue {
    fn from((key, value): &(String, model::Tag)) -> Self {
        let of = |kind: ValueType| Self { key: key.clone(), v_type: kind.into(), ..Self::default() };
        match value {
            model::Tag::Text(text) => Self { v_str: text.clone(), ..of(ValueType::String) },
            model::Tag::Truth(truth) => Self { v_bool: *truth, ..of(ValueType::Bool) },
            model::Tag::Whole(number) => Self { v_int64: *number, ..of(ValueType::Int64) },
            model::Tag::Real(number) => Self { v_float64: *number, ..of(ValueType::Float64) },
            model::Tag::Bytes(bytes) => Self { v_binary: bytes.clone(), ..of(ValueType::Binary) },
        }
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct SpanRef {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    /// 0: child of, 1: follows from.
    #[prost(int32, tag = "3")]
    ref_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Log {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Seconds>,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Process {
    #[prost(string, tag = "1")]
    service_name: String,
    #[prost(message, repeated, tag = "2")]
    tags: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    operation_name: String,
    #[prost(message, repeated, tag = "4")]
    references: Vec<SpanRef>,
    #[prost(uint32, tag = "5")]
    flags: u32,
    #[prost(message, optional, tag = "6")]
    start_time: Option<Seconds>,
    #[prost(message, optional, tag = "7")]
    duration: Option<Seconds>,
    #[prost(message, repeated, tag = "8")]
    tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    process: Option<Process>,
    #[prost(string, tag = "11")]
    process_id: String,
}

/// Writes the spans of a trace.
pub(super) fn spans(trace: &model::Trace) -> Vec<Span> {
    let all = |tags: &model::Tags| tags.iter().map(KeyValue::from).collect::<Vec<_>>();
    let reference = |(trace, span, is_parent): &model::Reference| SpanRef {
        trace_id: trace.to_vec(),
        span_id: span.to_vec(),
        ref_type: i32::from(!is_parent),
    };
    let span = |span: &model::Span| Span {
        trace_id: trace.id.to_vec(),
        span_id: span.id.to_vec(),
        operation_name: span.name.clone(),
        references: span.references.iter().map(reference).collect(),
        flags: span.flags,
        start_time: Some(Seconds::from_nanos(span.start_nanos)),
        duration: Some(Seconds::from_nanos(span.duration_nanos)),
        tags: all(&span.tags),
        logs: span
            .logs
            .iter()
            .map(|(nanos, fields)| Log { timestamp: Some(Seconds::from_nanos(*nanos)), fields: all(fields) })
            .collect(),
        process: trace
            .processes
            .get(span.process)
            .map(|(service, tags)| Process { service_name: service.clone(), tags: all(tags) }),
        process_id: format!("p{}", span.process + 1),
    };
    trace.spans.iter().map(span).collect()
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SpansResponseChunk {
    #[prost(message, repeated, tag = "1")]
    pub(super) spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetTraceRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FindTracesRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) query: Option<TraceQueryParameters>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TraceQueryParameters {
    #[prost(string, tag = "1")]
    pub(super) service_name: String,
    #[prost(string, tag = "2")]
    pub(super) operation_name: String,
    #[prost(map = "string, string", tag = "3")]
    pub(super) tags: HashMap<String, String>,
    #[prost(message, optional, tag = "4")]
    pub(super) start_time_min: Option<Seconds>,
    #[prost(message, optional, tag = "5")]
    pub(super) start_time_max: Option<Seconds>,
    #[prost(message, optional, tag = "6")]
    pub(super) duration_min: Option<Seconds>,
    #[prost(message, optional, tag = "7")]
    pub(super) duration_max: Option<Seconds>,
    #[prost(int32, tag = "8")]
    pub(super) search_depth: i32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct GetServicesResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) services: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct GetOperationsRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
    #[prost(string, tag = "2")]
    pub(super) span_kind: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Operation {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) span_kind: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct GetOperationsResponse {
    /// What clients read before there were kinds.
    #[prost(string, repeated, tag = "1")]
    pub(super) operation_names: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) operations: Vec<Operation>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct GetDependenciesRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) start_time: Option<Seconds>,
    #[prost(message, optional, tag = "2")]
    pub(super) end_time: Option<Seconds>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct DependencyLink {
    #[prost(string, tag = "1")]
    pub(super) parent: String,
    #[prost(string, tag = "2")]
    pub(super) child: String,
    #[prost(uint64, tag = "3")]
    pub(super) call_count: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct GetDependenciesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) dependencies: Vec<DependencyLink>,
}

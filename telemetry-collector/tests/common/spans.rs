//! Spans drawn in a line each.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// A span and who sent it.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub service: String,
    pub node: Option<String>,
    pub span: Span,
}

impl Drawn {
    /// Ids as one byte repeated, no parent when it is zero; times in nanoseconds.
    pub fn new(trace: u8, id: u8, parent: u8, service: &str, name: &str, kind: i32, (start, end): (u64, u64)) -> Self {
        let span = Span {
            trace_id: vec![trace; 16],
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            name: name.to_owned(),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..Span::default()
        };
        Self { service: service.to_owned(), node: None, span }
    }

    pub fn on(mut self, node: &str) -> Self {
        self.node = Some(node.to_owned());
        self
    }

    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.span.attributes.push(string(key, value));
        self
    }

    pub fn failed(mut self) -> Self {
        self.span.status = Some(Status { code: 2, ..Status::default() });
        self
    }
}

fn string(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Puts spans into one request.
pub fn request(spans: &[Drawn]) -> ExportTraceServiceRequest {
    let resource = |drawn: &Drawn| {
        let mut attributes = vec![string("service.name", &drawn.service)];
        attributes.extend(drawn.node.iter().map(|node| string("k8s.node.name", node)));
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans: vec![drawn.span.clone()], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    };
    ExportTraceServiceRequest { resource_spans: spans.iter().map(resource).collect() }
}

/// Sends a request over HTTP; what returns is acknowledged.
pub async fn export(running: &super::Running, request: &ExportTraceServiceRequest) {
    let body = prost::Message::encode_to_vec(request);
    let (status, body) = super::post(&running.otlp_http, "/v1/traces", "application/x-protobuf", body).await;
    assert_eq!(status, http::StatusCode::OK, "{body}");
}

pub fn now_nanos() -> u64 {
    u64::try_from(super::now_ms()).expect("after 1970") * 1_000_000
}

//! One request as an OpenTelemetry span, with the attributes Envoy gives.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status::StatusCode};
use wattle_contract::WorkloadIdentity;
use wattle_contract::route::CustomTag;

use super::{Record, Reporter, SpanContext};
use crate::head::{Fields, Name, visible};

/// A span and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// `service.name`, by which spans are grouped.
    pub(crate) service: String,
    pub(crate) resource: Resource,
    pub(crate) span: Span,
}

pub(crate) fn build(identity: &WorkloadIdentity, record: &Record, context: &SpanContext) -> Finished {
    let start = record.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let inbound = record.reporter == Reporter::Destination;
    let mut attributes = attributes(identity, record);
    attributes.extend(record.tags.iter().map(|(name, value)| text(name, value)));
    let span = Span {
        trace_id: context.trace_id.to_be_bytes().to_vec(),
        span_id: context.span_id.to_be_bytes().to_vec(),
        parent_span_id: context.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        name: operation(record),
        kind: if inbound { SpanKind::Server } else { SpanKind::Client } as i32,
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(start + record.started.elapsed()),
        attributes,
        status: record.is_error().then(|| Status { code: StatusCode::Error as i32, message: String::new() }),
        ..Span::default()
    };
    let service = format!("{}.{}", identity.canonical_service(), identity.namespace);
    Finished { resource: resource(identity, &service), service, span }
}

/// Istio names a span after the service and port that were asked for.
fn operation(record: &Record) -> String {
    let host = if record.service.host == "unknown" { record.request.authority() } else { &record.service.host };
    format!("{host}/*")
}

fn attributes(identity: &WorkloadIdentity, record: &Record) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("http.method", record.request.method()),
        text("http.url", &format!("{}://{}{}", record.scheme, record.request.authority(), record.request.path())),
        text("http.protocol", &format!("{:?}", record.request.version)),
        number("http.status_code", i64::from(record.status)),
        text("response_flags", &record.flags.to_string()),
        text("upstream_cluster", record.cluster_name()),
        text("upstream_cluster.name", record.cluster_name()),
        text("upstream_address", record.upstream()),
        text("peer.address", &record.peer_address.ip().to_string()),
        text("guid:x-request-id", record.request_id()),
        text("user_agent", record.user_agent()),
        number("request_size", i64::try_from(record.request_bytes).unwrap_or(i64::MAX)),
        number("response_size", i64::try_from(record.response_bytes).unwrap_or(i64::MAX)),
        text("component", "proxy"),
        text("node_id", &node_id(identity)),
        text("istio.mesh_id", &identity.trust_domain),
        text("istio.namespace", identity.namespace.as_str()),
        text("istio.canonical_service", identity.canonical_service()),
        text("istio.canonical_revision", identity.canonical_revision()),
        text("istio.cluster_id", &identity.cluster),
    ];
    if let Some(code) = record.grpc_status {
        attributes.push(text("grpc.status_code", &code.to_string()));
    }
    attributes
}

fn node_id(identity: &WorkloadIdentity) -> String {
    let pod = if identity.pod.is_empty() { identity.workload.as_str() } else { &identity.pod };
    format!("sidecar~{pod}.{}~{}.svc.cluster.local", identity.namespace, identity.namespace)
}

fn resource(identity: &WorkloadIdentity, service: &str) -> Resource {
    let node = identity.node.as_ref().map_or("", |node| node.as_str());
    let mut attributes = vec![text("service.name", service)];
    for (name, value) in [
        ("k8s.node.name", node),
        ("k8s.pod.name", identity.pod.as_str()),
        ("k8s.namespace.name", identity.namespace.as_str()),
        ("k8s.cluster.name", identity.cluster.as_str()),
    ] {
        if !value.is_empty() {
            attributes.push(text(name, value));
        }
    }
    Resource { attributes, ..Resource::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::IntValue(value)) }),
        ..KeyValue::default()
    }
}

/// Reads the attributes that Telemetry resources ask for. What the environment holds is not known here.
pub(crate) fn tags(tags: &[(String, CustomTag)], headers: &Fields) -> Vec<(String, String)> {
    let header = |name: &str| {
        let name = Name::new(name)?;
        headers.named(&name).next().and_then(visible).map(str::to_owned)
    };
    let value = |tag: &CustomTag| match tag {
        CustomTag::Literal(value) => Some(value.clone()),
        CustomTag::Header(name, default) => Some(header(name).unwrap_or_else(|| default.clone())),
        CustomTag::Environment(..) => None,
    };
    tags.iter().filter_map(|(name, tag)| Some((name.clone(), value(tag)?))).collect()
}

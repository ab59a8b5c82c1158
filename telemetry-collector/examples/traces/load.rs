//! Spans as eight services of a hotel site send them: what repeats repeats, what is unique in life is unique here.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Who calls whom: service, its operation, route, and the place of its caller in this list.
const CALLS: [(&str, &str, &str, usize); 6] = [
    ("frontend", "GET /hotels", "/hotels", 0),
    ("search", "search.Search/Nearby", "/search.Search/Nearby", 0),
    ("geo", "geo.Geo/Nearby", "/geo.Geo/Nearby", 1),
    ("rate", "rate.Rate/GetRates", "/rate.Rate/GetRates", 1),
    ("profile", "profile.Profile/GetProfiles", "/profile.Profile/GetProfiles", 0),
    ("reservation", "reservation.Reservation/CheckAvailability", "/reservation.Reservation/CheckAvailability", 0),
];
/// Services that ask a database.
const DATABASES: [(&str, &str); 3] = [("rate", "mongodb"), ("profile", "mongodb"), ("reservation", "mysql")];
/// Spans of a request as SDKs batch them.
const BATCH: usize = 512;
/// Replicas of each service.
const REPLICAS: u64 = 3;

/// xorshift64*: the same load on every run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::IntValue(value)) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Makes at least so many spans, as the requests of their senders in the order in which they come.
pub(crate) fn requests(spans: usize, until_nanos: u64, chance: &mut Chance) -> Vec<ExportTraceServiceRequest> {
    let mut waiting: Vec<Vec<Vec<Span>>> = vec![vec![Vec::new(); REPLICAS as usize]; CALLS.len()];
    let mut requests = Vec::new();
    let mut made = 0;
    let per_trace = 14;
    let step = 60_000_000_000 / (spans as u64 / per_trace + 1);
    let mut start = until_nanos - 60_000_000_000;
    while made < spans {
        start += step;
        for (service, span) in trace(start, chance) {
            made += 1;
            let replica = chance.below(REPLICAS) as usize;
            let batch = &mut waiting[service][replica];
            batch.push(span);
            if batch.len() == BATCH {
                requests.push(request(service, replica, std::mem::take(batch)));
            }
        }
    }
    for (service, replicas) in waiting.into_iter().enumerate() {
        for (replica, batch) in replicas.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            requests.push(request(service, replica, batch));
        }
    }
    requests
}

fn request(service: usize, replica: usize, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = CALLS[service].0;
    let attributes = vec![
        text("service.name", name),
        text("service.namespace", "hotel"),
        text("service.version", "1.4.2"),
        text("service.instance.id", format!("0b1c6e2a-{service}{replica}-4f6d-9d0b-2f0d6c1a9e77")),
        text("k8s.namespace.name", "hotel"),
        text("k8s.deployment.name", name),
        text("k8s.pod.name", format!("{name}-6d4cf56db6-x{replica}kq{service}")),
        text("k8s.node.name", format!("node-{}", (service + replica) % 3)),
        text("telemetry.sdk.language", "go"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.38.0"),
    ];
    let scope = InstrumentationScope {
        name: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp".to_owned(),
        version: "0.63.0".to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
        }],
    }
}

/// Makes the spans of one trace, with the number of their service.
fn trace(start: u64, chance: &mut Chance) -> Vec<(usize, Span)> {
    let id = [chance.next().to_be_bytes(), chance.next().to_be_bytes()].concat();
    let user = chance.below(100_000);
    let mut spans: Vec<(usize, Span)> = Vec::new();
    let mut servers: Vec<(Vec<u8>, u64)> = Vec::new();
    for (service, (name, operation, route, caller)) in CALLS.into_iter().enumerate() {
        let (parent, begin) = servers.get(caller).cloned().unwrap_or((Vec::new(), start));
        let begin = begin + 100_000 + chance.below(2_000_000);
        let length = 2_000_000 + chance.below(40_000_000);
        let mut parent = parent;
        if service > 0 {
            let client = span(&id, &parent, operation, 3, (begin, length + 800_000), chance);
            let client = with(client, client_attributes(name, route, chance));
            parent.clone_from(&client.span_id);
            spans.push((caller, client));
        }
        let server = span(&id, &parent, operation, 2, (begin + 400_000, length), chance);
        let server = with(server, server_attributes(route, user, chance));
        servers.push((server.span_id.clone(), begin + 400_000));
        if let Some((_, system)) = DATABASES.iter().find(|(of, _)| *of == name) {
            let query = span(&id, &server.span_id, "find", 3, (begin + 900_000, length / 2), chance);
            spans.push((service, with(query, database_attributes(system, name))));
        }
        spans.push((service, failed_now_and_then(server, chance)));
    }
    spans
}

fn span(trace: &[u8], parent: &[u8], name: &str, kind: i32, (start, length): (u64, u64), chance: &mut Chance) -> Span {
    let start = start + chance.below(1_000);
    Span {
        trace_id: trace.to_vec(),
        span_id: chance.next().to_be_bytes().to_vec(),
        parent_span_id: parent.to_vec(),
        name: name.to_owned(),
        kind,
        flags: 0x101,
        start_time_unix_nano: start,
        end_time_unix_nano: start + length + chance.below(1_000),
        ..Span::default()
    }
}

fn with(mut span: Span, attributes: Vec<KeyValue>) -> Span {
    span.attributes = attributes;
    span
}

fn client_attributes(server: &str, route: &str, chance: &mut Chance) -> Vec<KeyValue> {
    vec![
        text("rpc.system", "grpc"),
        text("rpc.service", route.trim_start_matches('/').split('/').next().unwrap_or_default()),
        text("rpc.method", route.rsplit('/').next().unwrap_or_default()),
        text("server.address", server),
        number("server.port", 8080),
        text("network.peer.address", format!("10.42.{}.{}", chance.below(3), chance.below(30))),
        number("rpc.grpc.status_code", 0),
    ]
}

fn server_attributes(route: &str, user: u64, chance: &mut Chance) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "GET"),
        text("http.route", route),
        text("url.path", route),
        text("url.query", format!("user={user}&in=2026-11-27&out=2026-11-28")),
        text("url.scheme", "http"),
        number("http.response.status_code", 200),
        text("server.address", "hotel.example.org"),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        text("network.peer.address", format!("10.42.{}.{}", chance.below(3), chance.below(30))),
        number("network.peer.port", 32_768 + chance.below(28_000) as i64),
    ]
}

fn database_attributes(system: &str, service: &str) -> Vec<KeyValue> {
    vec![
        text("db.system.name", system),
        text("db.namespace", format!("{service}-db")),
        text("db.operation.name", "find"),
        text("db.collection.name", service),
        text("db.query.text", "{\"find\": ?, \"filter\": {\"hotelId\": {\"$in\": ?}}, \"limit\": ?}"),
        text("server.address", format!("{system}-{service}")),
        number("server.port", 27_017),
    ]
}

fn failed_now_and_then(mut span: Span, chance: &mut Chance) -> Span {
    if chance.below(100) < 2 {
        span.status = Some(Status { code: 2, message: "deadline exceeded".to_owned() });
        span.events.push(Event {
            time_unix_nano: span.end_time_unix_nano,
            name: "exception".to_owned(),
            attributes: vec![text("exception.type", "DeadlineExceeded"), text("exception.message", "after 30ms")],
            ..Event::default()
        });
    }
    span
}

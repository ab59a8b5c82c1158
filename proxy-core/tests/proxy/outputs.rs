//! Spans and access log: what leaves the proxy.

use std::io::Write;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use wattle_proxy::{AccessLogTarget, Config};

use crate::kit::{Behaviour, Bench, Upstream, listener};
use crate::table::{cluster, everything, inbound_table, table};

/// A collector that refuses the first message.
struct Collector {
    refused: Mutex<bool>,
    taken: mpsc::UnboundedSender<ExportTraceServiceRequest>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        if !std::mem::replace(&mut *self.refused.lock(), true) {
            return Err(tonic::Status::unavailable("not yet"));
        }
        self.taken.send(request.into_inner()).expect("the test listens");
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn client_and_server_spans_of_one_request_reach_the_collector_as_parent_and_child() {
    let (taken, mut received) = mpsc::unbounded_channel();
    let collector = listener().await;
    let uri = format!("http://{}", collector.local_addr().unwrap()).parse::<http::Uri>().unwrap();
    let service = TraceServiceServer::new(Collector { refused: Mutex::new(false), taken });
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(collector)),
    );
    let config = || Config { otlp: Some(uri.clone()), trace_sampling: 1.0, ..Config::default() };
    let application = Upstream::start(Behaviour::Answer(200)).await;
    let server = Bench::with(inbound_table(), config(), Some(application.address)).await;
    let client =
        Bench::with(table("1", vec![everything("svc")], vec![cluster("svc", &[server.inbound])]), config(), None).await;

    client.get("/rooms?secret=1").await;
    // The end of both proxies sends what is left.
    server.metrics_after(1).await;
    for bench in [client, server] {
        bench.stop.cancel();
        bench.proxy.join().await;
    }

    let mut spans = Vec::new();
    while let Ok(message) = received.try_recv() {
        for group in message.resource_spans {
            let resource = group.resource.expect("a resource").attributes;
            assert_eq!(text(&resource, "service.name"), Some("frontend.hotel"));
            assert_eq!(text(&resource, "k8s.node.name"), Some("node-a"));
            spans.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans.sort_by_key(|span| span.parent_span_id.len());
    let [parent, child] = spans.as_slice() else { panic!("{} spans", spans.len()) };
    assert_eq!((&child.trace_id, &child.parent_span_id), (&parent.trace_id, &parent.span_id));
    assert_eq!((parent.kind, child.kind), (3, 2), "client above server");
    assert_eq!(text(&parent.attributes, "http.url"), Some("http://svc.example/rooms"), "no query");
    assert_eq!(text(&child.attributes, "upstream_cluster"), Some("inbound|8080||"));
}

/// A writer that can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_log_has_one_json_line_a_request() {
    let (upstream, written) = (Upstream::start(Behaviour::Answer(200)).await, Shared::default());
    let config = Config { access_log: AccessLogTarget::Writer(Box::new(written.clone())), ..Config::default() };
    let given = table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])]);
    let bench = Bench::with(given, config, None).await;

    for path in ["/a", "/b?secret=1"] {
        bench.get(path).await;
    }
    bench.metrics_after(2).await;
    bench.stop.cancel();
    bench.proxy.join().await;

    let text = String::from_utf8(written.0.lock().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        (&lines[1]["path"], &lines[1]["response_code"], &lines[1]["upstream_cluster"]),
        (&"/b".into(), &200.into(), &"svc".into())
    );
}

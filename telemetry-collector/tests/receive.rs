//! The ways in: captured Kepler expositions by scrape, spans by OTLP.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use common::{corpus, get, job, post, query, start, stores, until};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use wattle_collector::Config;

/// Serves one body after the other, then the last; an empty one is status 500.
async fn target(bodies: Vec<String>, content_type: &'static str) -> String {
    let (bodies, at) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let answer = move || {
        let at = at.fetch_add(1, Ordering::Relaxed).min(bodies.len() - 1);
        let body = bodies[at].clone();
        async move {
            let status = if body.is_empty() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    address
}

fn now_s() -> f64 {
    common::now_ms() as f64 / 1000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captured_kepler_becomes_windows_with_watts() {
    let Some(folder) = corpus("kepler") else { return };
    let mut bodies = Vec::new();
    for at in 0..8 {
        let path = folder.join(format!("kepler-v0.11-node-b-scaled-t0{at}.prom"));
        bodies.push(std::fs::read_to_string(path).expect("the captured file"));
    }
    for store in stores::each().await {
        let exporter = target(bodies.clone(), "text/plain; version=0.0.4").await;
        let config = Config {
            store_url: store.url.clone(),
            window: Duration::from_secs(1),
            window_lag: Duration::from_millis(100),
            scrape: vec![job("kepler", &exporter)],
            ..Config::default()
        };
        let running = start(config).await;
        let mut snapshots = running.collector.snapshots();

        let window = until("a window with energy", async || {
            snapshots.changed().await.ok()?;
            let window = snapshots.borrow_and_update().as_ref()?.window.clone();
            window.nodes.first()?.energy_joules.is_some_and(|energy| energy.get() > 0.0).then_some(window)
        })
        .await;

        let node = &window.nodes[0];
        assert_eq!(node.node.as_str(), "node-b");
        assert_eq!(node.energy_source, Some(wattle_contract::EnergySource::Measured));
        assert!(node.power_watts.is_some_and(|power| power.get() > 0.0));
        assert!(node.pods.is_some_and(|pods| pods >= 5), "{node:?}");
        let placements = &snapshots.borrow().as_ref().expect("a snapshot").placements.clone();
        assert!(placements.iter().any(|placement| placement.node.as_str() == "node-b"));
        let up = query(&running.api, "up{job=\"kepler\"}", now_s()).await;
        assert_eq!(up["data"]["result"][0]["value"][1], "1");
        let stored = running.collector.store().windows(window.start, window.end).await.expect("windows");
        assert_eq!(stored.len(), 1);
        assert_eq!((stored[0].start, stored[0].nodes[0].pods), (window.start, node.pods));
        let summary = running.collector.summary();
        assert!(summary.samples > 100 && summary.windows > 0 && summary.joules.contains_key("node-b"), "{summary:?}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openmetrics_is_read_too() {
    let Some(folder) = corpus("kepler") else { return };
    let body = std::fs::read_to_string(folder.join("kepler-v0.11-node-b-scaled.openmetrics")).expect("the file");
    let exporter = target(vec![body], "application/openmetrics-text; version=1.0.0; charset=utf-8").await;
    let dir = tempfile::tempdir().expect("a folder");
    let config =
        Config { store_url: common::sqlite(dir.path()), scrape: vec![job("om", &exporter)], ..Config::default() };

    let running = start(config).await;

    until("samples", async || {
        let count = query(&running.api, "scrape_samples_scraped", now_s()).await;
        count["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok().filter(|count| *count > 100.0)
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_target_no_longer_has_ends_at_once() {
    for store in stores::each().await {
        let both = "a{instance=\"own\"} 1\nb 2\n".to_owned();
        let exporter = target(vec![both, "a{instance=\"own\"} 3\n".to_owned(), String::new()], "text/plain").await;
        let running =
            start(Config { store_url: store.url.clone(), scrape: vec![job("j", &exporter)], ..Config::default() })
                .await;

        // The target fails from its third scrape on: all its series end, `up` stays and is 0.
        until("up is 0", async || {
            let up = query(&running.api, "up", now_s()).await;
            (up["data"]["result"][0]["value"][1] == "0").then_some(())
        })
        .await;

        let gone = query(&running.api, "{__name__=~\"a|b\"}", now_s()).await;
        assert_eq!(gone["data"]["result"].as_array().map(Vec::len), Some(0), "{gone}");
        let were = query(&running.api, "count_over_time({__name__=~\"a|b\"}[1m])", now_s()).await;
        let counts: BTreeMap<String, String> = were["data"]["result"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (one["metric"]["exported_instance"].to_string(), one["value"][1].to_string()))
            .collect();
        assert_eq!(counts.len(), 2, "{were}");
        assert_eq!((&counts["\"own\""], &counts["null"]), (&"\"2\"".to_owned(), &"\"1\"".to_owned()), "{were}");
        running.stop().await;
    }
}

fn spans(trace: u8, names: &[&str]) -> ExportTraceServiceRequest {
    let span = |(at, name): (usize, &&str)| Span {
        trace_id: vec![trace; 16],
        span_id: vec![at as u8 + 1; 8],
        name: (*name).to_owned(),
        start_time_unix_nano: 1_000_000_000 + at as u64,
        end_time_unix_nano: 2_000_000_000,
        ..Span::default()
    };
    let service = AnyValue { value: Some(any_value::Value::StringValue("search\0".to_owned())) };
    let attribute = KeyValue { key: "service.name".to_owned(), value: Some(service), ..KeyValue::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![attribute], ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                spans: names.iter().enumerate().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_stored_and_found_by_trace() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        let mut client = TraceServiceClient::connect(format!("http://{}", running.grpc)).await.expect("connects");

        client.export(spans(1, &["GET /hotels", "rate"])).await.expect("acknowledged");
        client.export(spans(2, &["other"])).await.expect("acknowledged");
        let json = serde_json::to_vec(&spans(1, &["late"])).expect("JSON");
        let (status, body) = post(&running.otlp_http, "/v1/traces", "application/json", json).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "{}"));
        let protobuf = prost::Message::encode_to_vec(&spans(3, &["x"]));
        let (status, _) = post(&running.otlp_http, "/v1/traces", "application/x-protobuf", protobuf).await;
        assert_eq!(status, StatusCode::OK);

        let mut invalid = spans(4, &["no id"]);
        invalid.resource_spans[0].scope_spans[0].spans[0].trace_id = vec![7; 5_000];
        client.export(invalid).await.expect("a span without a valid id is left out, not tried for ever");

        assert_eq!(running.collector.summary().spans, 5);
        let (_, body) = get(&running.jaeger, &format!("/api/traces/{}", "01".repeat(16))).await;
        let found: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let spans = found["data"][0]["spans"].as_array().expect("spans").iter();
        let mut names: Vec<_> = spans.filter_map(|span| span["operationName"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["GET /hotels", "late", "rate"]);
        drop(client);
        running.stop().await;
    }
}

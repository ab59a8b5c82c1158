//! Traces: every way in, every way out, on both databases; what the graph makes of them.

mod common;

use common::spans::{Drawn, export, now_nanos, request};
use common::{get, post, query, start, stores, until};
use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde_json::{Value, json};
use wattle_collector::Config;

const MS: u64 = 1_000_000;

/// A front that calls a back, which asks a database.
fn a_trace(id: u8, start: u64) -> Vec<Drawn> {
    vec![
        Drawn::new(id, 1, 0, "front", "GET /", 2, (start, start + 100 * MS)).on("n1").tag("http.status_code", "200"),
        Drawn::new(id, 2, 1, "front", "back/Get", 3, (start + 10 * MS, start + 90 * MS)).on("n1"),
        Drawn::new(id, 3, 2, "back", "Get", 2, (start + 20 * MS, start + 80 * MS)).on("n2").tag("user", "ann"),
        Drawn::new(id, 4, 3, "back", "select", 3, (start + 30 * MS, start + 70 * MS)).on("n2").tag("db.system", "pg"),
    ]
}

fn ids(found: &Value) -> Vec<String> {
    let traces = found["data"].as_array().into_iter().flatten();
    traces.map(|trace| trace["traceID"].as_str().unwrap_or_default()[..2].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_found_by_all_that_jaeger_searches_by_before_and_after_a_start() {
    for store in stores::each().await {
        let config = || Config { store_url: store.url.clone(), ..Config::default() };
        let running = start(config()).await;
        let now = now_nanos();
        for (trace, ago) in [(1_u8, 40_000), (2, 30_000), (3, 20_000)] {
            export(&running, &request(&a_trace(trace, now - ago * MS))).await;
        }
        let slow = Drawn::new(4, 1, 0, "front", "GET /slow", 2, (now - 10_000 * MS, now - 5_000 * MS)).failed();
        export(&running, &request(&[slow])).await;

        let mut running = Some(running);
        for round in ["from memory", "from blocks"] {
            let server = running.take().expect("it runs");
            searches(&server, round, now).await;
            whole_traces(&server, round).await;
            // The end writes what is in memory; the next round reads it back.
            server.stop().await;
            running = Some(start(config()).await);
        }
        running.expect("it runs").stop().await;
    }
}

async fn ask(server: &common::Running, path: &str) -> Value {
    let (status, body) = get(&server.jaeger, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

async fn searches(server: &common::Running, round: &str, now: u64) {
    let jaeger = async |path: &str| ask(server, path).await;
    let (start_us, end_us) = ((now - 35_000 * MS) / 1_000, now / 1_000);
    for (question, wanted) in [
        ("service=front".to_owned(), vec!["04", "03", "02", "01"]),
        ("service=front&limit=2".to_owned(), vec!["04", "03"]),
        ("service=front&operation=GET%20%2F".to_owned(), vec!["03", "02", "01"]),
        ("service=back&tags=%7B%22user%22%3A%22ann%22%7D".to_owned(), vec!["03", "02", "01"]),
        ("service=back&tags=%7B%22user%22%3A%22bob%22%7D".to_owned(), vec![]),
        ("service=front&tags=%7B%22http.status_code%22%3A%22200%22%7D".to_owned(), vec!["03", "02", "01"]),
        ("service=front&tag=error:true".to_owned(), vec!["04"]),
        ("service=front&minDuration=1s".to_owned(), vec!["04"]),
        ("service=front&minDuration=99ms&maxDuration=100.5ms".to_owned(), vec!["03", "02", "01"]),
        (format!("service=front&start={start_us}&end={end_us}"), vec!["04", "03", "02"]),
        ("service=nobody".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&jaeger(&format!("/api/traces?{question}")).await), wanted, "{round}: {question}");
    }
    assert_eq!(jaeger("/api/services").await["data"], json!(["back", "front"]), "{round}");
    let operations = jaeger("/api/services/front/operations").await;
    assert_eq!(operations["data"], json!(["GET /", "GET /slow", "back/Get"]), "{round}");
    let of_kind = jaeger("/api/operations?service=back&spanKind=client").await;
    assert_eq!(of_kind["data"], json!([{ "name": "select", "spanKind": "client" }]), "{round}");
}

async fn whole_traces(server: &common::Running, round: &str) {
    let jaeger = async |path: &str| ask(server, path).await;
    let whole = jaeger(&format!("/api/traces/{}", "01".repeat(16))).await;
    let spans = whole["data"][0]["spans"].as_array().expect("spans").clone();
    assert_eq!(spans.len(), 4, "{round}");
    assert_eq!(spans[2]["operationName"], "Get");
    assert_eq!(spans[2]["references"][0]["spanID"], "02".repeat(8));
    assert_eq!(spans[2]["duration"], 60_000);
    assert!(whole["data"][0]["processes"]["p1"]["serviceName"].is_string());
    let (status, body) = get(&server.jaeger, &format!("/api/traces/{}", "ff".repeat(16))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    for bad in ["/api/traces/xyz", "/api/traces", "/api/traces?service=a&minDuration=5", "/api/traces?service=a&tags=x"]
    {
        let (status, body) = get(&server.jaeger, bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {body}");
    }
    let links = jaeger("/api/dependencies").await;
    assert_eq!(
        links["data"],
        json!([
            { "parent": "back", "child": "pg", "callCount": 3 },
            { "parent": "front", "child": "back", "callCount": 3 },
        ]),
        "{round}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tempos_clients_get_traces_tags_and_searches() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        export(&running, &request(&a_trace(1, now_nanos() - 5_000 * MS))).await;

        let (status, body) = get(&running.jaeger, &format!("/api/v2/traces/{}", "01".repeat(16))).await;
        let trace: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(status, StatusCode::OK);
        assert!(trace["trace"]["resourceSpans"].as_array().is_some_and(|list| list.len() == 2), "{body}");
        // What Kiali sends.
        let q = "%7B%20.service.name%20%3D%20%22back%22%20%26%26%20.user%20%3D%20%22ann%22%20%7D%20%26%26%20%7B%7D%20%7C%20select(status%2C%20.user)";
        let (status, body) = get(&running.jaeger, &format!("/api/search?q={q}&spss=10&limit=20")).await;
        let found: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, found["traces"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{body}");
        let trace = &found["traces"][0];
        assert_eq!((&trace["rootServiceName"], &trace["spanSet"]["matched"]), (&json!("front"), &json!(1)));
        let (_, body) = get(&running.jaeger, "/api/v2/search/tag/span.user/values").await;
        assert_eq!(body, r#"{"tagValues":[{"type":"string","value":"ann"}]}"#);
        let (_, body) = get(&running.jaeger, "/api/v2/search/tags").await;
        assert!(body.contains(r#""k8s.node.name""#) && body.contains(r#""db.system""#), "{body}");
        let (status, body) = get(&running.jaeger, "/api/search?q=%7B%7D%20%7C%20rate()").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_is_there_from_spans_alone_as_json_and_as_series() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        for trace in 1..=20 {
            export(&running, &request(&a_trace(trace, now_nanos() - 2_000 * MS))).await;
        }
        let lonely = Drawn::new(99, 7, 5, "lonely", "GET /", 2, (now_nanos() - 100 * MS, now_nanos()));
        export(&running, &request(&[lonely])).await;

        // Critical paths are known when spans become a block: at the end, or after some seconds.
        running.stop().await;
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        let (_, body) = get(&running.api, "/api/v1/graph").await;
        let graph: Value = serde_json::from_str(&body).expect("JSON");
        let edge = |client: &str, server: &str| {
            let edges = graph["edges"].as_array().expect("edges").clone();
            edges.into_iter().find(|edge| edge["client"] == client && edge["server"] == server).expect("the edge")
        };
        let call = edge("front", "back");
        assert!(call["requests_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{call}");
        assert_eq!((&call["same_node_share"], &call["source"]), (&json!(0.0), &json!("spans")));
        // Of 100 ms the back has 60, 40 of which it waits for the database.
        let share = |edge: &Value| (edge["critical_path_share"].as_f64().unwrap_or(0.0) * 100.0).round();
        assert_eq!((share(&call), share(&edge("back", "pg"))), (20.0, 40.0));
        assert!(call["p95_ms"].as_f64().is_some_and(|p95| (76.0..84.0).contains(&p95)), "{call}");
        assert_eq!(edge("back", "pg")["connection_type"], "database");

        for trace in 31..=40 {
            export(&running, &request(&a_trace(trace, now_nanos() - 2_000 * MS))).await;
        }
        let total = "traces_service_graph_request_total{client=\"front\",server=\"back\"}";
        until("the counter", async || {
            let found = query(&running.api, total, common::now_ms() as f64 / 1e3).await;
            (found["data"]["result"][0]["value"][1] == "10").then_some(())
        })
        .await;
        let (_, body) = get(&running.api, "/api/v1/graph/explain?client=front&server=lonely").await;
        let why: Value = serde_json::from_str(&body).expect("JSON");
        assert!(why["because"].as_array().is_some_and(|list| !list.is_empty()), "{body}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_of_a_b3_call_from_zipkin_are_one_edge() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        let now = now_nanos() / 1_000;
        let span = |kind: &str, service: &str, at: u64, length: u64| {
            json!({ "traceId": "000000000000abcd", "id": "00000000000000ef", "kind": kind, "name": "get",
                "timestamp": at, "duration": length, "localEndpoint": { "serviceName": service },
                "shared": kind == "SERVER", "tags": { "http.path": "/x" } })
        };
        // The server's half comes first, as it ends first.
        for half in [span("SERVER", "b", now - 8_000, 5_000), span("CLIENT", "a", now - 10_000, 10_000)] {
            let (status, body) =
                post(&running.zipkin, "/api/v2/spans", "application/json", json!([half]).to_string()).await;
            assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, ""));
        }
        let (status, body) = post(&running.zipkin, "/api/v2/spans", "application/json", "[{\"traceId\":1}]").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");

        let (_, body) = get(&running.jaeger, "/api/traces/abcd").await;
        let trace: Value = serde_json::from_str(&body).expect("JSON");
        let spans = &trace["data"][0]["spans"];
        assert_eq!(trace["data"][0]["traceID"], "000000000000abcd");
        assert_eq!(spans[1]["references"][0]["spanID"], spans[0]["spanID"]);
        assert_ne!(spans[1]["spanID"], spans[0]["spanID"]);
        let (_, body) = get(&running.jaeger, "/api/dependencies").await;
        assert!(body.contains(r#"{"callCount":1,"child":"b","parent":"a"}"#), "{body}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_that_cannot_be_kept_are_counted_in_the_answer_and_the_rest_is_kept() {
    let store = &stores::each().await[0];
    let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
    let mut mixed = request(&a_trace(1, now_nanos()));
    mixed.resource_spans[0].scope_spans[0].spans[0].trace_id = vec![0; 16];
    let mut client = TraceServiceClient::connect(format!("http://{}", running.grpc)).await.expect("connects");

    let answer = client.export(mixed.clone()).await.expect("taken").into_inner();

    let partial = answer.partial_success.expect("told");
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("16 bytes"), "{}", partial.error_message);
    assert_eq!(running.collector.summary().spans, 3);
    // The same again: a sender that got no answer. Nothing is there twice.
    client.export(mixed).await.expect("taken");
    let (_, body) = get(&running.jaeger, &format!("/api/traces/{}", "01".repeat(16))).await;
    let trace: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(trace["data"][0]["spans"].as_array().map(Vec::len), Some(3));

    let garbage: Vec<u8> = (0..200).map(|byte: u8| byte.wrapping_mul(37)).collect();
    let (status, _) = post(&running.otlp_http, "/v1/traces", "application/x-protobuf", garbage.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, body) = post(&running.otlp_http, "/v1/traces", "application/json", "{\"resourceSpans\":3}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("{\"code\":3"), "{body}");
    let (status, _) = post(&running.otlp_http, "/v1/traces", "text/html", "").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _) = post(&running.otlp_http, "/v1/traces", "application/json", vec![b' '; 17 << 20]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/v1/traces", "/v1/metrics"] {
        assert_eq!(bomb(&running.otlp_http, path).await, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(bomb(&running.zipkin, "/api/v2/spans").await, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _) = get(&running.jaeger, "/api/services").await;
    assert_eq!(status, StatusCode::OK, "it lives on");
    running.stop().await;
}

/// Sends a kilobyte that unpacks to a gigabyte, nearly.
async fn bomb(address: &str, path: &str) -> StatusCode {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packed.write_all(&vec![0; 1 << 20]).expect("packed");
    }
    let kind = if path.starts_with("/api") { "application/json" } else { "application/x-protobuf" };
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", kind)
        .header("content-encoding", "gzip")
        .body(http_body_util::Full::new(bytes::Bytes::from(packed.finish().expect("packed"))))
        .expect("a request");
    common::send(request).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_by_otlp_are_series_and_bad_points_are_told_of() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
        let point = |value: i64| {
            json!({ "timeUnixNano": now_nanos().to_string(), "asInt": value.to_string(),
            "attributes": [{ "key": "http.route", "value": { "stringValue": "/a" } }] })
        };
        let body = json!({ "resourceMetrics": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }] },
            "scopeMetrics": [{ "metrics": [
                { "name": "orders", "unit": "{order}", "sum": { "dataPoints": [point(7)], "aggregationTemporality": 2, "isMonotonic": true } },
                { "name": "broken", "histogram": { "dataPoints": [{ "timeUnixNano": "1", "count": "1", "bucketCounts": ["1"], "explicitBounds": [1.0, 2.0] }], "aggregationTemporality": 2 } },
            ] }] }] });

        for (address, path) in [(&running.otlp_http, "/v1/metrics"), (&running.api, "/api/v1/otlp/v1/metrics")] {
            let (status, answer) = post(address, path, "application/json", body.to_string()).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            assert!(answer.contains("one count more than bounds"), "{answer}");
        }

        let found =
            query(&running.api, "orders_total{job=\"shop\",http_route=\"/a\"}", common::now_ms() as f64 / 1e3).await;
        assert_eq!(found["data"]["result"][0]["value"][1], "7", "{found}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kialis_default_the_grpc_query_service_answers_alike() {
    let store = &stores::each().await[0];
    let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;
    export(&running, &request(&a_trace(1, now_nanos() - 1_000 * MS))).await;

    let services = common::grpc::call(&running.jaeger_grpc, "jaeger.api_v2.QueryService/GetServices", Vec::new()).await;
    assert_eq!(services.expect("answered"), [b"\n\x04back\n\x05front".to_vec()]);
    let wanted = common::grpc::Wanted { trace_id: vec![1; 16] }.encode_to_vec();
    let chunks = common::grpc::call(&running.jaeger_grpc, "jaeger.api_v2.QueryService/GetTrace", wanted).await;
    let chunk = common::grpc::Chunk::decode(chunks.expect("answered")[0].as_slice()).expect("decodes");
    assert_eq!(chunk.spans.len(), 4);
    let back = chunk.spans.iter().find(|span| span.operation_name == "Get").expect("the server's");
    assert_eq!(
        (back.span_id.as_slice(), back.process.as_ref().map(|p| p.service_name.as_str())),
        (&[3; 8][..], Some("back"))
    );
    let find = common::grpc::Find {
        query: Some(common::grpc::Query { service_name: "back".to_owned(), ..Default::default() }),
    };
    let found =
        common::grpc::call(&running.jaeger_grpc, "jaeger.api_v2.QueryService/FindTraces", find.encode_to_vec()).await;
    assert_eq!(found.expect("answered").len(), 1);
    let unknown = common::grpc::Wanted { trace_id: vec![9; 16] }.encode_to_vec();
    let error = common::grpc::call(&running.jaeger_grpc, "jaeger.api_v2.QueryService/GetTrace", unknown).await;
    assert_eq!(error.expect_err("unknown").code(), tonic::Code::NotFound);
    running.stop().await;
}

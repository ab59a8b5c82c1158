//! Jaeger's and Tempo's APIs as Grafana and Kiali ask them: every parameter alone and together, over HTTP and gRPC.

mod common;

use common::grpc::{self, Chunk, Dependencies, Find, Operations, Query, Seconds, Wanted};
use common::spans::{Drawn, export, now_nanos, request};
use common::{Running, get, start, stores};
use http::StatusCode;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::{Value, json};
use wattle_collector::Config;

const MS: u64 = 1_000_000;
const SERVICE: &str = "jaeger.api_v2.QueryService";

/// Traces 1 to 5 of `front.hotel` that calls `back.hotel`, one every ten seconds, each 100 ms longer than the one before;
/// the fourth fails.
async fn filled(url: &str) -> (Running, u64) {
    let running = start(Config { store_url: url.to_owned(), ..Config::default() }).await;
    let now = now_nanos();
    for trace in 1..=5_u8 {
        let (begin, length) = (now - (60 - 10 * u64::from(trace)) * 1_000 * MS, u64::from(trace) * 100 * MS);
        let code = if trace == 4 { "503" } else { "200" };
        let root = Drawn::new(trace, 1, 0, "front.hotel", "GET /", 2, (begin, begin + length))
            .on("n1")
            .tag("http.status_code", code)
            .tag("node_id", "sidecar~10.0.0.1");
        let root = if trace == 4 { root.failed() } else { root };
        let call = Drawn::new(trace, 2, 1, "front.hotel", "Get", 3, (begin + MS, begin + length - MS)).on("n1");
        let server = Drawn::new(trace, 3, 2, "back.hotel", "Get", 2, (begin + 2 * MS, begin + length - 2 * MS))
            .on("n2")
            .tag("user", &format!("u{}", trace % 2));
        export(&running, &request(&[root, call, server])).await;
    }
    (running, now)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn json(address: &str, path: &str) -> (StatusCode, Value) {
    let (status, body) = get(address, path).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// First digits of the ids of the traces of an answer: of Jaeger's `data`, or of Tempo's `traces`.
fn ids(answer: &Value) -> Vec<u8> {
    let traces = answer["data"].as_array().or(answer["traces"].as_array()).expect("a list of traces").iter();
    traces
        .map(|trace| u8::from_str_radix(&trace["traceID"].as_str().expect("an id")[..2], 16).expect("digits"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jaegers_searches_are_answered_over_http() {
    for store in stores::each().await {
        let (running, now) = filled(&store.url).await;
        let us = |seconds_ago: u64| (now - seconds_ago * 1_000 * MS) / 1_000;
        let tags = |tags: &Value| escaped(&tags.to_string());
        let failed = tags(&json!({ "error": "true" }));
        let odd = tags(&json!({ "user": "u1" }));
        // As Grafana builds it: all of the form's fields, empty ones too.
        let grafana = format!(
            "service=back.hotel&operation=Get&tags={odd}&minDuration=&maxDuration=&limit=2&start={}&end={}&lookback=custom",
            us(60),
            us(0)
        );
        // As Kiali builds it.
        let kiali = format!(
            "end={}&limit=100&minDuration=250000us&service=front.hotel&start={}&tags={}",
            us(0),
            us(55),
            tags(&json!({ "http.status_code": "200" }))
        );
        for (question, wanted) in [
            (grafana, vec![5, 3]),
            (kiali, vec![5, 3]),
            ("service=front.hotel&operation=all".to_owned(), vec![5, 4, 3, 2, 1]),
            ("service=front.hotel&operation=Get&limit=1".to_owned(), vec![5]),
            (format!("service=front.hotel&tags={failed}"), vec![4]),
            (format!("service=front.hotel&operation=GET%20%2F&tags={failed}&maxDuration=350ms"), vec![]),
            (format!("service=front.hotel&tags={}", tags(&json!({ "http.status_code": 503 }))), vec![4]),
            // Both have to be on one span.
            (format!("service=front.hotel&tags={}", tags(&json!({ "http.status_code": "200", "user": "u1" }))), vec![]),
            (format!("service=back.hotel&tags={}", tags(&json!({ "k8s.node.name": "n2", "user": "u0" }))), vec![4, 2]),
            (
                "service=front.hotel&tag=span.kind:server&tag=node_id:sidecar~10.0.0.1&minDuration=0.4s".to_owned(),
                vec![5, 4],
            ),
            (format!("service=front.hotel&start={}&end={}", us(45), us(25)), vec![3, 2]),
            (format!("traceID={}&traceID={}", "02".repeat(16), "ee".repeat(16)), vec![2]),
            ("service=nobody.hotel".to_owned(), vec![]),
        ] {
            let (status, answer) = json(&running.jaeger, &format!("/api/traces?{question}")).await;
            assert_eq!((status, ids(&answer)), (StatusCode::OK, wanted), "{question}");
            assert!(answer["errors"].is_null() && answer["total"].is_u64(), "{answer}");
        }
        whole_traces_and_links(&running, now).await;
        running.stop().await;
    }
}

async fn whole_traces_and_links(running: &Running, now: u64) {
    let (status, answer) =
        json(&running.jaeger, &format!("/api/traces/{}?start=1&end=2&prettyPrint=true", "04".repeat(16))).await;
    assert_eq!(status, StatusCode::OK);
    let span = &answer["data"][0]["spans"][0];
    for (key, wanted) in [
        ("traceID", json!("04".repeat(16))),
        ("duration", json!(400_000)),
        ("processID", json!("p1")),
        ("references", json!([])),
    ] {
        assert_eq!(span[key], wanted, "{key}");
    }
    assert!(
        span["tags"].as_array().expect("tags").contains(&json!({ "key": "error", "type": "bool", "value": true })),
        "{span}"
    );
    let (status, answer) = json(&running.jaeger, &format!("/api/traces/{}", "ee".repeat(16))).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(404)));
    for bad in [
        "/api/traces?service=a&maxDuration=x",
        "/api/traces?service=a&limit=x",
        "/api/traces?service=a&minDuration=2s&maxDuration=1s",
        "/api/operations",
        "/api/dependencies?endTs=x",
        "/api/traces?traceID=xyz",
    ] {
        let (status, answer) = json(&running.jaeger, bad).await;
        assert_eq!((status, &answer["data"]), (StatusCode::BAD_REQUEST, &Value::Null), "{bad}");
        assert!(answer["errors"][0]["msg"].as_str().is_some_and(|text| !text.is_empty()), "{bad}: {answer}");
    }
    let end = now / MS + 1_000;
    let call = json!([{ "parent": "front.hotel", "child": "back.hotel", "callCount": 5 }]);
    for (end, wanted) in [(end, call), (end - 86_400_000, json!([]))] {
        let (_, answer) = json(&running.jaeger, &format!("/api/dependencies?endTs={end}&lookback=3600000")).await;
        assert_eq!(answer["data"], wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jaegers_searches_are_answered_over_grpc() {
    for store in stores::each().await {
        let (running, now) = filled(&store.url).await;
        let ask = async |method: &str, message: Vec<u8>| {
            grpc::call(&running.jaeger_grpc, &format!("{SERVICE}/{method}"), message).await
        };
        let find = async |query: Query| {
            let chunks = ask("FindTraces", Find { query: Some(query) }.encode_to_vec()).await.expect("answered");
            let chunk = |message: Vec<u8>| Chunk::decode(message.as_slice()).expect("decodes");
            chunks.into_iter().map(|message| chunk(message).spans[0].trace_id[0]).collect::<Vec<u8>>()
        };
        let front = || Query { service_name: "front.hotel".to_owned(), ..Query::default() };
        let tags = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        let at = |seconds_ago: u64| Some(Seconds::of(now - seconds_ago * 1_000 * MS));

        assert_eq!(find(front()).await, [5, 4, 3, 2, 1]);
        assert_eq!(find(Query { search_depth: 2, ..front() }).await, [5, 4]);
        assert_eq!(
            find(Query { operation_name: "GET /".to_owned(), tags: tags("error", "true"), ..front() }).await,
            [4]
        );
        assert_eq!(find(Query { duration_min: Some(Seconds::of(350 * MS)), ..front() }).await, [5, 4]);
        assert_eq!(
            find(Query { duration_max: Some(Seconds::of(150 * MS)), operation_name: "GET /".to_owned(), ..front() })
                .await,
            [1]
        );
        assert_eq!(find(Query { start_time_min: at(45), start_time_max: at(25), ..front() }).await, [3, 2]);

        let operations =
            ask("GetOperations", Wanted { trace_id: b"front.hotel".to_vec() }.encode_to_vec()).await.expect("answered");
        let operations = Operations::decode(operations[0].as_slice()).expect("decodes");
        assert_eq!(operations.names, ["GET /", "Get"]);
        let window = Dependencies { start: at(3_600), end: at(0) }.encode_to_vec();
        let links = ask("GetDependencies", window).await.expect("answered");
        let links = grpc::Links::decode(links[0].as_slice()).expect("decodes");
        assert_eq!(
            links.links.iter().map(|link| (link.parent.as_str(), link.child.as_str(), link.count)).collect::<Vec<_>>(),
            [("front.hotel", "back.hotel", 5)]
        );

        for (method, message, code) in [
            ("GetTrace", Wanted { trace_id: vec![9; 16] }.encode_to_vec(), tonic::Code::NotFound),
            ("GetTrace", Wanted { trace_id: vec![9; 3] }.encode_to_vec(), tonic::Code::InvalidArgument),
            ("FindTraces", Vec::new(), tonic::Code::InvalidArgument),
            ("FindTraces", vec![0xff; 9], tonic::Code::InvalidArgument),
            ("ArchiveTrace", Vec::new(), tonic::Code::Unimplemented),
            ("Nonsense", Vec::new(), tonic::Code::Unimplemented),
        ] {
            assert_eq!(ask(method, message).await.expect_err(method).code(), code, "{method}");
        }
        running.stop().await;
    }
}

/// The fields that Kiali selects.
const KIALI: &str = "select(status, .service_name, .node_id, .component, .upstream_cluster, .http.method, .http.status_code, .http.url, .rpc.grpc.status_code, .error, .response_flags, .istio.canonical_service, .hostname, .peer.address, .guid:x-request-id, .istio.namespace, name)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tempos_searches_tags_and_traces_are_answered() {
    for store in stores::each().await {
        let (running, now) = filled(&store.url).await;
        let seconds = |ago: u64| now / MS / 1_000 - ago;
        let kiali = format!(
            "{{ .service.name = \"front.hotel\" && .http.status_code = \"200\" && .node_id = \"sidecar~10.0.0.1\" }} && {{}} | {KIALI}"
        );
        for (q, more, wanted) in [
            (
                kiali.as_str(),
                format!("&spss=10&limit=100&start={}&end={}", seconds(3_600), seconds(0) + 1),
                vec![5, 3, 2, 1],
            ),
            ("{}", String::new(), vec![5, 4, 3, 2, 1]),
            ("{}", "&limit=2".to_owned(), vec![5, 4]),
            ("{}", format!("&start={}&end={}", seconds(45), seconds(25)), vec![3, 2]),
            ("{ status = error }", String::new(), vec![4]),
            ("{ resource.service.name = \"back.hotel\" && span.user =~ \"u[1x]\" }", String::new(), vec![5, 3, 1]),
            ("{ name = \"GET /\" && duration > 350ms }", String::new(), vec![5, 4]),
            ("{ kind = client && duration <= 200ms }", String::new(), vec![2, 1]),
            ("{ .user = \"u0\" } && { .http.status_code = 503 }", String::new(), vec![4]),
            ("{ .nothing = \"x\" }", String::new(), vec![]),
        ] {
            let (status, answer) = json(&running.jaeger, &format!("/api/search?q={}{more}", escaped(q))).await;
            assert_eq!((status, ids(&answer)), (StatusCode::OK, wanted), "{q} {more}");
        }
        let (_, answer) = json(&running.jaeger, &format!("/api/search?q={}&spss=10", escaped(&kiali))).await;
        let shown = &answer["traces"][0]["spanSets"][0]["spans"][0]["attributes"];
        assert!(
            shown
                .as_array()
                .expect("attributes")
                .contains(&json!({ "key": "node_id", "value": { "stringValue": "sidecar~10.0.0.1" } })),
            "{shown}"
        );
        for bad in ["{ a = }", "{} | rate()", "{ a = \"b\" || c = \"d\" }", "nonsense"] {
            let (status, _) = json(&running.jaeger, &format!("/api/search?q={}", escaped(bad))).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        }
        tags_and_traces(&running).await;
        running.stop().await;
    }
}

async fn tags_and_traces(running: &Running) {
    let (_, scopes) = json(&running.jaeger, "/api/v2/search/tags?limit=5000&start=0&end=2000000000").await;
    let of = |scope: &str| {
        let found = scopes["scopes"].as_array().expect("scopes").iter().find(|one| one["name"] == scope);
        found.expect("the scope")["tags"].as_array().expect("tags").clone()
    };
    assert!(of("resource").contains(&json!("k8s.node.name")) && of("span").contains(&json!("user")), "{scopes}");
    assert!(of("intrinsic").contains(&json!("duration")), "{scopes}");
    for (tag, wanted) in [
        ("resource.service.name", vec!["back.hotel", "front.hotel"]),
        ("span.user", vec!["u0", "u1"]),
        ("name", vec!["GET /", "Get"]),
        ("status", vec!["error", "ok", "unset"]),
    ] {
        let (_, typed) = json(&running.jaeger, &format!("/api/v2/search/tag/{tag}/values?limit=5000&q={{}}")).await;
        let values: Vec<&str> =
            typed["tagValues"].as_array().expect("values").iter().filter_map(|one| one["value"].as_str()).collect();
        assert_eq!(values, wanted, "{tag}");
        let (_, plain) = json(&running.jaeger, &format!("/api/search/tag/{tag}/values")).await;
        assert_eq!(plain["tagValues"], json!(wanted), "{tag}");
    }
    for (path, status) in [("/api/v2/traces/", StatusCode::OK), ("/api/traces/", StatusCode::OK)] {
        let ask = async |id: String| {
            let request = http::Request::get(format!("http://{}{path}{id}?start=1&end=2", running.jaeger))
                .header("accept", "application/protobuf");
            common::exchange(request.body(http_body_util::Full::default()).expect("a request")).await
        };
        let (found, headers, body) = ask("04".repeat(16)).await;
        assert_eq!(
            (found, &headers["content-type"].to_str().expect("text")),
            (status, &"application/protobuf"),
            "{path}"
        );
        // Version 2 has the trace in a field of its own.
        let plain = if path.contains("v2") {
            TraceById::decode(body).expect("decodes").trace.expect("a trace")
        } else {
            TracesData::decode(body).expect("decodes")
        };
        let spans =
            plain.resource_spans.iter().flat_map(|one| &one.scope_spans).map(|scope| scope.spans.len()).sum::<usize>();
        assert_eq!(spans, 3, "{path}");
        assert_eq!(ask("ee".repeat(16)).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(get(&running.jaeger, "/api/echo").await, (StatusCode::OK, "echo".to_owned()));
}

#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

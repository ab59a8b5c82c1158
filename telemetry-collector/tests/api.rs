//! The API as clients of Prometheus meet it.

mod common;

use common::{get, post, query, query_range, send, sqlite, start, write};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use wattle_collector::Config;

async fn filled() -> (common::Running, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let running =
        start(Config { store_url: sqlite(dir.path()), retention: common::FOR_EVER, ..Config::default() }).await;
    let points = |factor: f64| (0..=60).map(|at| (at * 15_000, at as f64 * factor)).collect::<Vec<_>>();
    let (status, body) = write(
        &running.api,
        &[
            (vec![("__name__", "http_requests_total"), ("pod", "a"), ("job", "web")], points(15.0)),
            (vec![("__name__", "http_requests_total"), ("pod", "b"), ("job", "web")], points(30.0)),
            (vec![("__name__", "temperature"), ("pod", "a")], vec![(0, f64::NAN), (60_000, f64::INFINITY)]),
        ],
    )
    .await;
    assert_eq!((status, body.as_str()), (StatusCode::NO_CONTENT, ""));
    (running, dir)
}

#[tokio::test]
async fn the_health_check_of_grafana_gets_a_scalar() {
    let (running, _dir) = filled().await;

    let answer = query(&running.api, "1+1", 4.0).await;

    assert_eq!(answer, json!({"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}));
}

#[tokio::test]
async fn sums_of_rates_are_drawn() {
    let (running, _dir) = filled().await;

    let by_pod = query(&running.api, "round(sum by (pod) (rate(http_requests_total[5m])), 0.001)", 600.0).await;
    let all = query_range(
        &running.api,
        "round(sum(rate(http_requests_total{pod=~\"a|b\"}[5m])), 0.5) * 2",
        600.0,
        660.0,
        30.0,
    )
    .await;

    let mut result = by_pod["data"]["result"].as_array().expect("a vector").clone();
    result.sort_by_key(ToString::to_string);
    assert_eq!(result[0], json!({"metric": {"pod": "a"}, "value": [600, "1"]}));
    assert_eq!(result[1], json!({"metric": {"pod": "b"}, "value": [600, "2"]}));
    assert_eq!(
        all["data"],
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[600, "6"], [630, "6"], [660, "6"]]}]})
    );
}

#[tokio::test]
async fn numbers_that_json_has_not_are_texts() {
    let (running, _dir) = filled().await;

    let first = query(&running.api, "temperature", 0.0).await;
    let second = query(&running.api, "-temperature", 60.5).await;
    let points = query(&running.api, "temperature[2m]", 60.0).await;

    assert_eq!(first["data"]["result"][0]["value"], json!([0, "NaN"]));
    assert_eq!(second["data"]["result"][0]["value"], json!([60.5, "-Inf"]));
    assert_eq!(points["data"]["resultType"], "matrix");
    assert_eq!(points["data"]["result"][0]["values"], json!([[0, "NaN"], [60, "+Inf"]]));
}

#[tokio::test]
async fn errors_have_a_type_and_a_reason() {
    let (running, _dir) = filled().await;

    for (bad, kind, reason) in [
        ("sum(", "bad_data", "invalid parameter \"query\""),
        ("info(temperature)", "bad_data", ""),
        ("histogram_count(temperature)", "bad_data", "not supported: function histogram_count()"),
        ("temperature > on() group_left() fill(0) temperature", "bad_data", ""),
        ("http_requests_total + on(job) http_requests_total", "execution", "many-to-many matching not allowed"),
    ] {
        let answer = query(&running.api, bad, 600.0).await;
        assert_eq!((&answer["status"], &answer["errorType"]), (&json!("error"), &json!(kind)), "{bad}: {answer}");
        assert!(answer["error"].as_str().expect("a text").contains(reason), "{bad}: {answer}");
    }
    let many = query_range(&running.api, "1", 0.0, 1e9, 1.0).await;
    assert!(many["error"].as_str().expect("a text").contains("exceeded maximum resolution"), "{many}");
    let (status, body) = get(&running.api, "/api/v1/query_range?query=1&start=5&end=1&step=1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let (status, body) = get(&running.api, "/api/v1/query?query=1&time=noon").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let long = query(&running.api, &"x".repeat(400_000), 0.0).await;
    assert!(long["error"].as_str().expect("a text").contains("longer than 1 MiB"), "{long}");
}

#[tokio::test]
async fn variables_of_dashboards_are_answered() {
    let (running, _dir) = filled().await;
    let data = async |path: &str| {
        let (status, body) = get(&running.api, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["data"].clone()
    };

    assert_eq!(data("/api/v1/labels").await, json!(["__name__", "job", "pod"]));
    assert_eq!(data("/api/v1/label/pod/values").await, json!(["a", "b"]));
    assert_eq!(data("/api/v1/label/pod/values?match[]=temperature").await, json!(["a"]));
    assert_eq!(data("/api/v1/label/U___5f__name_5f_/values").await, json!([]));
    assert_eq!(
        data("/api/v1/series?match[]=%7Bpod%3D%22b%22%7D").await,
        json!([{"__name__": "http_requests_total", "job": "web", "pod": "b"}])
    );
    assert_eq!(data("/api/v1/labels?limit=1").await, json!(["__name__"]));
    assert_eq!(data("/api/v1/metadata").await, json!({}));
    assert!(data("/api/v1/status/buildinfo").await["features"].is_null());
    let (status, _) = get(&running.api, "/-/ready").await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = post(&running.api, "/api/v1/series", "application/x-www-form-urlencoded", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

#[tokio::test]
async fn a_snapshot_has_a_tag_and_is_not_sent_twice() {
    let (running, _dir) = filled().await;
    let (status, _) = get(&running.api, "/api/v1/snapshot").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);

    let end = common::now_ms() / 15_000 * 15_000 - 30_000;
    let labels = vec![("__name__", "kepler_node_cpu_joules_total"), ("zone", "package"), ("node_name", "n1")];
    write(&running.api, &[(labels, vec![(end - 12_000, 100.0), (end - 2_000, 700.0)])]).await;
    let mut snapshots = running.collector.snapshots();
    snapshots.changed().await.expect("a snapshot");

    let request = |known: &str| {
        let uri = format!("http://{}/api/v1/snapshot", running.api);
        Request::get(uri).header("if-none-match", known).body(Full::default()).expect("a request")
    };
    let (status, headers, body) = send(request("\"0\"")).await;
    assert_eq!(status, StatusCode::OK);
    let snapshot: wattle_contract::ClusterSnapshot = serde_json::from_str(&body).expect("a snapshot");
    assert_eq!(headers["etag"], format!("\"{}\"", snapshot.version));
    assert_eq!(snapshot.window.nodes[0].power_watts.map(wattle_contract::Watts::get), Some(60.0));
    let (status, _, body) = send(request(&format!("\"{}\"", snapshot.version))).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_nests_without_end_is_refused() {
    let (running, _dir) = filled().await;

    for endless in ["1+".repeat(30_000) + "1", "-".repeat(60_000) + "1", "(".repeat(60_000), "abs(".repeat(20_000)] {
        let answer = query(&running.api, &endless, 0.0).await;
        assert_eq!(answer["errorType"], "bad_data");
    }
    let deep = ["1+".repeat(499) + "1", "-".repeat(499) + "1", "abs(".repeat(499) + "temperature" + &")".repeat(499)];
    for most in deep {
        assert_eq!(query(&running.api, &most, 60.0).await["status"], "success");
    }
    let wide = format!("temperature{{pod!~\"{}\"}}", "-+(a)".repeat(1_000));
    assert_eq!(query(&running.api, &wide, 60.0).await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_tell_how_the_last_scrape_went_and_why_it_failed() {
    let good = common::target::serve("# HELP a What.\n# TYPE a gauge\na 1\n".to_owned(), common::target::TEXT).await;
    let broken = common::target::serve("a{ 1\n".to_owned(), common::target::TEXT).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").to_string()
    };
    let mut good_job = common::job("good", &good);
    good_job.targets[0].labels.push(("zone".to_owned(), "z1".to_owned()));
    let mut bad_job = common::job("bad", &broken);
    bad_job.targets.extend(common::job("bad", "no address").targets);
    let scrape = vec![good_job, bad_job, common::job("gone", &closed)];
    let dir = tempfile::tempdir().expect("a folder");
    let running = start(Config { store_url: sqlite(dir.path()), scrape, ..Config::default() }).await;
    let data = async |path: &str| {
        let (status, body) = get(&running.api, path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["data"].clone()
    };

    let all = common::until("a scrape of each", async || {
        let found = data("/api/v1/targets").await;
        let active = found["activeTargets"].as_array()?;
        active.iter().all(|target| target["health"] != "unknown").then_some(found)
    })
    .await;

    let of = |address: &str| {
        let active = all["activeTargets"].as_array().expect("a list").iter();
        active.clone().find(|target| target["discoveredLabels"]["__address__"] == address).expect("the target").clone()
    };
    let (up, parse, connection) = (of(&good), of(&broken), of(&closed));
    assert_eq!((&up["health"], &up["lastError"], &up["labels"]["zone"]), (&json!("up"), &json!(""), &json!("z1")));
    assert_eq!((&up["scrapeInterval"], &up["scrapePool"]), (&json!("200ms"), &json!("good")));
    assert!(up["lastScrapeDuration"].as_f64().is_some_and(|took| took > 0.0), "{up}");
    assert!(up["lastScrape"].as_str().is_some_and(|at| at.starts_with("20")), "{up}");
    let error = |target: &serde_json::Value| target["lastError"].as_str().unwrap_or("").to_owned();
    assert!(parse["health"] == "down" && error(&parse).contains("no exposition: line 1"), "{parse}");
    assert!(connection["health"] == "down" && error(&connection).contains("onnection refused"), "{connection}");
    assert_eq!(all["droppedTargets"][0]["discoveredLabels"]["__address__"], "no address");
    assert_eq!(all["droppedTargetCounts"], json!({ "bad": 1, "gone": 0, "good": 0 }));
    let counts =
        |found: &serde_json::Value| ["activeTargets", "droppedTargets"].map(|key| found[key].as_array().map(Vec::len));
    assert_eq!(counts(&data("/api/v1/targets?state=active").await), [Some(3), Some(0)]);
    assert_eq!(counts(&data("/api/v1/targets?state=dropped").await), [Some(0), Some(1)]);
    assert_eq!(counts(&data("/api/v1/targets?scrapePool=gone").await), [Some(1), Some(0)]);
    let told = data("/api/v1/targets/metadata?match_target=%7Bzone%3D%22z1%22%7D").await;
    let target = json!({ "instance": good, "job": "good", "zone": "z1" });
    assert_eq!(told, json!([{ "target": target, "metric": "a", "type": "gauge", "help": "What.", "unit": "" }]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deepest_query_that_is_taken_is_drawn_as_a_tree() {
    let (running, _dir) = filled().await;
    let deep = "abs(".repeat(499) + "temperature" + &")".repeat(499);

    for path in ["parse_query", "format_query", "query_exemplars"] {
        let form = "application/x-www-form-urlencoded";
        let (status, body) = post(&running.api, &format!("/api/v1/{path}"), form, format!("query={deep}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_reader_that_takes_nothing_does_not_keep_queries_waiting() {
    let dir = tempfile::tempdir().expect("a folder");
    let query_limits = wattle_collector::QueryLimits {
        max_concurrent: 1,
        timeout: std::time::Duration::from_millis(500),
        ..wattle_collector::QueryLimits::default()
    };
    let config =
        Config { store_url: sqlite(dir.path()), retention: common::FOR_EVER, query: query_limits, ..Config::default() };
    let running = start(config).await;
    // Noise, which no codec makes small: more than what the sockets between both hold.
    let noise = |seed: u64| {
        let mixed = |at: u64| (seed * 4_000 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed << 40;
        (0..4_000).map(|at| (at as i64 * 1_000, f64::from_bits(mixed(at) >> 2))).collect::<Vec<_>>()
    };
    let names: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    for (part, seed) in names.chunks(20).zip(1..) {
        let series: Vec<_> = part.iter().map(|pod| (vec![("__name__", "noise"), ("pod", pod)], noise(seed))).collect();
        let (status, body) = write(&running.api, &series).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }
    // Queries: from 0 to 2^40 ms, __name__ = noise; accepted: 1, a stream.
    let query = b"\x10\x80\x80\x80\x80\x80\x20\x1a\x11\x12\x08__name__\x1a\x05noise";
    let plain = [&[0x0a, query.len() as u8], &query[..], &[0x10, 1]].concat();
    let body = snap::raw::Encoder::new().compress_vec(&plain).expect("snappy");
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small one");
    let mut reader = socket.connect(running.api.parse().expect("an address")).await.expect("connects");
    let head = format!("POST /api/v1/read HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), &body].concat();
    tokio::io::AsyncWriteExt::write_all(&mut reader, &request).await.expect("writes");

    let refused = common::until("a query that has to wait", async || {
        let answer = query_range(&running.api, "1", 0.0, 1.0, 1.0).await;
        (answer["errorType"] == "timeout").then_some(answer)
    })
    .await;
    common::until("a query that runs", async || {
        let answer = query_range(&running.api, "1", 0.0, 1.0, 1.0).await;
        (answer["status"] == "success").then_some(())
    })
    .await;

    assert!(refused["error"].as_str().is_some_and(|text| text.contains("query queue")), "{refused}");
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer).await;
    assert!(read.is_err() || !answer.ends_with(b"0\r\n\r\n"), "an answer that is cut does not end as a whole one");
    running.stop().await;
}

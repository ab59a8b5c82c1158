//! Exemplars: by every way in, on both databases, as a real Prometheus answers.

mod common;

use std::time::Duration;

use common::programs::{Program, peers};
use common::target::{OPENMETRICS, serve};
use common::{Running, get, job, now_ms, post, start, stores, until};
use http::StatusCode;
use prost::Message;
use serde_json::{Value, json};
use wattle_collector::{Config, ScrapeJob};

#[derive(Clone, PartialEq, Message)]
struct WriteV1 {
    #[prost(message, repeated, tag = "1")]
    series: Vec<SeriesV1>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesV1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Point>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<ExemplarV1>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarV1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteV2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<SeriesV2>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesV2 {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Point>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<ExemplarV2>,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarV2 {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("snappy")
}

/// Writes exemplars of one series by remote write 1, in a series entry of their own as Prometheus sends them.
async fn write_v1(api: &str, exemplars: Vec<(i64, f64, &str)>) {
    let name = || labels(&[("__name__", "v1_total"), ("pod", "a")]);
    let with_samples =
        SeriesV1 { labels: name(), samples: vec![Point { value: 1.0, timestamp: now_ms() }], exemplars: Vec::new() };
    let exemplar = |(timestamp, value, id)| ExemplarV1 { labels: labels(&[("trace_id", id)]), value, timestamp };
    let exemplars = exemplars.into_iter().map(exemplar).collect();
    let alone = SeriesV1 { labels: name(), samples: Vec::new(), exemplars };
    let body = snappy(&WriteV1 { series: vec![with_samples, alone] }.encode_to_vec());
    let (status, body) = post(api, "/api/v1/write", "application/x-protobuf", body).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
}

async fn write_v2(api: &str, at: i64) {
    let symbols = ["", "__name__", "v2_total", "trace_id", "abc"].map(str::to_owned).to_vec();
    let exemplars = vec![ExemplarV2 { labels: vec![3, 4], value: 0.5, timestamp: at }];
    let samples = vec![Point { value: 1.0, timestamp: at }];
    let series = vec![SeriesV2 { labels: vec![1, 2], samples, exemplars }];
    let request = http::Request::post(format!("http://{api}/api/v1/write"))
        .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("content-encoding", "snappy")
        .body(http_body_util::Full::new(snappy(&WriteV2 { symbols, series }.encode_to_vec()).into()))
        .expect("a request");
    let (status, headers, body) = common::send(request).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(headers["x-prometheus-remote-write-exemplars-written"], "1");
}

async fn write_otlp(running: &Running, at: i64) {
    let nanos = (at * 1_000_000).to_string();
    let exemplar = |value: f64| {
        json!({ "timeUnixNano": nanos, "asDouble": value, "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174", "filteredAttributes": [{ "key": "user.id", "value": { "stringValue": "7" } }] })
    };
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{ "name": "took", "unit": "s", "histogram": {
        "aggregationTemporality": 2, "dataPoints": [{ "timeUnixNano": nanos, "count": "3", "sum": 9.0,
            "bucketCounts": ["1", "1", "1"], "explicitBounds": [1.0, 2.0],
            "exemplars": [exemplar(0.5), exemplar(1.0), exemplar(7.0)] }] } }] }] }] });
    let (status, body) = post(&running.otlp_http, "/v1/metrics", "application/json", body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

async fn exemplars(address: &str, query: &str) -> Value {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = format!("query={query}&start=0&end=4000000000");
    let (status, body) = post(address, "/api/v1/query_exemplars", "application/x-www-form-urlencoded", body).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["status"], "success");
    answer["data"].clone()
}

/// Series label, trace and value of each exemplar.
fn told(data: &Value, label: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let series = data.as_array().expect("a list").iter();
    series
        .flat_map(|one| one["exemplars"].as_array().expect("a list").iter().map(move |exemplar| (one, exemplar)))
        .map(|(one, exemplar)| {
            (text(&one["seriesLabels"][label]), text(&exemplar["labels"]["trace_id"]), text(&exemplar["value"]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_come_by_every_way_and_are_there_after_a_start_without_an_end() {
    for store in stores::each().await {
        let exposition = "# TYPE took histogram\n\
            took_bucket{le=\"1\"} 2 # {trace_id=\"t1\"} 0.67\n\
            took_bucket{le=\"+Inf\"} 3 # {trace_id=\"t2\",span_id=\"s\"} 7 1520879607.789\n\
            took_count 3\ntook_sum 9\n# EOF\n";
        let target = serve(exposition.to_owned(), OPENMETRICS).await;
        let config = |exporter: &[ScrapeJob]| Config {
            store_url: store.url.clone(),
            scrape: exporter.to_vec(),
            retention: common::FOR_EVER,
            ..Config::default()
        };
        let running = start(config(&[job("shop", &target)])).await;
        let now = now_ms();
        // The second is there already, the third comes late: the order is that of time.
        write_v1(&running.api, vec![(now, 2.0, "b"), (now, 2.0, "b"), (now - 5_000, 1.0, "a")]).await;
        write_v2(&running.api, now).await;
        write_otlp(&running, now).await;
        until("three scrapes", async || {
            let count = common::query(&running.api, "count_over_time(up[1m])", now_ms() as f64 / 1e3).await;
            count["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok().filter(|count| *count >= 3.0)
        })
        .await;

        let all = async |api: &str| {
            [
                told(&exemplars(api, "took_bucket{job=\"shop\"}").await, "le"),
                told(&exemplars(api, "rate(v1_total[5m]) > on() group_left() v2_total").await, "__name__"),
                told(&exemplars(api, "took_seconds_bucket").await, "le"),
            ]
        };
        let found = all(&running.api).await;
        let row = |label: &str, id: &str, value: &str| (label.to_owned(), id.to_owned(), value.to_owned());
        assert_eq!(found[0], [row("+Inf", "t2", "7"), row("1", "t1", "0.67")], "the same at each scrape");
        assert_eq!(found[1], [row("v1_total", "a", "1"), row("v1_total", "b", "2"), row("v2_total", "abc", "0.5")]);
        let id = "5b8efff798038103d269b633813fc60c";
        assert_eq!(found[2], [row("+Inf", id, "7"), row("1", id, "0.5"), row("1", id, "1")]);
        let otlp = exemplars(&running.api, "took_seconds_bucket{le=\"+Inf\"}").await;
        assert_eq!(
            otlp[0]["exemplars"][0]["labels"],
            json!({ "trace_id": id, "span_id": "eee19b7ec3c1b174", "user_id": "7" })
        );
        let timed = exemplars(&running.api, "took_bucket{le=\"+Inf\",job=\"shop\"}").await;
        assert_eq!(timed[0]["exemplars"][0]["timestamp"], json!(1_520_879_607.789));

        // No end in order: what is in memory is gone.
        running.shutdown.cancel();
        drop(running.collector);
        let again = until("the writer's lock", async || common::try_start(config(&[])).await).await;
        assert_eq!(all(&again.api).await, found);
        again.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_keeps_a_hundred_and_what_cannot_be_kept_is_no_reason_to_refuse() {
    for store in stores::each().await {
        let running = start(Config { store_url: store.url.clone(), exemplar_limit: 150, ..Config::default() }).await;
        let now = now_ms();
        let long = "x".repeat(121);
        let (too_new, too_long) = ((now + 3_600_000, 1.0, "new"), (now, 1.0, long.as_str()));
        write_v1(&running.api, vec![too_new, too_long]).await;
        write_v1(&running.api, (0..130).map(|at| (now - 1_000 + at, at as f64, "t")).collect()).await;

        let found = told(&exemplars(&running.api, "v1_total").await, "pod");

        assert_eq!((found.len(), found[0].2.as_str(), found[99].2.as_str()), (100, "30", "129"));
        running.stop().await;
    }
}

#[tokio::test]
async fn bad_questions_get_prometheus_errors() {
    let store = &stores::each().await[0];
    let running = start(Config { store_url: store.url.clone(), ..Config::default() }).await;

    for bad in ["query=a&start=2&end=1", "query=a(", "query=a&start=noon", ""] {
        let (status, body) = get(&running.api, &format!("/api/v1/query_exemplars?{bad}")).await;
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &answer["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{bad}: {body}");
    }
    assert_eq!(exemplars(&running.api, "nothing").await, json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_answers_alike_for_the_same_exposition() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    let now = now_ms() as f64 / 1e3;
    let exposition = format!(
        "# TYPE took histogram\n\
         took_bucket{{le=\"0.1\"}} 2 # {{}} 0.05 {now}\n\
         took_bucket{{le=\"1.0\"}} 2 # {{trace_id=\"t1\",span_id=\"s\"}} 6.7e-7 {now}\n\
         took_bucket{{le=\"+Inf\"}} 3 # {{trace_id=\"t2\"}} 7 {now}\n\
         took_count 3\ntook_sum 9\n\
         # TYPE calls counter\ncalls_total{{code=\"200\"}} 5 # {{trace_id=\"t3\"}} NaN {now}\n\
         calls_total{{code=\"500\"}} 5\n# EOF\n"
    );
    let target = serve(exposition, OPENMETRICS).await;
    let dir = tempfile::tempdir().expect("a folder");
    let scrape =
        vec![ScrapeJob { interval: Duration::from_secs(1), timeout: Duration::from_secs(1), ..job("shop", &target) }];
    let ours = start(Config { store_url: common::sqlite(dir.path()), scrape, ..Config::default() }).await;
    let config = format!(
        "scrape_configs: [{{job_name: shop, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ['{target}']}}]}}]"
    );
    let theirs = Program::prometheus(&bin, &config, &[]).await;

    for query in
        ["took_bucket", "calls_total", "rate(took_bucket{le!=\"1.0\"}[1m]) or calls_total", "{job=\"shop\"}", "none"]
    {
        let wanted = until("what Prometheus has", async || {
            let found = exemplars(&theirs.address, query).await;
            (query == "none" || found.as_array().is_some_and(|list| !list.is_empty())).then_some(found)
        })
        .await;
        let found = until("what we have", async || {
            let found = exemplars(&ours.api, query).await;
            (query == "none" || found.as_array().is_some_and(|list| !list.is_empty())).then_some(found)
        })
        .await;
        assert_eq!(found, wanted, "{query}");
    }
    ours.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_prometheus_writes_remotely_comes_whole() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let now = now_ms() as f64 / 1e3;
        let exposition = format!(
            "# TYPE took histogram\ntook_bucket{{le=\"1.0\"}} 2 # {{trace_id=\"t1\",span_id=\"s1\"}} 0.5 {now}\n\
             took_bucket{{le=\"+Inf\"}} 3 # {{trace_id=\"t2\"}} 7\ntook_count 3\ntook_sum 9\n# EOF\n"
        );
        let target = serve(exposition, OPENMETRICS).await;
        let dir = tempfile::tempdir().expect("a folder");
        let ours = start(Config { store_url: common::sqlite(dir.path()), ..Config::default() }).await;
        let config = format!(
            "scrape_configs: [{{job_name: shop, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ['{target}']}}]}}]\n\
             remote_write: [{{url: 'http://{}/api/v1/write', send_exemplars: true, protobuf_message: {message}}}]\n",
            ours.api
        );
        let theirs = Program::prometheus(&bin, &config, &[]).await;

        let found = until("both exemplars", async || {
            let found = exemplars(&ours.api, "took_bucket").await;
            (found.as_array()?.len() == 2).then_some(found)
        })
        .await;

        assert_eq!(found, exemplars(&theirs.address, "took_bucket").await, "{message}");
        ours.stop().await;
    }
}

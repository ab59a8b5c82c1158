//! A collector of its own for each test, and what speaks to it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod grpc;
pub mod programs;
pub mod spans;
pub mod stores;
pub mod target;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prometheus::Registry;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners, ScrapeJob, ScrapeTarget};

/// A running collector and where it is.
pub struct Running {
    pub collector: Collector,
    pub api: String,
    pub grpc: String,
    pub otlp_http: String,
    pub zipkin: String,
    pub jaeger: String,
    pub jaeger_grpc: String,
    pub shutdown: CancellationToken,
}

impl Running {
    /// Ends it in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.collector.join().await;
    }
}

/// Tests write samples of 1970: nothing is too old for them.
pub const FOR_EVER: Duration = Duration::from_secs(200 * 365 * 86_400);

pub fn sqlite(dir: &Path) -> String {
    format!("sqlite://{}", dir.join("wattle.db").display())
}

pub async fn start(config: Config) -> Running {
    try_start(config).await.expect("collector starts")
}

/// Starts where the store may still be in use.
pub async fn try_start(config: Config) -> Option<Running> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let (api, grpc, otlp_http) =
        (bind().await.expect("a port"), bind().await.expect("a port"), bind().await.expect("a port"));
    let (zipkin, jaeger, jaeger_grpc) =
        (bind().await.expect("a port"), bind().await.expect("a port"), bind().await.expect("a port"));
    let address = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
    let (api_at, grpc_at, http_at) = (address(&api), address(&grpc), address(&otlp_http));
    let (zipkin_at, jaeger_at, jaeger_grpc_at) = (address(&zipkin), address(&jaeger), address(&jaeger_grpc));
    let shutdown = CancellationToken::new();
    let listeners = Listeners {
        api,
        otlp_grpc: Some(grpc),
        otlp_http: Some(otlp_http),
        zipkin: Some(zipkin),
        jaeger_http: Some(jaeger),
        jaeger_grpc: Some(jaeger_grpc),
    };
    let collector = Collector::start(config, listeners, &Registry::new(), shutdown.clone()).await.ok()?;
    Some(Running {
        collector,
        api: api_at,
        grpc: grpc_at,
        otlp_http: http_at,
        zipkin: zipkin_at,
        jaeger: jaeger_at,
        jaeger_grpc: jaeger_grpc_at,
        shutdown,
    })
}

/// One exchange; gives status, headers and body.
pub async fn exchange(request: Request<Full<Bytes>>) -> (StatusCode, http::HeaderMap, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    (head.status, head.headers, body)
}

/// One exchange whose answer is a text.
pub async fn send(request: Request<Full<Bytes>>) -> (StatusCode, http::HeaderMap, String) {
    let (status, headers, body) = exchange(request).await;
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

pub async fn get(address: &str, path: &str) -> (StatusCode, String) {
    let request = Request::get(format!("http://{address}{path}")).body(Full::default()).expect("a request");
    let (status, _, body) = send(request).await;
    (status, body)
}

pub async fn post(address: &str, path: &str, content_type: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", content_type)
        .body(Full::new(body.into()))
        .expect("a request");
    let (status, _, body) = send(request).await;
    (status, body)
}

/// Posts packed protobuf; gives status and body.
pub async fn post_bytes(address: &str, path: &str, body: Vec<u8>) -> (StatusCode, Bytes) {
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .body(Full::new(body.into()))
        .expect("a request");
    let (status, _, body) = exchange(request).await;
    (status, body)
}

pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Asks for an instant query; gives the whole answer.
pub async fn query(address: &str, query: &str, time: f64) -> serde_json::Value {
    let body = format!("query={}&time={time}", encoded(query));
    let (_, body) = post(address, "/api/v1/query", "application/x-www-form-urlencoded", body).await;
    serde_json::from_str(&body).expect("JSON")
}

/// Asks for a range query; gives the whole answer.
pub async fn query_range(address: &str, query: &str, start: f64, end: f64, step: f64) -> serde_json::Value {
    let body = format!("query={}&start={start}&end={end}&step={step}", encoded(query));
    let (_, body) = post(address, "/api/v1/query_range", "application/x-www-form-urlencoded", body).await;
    serde_json::from_str(&body).expect("JSON")
}

/// Gives the corpus that lies beside the repository; `None`, said in one line, where it is not there.
pub fn corpus(part: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let path = PathBuf::from(std::env::var("WATTLE_CORPUS").unwrap_or_else(|_| default.to_owned())).join(part);
    if path.exists() {
        return Some(path);
    }
    #[expect(clippy::print_stdout, reason = "a test that does not run says so")]
    let () = println!("{part}: no corpus at {} (WATTLE_CORPUS): this test did not run", path.display());
    None
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A series to write: labels, and (milliseconds, value) points.
pub type Written<'a> = (Vec<(&'a str, &'a str)>, Vec<(i64, f64)>);

/// Gives the body of a remote write.
pub fn write_body(series: &[Written<'_>]) -> Vec<u8> {
    let series = series.iter().map(|(labels, points)| TimeSeries {
        labels: labels.iter().map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() }).collect(),
        samples: points.iter().map(|&(timestamp, value)| Value { value, timestamp }).collect(),
    });
    let plain = WriteRequest { series: series.collect() }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&plain).expect("snappy")
}

/// Writes series by remote write.
pub async fn write(address: &str, series: &[Written<'_>]) -> (StatusCode, String) {
    post(address, "/api/v1/write", "application/x-protobuf", write_body(series)).await
}

/// A job that scrapes one address often.
pub fn job(name: &str, address: &str) -> ScrapeJob {
    ScrapeJob {
        name: name.to_owned(),
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(200),
        targets: vec![ScrapeTarget { address: address.to_owned(), labels: Vec::new() }],
        ..ScrapeJob::default()
    }
}

/// Waits until a question has an answer; fails after 20 s.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Gives the time now in milliseconds.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("in range")
}

//! Law 13 for spans: a collector that is killed at any moment has lost none that it acknowledged, and has none twice.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::spans::{Drawn, now_nanos, request};
use common::{get, stores, until};
use prometheus::Registry;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Error, Listeners};

/// Set in the process that is to be killed: the store it opens.
const STORE: &str = "WATTLE_TEST_CHILD_STORE";
/// Times that the collector is killed, on each database.
const ROUNDS: u8 = 6;
/// Traces of each request.
const TRACES: u8 = 5;

/// Not a test of its own: what runs in the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_a_child() {
    let Ok(store_url) = std::env::var(STORE) else { return };
    // A server may take a moment to notice that the last writer is gone.
    let (_collector, otlp, jaeger) = until("a start", async || {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (api, otlp, jaeger) = (bind().await.ok()?, bind().await.ok()?, bind().await.ok()?);
        let (otlp_at, jaeger_at) = (otlp.local_addr().ok()?, jaeger.local_addr().ok()?);
        let listeners = Listeners { otlp_http: Some(otlp), jaeger_http: Some(jaeger), ..Listeners::only(api) };
        let config = Config { store_url: store_url.clone(), ..Config::default() };
        match Collector::start(config, listeners, &Registry::new(), CancellationToken::new()).await {
            Ok(collector) => Some((collector, otlp_at, jaeger_at)),
            Err(Error::InUse { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    let mut out = std::io::stdout();
    writeln!(out, "\nlistening on {otlp} {jaeger}").and_then(|()| out.flush()).expect("told");
    std::future::pending::<()>().await;
}

/// Starts the process that is killed; gives it and its addresses.
fn child(store: &str) -> (Child, String, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "as_a_child", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let line = out.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    let line = line.expect("addresses");
    let (otlp, jaeger) = line.split_once(' ').expect("two");
    (child, otlp.to_owned(), jaeger.to_owned())
}

/// Sends a request of some traces; tells whether it was acknowledged.
async fn send(address: &str, number: u8) -> bool {
    let start = now_nanos();
    let spans: Vec<Drawn> = (1..=TRACES)
        .map(|trace| {
            let mut drawn = Drawn::new(trace, number, 0, "s", "op", 2, (start, start + 1_000));
            drawn.span.trace_id[0] = number;
            drawn
        })
        .collect();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let body = http_body_util::Full::new(bytes::Bytes::from(request(&spans).encode_to_vec()));
    let request = http::Request::post(format!("http://{address}/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .body(body)
        .expect("a request");
    client.request(request).await.is_ok_and(|response| response.status().is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_span_is_lost_when_the_process_is_killed() {
    for store in stores::each().await {
        let (mut sent, mut acknowledged) = (1_u8, Vec::new());
        for round in 0..ROUNDS {
            let (mut child, otlp, _) = child(&store.url);
            for _ in 0..3 + round * 2 {
                assert!(send(&otlp, sent).await, "request {sent} is taken");
                acknowledged.push(sent);
                sent += 1;
            }
            // One more is on its way when the process ends, at another moment in each round.
            let last = {
                let otlp = otlp.clone();
                tokio::spawn(async move { send(&otlp, sent).await })
            };
            tokio::time::sleep(Duration::from_micros(u64::from(round) * 400)).await;
            child.kill().expect("killed");
            child.wait().expect("gone");
            if last.await.expect("ends") {
                acknowledged.push(sent);
            }
            sent += 1;
        }

        let (mut child, _, jaeger) = child(&store.url);
        for number in &acknowledged {
            for trace in 1..=TRACES {
                let id = format!("{number:02x}{}", format!("{trace:02x}").repeat(15));
                let (status, body) = get(&jaeger, &format!("/api/traces/{id}")).await;
                assert_eq!(status, http::StatusCode::OK, "acknowledged and lost: {id}: {body}");
                assert_eq!(body.matches("\"spanID\"").count(), 1, "{body}");
            }
        }
        let (_, found) = get(&jaeger, "/api/traces?service=s&limit=1500").await;
        let traces = found.matches("\"processes\"").count();
        let most = usize::from(sent - 1) * usize::from(TRACES);
        assert!((acknowledged.len() * usize::from(TRACES)..=most).contains(&traces), "{traces} of at most {most}");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
}

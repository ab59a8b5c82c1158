//! Law 13: a collector that is killed at any moment has lost nothing that it acknowledged.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use common::{query, stores, until, write_body};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Error, Listeners};

/// Set in the process that is to be killed: the store it opens.
const STORE: &str = "WATTLE_TEST_CHILD_STORE";
/// Series of each batch.
const SERIES: usize = 40;
/// Times that the collector is killed, on each database.
const ROUNDS: usize = 50;

/// Not a test of its own: what runs in the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_a_child() {
    let Ok(store_url) = std::env::var(STORE) else { return };
    // A server may take a moment to notice that the last writer is gone.
    let (_collector, address) = until("a start", async || {
        let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = api.local_addr().expect("bound");
        let config = Config { store_url: store_url.clone(), retention: common::FOR_EVER, ..Config::default() };
        let listeners = Listeners::only(api);
        match Collector::start(config, listeners, &Registry::new(), CancellationToken::new()).await {
            Ok(collector) => Some((collector, address)),
            Err(Error::InUse { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    let mut out = std::io::stdout();
    writeln!(out, "\nlistening on {address}").and_then(|()| out.flush()).expect("told");
    std::future::pending::<()>().await;
}

/// Starts the process that is killed; gives it and its address.
fn child(store: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "as_a_child", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let address =
        out.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    (child, address.expect("an address"))
}

/// Writes one batch: the same point of every series; tells whether it was acknowledged.
async fn write_batch(address: &str, number: usize) -> bool {
    let names: Vec<String> = (0..SERIES).map(|at| at.to_string()).collect();
    let points = vec![(number as i64 * 1_000, number as f64)];
    let series: Vec<common::Written<'_>> =
        names.iter().map(|name| (vec![("__name__", "x"), ("series", name.as_str())], points.clone())).collect();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let body = http_body_util::Full::new(bytes::Bytes::from(write_body(&series)));
    let request = http::Request::post(format!("http://{address}/api/v1/write")).body(body).expect("a request");
    client.request(request).await.is_ok_and(|response| response.status().is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    for store in stores::each().await {
        let (mut sent, mut acknowledged) = (0_usize, Vec::new());
        for round in 0..ROUNDS {
            let (mut child, address) = child(&store.url);
            for _ in 0..3 + round % 7 * 4 {
                assert!(write_batch(&address, sent).await, "batch {sent} is taken");
                acknowledged.push(sent);
                sent += 1;
            }
            // One more is on its way when the process ends, at another moment in each round.
            let last = {
                let address = address.clone();
                tokio::spawn(async move { write_batch(&address, sent).await })
            };
            for _ in 0..round % 11 * 3 {
                tokio::task::yield_now().await;
            }
            child.kill().expect("killed");
            child.wait().expect("gone");
            if last.await.expect("ends") {
                acknowledged.push(sent);
            }
            sent += 1;
        }

        let (mut child, address) = child(&store.url);
        let answer = query(&address, "x[1h]", sent as f64).await;
        child.kill().expect("killed");
        child.wait().expect("gone");

        let found = answer["data"]["result"].as_array().expect("a matrix").clone();
        assert_eq!(found.len(), SERIES);
        for series in found {
            let times: Vec<usize> = series["values"]
                .as_array()
                .expect("points")
                .iter()
                .map(|point| point[0].as_u64().expect("whole seconds") as usize)
                .collect();
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "none twice: {times:?}");
            let missing: Vec<_> = acknowledged.iter().filter(|number| !times.contains(number)).collect();
            assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
        }
    }
}

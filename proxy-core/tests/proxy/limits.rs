//! Pools and their limits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use wattle_contract::route::{Limits, UpstreamProtocol};

use crate::kit::{Behaviour, Bench, Got, Upstream, get};
use crate::table::{cluster, everything, table};

/// Asks all at once and lets the upstream answer when so many have their answer without it; in order of answer.
async fn opened_after(
    count: usize,
    gate: &Semaphore,
    asking: impl Iterator<Item = impl Future<Output = Got>>,
) -> Vec<Got> {
    let mut asking: FuturesUnordered<_> = asking.collect();
    let mut answers = Vec::new();
    while let Some(answer) = asking.next().await {
        answers.push(answer);
        if answers.len() == count {
            gate.add_permits(asking.len());
        }
    }
    answers
}

#[tokio::test]
async fn beyond_its_limits_a_cluster_answers_at_once_and_says_so() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::start(Behaviour::Held(Arc::clone(&gate))).await;
    let mut pend = cluster("pend", &[upstream.address]);
    pend.limits = Limits { max_connections: Some(1), max_pending_requests: Some(1), ..Limits::default() };
    let bench = Bench::start(table("1", vec![everything("pend")], vec![pend])).await;

    let answers = opened_after(3, &gate, (0..5).map(|_| get(bench.outbound, "/"))).await;

    let statuses: Vec<_> = answers.iter().map(|got| got.status).collect();
    assert_eq!(statuses, [503, 503, 503, 200, 200]);
    assert!(answers.iter().filter(|got| got.status == 503).all(|got| got.headers["x-envoy-overloaded"] == "true"));
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test]
async fn requests_wait_for_the_one_connection_and_all_get_it() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let mut narrow = cluster("narrow", &[upstream.address]);
    narrow.limits = Limits { max_connections: Some(1), max_requests_per_connection: Some(3), ..Limits::default() };
    let bench = Bench::start(table("1", vec![everything("narrow")], vec![narrow])).await;

    let answers = futures_util::future::join_all((0..50).map(|_| get(bench.outbound, "/"))).await;

    assert!(answers.iter().all(|got| got.status == 200));
}

#[tokio::test]
async fn requests_in_flight_are_bounded_too() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::start(Behaviour::Held(Arc::clone(&gate))).await;
    let mut two = cluster("two", &[upstream.address]);
    two.limits = Limits { max_requests: Some(2), ..Limits::default() };
    let bench = Bench::start(table("1", vec![everything("two")], vec![two])).await;

    let answers = opened_after(4, &gate, (0..6).map(|_| get(bench.outbound, "/"))).await;

    let statuses: Vec<_> = answers.iter().map(|got| got.status).collect();
    assert_eq!(statuses, [503, 503, 503, 503, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_connection_that_failed_does_not_wait_for_the_next() {
    // An address that nothing answers from (RFC 5737).
    let nowhere = "192.0.2.1:9".parse().unwrap();
    let mut dark = cluster("dark", &[nowhere]);
    dark.protocol = UpstreamProtocol::Http2;
    dark.connect_timeout = Duration::from_secs(10);
    let bench = Bench::start(table("1", vec![everything("dark")], vec![dark])).await;
    let started = tokio::time::Instant::now();

    let answers = futures_util::future::join_all((0..20).map(|_| get(bench.outbound, "/"))).await;

    assert!(answers.iter().all(|got| got.status == 503));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

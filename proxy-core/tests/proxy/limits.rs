//! Pools and their limits.

use std::time::Duration;

use wattle_contract::route::Limits;

use crate::kit::{Behaviour, Bench, Upstream, get};
use crate::table::{cluster, everything, table};

#[tokio::test]
async fn beyond_its_limits_a_cluster_answers_at_once_and_says_so() {
    let upstream = Upstream::start(Behaviour::After(Duration::from_millis(200))).await;
    let mut pend = cluster("pend", &[upstream.address]);
    pend.limits = Limits { max_connections: Some(1), max_pending_requests: Some(1), ..Limits::default() };
    let bench = Bench::start(table("1", vec![everything("pend")], vec![pend])).await;

    let answers = futures_util::future::join_all((0..5).map(|_| get(bench.outbound, "/"))).await;

    let mut statuses: Vec<_> = answers.iter().map(|got| got.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503, 503]);
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
    let upstream = Upstream::start(Behaviour::After(Duration::from_millis(200))).await;
    let mut two = cluster("two", &[upstream.address]);
    two.limits = Limits { max_requests: Some(2), ..Limits::default() };
    let bench = Bench::start(table("1", vec![everything("two")], vec![two])).await;

    let answers = futures_util::future::join_all((0..6).map(|_| get(bench.outbound, "/"))).await;

    assert_eq!(answers.iter().filter(|got| got.status == 200).count(), 2);
}

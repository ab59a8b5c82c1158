//! A drain finishes in-flight work or says what it cut (law 12).

use std::time::Duration;

use http::Request;

use crate::kit::{Behaviour, Bench, Upstream, ask, get, series};
use crate::table::{cluster, everything, table};

#[tokio::test(start_paused = true)]
async fn requests_in_flight_end_well_within_the_drain() {
    let upstream = Upstream::start(Behaviour::After(Duration::from_secs(3))).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;

    let outbound = bench.outbound;
    let in_flight = tokio::spawn(async move { get(outbound, "/").await.status });
    while upstream.hits() == 0 {
        tokio::task::yield_now().await;
    }
    bench.stop.cancel();
    bench.proxy.join().await;

    assert_eq!(in_flight.await.unwrap(), 200);
    assert!(tokio::net::TcpStream::connect(outbound).await.is_err(), "the listener is gone");
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_is_cut_and_counted() {
    let upstream = Upstream::start(Behaviour::After(Duration::from_secs(3600))).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;

    let outbound = bench.outbound;
    let cut = tokio::spawn(async move { crate::kit::raw_once(outbound).await });
    while upstream.hits() == 0 {
        tokio::task::yield_now().await;
    }
    bench.handle.remove().await;

    assert_eq!(cut.await.unwrap(), "", "the connection ends without an answer");
    let metrics = ask(bench.admin, Request::get("/stats/prometheus").header("host", "admin")).await.text();
    assert!(metrics.contains("wattle_proxy_drain_cut_total 1"), "{metrics}");
    assert_eq!(series(&metrics, "istio_requests_total", &[]), None, "the workload is gone");
}

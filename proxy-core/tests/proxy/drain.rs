//! A drain finishes in-flight work or says what it cut (law 12).

use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_switched_is_cut_and_counted_too() {
    let listener = crate::kit::listener().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _read = stream.read(&mut head).await;
        let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switching).await.unwrap();
        let _open = stream.read(&mut head).await;
    });
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[address])])).await;
    let mut client = tokio::net::TcpStream::connect(bench.outbound).await.unwrap();
    let ask = b"GET /chat HTTP/1.1\r\nHost: svc.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(ask).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");

    bench.handle.remove().await;

    let metrics = ask_metrics(bench.admin).await;
    assert!(metrics.contains("wattle_proxy_drain_cut_total 1"), "{metrics}");
    assert!(metrics.contains("wattle_proxy_active_requests 0"), "{metrics}");
}

async fn ask_metrics(admin: std::net::SocketAddr) -> String {
    ask(admin, Request::get("/stats/prometheus").header("host", "admin")).await.text()
}

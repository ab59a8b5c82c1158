//! Every accepted request yields exactly one record (law 11).

use std::time::Duration;

use http::Request;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::kit::{Behaviour, Bench, Upstream, ask, raw, send, series};
use crate::table::{HOST, cluster, everything, inbound_table, prefix, table};

fn total(metrics: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with("istio_requests_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn answered_refused_and_abandoned_requests_are_each_recorded_once() {
    let (good, slow) = (
        Upstream::start(Behaviour::Answer(200)).await,
        Upstream::start(Behaviour::After(Duration::from_secs(3600))).await,
    );
    let routes = vec![prefix("/good", "good"), prefix("/slow", "slow")];
    let clusters = vec![cluster("good", &[good.address]), cluster("slow", &[slow.address])];
    let bench = Bench::start(table("1", routes, clusters)).await;

    for path in ["/good", "/good/2", "/nowhere"] {
        bench.get(path).await;
    }
    raw(bench.outbound, b"GET /good HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    let mut leaving = TcpStream::connect(bench.outbound).await.unwrap();
    leaving.write_all(b"GET /slow HTTP/1.1\r\nHost: svc.example\r\n\r\n").await.unwrap();
    while slow.hits() == 0 {
        tokio::task::yield_now().await;
    }
    drop(leaving);

    let metrics = bench.metrics_after(5).await;
    assert_eq!(total(&metrics), 5.0, "{metrics}");
    let gone = ["response_code=\"0\"", "response_flags=\"DC\""];
    assert_eq!(series(&metrics, "istio_requests_total", &gone), Some(1.0), "{metrics}");
    assert_eq!(series(&metrics, "istio_requests_total", &["response_flags=\"DPE\""]), Some(1.0));
    assert_eq!(
        metrics.lines().find(|line| line.starts_with("wattle_proxy_active_requests ")),
        Some("wattle_proxy_active_requests 0")
    );
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_body_is_recorded_once() {
    let bench = {
        let upstream = Upstream::start(Behaviour::Echo).await;
        Bench::start(table("1", vec![everything("echo")], vec![cluster("echo", &[upstream.address])])).await
    };

    let mut leaving = TcpStream::connect(bench.outbound).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: svc.example\r\nContent-Length: 100\r\n\r\nhalf of it";
    leaving.write_all(head).await.unwrap();
    let mut begun = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut leaving, &mut begun).await.unwrap();
    drop(leaving);

    let metrics = bench.metrics_after(1).await;
    assert_eq!(total(&metrics), 1.0, "{metrics}");
    assert_eq!(series(&metrics, "istio_request_bytes_sum", &[]), Some(10.0), "{metrics}");
}

#[tokio::test]
async fn both_ends_are_named_on_both_sides_and_the_application_sees_no_proxy_header() {
    let application = Upstream::start(Behaviour::Answer(200)).await;
    let server = Bench::with(inbound_table(), wattle_proxy::Config::default(), Some(application.address)).await;
    let client = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[server.inbound])])).await;

    assert_eq!(client.get("/").await.status, 200);

    let seen = &application.seen()[0];
    assert_eq!((seen.headers["host"].to_str().unwrap(), seen.headers.get("x-wattle-peer")), (HOST, None));
    let metrics = server.metrics_after(1).await;
    let labels = [
        "reporter=\"destination\"",
        "source_workload=\"frontend\"",
        "source_app=\"frontend\"",
        "destination_workload=\"frontend\"",
        "destination_service=\"svc.hotel.svc.cluster.local\"",
        "connection_security_policy=\"none\"",
    ];
    assert_eq!(series(&metrics, "istio_requests_total", &labels), Some(1.0), "{metrics}");
    let traces: Vec<_> = seen.headers["traceparent"].to_str().unwrap().split('-').collect();
    assert_eq!((traces[0], traces[1].len()), ("00", 32));
}

#[tokio::test]
async fn a_body_flows_both_ways_at_once() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let bench = Bench::start(table("1", vec![everything("echo")], vec![cluster("echo", &[upstream.address])])).await;
    let body = vec![b'z'; 3 << 20];

    let got = send(bench.outbound, Request::post("/").header("host", HOST).body(body.clone().into()).unwrap()).await;

    assert_eq!(got.body, body);
    let metrics = bench.metrics_after(1).await;
    assert_eq!(series(&metrics, "istio_request_bytes_sum", &[]), Some(3_145_728.0));
    assert_eq!(series(&metrics, "istio_response_bytes_sum", &[]), Some(3_145_728.0));
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_a_bad_one_ends_it() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;

    let answer = raw(
        bench.outbound,
        b"GET /1 HTTP/1.1\r\nHost: svc.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: svc.example\r\n\r\n\0\0garbage\r\n\r\n",
    )
    .await;

    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    assert_eq!(ask(bench.outbound, Request::get("/").header("host", HOST)).await.status, 200);
}

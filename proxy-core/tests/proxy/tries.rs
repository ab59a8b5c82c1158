//! Timeouts, further tries and injected faults.

use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use wattle_contract::route::{Abort, Delay, Fault, PercentMillionths, RetryOn};

use crate::kit::{Behaviour, Bench, Upstream, closed, send, series};
use crate::table::{HOST, cluster, default_on, everything, gateway_error, retries, table};

async fn flags_of(bench: &Bench, requests: u64, status: u16) -> String {
    let metrics = bench.metrics_after(requests).await;
    let code = format!("response_code=\"{status}\"");
    let line = metrics.lines().find(|line| line.starts_with("istio_requests_total{") && line.contains(&code));
    let line = line.unwrap_or_else(|| panic!("no series of {status} in {metrics}"));
    line.split("response_flags=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_route_timeout_covers_all_tries() {
    let upstream = Upstream::start(Behaviour::After(Duration::from_secs(100))).await;
    let mut slow = everything("slow");
    slow.timeout = Some(Duration::from_secs(5));
    let mut policy = retries(3, gateway_error());
    policy.per_try_timeout = Some(Duration::from_secs(2));
    slow.retries = Some(policy);
    let bench = Bench::start(table("1", vec![slow], vec![cluster("slow", &[upstream.address])])).await;

    let started = Instant::now();
    let got = bench.get("/").await;

    assert_eq!((got.status, upstream.hits()), (504, 3));
    assert_eq!(started.elapsed().as_millis() / 100, 50);
    assert_eq!(flags_of(&bench, 1, 504).await, "UT");
}

#[tokio::test]
async fn a_post_with_a_body_is_sent_again_whole_until_the_tries_are_used_up() {
    let upstream = Upstream::start(Behaviour::Answer(503)).await;
    let mut route = everything("bad");
    route.retries = Some(retries(3, gateway_error()));
    let bench = Bench::start(table("1", vec![route], vec![cluster("bad", &[upstream.address])])).await;

    let request = Request::post("/").header("host", HOST).body("the same each time".into()).unwrap();
    let got = send(bench.outbound, request).await;

    assert_eq!((got.status, got.text().as_str()), (503, "hello"));
    let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, vec!["the same each time"; 4]);
    assert_eq!(upstream.seen()[3].headers["x-envoy-attempt-count"], "4");
    assert_eq!(flags_of(&bench, 1, 503).await, "URX");
}

#[tokio::test]
async fn a_body_too_long_to_keep_is_sent_once() {
    let upstream = Upstream::start(Behaviour::Answer(503)).await;
    let mut route = everything("bad");
    route.retries = Some(retries(3, gateway_error()));
    let bench = Bench::start(table("1", vec![route], vec![cluster("bad", &[upstream.address])])).await;

    let request = Request::post("/").header("host", HOST).body(vec![b'x'; 1 << 20].into()).unwrap();
    let got = send(bench.outbound, request).await;

    assert_eq!((got.status, upstream.hits()), (503, 1));
    assert_eq!(upstream.seen()[0].body.len(), 1 << 20);
}

#[tokio::test]
async fn a_try_avoids_the_endpoint_that_failed() {
    let (good, refused) = (Upstream::start(Behaviour::Answer(200)).await, closed().await);
    let mut route = everything("svc");
    route.retries = Some(retries(2, default_on()));
    let bench = Bench::start(table("1", vec![route], vec![cluster("svc", &[refused, good.address])])).await;

    for _ in 0..20 {
        assert_eq!(bench.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn refused_and_closed_connections_have_their_flags() {
    let (closing, refused) = (Upstream::start(Behaviour::Close).await, closed().await);
    let garbage = Upstream::start(Behaviour::Raw(b"this is not HTTP\r\n\r\n")).await;
    for (address, on, expected, hits) in [
        (refused, default_on(), (503, "URX,UF"), 0),
        (closing.address, default_on(), (503, "UC"), 1),
        (closing.address, RetryOn { reset: true, ..RetryOn::default() }, (503, "URX,UC"), 4),
        (garbage.address, default_on(), (502, "UPE"), 4),
    ] {
        let mut route = everything("svc");
        route.retries = Some(retries(2, on));
        let bench = Bench::start(table("1", vec![route], vec![cluster("svc", &[address])])).await;

        let got = bench.get("/").await;

        assert_eq!((got.status, flags_of(&bench, 1, got.status).await.as_str()), expected);
        assert_eq!(closing.hits(), hits);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_pause_and_answer_in_place_of_the_upstream() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let mut route = everything("svc");
    route.fault = Some(Fault {
        delay: Some(Delay { fixed: Duration::from_secs(7), percentage: PercentMillionths::ALL }),
        abort: Some(Abort { http_status: Some(555), grpc_status: None, percentage: PercentMillionths::ALL }),
    });
    let bench = Bench::start(table("1", vec![route], vec![cluster("svc", &[upstream.address])])).await;

    let started = Instant::now();
    let got = bench.get("/").await;

    assert_eq!((got.status, upstream.hits(), started.elapsed().as_secs()), (555, 0, 7));
    assert_eq!(flags_of(&bench, 1, 555).await, "DI,FI");
}

#[tokio::test]
async fn a_grpc_client_gets_its_status_in_the_head() {
    let bench = Bench::start(table("1", vec![everything("empty")], vec![cluster("empty", &[])])).await;

    let request = Request::post("/svc/Method").header("host", HOST).header("content-type", "application/grpc");
    let got = crate::kit::ask(bench.outbound, request).await;

    assert_eq!(
        (got.status, &got.headers["grpc-status"], &got.headers["grpc-message"]),
        (200, &"14".parse().unwrap(), &"no healthy upstream".parse().unwrap())
    );
    let metrics = bench.metrics_after(1).await;
    let labels = ["request_protocol=\"grpc\"", "grpc_response_status=\"14\"", "response_flags=\"UH\""];
    assert_eq!(series(&metrics, "istio_requests_total", &labels), Some(1.0), "{metrics}");
}

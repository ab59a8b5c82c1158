//! HTTP/2 with trailers, and connections that become something else.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use wattle_contract::route::UpstreamProtocol;

use crate::kit::{Behaviour, Bench, Upstream, raw, series};
use crate::table::{HOST, cluster, everything, table};

#[tokio::test]
async fn grpc_passes_with_its_trailers_and_its_status_is_counted() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let mut echo = cluster("echo", &[upstream.address]);
    echo.protocol = UpstreamProtocol::AsDownstream;
    let bench = Bench::start(table("1", vec![everything("echo")], vec![echo])).await;
    let stream = TcpStream::connect(bench.outbound).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);

    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("7"));
    let frames =
        [Frame::data(Bytes::from("a message")), Frame::trailers(trailers)].map(Ok::<_, std::convert::Infallible>);
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let request = Request::post(format!("http://{HOST}/pkg.Svc/Method"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer = response.into_body().collect().await.unwrap();

    assert_eq!(answer.trailers().map(|trailers| &trailers["grpc-status"]), Some(&HeaderValue::from_static("7")));
    assert_eq!(answer.to_bytes(), "a message");
    let metrics = bench.metrics_after(1).await;
    let labels = ["request_protocol=\"grpc\"", "grpc_response_status=\"7\"", "response_code=\"200\""];
    assert_eq!(series(&metrics, "istio_requests_total", &labels), Some(1.0), "{metrics}");
}

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nHost: svc.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_is_carried_and_an_upgrade_nobody_asked_for_is_not() {
    let switching =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfrom there\n";
    let upstream = Upstream::start(Behaviour::Raw(switching)).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;

    let asked = raw(bench.outbound, ASK).await;
    let unasked = bench.get("/chat").await;

    assert!(asked.starts_with("HTTP/1.1 101") && asked.ends_with("\r\n\r\nfrom there\n"), "{asked}");
    assert!(asked.to_lowercase().contains("upgrade: websocket"), "{asked}");
    assert_eq!(unasked.status, 502);
    let metrics = bench.metrics_after(2).await;
    assert_eq!(
        series(&metrics, "istio_requests_total", &["response_code=\"101\"", "response_flags=\"-\""]),
        Some(1.0),
        "{metrics}"
    );
}

//! Malformed requests: refused with 400, the connection closed, the process alive, nothing passed on.

use crate::kit::{Behaviour, Bench, Upstream, raw};
use crate::table::{cluster, everything, table};

const HEAD: &str = "Host: svc.example\r\n";

async fn refuses(cases: &[(&str, String)]) {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;
    let mut wrong = Vec::new();
    for (name, bytes) in cases {
        let before = upstream.hits();
        let answer = raw(bench.outbound, bytes.as_bytes()).await;
        let passed = upstream.hits() - before;
        if !answer.starts_with("HTTP/1.1 400") || passed > 0 {
            wrong.push(format!("{name}: {passed} passed on, {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(bench.get("/").await.status, 200);
}

#[tokio::test]
async fn hosts_that_are_missing_double_or_malformed() {
    let get = |headers: &str| format!("GET / HTTP/1.1\r\n{headers}\r\n");
    refuses(&[
        ("no Host", get("")),
        ("two Hosts", get("Host: a\r\nHost: b\r\n")),
        ("the same Host twice", get("Host: svc.example\r\nHost: svc.example\r\n")),
        ("Host with a space", get("Host: svc.example x\r\n")),
        ("Host with a user", get("Host: a@svc.example\r\n")),
        ("empty Host", get("Host: \r\n")),
        ("another authority in the target", "GET http://b/ HTTP/1.1\r\nHost: svc.example\r\n\r\n".to_owned()),
        ("CONNECT", "CONNECT svc.example:80 HTTP/1.1\r\nHost: svc.example:80\r\n\r\n".to_owned()),
    ])
    .await;
}

#[tokio::test]
async fn framing_that_two_parsers_could_read_differently() {
    let post = |headers: &str| format!("POST / HTTP/1.1\r\n{HEAD}{headers}\r\n0\r\n\r\n");
    refuses(&[
        ("TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        ("gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n")),
        ("chunked, identity", post("Transfer-Encoding: chunked, identity\r\n")),
        ("xchunked", post("Transfer-Encoding: xchunked\r\n")),
        ("two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n")),
        ("length +1", post("Content-Length: +1\r\n")),
        ("space before the colon", post("Transfer-Encoding : chunked\r\n")),
        ("obs-fold", post("X-A: b\r\n c\r\n")),
        ("NUL in a value", post("X-A: b\0c\r\n")),
    ])
    .await;
}

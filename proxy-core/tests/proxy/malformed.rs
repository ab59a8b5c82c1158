//! Malformed requests: refused with 400, the connection closed, the process alive, nothing passed on.
//!
//! The inputs are the table of `docs/proxy.md`, each with the strictest answer that any of five proxies gives.

use crate::kit::{Behaviour, Bench, Upstream, raw};
use crate::table::{cluster, everything, table};

const HEAD: &str = "Host: svc.example\r\n";

async fn bench() -> (Bench, Upstream) {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    (Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await, upstream)
}

/// What became of bytes: the statuses of the answers, and requests that reached the upstream whole.
async fn outcome(bench: &Bench, upstream: &Upstream, bytes: &[u8]) -> (Vec<String>, usize) {
    let before = upstream.seen().len();
    let answer = raw(bench.outbound, bytes).await;
    let statuses = answer.split("HTTP/1.").skip(1).map(|answer| answer[2..5].to_owned()).collect();
    (statuses, upstream.seen().len() - before)
}

async fn refuses(status: &str, cases: &[(&str, String)]) {
    let (bench, upstream) = bench().await;
    let mut wrong = Vec::new();
    for (name, bytes) in cases {
        let (statuses, passed) = outcome(&bench, &upstream, bytes.as_bytes()).await;
        if statuses != [status] || passed > 0 {
            wrong.push(format!("{name}: {statuses:?}, {passed} passed on"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(bench.get("/").await.status, 200);
}

fn get(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\n{HEAD}{headers}\r\n\r\n")
}

fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\n{HEAD}{headers}\r\n\r\n{body}")
}

#[tokio::test]
async fn hosts_that_are_missing_double_or_malformed() {
    let with = |headers: &str| format!("GET / HTTP/1.1\r\n{headers}\r\n");
    refuses(
        "400",
        &[
            ("no Host", with("")),
            ("two Hosts", with("Host: a\r\nHost: b\r\n")),
            ("the same Host twice", with("Host: svc.example\r\nHost: svc.example\r\n")),
            ("Host with a space", with("Host: svc.example x\r\n")),
            ("Host with a user", with("Host: a@svc.example\r\n")),
            ("empty Host", with("Host: \r\n")),
            ("no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n".to_owned()),
            ("another authority in the target", "GET http://b/ HTTP/1.1\r\nHost: svc.example\r\n\r\n".to_owned()),
            ("CONNECT", "CONNECT svc.example:80 HTTP/1.1\r\nHost: svc.example:80\r\n\r\n".to_owned()),
        ],
    )
    .await;
}

#[tokio::test]
async fn framing_that_two_parsers_could_read_differently() {
    let (end, one) = ("0\r\n\r\n", "1\r\na\r\n0\r\n\r\n");
    refuses(
        "400",
        &[
            ("CL.TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked", end)),
            ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4", end)),
            ("TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", end)),
            ("gzip, chunked", post("Transfer-Encoding: gzip, chunked", end)),
            ("chunked, identity", post("Transfer-Encoding: chunked, identity", end)),
            ("identity", post("Transfer-Encoding: identity", "")),
            ("xchunked", post("Transfer-Encoding: xchunked", end)),
            ("TE on 1.0", format!("POST / HTTP/1.0\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n{end}")),
            ("two lengths, same", post("Content-Length: 1\r\nContent-Length: 1", "a")),
            ("two lengths, different", post("Content-Length: 1\r\nContent-Length: 2", "ab")),
            ("length 1, 1", post("Content-Length: 1, 1", "a")),
            ("length +1", post("Content-Length: +1", "a")),
            ("length -1", post("Content-Length: -1", "a")),
            ("length 0x1", post("Content-Length: 0x1", "a")),
            ("length 2^64", post("Content-Length: 18446744073709551616", "a")),
            ("length empty", post("Content-Length:", "a")),
            ("space before the colon", post("Transfer-Encoding : chunked", one)),
        ],
    )
    .await;
}

#[tokio::test]
async fn heads_that_are_no_heads() {
    refuses(
        "400",
        &[
            ("obs-fold", get("X-A: b\r\n c")),
            ("leading space in the first header", "GET / HTTP/1.1\r\n Host: svc.example\r\n\r\n".to_owned()),
            ("NUL in a value", get("X-A: b\0c")),
            ("NUL in the path", format!("GET /a\0b HTTP/1.1\r\n{HEAD}\r\n")),
            ("bare CR in a value", get("X-A: b\rc")),
            ("0x7f in a value", get("X-A: b\x7fc")),
            ("name with a space", get("X A: b")),
            ("name with a bracket", get("X(A: b")),
            ("empty name", get(": b")),
            ("no colon", get("X-A")),
            ("bare LF", "GET / HTTP/1.1\nHost: svc.example\n\n".to_owned()),
            ("LF before the blank line", format!("GET / HTTP/1.1\r\n{HEAD}\n")),
            ("HTTP/1.2", format!("GET / HTTP/1.2\r\n{HEAD}\r\n")),
            ("HTTP/2.0 in a line", format!("GET / HTTP/2.0\r\n{HEAD}\r\n")),
            ("HTTP/0.9", "GET /\r\n\r\n".to_owned()),
            ("lower-case version", format!("GET / http/1.1\r\n{HEAD}\r\n")),
            ("two spaces", format!("GET  / HTTP/1.1\r\n{HEAD}\r\n")),
            ("space in the path", format!("GET /a b HTTP/1.1\r\n{HEAD}\r\n")),
            ("method with a bracket", format!("G(T / HTTP/1.1\r\n{HEAD}\r\n")),
            ("path without a slash", format!("GET t HTTP/1.1\r\n{HEAD}\r\n")),
            ("path with #", format!("GET /a#b HTTP/1.1\r\n{HEAD}\r\n")),
            ("raw UTF-8 in the path", format!("GET /é HTTP/1.1\r\n{HEAD}\r\n")),
            ("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned()),
        ],
    )
    .await;
}

#[tokio::test]
async fn chunks_that_are_no_chunks() {
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    refuses(
        "400",
        &[
            ("zz", chunked("zz\r\na\r\n0\r\n\r\n")),
            ("0x1", chunked("0x1\r\na\r\n0\r\n\r\n")),
            ("+1", chunked("+1\r\na\r\n0\r\n\r\n")),
            ("over 2^64", chunked("10000000000000001\r\na\r\n0\r\n\r\n")),
            ("bare LF", chunked("1\na\r\n0\r\n\r\n")),
            ("longer than its size", chunked("1\r\nab\r\n0\r\n\r\n")),
            ("extension with a bare LF", chunked("1;a\nb\r\na\r\n0\r\n\r\n")),
        ],
    )
    .await;
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: a\r\n")).collect::<String>();
    refuses(
        "431",
        &[
            ("one header of 70 KB", get(&format!("X-A: {}", "a".repeat(70_000)))),
            ("101 headers", get(many(100).trim_end())),
            ("1,000 headers", get(many(1000).trim_end())),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_well_formed_passes_and_is_cleaned() {
    let (bench, upstream) = bench().await;
    for (name, bytes) in [
        ("a body with GET", format!("GET / HTTP/1.1\r\n{HEAD}Content-Length: 1\r\n\r\na")),
        ("TE after a tab", post("Transfer-Encoding:\tchunked", "1\r\na\r\n0\r\n\r\n")),
        ("a chunk extension", post("Transfer-Encoding: chunked", "1;x=y\r\na\r\n0\r\n\r\n")),
        (
            "a trailer named Content-Length",
            post("Transfer-Encoding: chunked", "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"),
        ),
        ("an unknown method", format!("FROB / HTTP/1.1\r\n{HEAD}\r\n")),
        ("empty lines first", format!("\r\n\r\nGET / HTTP/1.1\r\n{HEAD}\r\n")),
        ("a header of 9 KB", get(&format!("X-A: {}", "a".repeat(9000)))),
        ("an underscore", get("x_a: b")),
        ("h2c by upgrade", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA")),
        ("Connection: content-length", post("Connection: content-length\r\nContent-Length: 1", "a")),
    ] {
        assert_eq!(outcome(&bench, &upstream, bytes.as_bytes()).await, (vec!["200".to_owned()], 1), "{name}");
    }

    let secret = get("Connection: x-secret\r\nX-Secret: 1");
    outcome(&bench, &upstream, secret.as_bytes()).await;
    let pair = format!("{}{}", get("X-N: 1"), get("X-N: 2"));
    assert_eq!(outcome(&bench, &upstream, pair.as_bytes()).await, (vec!["200".to_owned(); 2], 2));

    let seen = upstream.seen();
    assert!(!seen.iter().any(|seen| seen.headers.contains_key("x-secret") || seen.headers.contains_key("upgrade")));
    assert!(seen.iter().all(|seen| seen.headers.get_all("host").iter().count() == 1));
}

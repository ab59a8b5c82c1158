//! Malformed responses: the strictest answer that any of five proxies gives (the table of `docs/proxy.md`).

use crate::kit::{Behaviour, Bench, Upstream, raw};
use crate::table::{cluster, everything, table};

async fn bench(answer: &'static [u8]) -> (Bench, Upstream) {
    let upstream = Upstream::start(Behaviour::Raw(answer)).await;
    (Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await, upstream)
}

async fn ask(answer: &'static [u8], method: &str) -> String {
    let (bench, _upstream) = bench(answer).await;
    raw(bench.outbound, format!("{method} / HTTP/1.1\r\nHost: svc.example\r\nConnection: close\r\n\r\n").as_bytes())
        .await
}

#[tokio::test]
async fn answers_with_two_readings_are_not_passed_on() {
    for (name, answer) in [
        ("CL and TE", &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..]),
        ("two CL", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        ("two TE", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("NUL", b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 0\r\n\r\n"),
        ("obs-fold", b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        ("not HTTP", b"SSH-2.0-nobody\r\n\r\n"),
        ("status 99", b"HTTP/1.1 99 No\r\nContent-Length: 0\r\n\r\n"),
        ("unasked 101", b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
        ("body on 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na"),
    ] {
        let got = ask(answer, "GET").await;
        assert!(got.starts_with("HTTP/1.1 502 "), "{name}: {got}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_waited_for() {
    static LONG: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let long = LONG.get_or_init(|| {
        let mut head = b"HTTP/1.1 200 OK\r\nX-A: ".to_vec();
        head.resize(70_000, b'a');
        head.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
        head
    });

    assert!(ask(long, "GET").await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_unavailable() {
    assert!(ask(b"", "GET").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_body_that_is_cut_or_broken_is_cut_here_too() {
    let cut = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "GET").await;
    assert!(cut.starts_with("HTTP/1.1 200 ") && cut.ends_with("half"), "{cut}");

    for broken in [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfzz\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let got = ask(broken, "GET").await;
        assert!(got.starts_with("HTTP/1.1 200 ") && !got.ends_with("0\r\n\r\n"), "{got}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_never_the_next_one() {
    let (bench, upstream) = bench(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nevil").await;

    for _ in 0..5 {
        assert_eq!(bench.get("/").await.text(), "ok");
    }

    assert_eq!(upstream.hits(), 5);
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let head = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HEAD").await;
    assert!(head.contains("Content-Length: 1000") && head.ends_with("\r\n\r\n"), "{head}");

    let unchanged = ask(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "GET").await;
    assert!(unchanged.starts_with("HTTP/1.1 304 ") && unchanged.ends_with("\r\n\r\n"), "{unchanged}");
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_the_last_one_counts() {
    let hints = ask(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "GET",
    )
    .await;

    assert!(hints.starts_with("HTTP/1.1 200 OK") && hints.ends_with("ok"), "{hints}");
}

#[tokio::test]
async fn an_old_client_is_answered_without_chunks() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (bench, _upstream) = bench(chunked).await;

    let got = raw(bench.outbound, b"GET / HTTP/1.0\r\nHost: svc.example\r\n\r\n").await;

    assert!(got.starts_with("HTTP/1.0 200 ") && got.ends_with("\r\n\r\nabc"), "{got}");
    assert!(!got.to_lowercase().contains("transfer-encoding"), "{got}");
}

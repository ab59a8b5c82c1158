//! Slow, stubborn and broken peers: each gets what it deserves, and nobody else notices.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::kit::{Behaviour, Bench, Upstream, listener, raw, series};
use crate::table::{cluster, everything, table};

async fn bench(behaviour: Behaviour) -> (Bench, Upstream) {
    let upstream = Upstream::start(behaviour).await;
    (Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await, upstream)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_head_is_let_go_and_one_that_sends_half_of_it_is_told() {
    let (bench, _upstream) = bench(Behaviour::Answer(200)).await;
    for (beginning, answer) in [("", ""), ("P", "HTTP/1.1 408"), ("GET / HTTP/1.1\r\nHo", "HTTP/1.1 408")] {
        let mut client = TcpStream::connect(bench.outbound).await.unwrap();
        client.write_all(beginning.as_bytes()).await.unwrap();
        let started = Instant::now();

        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();

        assert!(started.elapsed() < Duration::from_secs(70), "{beginning:?}");
        assert!(if answer.is_empty() { got.is_empty() } else { got.starts_with(answer) }, "{beginning:?}: {got}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_does_not_hold_the_connection() {
    let (bench, _upstream) = bench(Behaviour::Answer(200)).await;
    let mut client = TcpStream::connect(bench.outbound).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: svc.example\r\n").await.unwrap();
    let started = Instant::now();

    let mut answer = [0; 12];
    let mut dripped = 0;
    loop {
        tokio::select! {
            read = client.read(&mut answer) => break assert!(read.unwrap() > 0),
            () = tokio::time::sleep(Duration::from_secs(5)) => {
                dripped += 1;
                client.write_all(format!("X-{dripped}: a\r\n").as_bytes()).await.unwrap();
            }
        }
    }

    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(started.elapsed() < Duration::from_secs(70), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_is_told_to_go_on() {
    let (bench, upstream) = bench(Behaviour::Answer(200)).await;
    let mut client = TcpStream::connect(bench.outbound).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: svc.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.write_all(head).await.unwrap();

    let mut word = [0; 25];
    client.read_exact(&mut word).await.unwrap();
    client.write_all(b"body").await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();

    assert_eq!((&word[..], &answer[..]), (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &b"HTTP/1.1 200"[..]));
    assert_eq!((&upstream.seen()[0].body[..], upstream.seen()[0].headers.get("expect")), (&b"body"[..], None));
}

#[tokio::test]
async fn a_hundred_slow_clients_do_not_slow_the_next() {
    let (bench, _upstream) = bench(Behaviour::Answer(200)).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(bench.outbound).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: svc").await.unwrap();
        slow.push(client);
    }

    for _ in 0..10 {
        assert_eq!(bench.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn an_upstream_that_closed_its_idle_connection_is_asked_again_on_a_new_one() {
    let listening = listener().await;
    let address = listening.local_addr().unwrap();
    tokio::spawn(async move {
        // One answer a connection, without saying that it was the last.
        while let Ok((mut stream, _)) = listening.accept().await {
            let mut head = [0; 1024];
            let _read = stream.read(&mut head).await;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    });
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[address])])).await;

    for _ in 0..20 {
        assert_eq!(bench.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn an_upstream_that_answers_before_the_body_was_sent_is_heard() {
    let listening = listener().await;
    let address = listening.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listening.accept().await {
            let mut head = [0; 256];
            let _read = stream.read(&mut head).await;
            let _gone =
                stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
    });
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[address])])).await;

    let head = b"POST / HTTP/1.1\r\nHost: svc.example\r\nContent-Length: 100000000\r\n\r\nthe beginning";
    let answer = raw(bench.outbound, head).await;

    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn requests_waiting_for_an_upstream_that_dies_are_all_answered() {
    let listening = listener().await;
    let address = listening.local_addr().unwrap();
    let upstream = tokio::spawn(async move {
        let mut waiting = Vec::new();
        while waiting.len() < 20 {
            let (mut stream, _) = listening.accept().await.unwrap();
            let mut head = [0; 1024];
            let _read = stream.read(&mut head).await;
            waiting.push(stream);
        }
    });
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[address])])).await;

    let answers = futures_util::future::join_all((0..20).map(|_| bench.get("/"))).await;

    upstream.await.unwrap();
    assert!(answers.iter().all(|got| got.status == 503));
    let metrics = bench.metrics_after(20).await;
    assert_eq!(series(&metrics, "istio_requests_total", &["response_flags=\"UC\""]), Some(20.0), "{metrics}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_more_than_its_buffers() {
    let listening = listener().await;
    let address = listening.local_addr().unwrap();
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&sent);
    tokio::spawn(async move {
        let (mut stream, _) = listening.accept().await.unwrap();
        let mut head = [0; 1024];
        let _read = stream.read(&mut head).await;
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let piece = format!("10000\r\n{}\r\n", "a".repeat(1 << 16));
        while stream.write_all(piece.as_bytes()).await.is_ok() {
            counted.fetch_add(1 << 16, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[address])])).await;
    let mut client = TcpStream::connect(bench.outbound).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: svc.example\r\n\r\n").await.unwrap();

    let (mut before, mut quiet) = (usize::MAX, 0);
    while quiet < 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = sent.load(std::sync::atomic::Ordering::SeqCst);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }

    // What the kernel's buffers of two connections take, and one block here.
    assert!(before < 32 << 20, "{before} bytes were taken from the upstream");
}

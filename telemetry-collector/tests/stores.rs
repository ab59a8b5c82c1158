//! Law 13 and law 14: what was acknowledged is stored, and both databases answer alike.

mod common;

use common::{get, post, query, query_range, start, stores, until, write};
use http::StatusCode;
use serde_json::json;
use sqlx::Connection;
use wattle_collector::{Collector, Config, Error, Listeners, Store};
use wattle_contract::{Decision, DecisionId, PodKey, PodRequest, Timestamp};

fn config(url: &str) -> Config {
    Config { store_url: url.to_owned(), retention: common::FOR_EVER, ..Config::default() }
}

/// A counter of 300 samples, more than two chunks of them.
fn counter(start: i64) -> Vec<(i64, f64)> {
    (0..300).map(|at| (start + at * 10_000, at as f64 * 0.25)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_start_without_an_end() {
    for store in stores::each().await {
        let labels = || vec![("__name__", "energy_joules_total"), ("node", "n\"1\\\n")];
        let running = start(config(&store.url)).await;
        let (status, body) = write(&running.api, &[(labels(), counter(0))]).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let before = query_range(&running.api, "energy_joules_total", 0.0, 4500.0, 15.0).await;
        // The last sample, at 2990 s, is looked back to for five minutes.
        assert_eq!(before["data"]["result"][0]["values"].as_array().map(Vec::len), Some(220), "{before}");

        // No join, no flush: what is in memory is gone.
        running.shutdown.cancel();
        drop(running.collector);
        let again = until("the writer's lock", async || {
            let (api, registry) =
                (tokio::net::TcpListener::bind("127.0.0.1:0").await.ok()?, prometheus::Registry::new());
            let address = api.local_addr().ok()?.to_string();
            let listeners = Listeners::only(api);
            let shutdown = tokio_util::sync::CancellationToken::new();
            Some((Collector::start(config(&store.url), listeners, &registry, shutdown).await.ok()?, address))
        })
        .await;
        assert_eq!(query_range(&again.1, "energy_joules_total", 0.0, 4500.0, 15.0).await, before);

        let (status, body) = write(&again.1, &[(labels(), counter(0))]).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "identical duplicates are dropped silently: {body}");
        assert_eq!(query_range(&again.1, "energy_joules_total", 0.0, 4500.0, 15.0).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_cuts_chunks_that_answer_like_the_journal() {
    for store in stores::each().await {
        let running = start(config(&store.url)).await;
        let pods = ["a", "b", "c"];
        let series: Vec<_> = pods.iter().map(|&pod| (vec![("__name__", "x"), ("pod", pod)], counter(0))).collect();
        write(&running.api, &series).await;
        let before = query_range(&running.api, "sum(rate(x[2m])) by (pod)", 0.0, 4500.0, 30.0).await;
        running.stop().await;

        let closed = Store::open(&store.url).await.expect("the store opens").stats().await.expect("counts");
        assert_eq!((closed.series, closed.journal_rows, closed.packs), (3, 0, 1));
        let running = start(config(&store.url)).await;
        assert_eq!(query_range(&running.api, "sum(rate(x[2m])) by (pod)", 0.0, 4500.0, 30.0).await, before);
        write(&running.api, &[(vec![("__name__", "x"), ("pod", "a")], vec![(4_500_000, 1.0)])]).await;
        let newest = query(&running.api, "x{pod=\"a\"}", 4500.0).await;
        assert_eq!(newest["data"]["result"][0]["value"], json!([4500, "1"]));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_good_part_of_a_batch_is_kept_and_the_first_bad_series_is_named() {
    for store in stores::each().await {
        let running = start(config(&store.url)).await;
        write(&running.api, &[(vec![("__name__", "a")], vec![(10_000_000, 1.0)])]).await;

        let (status, body) = write(
            &running.api,
            &[
                (vec![("__name__", "a"), ("q", "1")], vec![(10_000_000, 5.0)]),
                (vec![("__name__", "a")], vec![(10_000_000, 2.0), (9_999_000, 3.0), (1_000, 4.0)]),
                (vec![("job", "nameless")], vec![(10_000_000, 1.0)]),
                (vec![("__name__", "late")], vec![(common::now_ms() + 86_400_000, 1.0)]),
            ],
        )
        .await;

        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.starts_with("2 samples stored, 4 rejected; the first: a{}: another value"), "{body}");
        let late = query(&running.api, "absent(late)", 10_000.0).await;
        assert_eq!(late["data"]["result"][0]["value"], json!([10_000, "1"]));
        let kept = query(&running.api, "sum(count_over_time(a[1h]))", 10_000.0).await;
        assert_eq!(kept["data"]["result"][0]["value"], json!([10_000, "3"]));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_come_back_newest_first() {
    for store in stores::each().await {
        let store = Store::open(&store.url).await.expect("the store opens");
        let pod = PodKey::new("hotel", "search-0");
        let decision = |id: u64, at: i64| Decision {
            id: DecisionId(id),
            at: Timestamp(at),
            pod: PodRequest {
                pod: pod.clone(),
                uid: String::new(),
                workload: None,
                service: None,
                cpu_request_millicores: None,
                memory_request_bytes: None,
                objective: wattle_contract::Objective::Energy,
                slo_p95_ms: None,
                weight_energy: None,
                weight_latency: None,
            },
            snapshot_version: None,
            model: None,
            expected_millicores: None,
            candidates: Vec::new(),
        };
        for (id, at) in [(u64::MAX, 5), (7, 9), (3, 7)] {
            store.record_decision(&decision(id, at)).await.expect("written");
        }

        assert_eq!(store.decision_for(&pod).await.expect("read"), Some(decision(7, 9)));
        assert_eq!(store.decision_for(&PodKey::new("hotel", "rate-0")).await.expect("read"), None);
        let some = store.decisions(Timestamp(5), Timestamp(9)).await.expect("read");
        assert_eq!(some, [decision(u64::MAX, 5), decision(3, 7)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    for fresh in stores::each().await {
        drop(Store::open(&fresh.url).await.expect("the store opens"));
        let add = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values \
                   (9999, 'later', true, 'x', 1)";
        if fresh.is_sqlite {
            let mut connection = sqlx::SqliteConnection::connect(&fresh.url).await.expect("opens");
            sqlx::query(add).execute(&mut connection).await.expect("a newer row");
        } else {
            let mut connection = sqlx::PgConnection::connect(&fresh.url).await.expect("opens");
            sqlx::query(add).execute(&mut connection).await.expect("a newer row");
        }

        let error = Store::open(&fresh.url).await.expect_err("refused");

        assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error}");
        assert!(error.to_string().contains("run the newer wattle"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_is_refused() {
    for store in stores::each().await {
        let running = start(config(&store.url)).await;

        let api = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let listeners = Listeners::only(api);
        let registry = prometheus::Registry::new();
        let second = Collector::start(config(&store.url), listeners, &registry, running.shutdown.clone());

        assert!(matches!(second.await.expect_err("refused"), Error::InUse { .. }));
        running.stop().await;
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("wattle.db");
    let garbage =
        b"this is not a database, it is a text that is longer than a header of one hundred bytes, surely ......";
    std::fs::write(&path, garbage).expect("written");

    let error = Store::open(&common::sqlite(dir.path())).await.expect_err("refused");

    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("still there"), garbage);
    let missing = Store::open("sqlite:///nonexistent-folder/wattle.db").await.expect_err("refused");
    assert!(matches!(missing, Error::Open { .. }), "{missing}");
    let nobody = Store::open("postgres://me:secret@127.0.0.1:1/x").await.expect_err("refused").to_string();
    assert!(nobody.contains("postgres://127.0.0.1:1/x") && !nobody.contains("secret"), "{nobody}");
    assert!(matches!(Store::open("mysql://x").await, Err(Error::StoreUrl { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_gets_an_error_and_the_process_lives() {
    for store in stores::each().await {
        let running = start(config(&store.url)).await;

        for body in [vec![], b"garbage".to_vec(), vec![0xff; 4096]] {
            let (status, _) = post(&running.api, "/api/v1/write", "application/x-protobuf", body.clone()).await;
            assert!(status == StatusCode::BAD_REQUEST || (body.is_empty() && status.is_client_error()), "{status}");
            let (status, _) = post(&running.otlp_http, "/v1/traces", "application/json", body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
        }
        let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 80 << 20]).expect("snappy");
        let (status, _) = post(&running.api, "/api/v1/write", "application/x-protobuf", bomb).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        for address in [&running.api, &running.grpc, &running.otlp_http] {
            let mut raw = tokio::net::TcpStream::connect(address).await.expect("connects");
            tokio::io::AsyncWriteExt::write_all(&mut raw, b"\x16\x03\x01 nonsense\r\n\r\n").await.expect("writes");
        }

        assert_eq!(get(&running.api, "/-/healthy").await.0, StatusCode::OK);
        running.stop().await;
    }
}

//! What is too much is refused at once and by name; many queries at a time starve nobody.

mod common;

use std::time::Duration;

use common::{query, query_range, sqlite, start, write};
use tokio::time::Instant;
use wattle_collector::{Config, QueryLimits};

async fn filled(limits: QueryLimits, series: usize) -> (common::Running, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let config =
        Config { store_url: sqlite(dir.path()), retention: common::FOR_EVER, query: limits, ..Config::default() };
    let running = start(config).await;
    let names: Vec<String> = (0..series).map(|at| at.to_string()).collect();
    for part in names.chunks(2_000) {
        let one = |name: &'static str| {
            part.iter().map(move |at| (vec![("__name__", name), ("pod", at.as_str())], vec![(0, 1.0), (60_000, 2.0)]))
        };
        let written: Vec<common::Written<'_>> = one("left").chain(one("right")).collect();
        let (status, body) = write(&running.api, &written).await;
        assert_eq!((status.as_u16(), body.as_str()), (204, ""));
    }
    (running, dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_refused_at_once_and_the_limit_named() {
    let limits = QueryLimits { max_samples: 100_000, max_series: 5_000, ..QueryLimits::default() };
    let (running, _dir) = filled(limits, 6_000).await;
    let api = running.api.as_str();

    let bomb = format!("left{{pod=~\"{}\"}}", "(a{900}){900}".repeat(3));
    let many = "-".repeat(2_000) + "1";
    for (expr, end, named) in [
        ("left + on(pod) right", 60.0, "limit 5000"),
        ("left{pod=~\"1.*\"} * on(pod) right{pod=~\"1.*\"}", 10_000.0, "limit 100000"),
        ("max_over_time(left{pod=\"1\"}[10y:1ms])", 60.0, "limit 100000"),
        ("count(left)", 11_000.0, "11000 points"),
        (bomb.as_str(), 60.0, "limit 50000"),
        (many.as_str(), 60.0, "500 operators"),
    ] {
        let begun = Instant::now();
        let answer = query_range(api, expr, 0.0, end, 1.0).await;
        let took = begun.elapsed();
        let error = answer["error"].as_str().unwrap_or("none").to_owned();
        assert_eq!(answer["status"], "error", "{expr:.60}");
        assert!(error.contains(named), "{expr:.60}: {error}");
        // Milliseconds; a debug build on a busy machine takes its time.
        assert!(took < Duration::from_secs(2), "{expr:.60} took {took:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_queries_starve_no_ingest_and_bound_memory() {
    let limits = QueryLimits { timeout: Duration::from_secs(300), ..QueryLimits::default() };
    let (running, _dir) = filled(limits, 100).await;
    let api = running.api.clone();

    let before = memory_mib("VmRSS");
    let mut asking = tokio::task::JoinSet::new();
    for at in 0..1_000 {
        let api = api.clone();
        asking.spawn(async move {
            let expr = format!("sum by (pod) (left) / on(pod) right + {at}");
            query_range(&api, &expr, 0.0, 300.0, 30.0).await["status"] == "success"
        });
    }
    let mut slowest = Duration::ZERO;
    let mut written = 0;
    let mut answered = 0;
    while answered < 1_000 {
        let begun = Instant::now();
        let labels = vec![("__name__", "beside"), ("pod", "a")];
        let (status, body) = write(&api, &[(labels, vec![(60_000 + written, 1.0)])]).await;
        assert_eq!((status.as_u16(), body.as_str()), (204, ""));
        slowest = slowest.max(begun.elapsed());
        written += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        while let Some(done) = asking.try_join_next() {
            assert!(done.expect("no panic"), "a query failed");
            answered += 1;
        }
    }

    let grown = memory_mib("VmHWM") - before;
    println!(
        "1,000 queries at once: {written} writes beside them, the slowest took {slowest:?}; memory grew {grown} MiB"
    );
    // Connections and answers of a thousand clients in the same process, and four queries at a time.
    assert!(grown < 512, "memory grew {grown} MiB");
    // Tenths of a second on a machine of its own; the thousand clients share this process's two threads with it.
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert_eq!(
        query(&api, "count_over_time(beside[1h])", 61.0).await["data"]["result"].as_array().map(Vec::len),
        Some(1)
    );
    running.stop().await;
}

/// Gives a line of this process's memory: VmRSS, what it has, or VmHWM, the most that it had. Units: MiB.
fn memory_mib(line: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().nth(1));
    found.and_then(|kib| kib.parse::<i64>().ok()).expect("a number of KiB") / 1024
}

//! A client that goes away takes its query with it. Alone in this process: it counts the threads of queries.

mod common;

use std::time::Duration;

use common::{sqlite, start, write};
use tokio::time::Instant;
use wattle_collector::{Config, QueryLimits};

/// Counts the threads of this process that evaluate queries.
fn running_queries() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let name = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name.trim() == "query").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_takes_its_query_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let query = QueryLimits { timeout: Duration::from_secs(600), ..QueryLimits::default() };
    let store_url = sqlite(dir.path());
    let running = start(Config { store_url, retention: common::FOR_EVER, query, ..Config::default() }).await;
    let pods: Vec<String> = (0..500).map(|pod| pod.to_string()).collect();
    let one = |pod| (vec![("__name__", "left"), ("pod", pod)], vec![(0, 1.0), (300_000, 2.0)]);
    let written: Vec<common::Written<'_>> = pods.iter().map(|pod| one(pod.as_str())).collect();
    write(&running.api, &written).await;
    let expr = "sum_over_time((sum_over_time((sum_over_time(left[5m:1s]))[5m:1s]))[5m:1s])";
    let path = format!("/api/v1/query?time=600&query={}", common::encoded(expr));

    let asking = tokio::spawn({
        let api = running.api.clone();
        async move { common::get(&api, &path).await }
    });
    let begun = common::until("the query's thread", async || (running_queries() == 1).then(Instant::now)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(running_queries(), 1, "a query of many seconds is over after {:?}", begun.elapsed());
    asking.abort();
    let gone = Instant::now();
    common::until("the end of the query", async || (running_queries() == 0).then_some(())).await;

    println!("a query ended {:?} after its client", gone.elapsed());
    assert!(gone.elapsed() < Duration::from_secs(5), "{:?}", gone.elapsed());
    running.stop().await;
}

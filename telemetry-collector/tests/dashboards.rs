//! Every expression of the official Istio and Kepler dashboards and of Kiali is answered.

mod common;

use common::{corpus, query_range, sqlite, start, write};
use wattle_collector::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expression_of_the_dashboards_is_answered() {
    let Some(folder) = corpus("dashboards") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config { store_url: sqlite(dir.path()), retention: common::FOR_EVER, ..Config::default() };
    let running = start(config).await;
    let points: Vec<(i64, f64)> = (0..240).map(|at| (at * 15_000, at as f64)).collect();
    let labels = |code| {
        let destination = ("destination_service", "search.hotel.svc.cluster.local");
        vec![("__name__", "istio_requests_total"), ("reporter", "destination"), ("response_code", code), destination]
    };
    write(&running.api, &[(labels("200"), points.clone()), (labels("503"), points)]).await;

    let (mut total, mut refused) = (0, Vec::new());
    for file in ["queries.txt", "kiali-queries.txt"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the expressions");
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            total += 1;
            let answer = query_range(&running.api, line, 1800.0, 3600.0, 60.0).await;
            if answer["status"] != "success" {
                refused.push(format!("{line}: {}", answer["error"]));
            }
        }
    }

    println!("dashboards and Kiali: {} of {total} expressions answered", total - refused.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    running.stop().await;
}

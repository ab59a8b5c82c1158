//! Windows are made of data time: the same samples give the same windows, in whatever order they arrive.

mod common;

use std::time::Duration;

use common::{start, stores, until, write};
use wattle_collector::Config;
use wattle_contract::{Timestamp, Window};

type Series = (Vec<(&'static str, &'static str)>, Vec<(i64, f64)>);

/// Two nodes over four windows; one counter starts again in between.
fn recorded(first: i64) -> Vec<Series> {
    let times: Vec<i64> = (0..12).map(|at| first + 2_000 + at * 5_000).collect();
    let points = |value: &dyn Fn(usize) -> f64| times.iter().enumerate().map(|(at, &t)| (t, value(at))).collect();
    let node = |name: &'static str, zone| {
        vec![("__name__", "kepler_node_cpu_joules_total"), ("node_name", name), ("zone", zone)]
    };
    let ratio = vec![("__name__", "kepler_node_cpu_usage_ratio"), ("node_name", "n1")];
    vec![
        (node("n1", "package"), points(&|at| at as f64 * 250.123_457)),
        (node("n2", "psys"), points(&|at| if at < 6 { 9_000.5 + at as f64 * 400.0 } else { at as f64 * 33.25 })),
        (ratio, points(&|at| 0.05 * at as f64)),
    ]
}

async fn windows(running: &common::Running, first: i64) -> Vec<Window> {
    let (since, until) = (Timestamp(first), Timestamp(first + 60_000));
    running.collector.store().windows(since, until).await.expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_arrival_does_not_matter() {
    for (store, other) in stores::each().await.into_iter().zip(stores::each().await) {
        let first = common::now_ms() / 60_000 * 60_000 - 600_000;
        let config = |url: &str| Config { store_url: url.to_owned(), ..Config::default() };
        let (ordered, late) = (start(config(&store.url)).await, start(config(&other.url)).await);

        let (status, body) = write(&ordered.api, &recorded(first)).await;
        assert!(status.is_success(), "{body}");
        for (labels, points) in recorded(first).into_iter().rev() {
            for part in points.chunks(5).rev() {
                let (status, body) = write(&late.api, &[(labels.clone(), part.to_vec())]).await;
                assert!(status.is_success(), "{body}");
                // Each part meets windows that were computed without it.
                tokio::task::yield_now().await;
            }
        }

        let expected =
            until("four windows", async || Some(windows(&ordered, first).await).filter(|w| w.len() == 4)).await;
        until("the same windows", async || (windows(&late, first).await == expected).then_some(())).await;
        let energy = |node: &str| -> f64 {
            let nodes = expected.iter().flat_map(|window| &window.nodes).filter(|other| other.node.as_str() == node);
            nodes.filter_map(|node| node.energy_joules).map(|energy| energy.get()).sum()
        };
        assert!((energy("n1") - 11.0 * 250.123_457).abs() < 1e-6, "what was measured: {}", energy("n1"));
        assert!(
            (energy("n2") - (5.0 * 400.0 + 11.0 * 33.25)).abs() < 1e-6,
            "a reset counts from zero: {}",
            energy("n2")
        );
        let version = |running: &common::Running| running.collector.snapshots().borrow().as_ref().map(|s| s.version);
        let before = version(&late).expect("published");
        late.stop().await;
        let again = start(config(&other.url)).await;
        assert!(version(&again).is_some_and(|version| version >= before), "versions go on after a restart");
        assert_eq!(windows(&again, first).await, expected);
        again.stop().await;
        ordered.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_of_an_orderly_end_is_computed_after_the_next_start() {
    for store in stores::each().await {
        let config = |lag| Config {
            store_url: store.url.clone(),
            window: Duration::from_secs(1),
            window_lag: Duration::from_secs(lag),
            ..Config::default()
        };
        let first = common::now_ms() / 1_000 * 1_000;
        let running = start(config(60)).await;
        let series = [("__name__", "kepler_node_cpu_joules_total"), ("node_name", "n1"), ("zone", "package")];
        write(&running.api, &[(series.to_vec(), vec![(first, 1.0), (first + 1, 2.0)])]).await;
        running.stop().await;

        let again = start(config(0)).await;

        let computed = until("the window", async || windows(&again, first).await.into_iter().next()).await;
        assert_eq!(computed.nodes[0].energy_joules.map(|energy| energy.get()), Some(1.0));
        again.stop().await;
    }
}

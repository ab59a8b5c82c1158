//! Two nodes with Keplers of two generations: dashboards of either draw both, no energy is there twice, and it adds up.

mod common;

use std::time::Duration;

use common::{Running, now_ms, query, sqlite, start, until, write};
use http::StatusCode;
use wattle_collector::{Config, RuleConfig};

/// A counter that grows by so many joules a second, every 15 s of the last five minutes.
fn counter(watts: f64) -> Vec<(i64, f64)> {
    let end = now_ms() / 15_000 * 15_000;
    (0..=20).map(|at| (end - 300_000 + at * 15_000, 1_000.0 + at as f64 * 15.0 * watts)).collect()
}

type Series = (&'static str, Vec<(&'static str, &'static str)>, f64);

/// Kepler from 0.10 on: 60 W of a package, 40 of it active, 30 of these on a pod of two containers.
fn newer() -> Vec<Series> {
    let node = [("job", "kepler"), ("instance", "10.0.0.1:28282"), ("node_name", "a")];
    let of_node = |name, zone, watts| (name, [node.as_slice(), &[("zone", zone)]].concat(), watts);
    let pod = [
        node.as_slice(),
        &[("pod_id", "id-1"), ("pod_name", "cart-0"), ("pod_namespace", "shop"), ("state", "running")],
    ]
    .concat();
    let container = |id, zone, watts| {
        let own = [
            ("pod_id", "id-1"),
            ("container_id", id),
            ("container_name", "cart"),
            ("state", "running"),
            ("zone", zone),
        ];
        ("kepler_container_cpu_joules_total", [node.as_slice(), &own].concat(), watts)
    };
    vec![
        of_node("kepler_node_cpu_joules_total", "package", 60.0),
        of_node("kepler_node_cpu_active_joules_total", "package", 40.0),
        of_node("kepler_node_cpu_idle_joules_total", "package", 20.0),
        of_node("kepler_node_cpu_joules_total", "dram", 6.0),
        of_node("kepler_node_cpu_active_joules_total", "dram", 4.0),
        of_node("kepler_node_cpu_idle_joules_total", "dram", 2.0),
        ("kepler_pod_cpu_joules_total", [pod.as_slice(), &[("zone", "package")]].concat(), 30.0),
        ("kepler_pod_cpu_joules_total", [pod.as_slice(), &[("zone", "dram")]].concat(), 3.0),
        container("c-1", "package", 20.0),
        container("c-2", "package", 10.0),
        container("c-1", "dram", 3.0),
        // A zone inside of the package.
        container("c-1", "core", 15.0),
    ]
}

/// Kepler up to 0.9: 50 W, 35 of it dynamic, 28 of these on a container.
fn older() -> Vec<Series> {
    let node = [("job", "kepler"), ("instance", "b"), ("source", "rapl-sysfs")];
    let of_node = |mode, watts| {
        let own = [("package", "0"), ("mode", mode)];
        ("kepler_node_package_joules_total", [node.as_slice(), &own].concat(), watts)
    };
    let own =
        [("container_id", "c-9"), ("container_name", "pay"), ("container_namespace", "shop"), ("pod_name", "pay-0")];
    let container = [node.as_slice(), &own, &[("mode", "dynamic")]].concat();
    vec![of_node("dynamic", 35.0), of_node("idle", 15.0), ("kepler_container_package_joules_total", container, 28.0)]
}

/// Waits until a query gives one value that is about the one wanted.
async fn gives(running: &Running, asked: &str, wanted: f64) {
    until(&format!("{asked} = {wanted}"), async || {
        let answer = query(&running.api, asked, now_ms() as f64 / 1e3).await;
        let found = answer["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok()?;
        ((found - wanted).abs() < 1e-6).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboards_of_either_generation_draw_both_and_energy_adds_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let rules = RuleConfig { kepler: Some(Duration::from_secs(1)), ..RuleConfig::default() };
    let running = start(Config { store_url: sqlite(dir.path()), rules, ..Config::default() }).await;
    for (name, mut labels, watts) in newer().into_iter().chain(older()) {
        labels.push(("__name__", name));
        let (status, body) = write(&running.api, &[(labels, counter(watts))]).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }

    // What the older dashboard asks for, of the newer node: 1,000 joules at the start, and 300 seconds.
    let named = "{container_namespace=\"shop\",pod_name=\"cart-0\",kepler_alias=\"v0.9\"}";
    gives(&running, &format!("count(kepler_container_package_joules_total{named})"), 2.0).await;
    gives(&running, &format!("sum(kepler_container_package_joules_total{named})"), 2_000.0 + 300.0 * 30.0).await;
    gives(&running, &format!("sum(kepler_container_dram_joules_total{named})"), 1_000.0 + 300.0 * 3.0).await;
    // Package and dram are summed, the core inside of the package is not.
    gives(&running, &format!("sum(kepler_container_joules_total{named})"), 3_000.0 + 300.0 * 33.0).await;
    gives(&running, "sum(kepler_node_package_joules_total{node_name=\"a\"})", 2_000.0 + 300.0 * 60.0).await;
    gives(&running, "kepler_node_dram_joules_total{node_name=\"a\",mode=\"idle\"}", 1_000.0 + 300.0 * 2.0).await;

    // What the newer dashboard asks for, of the older node.
    for (asked, wanted) in [
        ("sum by (zone) (kepler_node_cpu_watts{job=\"kepler\",node_name=\"b\",zone=~\"package\"})", 50.0),
        ("kepler_node_cpu_active_watts{node_name=\"b\"}", 35.0),
        ("kepler_node_cpu_idle_watts{node_name=\"b\"}", 15.0),
        ("kepler_container_cpu_watts{container_name=\"pay\",zone=\"package\"}", 28.0),
        ("kepler_pod_cpu_watts{pod_namespace=\"shop\",pod_name=\"pay-0\",zone=\"package\"}", 28.0),
        // The newer node's own counters are not made into watts once more.
        ("count(kepler_node_cpu_active_watts)", 1.0),
        ("wattle_kepler_attributed_ratio{of=\"pods\",node_name=\"a\",zone=\"package\"}", 0.75),
        ("wattle_kepler_attributed_ratio{of=\"containers\",instance=\"b\"}", 0.8),
    ] {
        gives(&running, asked, wanted).await;
    }

    // The windows take every joule once: the aliases are no second meter.
    let powers = until("a window with both nodes", async || {
        let (_, body) = common::get(&running.api, "/api/v1/snapshot").await;
        let snapshot: serde_json::Value = serde_json::from_str(&body).ok()?;
        let nodes = snapshot["window"]["nodes"].as_array()?;
        let power = |name: &str| nodes.iter().find(|node| node["node"] == name)?["power_watts"].as_f64();
        power("a").zip(power("b"))
    })
    .await;
    assert!((powers.0 - 66.0).abs() < 1e-6 && (powers.1 - 50.0).abs() < 1e-6, "{powers:?}");
    running.stop().await;
}

//! Targets that come and go: relabelled, from files, from Kubernetes; beside a real Prometheus on the same cluster.

#[path = "discovery/cluster.rs"]
mod cluster;
mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use cluster::Cluster;
use common::{Running, query, sqlite, start, until};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wattle_collector::{Config, ScrapeJob};

/// A target that exposes a text; gives its address.
async fn expose(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let routes = Router::new().route("/metrics", get(move || async move { body }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn collect(dir: &Path, jobs: &[Value]) -> Running {
    let scrape = jobs.iter().cloned().map(|job| ScrapeJob::read(job).expect("a job")).collect();
    start(Config { store_url: sqlite(dir), scrape, ..Config::default() }).await
}

/// Gives a query's series as their labels, now.
async fn series(running: &Running, text: &str) -> Vec<Value> {
    let now = common::now_ms() as f64 / 1000.0;
    let answer = query(&running.api, text, now).await;
    answer["data"]["result"].as_array().expect("a vector").iter().map(|one| one["metric"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_and_drop_targets_and_series() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = expose("go_threads 7\nshop_orders{path=\"/a\"} 1\nshop_orders{path=\"/b\"} 2\n").await;
    let job = json!({
        "name": "shop", "interval": "200ms", "timeout": "200ms", "honor_timestamps": true,
        "static_configs": [{"targets": [address, "10.255.255.1:9"], "labels": {"env": "test"}}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": "10\\..*", "action": "drop"},
            {"source_labels": ["env"], "target_label": "stage", "action": "uppercase"},
            {"regex": "env", "action": "labeldrop"},
        ],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
            {"source_labels": ["path"], "regex": "/(.*)", "target_label": "page"},
            {"regex": "path", "action": "labeldrop"},
        ],
    });

    let running = collect(dir.path(), &[job]).await;

    let found = until("the series", async || {
        let found = series(&running, "shop_orders").await;
        (found.len() == 2).then_some(found)
    });
    assert_eq!(
        found.await[0],
        json!({"__name__": "shop_orders", "instance": address, "job": "shop", "page": "a", "stage": "TEST"})
    );
    assert_eq!(series(&running, "go_threads").await, Vec::<Value>::new());
    assert_eq!(series(&running, "up").await.len(), 1);
    assert_eq!(series(&running, "scrape_samples_scraped == 3").await.len(), 1);
    assert_eq!(series(&running, "scrape_samples_post_metric_relabeling == 2").await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_files_come_and_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = expose("a 1\n").await;
    let file = dir.path().join("targets.json");
    let write = |text: String| std::fs::write(&file, text).expect("written");
    write(json!([{"targets": [address], "labels": {"rack": "r1"}}]).to_string());
    let job = json!({"job_name": "files", "scrape_interval": "200ms", "file_sd_configs": [{"files": [file]}]});

    let running = collect(dir.path(), &[job]).await;

    until("the target", async || (series(&running, "a{rack=\"r1\"}").await.len() == 1).then_some(())).await;
    write("[]".to_owned());
    until("the end of its series", async || series(&running, "{job=\"files\"}").await.is_empty().then_some(())).await;
    write(json!([{"targets": [address], "labels": {"rack": "r2"}}]).to_string());
    until("the target again", async || (series(&running, "a{rack=\"r2\"}").await.len() == 1).then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotated_pods_are_scraped_through_breaks_and_relists() {
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (expose("a 1\n").await, expose("a 2\n").await);
    let cluster = Cluster::start().await;
    let pod = |name: &str, address: &str| {
        let port = address.rsplit(':').next().expect("a port");
        cluster::pod(name, "127.0.0.1", &json!({"prometheus.io/scrape": "true", "prometheus.io/port": port}))
    };
    cluster.set("pods", vec![pod("one", &first), cluster::pod("quiet", "127.0.0.1", &json!({}))]);
    let job = json!({
        "name": "pods", "interval": "200ms",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": cluster.kubeconfig(dir.path())}],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_ip", "__meta_kubernetes_pod_annotation_prometheus_io_port"],
             "separator": ":", "target_label": "__address__"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    });

    let running = collect(dir.path(), &[job]).await;
    let pods = async |expected: &[&str]| {
        until(&format!("{expected:?}"), async || {
            let found = series(&running, "a").await;
            let names: BTreeSet<_> = found.iter().filter_map(|labels| labels["pod"].as_str()).collect();
            (names == expected.iter().copied().collect()).then_some(())
        })
        .await;
    };

    pods(&["one"]).await;
    cluster.say("pods", "ADDED", pod("two", &second)).await;
    pods(&["one", "two"]).await;
    // The watch breaks: it goes on where it was.
    cluster.hang_up("pods");
    cluster.say("pods", "DELETED", pod("one", &first)).await;
    pods(&["two"]).await;
    // The version is too old: everything is listed anew.
    cluster.set("pods", vec![pod("three", &first)]);
    cluster.expire("pods").await;
    pods(&["three"]).await;
    running.stop().await;
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a real Prometheus with scrape jobs; `None`, said in one line, where it cannot be had.
async fn prometheus(dir: &Path, jobs: &[Value]) -> Option<(Killed, String)> {
    let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/promql/peers");
    let told = Command::new(fetch).arg("prometheus").output().ok()?;
    if !told.status.success() {
        #[expect(clippy::print_stdout, reason = "a test that does not run says so")]
        let () = println!("no Prometheus to compare with: {}", String::from_utf8_lossy(&told.stderr));
        return None;
    }
    let program = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()).join("prometheus");
    let config = dir.join("prometheus.yml");
    std::fs::write(&config, json!({"scrape_configs": jobs}).to_string()).expect("written");
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound").port();
    let address = format!("127.0.0.1:{port}");
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(dir.join("prometheus.log")).expect("a file"))
        .spawn()
        .expect("Prometheus starts");
    Some((Killed(child), address))
}

/// Gives each active target of a pool as what identifies it; empty until there are as many as expected.
async fn targets(address: &str, pool: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} targets of {pool} at {address}"), async || {
        let request = http::Request::get(format!("http://{address}/api/v1/targets?state=active"));
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let body = client.request(request).await.ok()?.into_body().collect().await.ok()?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).ok()?;
        let all = answer["data"]["activeTargets"].as_array()?.clone();
        let mut found: Vec<Value> = all
            .iter()
            .filter(|target| target["scrapePool"] == pool)
            .map(|target| json!([target["scrapeUrl"], target["labels"], target["discoveredLabels"]]))
            .collect();
        found.sort_by_key(Value::to_string);
        (found.len() == count).then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_say_what_kubernetes_says_of_the_cluster() {
    let dir = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start().await;
    cluster.fill();
    let node = json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n-1", "uid": "n-1", "resourceVersion": "1"},
        "status": {"capacity": {"cpu": "8", "memory": "32Gi"}}});
    cluster.set("nodes", vec![node]);
    let scaler = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2",
        "metadata": {"name": "hpa", "namespace": "shop", "uid": "h", "resourceVersion": "3"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "front"}, "minReplicas": 2, "maxReplicas": 9},
        "status": {"currentReplicas": 3, "desiredReplicas": 4}});
    cluster.set("horizontalpodautoscalers", vec![scaler.clone()]);
    let config = Config {
        store_url: sqlite(dir.path()),
        kubernetes: true,
        kubeconfig: Some(cluster.kubeconfig(dir.path())),
        window: std::time::Duration::from_secs(1),
        window_lag: std::time::Duration::ZERO,
        ..Config::default()
    };
    let running = start(config).await;
    let snapshots = running.collector.snapshots();
    // A window for each second, and what its snapshot says once it is as expected.
    let until_so = async |what: &str, is_so: &dyn Fn(&wattle_contract::ClusterSnapshot) -> bool| {
        until(what, async || {
            let at = common::now_ms();
            let labels = vec![("__name__", "kepler_node_cpu_usage_ratio"), ("node_name", "n-1")];
            common::write(&running.api, &[(labels, vec![(at, 0.5)])]).await;
            snapshots.borrow().as_ref().filter(|snapshot| is_so(snapshot)).cloned()
        })
        .await
    };

    let first = until_so("both pods", &|snapshot| snapshot.placements.len() == 2).await;
    let of = |name: &str| first.placements.iter().find(|placed| &*placed.pod.name == name).expect("a running pod");
    assert_eq!(of("front-1").workload, Some("front".into()));
    assert_eq!(of("bare").node.as_str(), "n-1");
    let capacity = first.window.nodes[0].machine.cpu_capacity_millicores;
    assert_eq!(capacity, wattle_contract::Millicores::new(8_000.0), "no exporter told it");
    let scale = &first.workloads[0];
    assert_eq!((scale.workload.as_str(), scale.min_replicas, scale.max_replicas), ("front", 2, 9));
    assert_eq!((scale.current_replicas, scale.desired_replicas), (Some(3), Some(4)));

    let mut moved = cluster::pod("late", "10.1.0.7", &json!({}));
    moved["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1500m"}, "limits": {"cpu": "2"}});
    cluster.say("pods", "ADDED", moved).await;
    cluster.say("pods", "DELETED", cluster::pod("bare", "10.1.0.3", &json!({}))).await;
    cluster.say("horizontalpodautoscalers", "DELETED", scaler).await;
    let then = until_so("what changed", &|snapshot| {
        let names: Vec<_> = snapshot.placements.iter().map(|placed| &*placed.pod.name).collect();
        names == ["front-1", "late"] && snapshot.workloads.is_empty()
    });
    let then = then.await;
    let late = then.placements[1].resources;
    assert_eq!(late.cpu_request_millicores, wattle_contract::Millicores::new(1_500.0));
    assert_eq!(
        (late.cpu_limit_millicores, late.memory_request_bytes),
        (wattle_contract::Millicores::new(2_000.0), None)
    );

    cluster.set("pods", vec![cluster::pod("again", "10.1.0.8", &json!({}))]);
    cluster.expire("pods").await;
    until_so("the new list", &|snapshot| snapshot.placements.iter().map(|placed| &*placed.pod.name).eq(["again"]))
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_gives_the_targets_and_labels_that_prometheus_finds() {
    let dir = tempfile::tempdir().expect("a folder");
    let cluster = Arc::new(Cluster::start().await);
    cluster.fill();
    let kubeconfig = cluster.kubeconfig(dir.path());
    // Two containers without ports share an address: they are one target, here as there.
    let roles = [("node", 2), ("pod", 4), ("service", 3), ("endpoints", 4), ("endpointslice", 4)];
    let jobs = roles.map(|(role, _)| {
        json!({
            "job_name": role, "scrape_interval": "1m", "scrape_timeout": "10s",
            "kubernetes_sd_configs": [{"role": role, "kubeconfig_file": kubeconfig}],
        })
    });
    let Some((_child, theirs)) = prometheus(dir.path(), &jobs).await else { return };

    let running = collect(dir.path(), &jobs).await;

    for (role, count) in roles {
        let (ours, theirs) = (targets(&running.api, role, count).await, targets(&theirs, role, count).await);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            for at in 0..3 {
                assert_eq!(ours[at], theirs[at], "{role}");
            }
        }
    }
    running.stop().await;
}

//! Real clients of Prometheus against the collector: promtool, vmalert, vmctl, a Prometheus that reads remotely and one
//! that federates, codemirror-promql and the crate prometheus-http-query.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::programs::{Program, built, has, missing, peers, run};
use common::target::{TEXT, serve};
use common::{Running, get, job, now_ms, query, query_range, start, until, write};
use http::StatusCode;
use serde_json::{Value, json};
use wattle_collector::{Config, RemoteRead, RuleConfig, Unanswered, import_remote};
use wattle_contract::Timestamp;

const RULES: &str =
    "groups:\n- name: energy\n  rules:\n  - {record: a, expr: vector(1)}\n  - {alert: Hot, expr: vector(1)}\n";

/// A collector with a quarter of an hour of data up to `end` (in seconds), a target and two rules.
async fn filled() -> (Running, i64, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let target = serve("# HELP speed How fast.\n# TYPE speed gauge\nspeed 3\n".to_owned(), TEXT).await;
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, RULES).expect("a file");
    let rules = RuleConfig { files: vec![file], ..RuleConfig::default() };
    let scrape = vec![job("target", &target)];
    let running = start(Config { store_url: common::sqlite(dir.path()), scrape, rules, ..Config::default() }).await;
    let end = now_ms() / 15_000 * 15;
    let points =
        |factor: f64| (0..=60).map(|at| ((end - 900 + at * 15) * 1000, at as f64 * factor)).collect::<Vec<_>>();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let odd = [f64::INFINITY, f64::NAN, -0.0, 1e-300, 7.25, stale];
    let odd: Vec<(i64, f64)> =
        odd.iter().zip(0..).map(|(value, at)| ((end - 300 + at * 7) * 1000 + at, *value)).collect();
    let series = [
        (vec![("__name__", "http_requests_total"), ("job", "web"), ("pod", "a")], points(15.0)),
        (vec![("__name__", "http_requests_total"), ("job", "web"), ("pod", "b")], points(30.5)),
        (vec![("__name__", "temperature"), ("pod", "a")], odd),
        (
            vec![("__name__", "long")],
            (0..500).map(|at| (end * 1000 - 900_000 + at * 1_800, (at % 97) as f64 / 7.0)).collect(),
        ),
    ];
    let (status, body) = write(&running.api, &series).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    until("the first scrape", async || {
        let (_, body) = get(&running.api, "/api/v1/targets").await;
        body.contains("\"health\":\"up\"").then_some(())
    })
    .await;
    (running, end, dir)
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_asks_checks_and_pushes() {
    let Some(bin) = peers(&["promtool"]) else { return };
    let (running, end, dir) = filled().await;
    let url = format!("http://{}", running.api);
    let promtool = async |arguments: &[&str]| {
        let mut command = Command::new(bin.join("promtool"));
        command.args(arguments);
        text(&run(command).await)
    };
    let (from, to) = ((end - 600).to_string(), end.to_string());

    let total = promtool(&["query", "instant", &url, &format!("--time={to}"), "sum(http_requests_total)"]).await;
    assert_eq!(total.trim(), format!("{{}} => 2730 @[{end}]"));
    let range = [
        "query",
        "range",
        &url,
        &format!("--start={from}"),
        &format!("--end={to}"),
        "--step=5m",
        "sum(http_requests_total)",
    ];
    assert_eq!(promtool(&range).await.lines().count(), 4);
    let series = promtool(&["query", "series", &url, "--match={job=\"web\"}"]).await;
    assert!(series.contains("{__name__=\"http_requests_total\", job=\"web\", pod=\"b\"}"), "{series}");
    assert_eq!(promtool(&["query", "labels", &url, "pod"]).await, "a\nb\n");
    for check in ["healthy", "ready"] {
        promtool(&["check", check, &format!("--url={url}")]).await;
    }
    let file = dir.path().join("pushed.prom");
    std::fs::write(&file, "# TYPE pushed counter\npushed{a=\"b\"} 7\n").expect("a file");
    promtool(&["push", "metrics", &format!("{url}/api/v1/write"), file.to_str().expect("a path")]).await;
    let pushed = query(&running.api, "pushed{a=\"b\",job=\"promtool\"}", now_ms() as f64 / 1e3).await;
    assert_eq!(pushed["data"]["result"][0]["value"][1], "7");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vmalert_evaluates_here_and_writes_here_what_it_found() {
    let Some(bin) = peers(&["victoria-metrics"]) else { return };
    let (running, _, dir) = filled().await;
    let file = dir.path().join("vmalert.yml");
    let rules = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: 'job:requests:sum', expr: 'sum by (job) (last_over_time(http_requests_total[1h]))'}\n  - {alert: Many, expr: 'job:requests:sum > 1'}\n";
    std::fs::write(&file, rules).expect("a file");
    let url = format!("http://{}", running.api);
    let vmalert = Program::start(&bin.join("vmalert"), "/health", |address, _| {
        let own = [
            format!("-httpListenAddr={address}"),
            format!("-rule={}", file.display()),
            "-notifier.blackhole".to_owned(),
            "-remoteWrite.flushInterval=200ms".to_owned(),
            "-rule.evalDelay=0s".to_owned(),
        ];
        let ours = ["datasource", "remoteWrite", "remoteRead"].map(|kind| format!("-{kind}.url={url}"));
        own.into_iter().chain(ours).collect()
    })
    .await;

    for (series, value) in
        [("job:requests:sum{job=\"web\"}", "2730"), ("ALERTS{alertname=\"Many\",alertstate=\"firing\"}", "1")]
    {
        let found = until(series, async || {
            let found = query(&running.api, series, now_ms() as f64 / 1e3).await;
            found["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
        });
        assert_eq!(found.await, value);
    }
    drop(vmalert);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_remotely_by_stream() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    let (running, end, _dir) = filled().await;
    let config = format!("remote_read: [{{url: 'http://{}/api/v1/read', read_recent: true}}]", running.api);
    let theirs = Program::prometheus(&bin, &config, &[]).await;

    for asked in [
        "http_requests_total",
        "temperature",
        "long",
        "sum by (pod) (rate(http_requests_total{pod!~\"c|d\"}[5m]))",
        "count_over_time({pod=\"a\"}[15m])",
    ] {
        let (from, to) = ((end - 900) as f64, end as f64);
        let wanted = query_range(&running.api, asked, from, to, 7.0).await;
        let found = query_range(&theirs.address, asked, from, to, 7.0).await;
        assert!(!wanted["data"]["result"].as_array().expect("a matrix").is_empty(), "{asked}: {wanted}");
        assert_eq!(found["data"], wanted["data"], "{asked}");
    }
    let (_, metrics) = get(&theirs.address, "/metrics").await;
    assert!(metrics.contains("response_type=\"chunked\""), "it was told of a stream");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_federates() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    let (running, end, _dir) = filled().await;
    let odd = [(
        vec![("__name__", "odd.name"), ("a.b", "1"), ("job", "j"), ("pod", "\"q\"\\\n")],
        vec![(end * 1000, 1_234_567.5)],
    )];
    let (status, body) = write(&running.api, &odd).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let config = format!(
        "scrape_configs: [{{job_name: federate, scrape_interval: 1s, scrape_timeout: 1s, honor_labels: true, \
         metrics_path: /federate, params: {{'match[]': ['{{__name__=~\"http.*|odd.*\"}}']}}, \
         static_configs: [{{targets: ['{}']}}]}}]",
        running.api
    );
    let theirs = Program::prometheus(&bin, &config, &[]).await;

    for asked in ["sum by (pod, job) (http_requests_total)", "{\"odd.name\"}"] {
        let wanted = query(&running.api, asked, now_ms() as f64 / 1e3).await;
        let found = until(asked, async || {
            let found = query(&theirs.address, asked, now_ms() as f64 / 1e3).await;
            (found["data"]["result"].as_array()?.len() == wanted["data"]["result"].as_array()?.len()).then_some(found)
        })
        .await;
        let told = |answer: &Value| {
            let series = answer["data"]["result"].as_array().expect("a vector").iter();
            let mut told: Vec<String> = series.map(|one| format!("{} {}", one["metric"], one["value"][1])).collect();
            told.sort();
            told
        };
        assert_eq!(told(&found), told(&wanted), "{asked}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vmctl_takes_everything_away_by_both_kinds_of_remote_read() {
    let Some(bin) = peers(&["victoria-metrics"]) else { return };
    let (running, end, _dir) = filled().await;

    for streamed in ["true", "false"] {
        let vm = Program::start(&bin.join("victoria-metrics"), "/health", |address, dir| {
            vec![
                format!("-httpListenAddr={address}"),
                format!("-storageDataPath={}", dir.join("vm").display()),
                "-retentionPeriod=10y".to_owned(),
                "-search.latencyOffset=0s".to_owned(),
            ]
        })
        .await;
        let mut vmctl = Command::new(bin.join("vmctl"));
        let from = k8s_openapi::jiff::Timestamp::from_second(end - 900).expect("a time").to_string();
        vmctl
            .args([
                "remote-read",
                "-s",
                "--remote-read-step-interval=hour",
                "--remote-read-disable-path-append=true",
                "--disable-progress-bar",
            ])
            .arg(format!("--remote-read-use-stream={streamed}"))
            .arg(format!("--remote-read-filter-time-start={from}"))
            .arg(format!("--remote-read-src-addr=http://{}/api/v1/read", running.api))
            .args(["--remote-read-filter-label=__name__", "--remote-read-filter-label-value=long|http_requests_total"])
            .arg(format!("--vm-addr=http://{}", vm.address));
        text(&run(vmctl).await);
        let (status, _) = get(&vm.address, "/internal/force_flush").await;
        assert_eq!(status, StatusCode::OK);
        for asked in ["count_over_time(long[1h])", "sum(count_over_time(http_requests_total[1h]))"] {
            let found = query(&vm.address, asked, now_ms() as f64 / 1e3).await;
            let wanted = if asked.contains("long") { "500" } else { "122" };
            assert_eq!(found["data"]["result"][0]["value"][1], wanted, "{asked}, stream {streamed}");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_real_prometheus_is_imported_by_remote_read() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    // Twelve samples of each of ten series at once: three minutes of what is a quarter of an hour.
    let theirs = Program::prometheus(&bin, "", &["--storage.remote.read-sample-limit=125"]).await;
    let end = now_ms() / 15_000 * 15_000;
    let pods: Vec<String> = (0..10).map(|pod| format!("p{pod}")).collect();
    let points = |pod: usize| (0..60).map(|at| (end - 900_000 + at * 15_000, (at * pod as i64) as f64 / 7.0)).collect();
    let labels = |pod: usize| vec![("__name__", "history"), ("pod", pods[pod].as_str())];
    let series: Vec<_> = (0..10).map(|pod| (labels(pod), points(pod))).collect();
    let (status, body) = write(&theirs.address, &series).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let dir = tempfile::tempdir().expect("a folder");
    let span = (Timestamp(end - 3_600_000), Timestamp(end + 1));
    let asked = RemoteRead::new(&["history{pod!=\"p9\"}".to_owned()], span).expect("a selector");
    let mut refused = 0;
    let ask = async |body: Vec<u8>| {
        let (status, body) = common::post_bytes(&theirs.address, "/api/v1/read", body).await;
        if status.is_success() {
            return Ok(body);
        }
        refused += 1;
        let reason = String::from_utf8_lossy(&body).into_owned();
        Err(Unanswered { is_too_much: reason.contains("limit"), reason })
    };

    let imported = import_remote(&common::sqlite(dir.path()), &asked, ask, |_| {}).await.expect("it is read");

    assert_eq!((imported.samples, imported.rejected), (540, 0));
    assert!(refused > 2, "{refused}");
    let running = start(Config { store_url: common::sqlite(dir.path()), ..Config::default() }).await;
    let (from, to) = ((end / 1000 - 900) as f64, (end / 1000) as f64);
    let asked = "history{pod!=\"p9\"}";
    let wanted = query_range(&theirs.address, asked, from, to, 15.0).await;
    assert_eq!(wanted["data"]["result"].as_array().map(Vec::len), Some(9));
    assert_eq!(query_range(&running.api, asked, from, to, 15.0).await["data"], wanted["data"]);
    running.stop().await;
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codemirror_promql_completes() {
    if !has("node") || !has("npm") {
        return missing("node and npm for codemirror-promql");
    }
    let place = built("codemirror");
    std::fs::create_dir_all(&place).expect("a folder");
    for file in ["package.json", "package-lock.json", "ask.cjs"] {
        std::fs::copy(folder("codemirror").join(file), place.join(file)).expect("copied");
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&place);
    let installed = run(npm).await;
    if !installed.status.success() {
        return missing(&format!("codemirror-promql: {}", String::from_utf8_lossy(&installed.stderr).trim()));
    }
    let (running, _, _dir) = filled().await;

    let mut node = Command::new("node");
    node.arg("ask.cjs").arg(format!("http://{}", running.api)).current_dir(&place);
    let told: Value = serde_json::from_str(&text(&run(node).await)).expect("JSON");

    for method in ["POST", "GET"] {
        let answers = &told[method];
        let has = |list: &Value, word: &str| list.as_array().is_some_and(|list| list.contains(&word.into()));
        assert_eq!(answers["errors"], json!([]), "{method}");
        assert!(has(&answers["metricNames"], "http_requests_total") && has(&answers["metricNames"], "up"), "{answers}");
        assert!(has(&answers["labelNames"], "pod") && has(&answers["labelNames"], "instance"), "{answers}");
        assert_eq!(answers["labelNamesOf"], json!(["__name__", "pod"]));
        assert_eq!(answers["labelValues"], json!(["a", "b"]));
        assert_eq!(answers["labelValuesOf"], json!(["a", "b"]));
        assert_eq!(answers["series"].as_array().map(Vec::len), Some(2));
        assert_eq!(answers["metadata"]["speed"], json!([{ "type": "gauge", "help": "How fast.", "unit": "" }]));
        assert!(answers["flags"]["query.lookback-delta"].is_string(), "{answers}");
    }
    assert_eq!(told["names"], json!(["http_requests_total"]));
    assert_eq!(told["labels"], json!(["job", "pod"]));
    assert_eq!(told["values"], json!(["a", "b"]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crate_prometheus_http_query_reads_every_answer() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(folder("http-query").join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", built("http-query"));
    let made = run(cargo).await;
    if !made.status.success() {
        return missing(&format!("prometheus-http-query: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    let (running, end, _dir) = filled().await;

    let mut client = Command::new(built("http-query").join("debug/http-query"));
    client.arg(format!("http://{}", running.api)).arg(end.to_string());
    let told: Value = serde_json::from_str(&text(&run(client).await)).expect("JSON");

    for (what, wanted) in [
        ("instant", json!(2)),
        ("posted", json!(2)),
        ("scalar", json!([4.0, 2.0])),
        ("range", json!(42)),
        ("series", json!(2)),
        ("label_values", json!(["a", "b"])),
        ("metadata", json!(1)),
        ("target_metadata", json!(1)),
        ("targets", json!(1)),
        ("dropped", json!(0)),
        ("rules", json!(1)),
        ("alertmanagers", json!(0)),
        ("replayed", json!(0)),
        ("healthy", json!(true)),
        ("ready", json!(true)),
    ] {
        assert_eq!(told[what], wanted, "{what}: {told}");
    }
    assert!(told["wrong"].as_str().is_some_and(|text| text.contains("bad_data") || text.contains("BadData")), "{told}");
    assert!(told["head_series"].as_u64().is_some_and(|count| count >= 4), "{told}");
    running.stop().await;
}

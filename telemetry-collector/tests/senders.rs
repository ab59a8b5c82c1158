//! Real senders: Prometheus and vmagent by remote write, OpenTelemetry's SDKs of Python and JavaScript by OTLP, Envoy by
//! Zipkin and OTLP and as a target.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::programs::{Program, built, has, missing, peers, run};
use common::target::{OPENMETRICS, serve};
use common::{Running, get, job, now_ms, query, start, until};
use http::StatusCode;
use serde_json::Value;
use wattle_collector::{Config, ScrapeJob};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/senders");
/// vmagent reads an exemplar behind a metric without labels as labels of it: `calls_total` has one.
const TARGET: &str = "# HELP speed_ratio How fast.\n# TYPE speed_ratio gauge\nspeed_ratio{name=\"a\\\"\\\\ü\"} 3.25\n\
    # TYPE odd gauge\nodd{of=\"inf\"} +Inf\nodd{of=\"nan\"} NaN\nodd{of=\"small\"} 1e-300\n\
    # TYPE calls counter\ncalls_total{of=\"a\"} 7 # {trace_id=\"abc\"} 1\n# EOF\n";

async fn collector() -> (Running, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    (start(Config { store_url: common::sqlite(dir.path()), ..Config::default() }).await, dir)
}

/// Waits until a query has a first value; gives it.
async fn value(running: &Running, asked: &str) -> String {
    let first = async || {
        let found = query(&running.api, asked, now_ms() as f64 / 1e3).await;
        found["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    until(asked, first).await
}

/// What a sender that scraped [`TARGET`] as job `target` has to bring.
async fn target_is_there(running: &Running) {
    for (asked, wanted) in [
        ("speed_ratio{job=\"target\",name=\"a\\\"\\\\ü\"}", "3.25"),
        ("odd{of=\"inf\"}", "+Inf"),
        ("odd{of=\"nan\"}", "NaN"),
        ("odd{of=\"small\"}", "1e-300"),
        ("calls_total", "7"),
        ("up{job=\"target\"}", "1"),
        // It goes on.
        ("count_over_time(up{job=\"target\"}[1m]) > 2 > bool 0", "1"),
    ] {
        assert_eq!(value(running, asked).await, wanted, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_writes_by_both_versions() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    let target = serve(TARGET.to_owned(), OPENMETRICS).await;
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let (running, _dir) = collector().await;
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: target, static_configs: [{{targets: ['{target}']}}]}}]\n\
             remote_write: [{{url: 'http://{}/api/v1/write', protobuf_message: {message}, send_exemplars: true, \
             metadata_config: {{send_interval: 1s}}, queue_config: {{batch_send_deadline: 200ms}}}}]",
            running.api
        );
        let theirs = Program::prometheus(&bin, &config, &["--enable-feature=metadata-wal-records"]).await;

        target_is_there(&running).await;
        until("what it says of a metric", async || {
            let (_, body) = get(&running.api, "/api/v1/metadata?metric=speed_ratio").await;
            body.contains("How fast.").then_some(())
        })
        .await;
        until("an exemplar", async || {
            let path = format!("/api/v1/query_exemplars?query=calls_total&start=0&end={}", now_ms() / 1000 + 60);
            let (_, body) = get(&running.api, &path).await;
            body.contains("\"trace_id\":\"abc\"").then_some(())
        })
        .await;
        let (_, metrics) = get(&theirs.address, "/metrics").await;
        let told = |line: &str| {
            ["samples_failed_total{", "samples_dropped_total{"].iter().any(|name| line.contains(name))
                && !line.starts_with('#')
                && !line.ends_with(" 0")
        };
        assert_eq!(metrics.lines().find(|line| told(line)), None, "{message}");
        drop(theirs);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vmagent_writes_by_its_own_form() {
    let Some(bin) = peers(&["victoria-metrics"]) else { return };
    let target = serve(TARGET.to_owned(), OPENMETRICS).await;
    let (running, dir) = collector().await;
    let file = dir.path().join("scrape.yml");
    let jobs = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: target, static_configs: [{{targets: ['{target}']}}]}}]"
    );
    std::fs::write(&file, jobs).expect("a file");
    let arguments = |address: &str, dir: &Path| {
        vec![
            format!("-httpListenAddr={address}"),
            format!("-promscrape.config={}", file.display()),
            format!("-remoteWrite.url=http://{}/api/v1/write", running.api),
            format!("-remoteWrite.tmpDataPath={}", dir.join("queue").display()),
            "-remoteWrite.flushInterval=200ms".to_owned(),
        ]
    };
    let theirs = Program::start(&bin.join("vmagent"), "/health", arguments).await;

    target_is_there(&running).await;

    let (_, metrics) = get(&theirs.address, "/metrics").await;
    let failed = metrics.lines().find(|line| {
        ["remotewrite_retries_count_total{", "remotewrite_packets_dropped_total{"].iter().any(|n| line.contains(n))
            && !line.ends_with(" 0")
    });
    assert_eq!(failed, None);
    drop(theirs);
    running.stop().await;
}

/// Gives a folder with the SDK of Python and Envoy, made once; `None`, said in one line, where they cannot be had.
async fn python() -> Option<PathBuf> {
    static FOLDER_OF_PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = tokio::task::spawn_blocking(|| FOLDER_OF_PYTHON.get_or_init(install_python)).await;
    match made.expect("it does not panic") {
        Ok(folder) => Some(folder.clone()),
        Err(why) => {
            missing(&format!("OpenTelemetry of Python and Envoy: {why}"));
            None
        }
    }
}

fn install_python() -> Result<PathBuf, String> {
    let folder = built("senders").join("python");
    let wanted = std::fs::read_to_string(format!("{FOLDER}/requirements.txt")).map_err(|error| error.to_string())?;
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let step = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        output.status.success().then_some(()).ok_or(told)
    };
    step(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--requirement"];
    step(Command::new(folder.join("bin/python")).args(install).arg(format!("{FOLDER}/requirements.txt")))?;
    std::fs::write(done, wanted).map_err(|error| error.to_string())?;
    Ok(folder)
}

/// What a program of an SDK sent as `service` has to be: two spans, a counter and a histogram.
async fn sdk_is_there(running: &Running, mut program: Command, form: &str, address: &str, service: &str) {
    program.args([form, address, service]);
    let output = run(program).await;
    assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
    let trace = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (status, body) = get(&running.jaeger, &format!("/api/traces/{trace}")).await;
    assert_eq!(status, StatusCode::OK, "{service}: {body}");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let spans = found["data"][0]["spans"].as_array().expect("spans");
    let named = |name: &str| spans.iter().find(|span| span["operationName"] == name).expect(name);
    assert_eq!(named("inner")["references"][0]["spanID"], named("outer")["spanID"], "{service}");
    for (series, wanted) in
        [("orders_total{kind=\"book\",", "7"), ("wait_seconds_count{", "1"), ("wait_seconds_sum{", "0.3")]
    {
        assert_eq!(value(running, &format!("{series}job=\"{service}\"}}")).await, wanted, "{service}: {series}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetrys_python_sdk_sends() {
    let Some(folder) = python().await else { return };
    let (running, _dir) = collector().await;
    for (form, address) in [("grpc", &running.grpc), ("http", &running.otlp_http)] {
        let mut program = Command::new(folder.join("bin/python"));
        program.arg(format!("{FOLDER}/sdk.py"));
        sdk_is_there(&running, program, form, address, &format!("py-{form}")).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetrys_javascript_sdk_sends() {
    if !has("node") || !has("npm") {
        return missing("node and npm for OpenTelemetry of JavaScript");
    }
    let place = built("senders").join("javascript");
    std::fs::create_dir_all(&place).expect("a folder");
    for file in ["package.json", "package-lock.json", "sdk.cjs"] {
        std::fs::copy(format!("{FOLDER}/{file}"), place.join(file)).expect("copied");
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&place);
    let installed = run(npm).await;
    if !installed.status.success() {
        let why = String::from_utf8_lossy(&installed.stderr).trim().to_owned();
        return missing(&format!("OpenTelemetry of JavaScript: {why}"));
    }
    let (running, _dir) = collector().await;
    for (form, address) in [("grpc", &running.grpc), ("json", &running.otlp_http), ("proto", &running.otlp_http)] {
        let mut program = Command::new("node");
        program.arg("sdk.cjs").current_dir(&place);
        sdk_is_there(&running, program, form, address, &format!("js-{form}")).await;
    }
    running.stop().await;
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port().to_string()
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("a port")
}

/// Gives Envoy's program: `ENVOY_BIN`, one that is installed, or PyPI's.
async fn envoy() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY_BIN") {
        return Some(path.into());
    }
    if has("envoy") {
        return Some("envoy".into());
    }
    let lib = std::fs::read_dir(python().await?.join("lib")).ok()?;
    lib.flatten().map(|entry| entry.path().join("site-packages/envoy/_bin/envoy")).find(|path| path.exists())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_is_scraped_and_tells_of_its_requests() {
    let Some(program) = envoy().await else { return };
    let backend = serve("hello\n".to_owned(), "text/plain").await;
    let dir = tempfile::tempdir().expect("a folder");
    let admin = format!("127.0.0.1:{}", free_port());
    let scrape = vec![ScrapeJob { path: "/stats/prometheus".to_owned(), ..job("envoy", &admin) }];
    let running = start(Config { store_url: common::sqlite(dir.path()), scrape, ..Config::default() }).await;
    let (by_zipkin, by_otlp) = (free_port(), free_port());
    let mut config = std::fs::read_to_string(format!("{FOLDER}/envoy.yaml")).expect("a configuration");
    for (word, value) in [
        ("@admin@", port(&admin)),
        ("@zipkin_in@", &by_zipkin),
        ("@otlp_in@", &by_otlp),
        ("@backend@", port(&backend)),
        ("@zipkin@", port(&running.zipkin)),
        ("@grpc@", port(&running.grpc)),
    ] {
        config = config.replace(word, value);
    }
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, config).expect("a file");
    let arguments = |_: &str, _: &Path| {
        ["-c", &file.display().to_string(), "--use-dynamic-base-id", "--concurrency", "1"].map(str::to_owned).to_vec()
    };
    let theirs = Program::start_at(&program, &admin, "/ready", arguments).await;

    for (address, service) in [(&by_zipkin, "gateway"), (&by_otlp, "gateway-otlp")] {
        let (status, body) = get(&format!("127.0.0.1:{address}"), "/asked?for=it").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "hello\n"));
        let span = until(service, async || {
            let path = format!("/api/traces?service={service}&limit=1");
            let (_, body) = get(&running.jaeger, &path).await;
            let found: Value = serde_json::from_str(&body).ok()?;
            found["data"][0]["spans"].as_array()?.first().cloned()
        })
        .await;
        let tags = span["tags"].as_array().expect("tags");
        let tag = |name: &str| tags.iter().find(|tag| tag["key"] == name).map(|tag| tag["value"].to_string());
        assert!(tag("http.status_code").is_some_and(|code| code.contains("200")), "{span}");
        assert!(tag("upstream_cluster").is_some_and(|name| name.contains("backend")), "{span}");
    }
    let asked = "sum(envoy_cluster_upstream_rq_total{job=\"envoy\",envoy_cluster_name=\"backend\"}) == 2";
    assert_eq!(value(&running, asked).await, "2");
    drop(theirs);
    running.stop().await;
}

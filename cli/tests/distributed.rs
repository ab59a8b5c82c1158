//! The embedded and the distributed mode decide alike: one recording into both, every decision compared.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Background, eventually, get_json, http, port_base, wattle};

/// Seconds of measurements in the recording.
const SECONDS: i64 = 120;
/// Window length of both, in seconds.
const WINDOW: i64 = 5;

/// One series with its samples, as remote write carries them.
struct Series(Vec<(&'static str, String)>, Vec<(i64, f64)>);

/// Three nodes whose power follows their load, each in its own way, and a service on each.
fn recording(end_ms: i64) -> Vec<Series> {
    let begin = end_ms - SECONDS * 1_000;
    let mut recorded = Vec::new();
    for (at, (node, idle, span)) in
        [("node-a", 60.0, 240.0), ("node-b", 50.0, 150.0), ("node-c", 40.0, 90.0)].into_iter().enumerate()
    {
        let load = |second: i64| 0.4 + 0.3 * ((second as f64) / 9.0 + at as f64).sin();
        let seconds = || (0..=SECONDS).map(|s| (begin + s * 1_000, s));
        let labels = |name: &str| vec![("__name__", name.to_owned()), ("node_name", node.to_owned())];
        let mut joules = 0.0;
        let energy = seconds().map(|(ms, s)| {
            joules += idle + span * load(s);
            (ms, joules)
        });
        let mut zone = labels("kepler_node_cpu_joules_total");
        zone.push(("zone", "psys".to_owned()));
        recorded.push(Series(zone, energy.collect()));
        recorded.push(Series(labels("kepler_node_cpu_usage_ratio"), seconds().map(|(ms, s)| (ms, load(s))).collect()));
        for cpu in 0..8 {
            let mut info = labels("kepler_node_cpu_info");
            info.push(("processor", cpu.to_string()));
            recorded.push(Series(info, seconds().map(|(ms, _)| (ms, 1.0)).collect()));
        }
        recorded.extend(requests(node, begin, &load));
    }
    recorded
}

/// Requests to the service on one node: a counter and its histogram.
fn requests(node: &str, begin: i64, load: &dyn Fn(i64) -> f64) -> Vec<Series> {
    let labels = |name: &str| {
        vec![
            ("__name__", name.to_owned()),
            ("reporter", "destination".to_owned()),
            ("destination_service", "search.hotel.svc.cluster.local".to_owned()),
            ("destination_workload", "search".to_owned()),
            ("response_code", "200".to_owned()),
            ("node", node.to_owned()),
            ("pod", format!("search-{node}")),
        ]
    };
    let cumulative = |share: &dyn Fn(f64) -> f64| {
        let mut sum = 0.0;
        let counted = (0..=SECONDS).map(|s| {
            sum += (50.0 * load(s) * share(load(s))).round();
            (begin + s * 1_000, sum)
        });
        counted.collect::<Vec<_>>()
    };
    let mut recorded = vec![Series(labels("istio_requests_total"), cumulative(&|_| 1.0))];
    let bounds: [(&str, f64); 4] = [("10", 0.3), ("25", 0.7), ("50", 0.96), ("+Inf", 1.0)];
    for (bound, share) in bounds {
        let mut bucket = labels("istio_request_duration_milliseconds_bucket");
        bucket.push(("le", bound.to_owned()));
        recorded.push(Series(bucket, cumulative(&move |load| (share * (1.2 - 0.4 * load)).min(1.0))));
    }
    recorded
}

/// Encodes a remote-write 1.0 request: protobuf, then snappy.
fn remote_write(recorded: &[Series]) -> Vec<u8> {
    let mut request = Vec::new();
    for Series(labels, samples) in recorded {
        let mut sorted = labels.clone();
        sorted.sort();
        let mut series = Vec::new();
        for (name, value) in sorted {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut series, 1, &label);
        }
        for (ms, value) in samples {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(0x10);
            varint(&mut sample, u64::try_from(*ms).expect("after 1970"));
            field(&mut series, 2, &sample);
        }
        field(&mut request, 1, &series);
    }
    snap::raw::Encoder::new().compress_vec(&request).expect("it fits")
}

fn field(into: &mut Vec<u8>, number: u8, content: &[u8]) {
    into.push(number << 3 | 2);
    varint(into, content.len() as u64);
    into.extend_from_slice(content);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn send(api: &str, body: &[u8]) {
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    let (status, answer) = http(api, "POST", "/api/v1/write", &headers, body).expect("the collector answers");
    assert!((200..300).contains(&status), "{status}: {}", String::from_utf8_lossy(&answer));
}

/// The snapshot once it holds the last window of the recording, without what differs from run to run.
fn snapshot(api: &str, end_ms: i64) -> Value {
    let whole =
        eventually(60, || get_json(api, "/api/v1/snapshot").filter(|s| s["window"]["end"].as_i64() >= Some(end_ms)));
    let mut snapshot =
        whole.unwrap_or_else(|| panic!("no snapshot of {end_ms} at {api}: {:?}", get_json(api, "/api/v1/snapshot")));
    let content = snapshot.as_object_mut().expect("an object");
    content.remove("version");
    content.remove("taken");
    snapshot
}

/// What a scheduler would answer: asked as an explanation, because pods that were scored count for a while and make the
/// next answer depend on when it was asked for.
fn explained(scheduler: &str, pod: usize) -> Vec<Value> {
    let cpu = ["100m", "500m", "1", "2500m"][pod % 4];
    let body = serde_json::json!({
        "Pod": {
            "metadata": { "name": format!("search-{pod}"), "namespace": "hotel", "uid": format!("u-{pod}"), "labels": { "app": "search" } },
            "spec": { "containers": [{ "name": "search", "resources": { "requests": { "cpu": cpu, "memory": "64Mi" } } }] },
        },
        "Nodes": null,
        "NodeNames": ["node-c", "node-a", "node-b", "node-unknown"],
    });
    let headers = [("Content-Type", "application/json")];
    let (status, answer) =
        http(scheduler, "POST", "/explain", &headers, body.to_string().as_bytes()).expect("an answer");
    assert_eq!(status, 200);
    let decision: Value = serde_json::from_slice(&answer).expect("JSON");
    let candidates = decision["candidates"].as_array().expect("a list").iter();
    candidates.map(|one| serde_json::json!([one["node"], one["score"], one["reason"]])).collect()
}

/// All decisions of one scheduler, once it uses the model: scores that differ between nodes.
fn decisions(scheduler: &str) -> Vec<Vec<Value>> {
    let differs = |answer: &Vec<Value>| answer.iter().any(|entry| entry[1] != answer[0][1]);
    let ready = eventually(40, || Some(explained(scheduler, 3)).filter(differs));
    assert!(ready.is_some(), "the scheduler at {scheduler} does not use the model: {:?}", explained(scheduler, 3));
    (0..12).map(|pod| explained(scheduler, pod)).collect()
}

fn database(url: &str, name: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        use sqlx::Connection as _;
        let mut connection = sqlx::PgConnection::connect(url).await.expect("PostgreSQL answers");
        let create = format!("create database {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.expect("a new database");
    });
    let (server, _) = url.rsplit_once('/').expect("a database in the address");
    format!("{server}/{name}")
}

fn train(folder: &Path, store: &str, out: &str) -> Value {
    let run = wattle(folder, &["train", "--store", store, "--out", out, "--allow-worse", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// The two installations: one process over SQLite; a collector and a scheduler over PostgreSQL.
struct Both {
    embedded: Background,
    collector: Background,
    scheduler: Background,
}

fn at(offset: u16) -> String {
    format!("127.0.0.1:{}", port_base(1) + offset)
}

impl Both {
    fn start(folder: &Path, store: &str) -> Self {
        let set = |key: &str, offset: u16| format!("{key}={}", at(offset));
        let window = format!("collector.window={WINDOW}s");
        let (patient, never) = ("scheduler.stale_after=30m", "model.train_after=1000000");
        let port = port_base(1).to_string();
        let embedded = [
            "up",
            "--data",
            "embedded",
            "--port-base",
            &port,
            "--set",
            &window,
            "--set",
            patient,
            "--set",
            never,
            "--set",
            "model.reload_every=200ms",
        ];
        let ports = [
            ("collector.listen", 50),
            ("collector.otlp_grpc", 51),
            ("collector.otlp_http", 52),
            ("collector.zipkin", 56),
            ("collector.jaeger_http", 57),
            ("collector.jaeger_grpc", 58),
            ("general.listen", 53),
        ];
        let moved: Vec<String> = ports.iter().map(|(key, offset)| set(key, *offset)).collect();
        let mut collector = vec!["collector"];
        collector.extend(moved.iter().chain([&window]).flat_map(|setting| ["--set", setting.as_str()]));
        let follow = format!("http://{}", at(50));
        let scheduler = [
            "scheduler",
            "--set",
            &set("scheduler.listen", 55),
            "--set",
            &set("general.listen", 54),
            "--collector",
            &follow,
            "--model",
            "model.wattle",
            "--set",
            patient,
            "--set",
            "model.reload_every=200ms",
        ];
        let both = Self {
            embedded: Background::start(folder, "embedded", &embedded),
            collector: Background::start_with(folder, "collector", &collector, &[("WATTLE__COLLECTOR__STORE", store)]),
            scheduler: Background::start(folder, "scheduler", &scheduler),
        };
        for (own, process) in [(0, &both.embedded), (53, &both.collector), (54, &both.scheduler)] {
            let ready = eventually(30, || http(&at(own), "GET", "/readyz", &[], b"").filter(|a| a.0 == 200));
            assert!(ready.is_some(), "{}", process.log());
        }
        both
    }

    fn end(self) {
        for process in [self.embedded, self.collector, self.scheduler] {
            let log = process.log();
            let (code, seconds) = process.interrupt();
            assert_eq!(code, Some(0), "{log}");
            assert!(seconds < 10.0, "{seconds} s: {log}");
        }
    }
}

#[test]
fn embedded_and_distributed_decide_alike() {
    let Ok(postgres) = std::env::var("WATTLE_TEST_POSTGRES") else {
        println!("WATTLE_TEST_POSTGRES is not set: embedded = distributed was not tested (bash .ci/test sets it)");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let store = database(&postgres, &format!("wattle_distributed_{}", std::process::id()));
    let both = Both::start(dir.path(), &store);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let end = i64::try_from(now).expect("a time") / (WINDOW * 1_000) * (WINDOW * 1_000);

    let body = remote_write(&recording(end));
    send(&at(1), &body);
    send(&at(50), &body);

    let (one, other) = (snapshot(&at(1), end), snapshot(&at(50), end));
    assert_eq!(one, other, "the same samples make the same snapshot");
    assert!(one["window"]["nodes"][0]["power_watts"].is_number(), "{one}");
    let from_sqlite = train(dir.path(), "sqlite://embedded/wattle.db", "from-sqlite.wattle");
    let from_postgres = train(dir.path(), &store, "from-postgres.wattle");
    assert_eq!(from_sqlite, from_postgres, "both stores answer alike, so both trainings score alike");
    std::fs::copy(dir.path().join("from-sqlite.wattle"), dir.path().join("embedded/model.wattle")).expect("copied");
    std::fs::copy(dir.path().join("from-postgres.wattle"), dir.path().join("model.wattle")).expect("copied");
    assert_eq!(decisions(&at(7)), decisions(&at(55)), "every decision is the same");
    both.end();
}

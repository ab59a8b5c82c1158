//! Measures the extender on one core: calls a second and the time of the slowest hundredth, at 500 and 5,000 names, and
//! the memory of a large cluster. Run by `bench/scheduler/run`.
//!
//! The server runs alone on one thread, the callers on another, over loopback with kept connections. p99 is read from the
//! server's own histogram (`wattle_scheduler_call_duration_seconds`, interpolated within its bucket as Prometheus does);
//! what the caller saw stands beside it. Calls for one core are calls a second of processor time that the server's thread
//! took, so other work on the machine does not count. Predictions are those of a trained model.

#![expect(clippy::print_stdout, reason = "the table is the product of this program")]

#[allow(dead_code, reason = "the tests use more of it than a benchmark does")]
#[path = "../tests/scheduler/world.rs"]
mod world;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;
use wattle_scheduler::Config;
use wattle_scheduler::cluster::Cluster;

use crate::world::World;

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    bar: Option<f64>,
    more_is_better: bool,
}

struct Run {
    calls_per_cpu_second: f64,
    calls_per_second: f64,
    server_p99_ms: f64,
    caller_p99_ms: f64,
}

/// The server from outside: its address, its metrics, its thread.
struct Server {
    address: SocketAddr,
    registry: prometheus::Registry,
    thread: u32,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let span = Duration::from_secs(if is_quick { 4 } else { 20 });
    let cluster = large_cluster();
    let server = serve();
    let mut figures = Vec::new();
    for (names, calls_bar, p99_bar) in [(500, Some(4000.0), 1.0), (5000, None, 6.0)] {
        let body = body(names);
        let one = run(&server, &body, 1, span);
        figures.push(Figure::at_most(
            format!("prioritize, {names} names, server p99"),
            one.server_p99_ms,
            "ms",
            p99_bar,
        ));
        figures.push(Figure::shown(format!("prioritize, {names} names, caller p99"), one.caller_p99_ms, "ms"));
        if let Some(bar) = calls_bar {
            let many = run(&server, &body, 4, span);
            let name = |what: &str| format!("prioritize, {names} names, {what}");
            figures.push(Figure::at_least(name("a core"), many.calls_per_cpu_second, "calls/CPU-s", bar));
            figures.push(Figure::shown(name("wall clock"), many.calls_per_second, "calls/s"));
        }
    }
    let name = format!("memory, {} nodes and {} pods cached", cluster.nodes(), cluster.pods());
    figures.push(Figure::at_most(name, resident_mib(), "MB", 300.0));
    if arguments.iter().any(|argument| argument == "--json") { json(&figures) } else { table(&figures) }
}

/// Starts a scheduler over 5,000 nodes on a thread of its own.
fn serve() -> Server {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let thread = std::fs::read_link("/proc/thread-self").ok();
        let thread = thread.and_then(|link| link.file_name()?.to_str()?.parse().ok()).expect("Linux names its threads");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::measured(Config::default(), 4_997).await;
            let server = Server { address: world.address, registry: world.registry.clone(), thread };
            sender.send(server).expect("main waits");
            while world.decisions.recv().await.is_some() {}
        });
    });
    receiver.recv().expect("the server starts")
}

impl Server {
    /// Processor time that its thread has taken. Units: seconds.
    fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/self/task/{}/schedstat", self.thread);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
    }

    /// Calls so far, and those at most as long as each bound.
    fn histogram(&self) -> Vec<(f64, f64)> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "wattle_scheduler_call_duration_seconds");
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        let is_ours = |m: &&prometheus::proto::Metric| m.get_label().iter().any(|label| label.value() == "prioritize");
        let Some(metric) = metrics.iter().find(is_ours) else { return Vec::new() };
        let buckets = metric.get_histogram().get_bucket();
        buckets.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count() as f64)).collect()
    }
}

/// Gives the 99th percentile between two readings. Units: milliseconds.
fn p99_ms(before: &[(f64, f64)], after: &[(f64, f64)]) -> f64 {
    let counts: Vec<(f64, f64)> = after
        .iter()
        .enumerate()
        .map(|(at, (bound, count))| (*bound, count - before.get(at).map_or(0.0, |(_, count)| *count)))
        .collect();
    let rank = 0.99 * counts.last().map_or(0.0, |(_, count)| *count);
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in counts {
        if count >= rank && count > below {
            return 1000.0 * (low + (bound - low) * (rank - below) / (count - below));
        }
        (low, below) = (bound, count);
    }
    f64::INFINITY
}

/// A recorded body with its names replaced where there is a corpus, else one of the same shape.
fn body(names: usize) -> Vec<u8> {
    let names: Vec<String> = (0..names).map(|i| format!("node-{i:05}")).collect();
    let root = std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let recorded = std::fs::read(root.join("extender/cached-prioritize.request.json")).ok();
    let Some(recorded) = recorded else {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return world::args("bench", &names).into_bytes();
    };
    let mut body: serde_json::Value = serde_json::from_slice(&recorded).expect("a recorded body");
    body["NodeNames"] = names.into();
    body.to_string().into_bytes()
}

/// Calls over `connections` at once for `span`, after a tenth of it to warm up.
fn run(server: &Server, body: &[u8], connections: usize, span: Duration) -> Run {
    let (address, before, cpu) = (server.address, server.histogram(), server.cpu_seconds());
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let body = body.to_vec();
            std::thread::spawn(move || call(address, &body, span))
        })
        .collect();
    let mut times: Vec<f64> = callers.into_iter().flat_map(|caller| caller.join().expect("calls")).collect();
    let (after, cpu) = (server.histogram(), server.cpu_seconds() - cpu);
    times.sort_by(f64::total_cmp);
    let total = |counts: &[(f64, f64)]| counts.last().map_or(0.0, |(_, count)| *count);
    Run {
        calls_per_cpu_second: (total(&after) - total(&before)) / cpu,
        calls_per_second: times.len() as f64 / span.as_secs_f64(),
        server_p99_ms: p99_ms(&before, &after),
        caller_p99_ms: times[times.len() * 99 / 100] * 1000.0,
    }
}

fn call(address: SocketAddr, body: &[u8], span: Duration) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut request = format!(
        "POST /scheduler/prioritize HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut answer = vec![0; 1 << 20];
    let began = Instant::now();
    let mut times = Vec::new();
    loop {
        let sent = Instant::now();
        stream.write_all(&request).expect("sent");
        read_answer(&mut stream, &mut answer);
        let now = Instant::now();
        if now - began > span + span / 10 {
            return times;
        }
        if now - began > span / 10 {
            times.push((now - sent).as_secs_f64());
        }
    }
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let mut whole = None;
    while whole.is_none_or(|whole| filled < whole) {
        let read = stream.read(&mut buffer[filled..]).expect("an answer");
        assert!(read > 0, "the server closed the connection");
        filled += read;
        if whole.is_none()
            && let Some(head) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            whole = Some(head + 4 + length.and_then(|length| length.parse::<usize>().ok()).expect("a length"));
        }
    }
}

/// 5,000 nodes and 50,000 pods, as the watch on Kubernetes would fill it.
fn large_cluster() -> Cluster {
    let mut cluster = Cluster::default();
    for i in 0..5_000 {
        let node = serde_json::json!({"metadata": {"name": format!("node-{i:05}"), "labels": {
            "kubernetes.io/hostname": format!("node-{i:05}"), "topology.kubernetes.io/zone": format!("zone-{}", i % 3)}},
            "status": {"capacity": {"cpu": "64"}, "allocatable": {"cpu": "63"}}});
        cluster.apply_node(&serde_json::from_value(node).expect("a node"));
    }
    for i in 0..50_000 {
        let pod = serde_json::json!({"metadata": {"name": format!("service-{i:05}-7d9c5b8f4d-x2x4z"),
            "namespace": "production", "uid": format!("74d679dd-98b6-4e44-a815-{i:012}")},
            "spec": {"nodeName": format!("node-{:05}", i % 5_000), "containers": []}, "status": {"phase": "Running"}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        cluster.apply_pod(&pod);
    }
    cluster
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

impl Figure {
    fn at_most(name: String, value: f64, unit: &'static str, bar: f64) -> Self {
        Self { name, value, unit, bar: Some(bar), more_is_better: false }
    }

    fn at_least(name: String, value: f64, unit: &'static str, bar: f64) -> Self {
        Self { name, value, unit, bar: Some(bar), more_is_better: true }
    }

    /// A figure that no bar is set for.
    fn shown(name: String, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, bar: None, more_is_better: false }
    }

    fn is_met(&self) -> Option<bool> {
        self.bar.map(|bar| if self.more_is_better { self.value >= bar } else { self.value <= bar })
    }
}

fn json(figures: &[Figure]) {
    let list: Vec<serde_json::Value> = figures
        .iter()
        .map(|figure| {
            serde_json::json!({"name": figure.name, "value": figure.value, "unit": figure.unit, "bar": figure.bar,
                "met": figure.is_met()})
        })
        .collect();
    println!("{}", serde_json::Value::from(list));
}

fn table(figures: &[Figure]) {
    println!("{:<46}  {:>10}  {:<11}  {:>8}  MET", "NAME", "VALUE", "UNIT", "BAR");
    for figure in figures {
        let met = figure.is_met().map_or("-", |is_met| if is_met { "yes" } else { "no" });
        let bar = figure.bar.map_or_else(|| "-".to_owned(), |bar| bar.to_string());
        println!("{:<46}  {:>10.2}  {:<11}  {bar:>8}  {met}", figure.name, figure.value, figure.unit);
    }
}

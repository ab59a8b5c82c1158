//! A running scheduler over a small measured cluster, and a client that sees every byte.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use prometheus::Registry;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattle_contract::{
    ClusterSnapshot, Decision, EnergySource, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeWindow,
    ServiceWindow, Timestamp, Watts, Window,
};
use wattle_model::{Dataset, Predictor, TrainOptions, train};
use wattle_scheduler::{Clock, Config, Scheduler};

/// Idle watts, watts above idle at full load, cores: of `node-00000`, `node-00001`, `node-00002`.
pub(crate) const MACHINES: [(f64, f64, f64); 3] = [(60.0, 180.0, 16.0), (110.0, 90.0, 32.0), (45.0, 300.0, 64.0)];

/// Length of a window. Units: milliseconds.
pub(crate) const WINDOW: i64 = 15_000;

pub(crate) fn window(at: i64, extra_nodes: usize) -> Window {
    let ms = |value: f64| Milliseconds::new(value).expect("finite");
    let mut nodes = Vec::new();
    let mut services = Vec::new();
    for number in 0..MACHINES.len() + extra_nodes {
        let (idle, span, cores) = MACHINES[number % MACHINES.len()];
        let u = 0.35 + 0.3 * (at as f64 / 9.0 + number as f64).sin();
        nodes.push(NodeWindow {
            node: format!("node-{number:05}").into(),
            machine: MachineFacts {
                cpu_capacity_millicores: Millicores::new(cores * 1000.0),
                ..MachineFacts::default()
            },
            power_watts: Watts::new(idle + span * u),
            energy_joules: None,
            energy_source: Some(EnergySource::Simulated),
            cpu_used_millicores: Millicores::new(u * cores * 1000.0),
            memory_used_bytes: None,
            requests_per_second: Some(100.0 * u),
            pods: Some(4),
        });
        services.push(ServiceWindow {
            service: "search.hotel.svc.cluster.local".into(),
            node: format!("node-{number:05}").into(),
            requests_per_second: 50.0 * u,
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: Some(LatencyBracket { low: ms(0.0), estimate: ms(4.0 / (1.0 - u)), high: Some(ms(100.0)) }),
            cpu_used_millicores: Millicores::new(500.0 * u),
            power_watts: None,
        });
    }
    Window { start: Timestamp(at * WINDOW), end: Timestamp((at + 1) * WINDOW), nodes, services, edges: Vec::new() }
}

pub(crate) fn snapshot(at: i64, extra_nodes: usize) -> ClusterSnapshot {
    let window = window(at, extra_nodes);
    ClusterSnapshot::of(at as u64, window)
}

/// A model trained once on a hundred such windows.
pub(crate) fn predictor() -> Arc<Predictor> {
    static PREDICTOR: OnceLock<Arc<Predictor>> = OnceLock::new();
    let trained = || {
        let windows: Vec<Window> = (0..100).map(|at| window(at, 0)).collect();
        let trained = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| {}).expect("trains");
        Arc::new(Predictor::new(&trained.artifact).expect("loads"))
    };
    Arc::clone(PREDICTOR.get_or_init(trained))
}

/// A scheduler that was started, and the other end of each of its seams.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) scheduler: Scheduler,
    pub(crate) snapshots: watch::Sender<Option<Arc<ClusterSnapshot>>>,
    pub(crate) model: watch::Sender<Option<Arc<Predictor>>>,
    pub(crate) decisions: mpsc::Receiver<Decision>,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
}

impl World {
    /// Starts one that knows nothing yet.
    pub(crate) async fn empty(config: Config, kube: Option<kube::Config>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (snapshots, snapshots_receiver) = watch::channel(None);
        let (model, model_receiver) = watch::channel(None);
        let (sender, decisions) = mpsc::channel(8);
        let (registry, shutdown) = (Registry::new(), CancellationToken::new());
        let scheduler = Scheduler::start(
            config,
            listener,
            snapshots_receiver,
            model_receiver,
            sender,
            kube.as_ref(),
            &registry,
            shutdown.clone(),
        )
        .expect("starts");
        Self { address, scheduler, snapshots, model, decisions, registry, shutdown }
    }

    /// Starts one with a measured cluster and a trained model, a second after the last window.
    pub(crate) async fn measured(config: Config, extra_nodes: usize) -> Self {
        let now = Timestamp(1001 * WINDOW + 1_000);
        let world = Self::empty(Config { clock: Clock::new(move || now), ..config }, None).await;
        world.model.send(Some(predictor())).expect("the scheduler listens");
        world.snapshots.send(Some(Arc::new(snapshot(1000, extra_nodes)))).expect("the scheduler listens");
        world.until(r#"wattle_scheduler_compile_duration_seconds_count"#, |value| value >= 1.0).await;
        let body = args("warm", &["node-00000"]);
        while !world.post("/explain", body.as_bytes()).await.text().contains("predicted") {
            tokio::task::yield_now().await;
        }
        world
    }

    /// Gives the sum of a metric over its label values that contain `line`'s text.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).expect("encodes");
        let values =
            text.lines().filter(|l| l.starts_with(line)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>()
    }

    /// Waits until a metric is as it should be.
    pub(crate) async fn until(&self, line: &str, is_so: impl Fn(f64) -> bool) {
        while !is_so(self.metric(line)) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::to(TcpStream::connect(self.address).await.expect("listens"))
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.connect().await.post(path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let mut connection = self.connect().await;
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        connection.reply().await.expect("an answer")
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.scheduler.join().await;
    }
}

/// A connection that stays open between calls, like Go's.
pub(crate) struct Connection<S = TcpStream>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn to(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("the other end reads");
    }

    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
            body.len()
        );
        self.send(head.as_bytes()).await;
        self.send(body).await;
        self.reply().await.expect("an answer")
    }

    /// Reads the status of a reply that has no body.
    pub(crate) async fn status(&mut self) -> Option<u16> {
        let mut line = String::new();
        self.0.read_line(&mut line).await.ok()?;
        line.split(' ').nth(1)?.parse().ok()
    }

    /// Reads one reply; `None` when the connection was closed before one.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let status = head.first()?.split(' ').nth(1)?.parse().ok()?;
        let header = |name: &str| {
            head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(|v| v.trim().to_owned()))
        };
        let length = header("content-length:").expect("every answer says its length").parse().expect("a number");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Reply { status, body })
    }

    pub(crate) fn split(self) -> S {
        self.0.into_inner()
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The scores of a prioritize call as kube-scheduler counts them: a host that is not named has 0.
    pub(crate) fn scores(&self, of: &[&str]) -> Vec<u64> {
        let entries = self.json();
        let entries = entries.as_array().expect("a bare array");
        let entry = |name: &&str| entries.iter().find(|entry| entry["Host"] == **name);
        of.iter().map(|name| entry(name).map_or(0, |entry| entry["Score"].as_u64().expect("a whole score"))).collect()
    }
}

/// A call about a pod of service `search` with 500 m.
pub(crate) fn args(pod: &str, nodes: &[&str]) -> String {
    serde_json::json!({
        "Pod": {
            "metadata": {"name": pod, "namespace": "hotel", "uid": format!("uid-{pod}"), "labels": {"app": "search"}},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}]},
        },
        "Nodes": null,
        "NodeNames": nodes,
    })
    .to_string()
}

/// Where the recorded bodies are; `None`, said in one line, on a machine that has only the repository.
#[expect(clippy::print_stdout, reason = "a test that compares less than it could says so")]
pub(crate) fn corpus(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let folder = root.join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("no corpus at {}: not compared with recorded bodies (set WATTLE_CORPUS)", folder.display());
    None
}

/// Gives the error of a start that must fail.
pub(crate) async fn start_error(config: Config) -> wattle_scheduler::Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (snapshots, model) = (watch::channel(None).1, watch::channel(None).1);
    let decisions = mpsc::channel(1).0;
    let (registry, shutdown) = (Registry::new(), CancellationToken::new());
    Scheduler::start(config, listener, snapshots, model, decisions, None, &registry, shutdown).expect_err("refused")
}

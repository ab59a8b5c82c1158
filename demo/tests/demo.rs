//! The whole demo with the simplest possible proxies: requests go all the way down the call graph and back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattle_contract::PodKey;
use wattle_demo::{Config, Demo, DemoPod, Energy, Error, Event, Listeners, Placement, RaplPaths};

/// Host without port, to the applications behind it.
type Routes = Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>;

/// What the proxies of one pod see: who called whom, and with which trace.
type Calls = Arc<Mutex<Vec<(String, String, Option<String>)>>>;

#[derive(Clone)]
struct Proxy {
    workload: String,
    routes: Routes,
    calls: Calls,
    client: Client<HttpConnector, Body>,
}

async fn forward(State(proxy): State<Proxy>, mut request: Request) -> Response {
    let host = request.headers()["host"].to_str().expect("a host").to_owned();
    let name = host.split(':').next().expect("a name").to_owned();
    let trace = request.headers().get("traceparent").map(|value| value.to_str().expect("text").to_owned());
    proxy.calls.lock().push((proxy.workload.clone(), name.clone(), trace));
    let Some(application) = proxy.routes.lock().get(&name).and_then(|all| all.first().copied()) else {
        return (http::StatusCode::SERVICE_UNAVAILABLE, "no endpoint").into_response();
    };
    *request.uri_mut() = format!("http://{application}{}", request.uri().path()).parse().expect("a URI");
    // A real proxy starts a trace at the edge.
    if proxy.workload == "loadgen" {
        request.headers_mut().insert("traceparent", http::HeaderValue::from_static("00-trace-01"));
    }
    match proxy.client.request(request).await {
        Ok(response) => response.into_response(),
        Err(error) => (http::StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// The demo with a proxy for every pod.
struct Cluster {
    demo: Demo,
    shutdown: CancellationToken,
    calls: Calls,
    routes: Routes,
    exporters: Vec<SocketAddr>,
    placements: mpsc::Receiver<Placement>,
    stopped: mpsc::Receiver<PodKey>,
}

impl Cluster {
    async fn start(data: &Path) -> Self {
        let (events, received) = mpsc::channel(4);
        let shutdown = CancellationToken::new();
        let (listeners, exporters) = listeners(3).await;
        let extender = closed_port().await;
        let config = Config {
            place_every: Duration::from_millis(20),
            leave: Duration::from_millis(20),
            rate: 40.0,
            ..Config::new(data.into(), extender)
        };
        let demo = Demo::start(config, listeners, events, shutdown.clone()).await.expect("the demo starts");
        let (calls, routes) = (Calls::default(), Routes::default());
        let (placed, placements) = mpsc::channel(256);
        let (gone, stopped) = mpsc::channel(256);
        tokio::spawn(follow(received, Arc::clone(&routes), Arc::clone(&calls), placed, gone));
        Self { demo, shutdown, calls, routes, exporters, placements, stopped }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.demo.join().await;
    }
}

async fn follow(
    mut events: mpsc::Receiver<Event>,
    routes: Routes,
    calls: Calls,
    placed: mpsc::Sender<Placement>,
    gone: mpsc::Sender<PodKey>,
) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    while let Some(event) = events.recv().await {
        match event {
            Event::PodStarted(DemoPod { identity, outbound, inbound }) => {
                if let Some(inbound) = inbound {
                    let host = format!("{}.hotel.svc.cluster.local", identity.labels["app"]);
                    routes.lock().entry(host).or_default().push(inbound.application);
                }
                let (workload, routes) = (identity.workload.to_string(), Arc::clone(&routes));
                let proxy = Proxy { workload, routes, calls: Arc::clone(&calls), client: client.clone() };
                let app = Router::new().fallback(forward).with_state(proxy);
                tokio::spawn(async move { axum::serve(outbound, app).await });
            }
            Event::Placed(placement) => {
                let _ = placed.try_send(placement);
            }
            Event::PodStopped(pod) => {
                let _ = gone.try_send(pod);
            }
        }
    }
}

async fn listeners(count: usize) -> (Listeners, Vec<SocketAddr>) {
    let mut exporters = Vec::new();
    for _ in 0..count {
        exporters.push(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    }
    let addresses = exporters.iter().map(|listener| listener.local_addr().expect("an address")).collect();
    (Listeners { exporters }, addresses)
}

async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port")
}

async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it becomes so within 30 s");
}

async fn get(address: SocketAddr, path: &str) -> String {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://{address}{path}").parse().expect("a URI")).await.expect("an answer");
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 20).await.expect("a body");
    String::from_utf8(body.into()).expect("text")
}

#[tokio::test]
async fn requests_run_down_the_call_graph_and_cost_energy() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path()).await;
    assert!(cluster.demo.mesh_files().iter().all(|file| file.exists()), "written before the first request");

    wait_until(|| cluster.demo.summary().requests_sent > 20).await;
    let placement = cluster.placements.recv().await.expect("a placement");
    let text = get(cluster.exporters[1], "/metrics").await;
    let summary = cluster.demo.summary();

    assert_eq!(summary.requests_failed, 0);
    assert!(summary.joules.len() == 3 && summary.joules.values().all(|joules| joules.get() > 0.0), "{summary:?}");
    assert_eq!(placement.node, placement.default_node);
    assert!(placement.fallback.is_some(), "there is no extender here");
    assert!(text.contains("kepler_node_cpu_joules_total{node_name=\"node-b\",path=\"simulated/hitachi-rs110-hhm\""));
    let calls = cluster.calls.lock().clone();
    for (client, server) in [("loadgen", "frontend"), ("frontend", "search"), ("search", "geo"), ("search", "rate")] {
        let host = format!("{server}.hotel.svc.cluster.local");
        let mut of_edge = calls.iter().filter(|call| call.0 == client && call.1 == host);
        let call = of_edge.next().unwrap_or_else(|| panic!("no call from {client} to {server}"));
        assert_eq!(call.2.is_some(), client != "loadgen", "the trace is handed on from {client}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn failures_travel_up_to_the_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path()).await;
    wait_until(|| cluster.demo.summary().requests_sent > 3).await;
    assert_eq!(cluster.demo.summary().requests_failed, 0);

    let nobody = closed_port().await;
    cluster.routes.lock().insert("profile.hotel.svc.cluster.local".to_owned(), vec![nobody]);

    wait_until(|| cluster.demo.summary().requests_failed > 3).await;
    cluster.stop().await;
}

#[tokio::test]
async fn replicas_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path()).await;

    let gone = tokio::time::timeout(Duration::from_secs(30), cluster.stopped.recv()).await;

    let gone = gone.expect("in time").expect("a stopped pod");
    assert_eq!((&*gone.namespace.as_str().to_owned(), gone.name.starts_with("search-")), ("hotel", true));
    let endpoints = std::fs::read_to_string(cluster.demo.mesh_dir().join("endpoints.yaml")).expect("endpoints");
    assert!(!endpoints.contains(&format!("name: {}\n", gone.name)));
    assert!(cluster.demo.summary().placements >= 6);
    cluster.stop().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = async |config: Config, exporters: usize| {
        let (events, _received) = mpsc::channel(1);
        let listeners = listeners(exporters).await.0;
        Demo::start(config, listeners, events, CancellationToken::new()).await.expect_err("refused")
    };
    let extender = closed_port().await;

    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = start(Config { rate, ..Config::new(folder.path().into(), extender) }, 3).await;
        assert!(matches!(error, Error::Setting { setting: "rate", .. }), "{error}");
    }
    let error = start(Config { place_every: Duration::ZERO, ..Config::new(folder.path().into(), extender) }, 3).await;
    assert_eq!(error.label(), "setting");
    let error = start(Config::new(folder.path().into(), extender), 1).await;
    assert!(matches!(error, Error::Listeners { expected: 3, got: 1 }), "{error}");

    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = start(Config::new(file, extender), 3).await;
    assert!(matches!(error, Error::WriteMesh { .. }), "{error}");

    let paths = RaplPaths::new(folder.path().join("powercap"));
    let error = start(Config { energy: Energy::Rapl(paths), ..Config::new(folder.path().into(), extender) }, 1).await;
    assert_eq!(error.label(), "rapl");
}

#[tokio::test]
async fn measured_energy_is_that_of_one_node_named_after_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, text).expect("written");
    };
    write("powercap/intel-rapl:0/name", "package-0");
    write("powercap/intel-rapl:0/energy_uj", "1000000");
    write("proc/sys/kernel/hostname", "box");
    let energy = Energy::Rapl(RaplPaths { powercap: folder.path().join("powercap"), proc: folder.path().join("proc") });
    let (events, mut received) = mpsc::channel(64);
    let (listeners, exporters) = listeners(1).await;
    let shutdown = CancellationToken::new();
    let config = Config { energy: energy.clone(), ..Config::new(folder.path().into(), closed_port().await) };

    let demo = Demo::start(config, listeners, events, shutdown.clone()).await.expect("the demo starts");

    assert_eq!(energy.facts().keys().map(|node| node.as_str()).collect::<Vec<_>>(), ["box"]);
    let Some(Event::PodStarted(pod)) = received.recv().await else { panic!("expected a started pod") };
    assert_eq!(pod.identity.node, Some("box".into()));
    let text = get(exporters[0], "/metrics").await;
    assert!(text.contains("kepler_node_cpu_joules_total{node_name=\"box\"") && !text.contains("simulated"), "{text}");
    assert_eq!(demo.summary().joules.len(), 1);
    shutdown.cancel();
    demo.join().await;
}

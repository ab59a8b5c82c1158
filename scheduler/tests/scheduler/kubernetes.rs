//! A mock API server: lists, watches that break, a version that is too old, bindings.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wattle_contract::Timestamp;
use wattle_scheduler::{Clock, Config};

use crate::world::{WINDOW, World, predictor, snapshot};

#[derive(Default)]
struct Api {
    nodes: Mutex<Vec<Value>>,
    pods: Mutex<Vec<Value>>,
    /// Sends lines to the newest watch on pods; dropping it breaks that watch.
    pod_events: Mutex<Option<mpsc::UnboundedSender<Value>>>,
    pod_watches: AtomicUsize,
    pod_lists: AtomicUsize,
    bindings: Mutex<Vec<Value>>,
    events: Mutex<Vec<Value>>,
    /// Answers nothing but 503, as when it is overloaded.
    is_down: AtomicBool,
    /// Takes what is asked and says nothing.
    hangs: AtomicBool,
}

#[derive(serde::Deserialize)]
struct Asked {
    watch: Option<String>,
}

impl Api {
    async fn start(self: &Arc<Self>) -> kube::Config {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let uri = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URI");
        let routes = Router::new()
            .route("/api/v1/nodes", get(nodes))
            .route("/api/v1/pods", get(pods))
            .route("/api/v1/namespaces/{namespace}/pods/{pod}", get(pod))
            .route("/api/v1/namespaces/{namespace}/pods/{pod}/binding", post(bind))
            .route("/apis/events.k8s.io/v1/namespaces/{namespace}/events", post(event))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        kube::Config::new(uri)
    }

    /// Sends an event to the newest watch, once there is one.
    async fn say(&self, kind: &str, object: Value) {
        loop {
            if let Some(events) = self.pod_events.lock().as_ref() {
                events.send(json!({"type": kind, "object": object})).expect("watched");
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn list(kind: &str, items: &[Value]) -> Response {
    axum::Json(json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "100"}, "items": items}))
        .into_response()
}

fn watching(events: mpsc::UnboundedReceiver<Value>) -> Response {
    let lines = futures_util::stream::unfold(events, |mut events| async {
        let event = events.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))), events))
    });
    Body::from_stream(lines).into_response()
}

async fn nodes(State(api): State<Arc<Api>>, Query(asked): Query<Asked>) -> Response {
    if asked.watch.is_none() {
        return list("NodeList", &api.nodes.lock());
    }
    let (sender, events) = mpsc::unbounded_channel();
    // Held open: nothing changes.
    tokio::spawn(async move { sender.closed().await });
    watching(events)
}

async fn pods(State(api): State<Arc<Api>>, Query(asked): Query<Asked>) -> Response {
    if api.is_down.load(Ordering::SeqCst) {
        return status(503, "ServiceUnavailable");
    }
    if api.hangs.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    if asked.watch.is_none() {
        api.pod_lists.fetch_add(1, Ordering::SeqCst);
        return list("PodList", &api.pods.lock());
    }
    let (sender, events) = mpsc::unbounded_channel();
    *api.pod_events.lock() = Some(sender);
    api.pod_watches.fetch_add(1, Ordering::SeqCst);
    watching(events)
}

async fn pod(State(api): State<Arc<Api>>, Path((_, name)): Path<(String, String)>) -> Response {
    let pods = api.pods.lock();
    match pods.iter().find(|pod| pod["metadata"]["name"] == name.as_str()) {
        Some(pod) => axum::Json(pod.clone()).into_response(),
        None => status(404, "NotFound"),
    }
}

async fn bind(State(api): State<Arc<Api>>, Path((_, name)): Path<(String, String)>, body: Bytes) -> Response {
    if api.pods.lock().iter().any(|pod| pod["metadata"]["name"] == name.as_str()) {
        return status(409, "Conflict");
    }
    let binding: Value = serde_json::from_slice(&body).expect("JSON");
    let pod = pod_on(&name, binding["target"]["name"].as_str().expect("a node"), "500m");
    api.bindings.lock().push(binding);
    api.pods.lock().push(pod);
    (StatusCode::CREATED, axum::Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201})))
        .into_response()
}

async fn event(State(api): State<Arc<Api>>, body: Bytes) -> Response {
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    api.events.lock().push(event.clone());
    (StatusCode::CREATED, axum::Json(event)).into_response()
}

fn status(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": reason});
    (StatusCode::from_u16(code).expect("a status"), axum::Json(status)).into_response()
}

fn node(name: &str, cpu: &str) -> Value {
    json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "status": {"capacity": {"cpu": cpu}, "allocatable": {"cpu": cpu}}})
}

fn pod_on(name: &str, node: &str, cpu: &str) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "hotel", "uid": format!("uid-{name}"), "resourceVersion": "2"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        "status": {"phase": "Running"}})
}

/// A scheduler that watches, a second after its last window.
async fn watching_world(api: &Arc<Api>, config: Config) -> World {
    watching_world_by(api.start().await, config).await
}

async fn watching_world_by(kube: kube::Config, config: Config) -> World {
    let now = Timestamp(1001 * WINDOW + 1_000);
    let world = World::empty(Config { clock: Clock::new(move || now), ..config }, Some(kube)).await;
    world.until(r#"wattle_scheduler_watch_up{resource="pods"}"#, |up| up == 1.0).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_pods_are_assumed_through_breaks_and_relists() {
    let api = Arc::new(Api::default());
    *api.nodes.lock() = vec![node("node-00000", "16"), node("node-00001", "32")];
    *api.pods.lock() = vec![pod_on("old", "node-00000", "1")];
    let world = watching_world(&api, Config::default()).await;
    world.until("wattle_scheduler_cluster_nodes", |nodes| nodes == 2.0).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 1.0).await;

    api.say("ADDED", pod_on("a", "node-00000", "500m")).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 2.0).await;

    // The watch breaks, as when the API server restarts: it goes on where it was.
    api.pod_events.lock().take();
    api.say("ADDED", pod_on("b", "node-00001", "500m")).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 3.0).await;

    // The version is too old: everything is listed anew, and what is no longer there is gone.
    *api.pods.lock() = vec![pod_on("b", "node-00001", "500m")];
    let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version"});
    api.say("ERROR", gone).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 1.0).await;
    assert!(api.pod_lists.load(Ordering::SeqCst) >= 2);
    world.until("wattle_scheduler_assumed_pods", |pods| pods == 1.0).await;

    api.say("DELETED", pod_on("b", "node-00001", "500m")).await;
    world.until("wattle_scheduler_assumed_pods", |pods| pods == 0.0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_node_comes_from_kubernetes_where_no_exporter_tells() {
    let api = Arc::new(Api::default());
    *api.nodes.lock() = vec![node("node-00000", "16")];
    let world = watching_world(&api, Config::default()).await;
    world.until("wattle_scheduler_cluster_nodes", |nodes| nodes == 1.0).await;
    let mut snapshot = snapshot(1000, 0);
    for node in &mut snapshot.window.nodes {
        node.machine.cpu_capacity_millicores = None;
    }

    world.model.send(Some(predictor())).expect("the scheduler listens");
    world.snapshots.send(Some(Arc::new(snapshot))).expect("the scheduler listens");

    let ask = crate::world::args("p", &["node-00000", "node-00001"]);
    loop {
        let decision = world.post("/explain", ask.as_bytes()).await.json();
        if decision["candidates"][0]["reason"] == "predicted" {
            assert_eq!(decision["candidates"][1]["reason"], "no_measurement");
            break;
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_writes_the_binding_and_can_be_asked_again() {
    let api = Arc::new(Api::default());
    let world = watching_world(&api, Config { bind: true, ..Config::default() }).await;
    let bind = async |node: &str, uid: &str| {
        let body = json!({"PodName": "p", "PodNamespace": "hotel", "PodUID": uid, "Node": node}).to_string();
        world.post("/scheduler/bind", body.as_bytes()).await.text()
    };

    assert_eq!(bind("node-00001", "uid-p").await, r#"{"Error":""}"#);
    assert_eq!(api.bindings.lock()[0]["target"]["name"], "node-00001");
    assert_eq!(api.bindings.lock()[0]["metadata"]["uid"], "uid-p");
    world.until("wattle_scheduler_assumed_pods", |pods| pods == 1.0).await;

    assert_eq!(bind("node-00001", "uid-p").await, r#"{"Error":""}"#);
    assert_eq!(
        bind("node-00002", "uid-p").await,
        r#"{"Error":"pod hotel/p is already on node node-00001, not on node-00002"}"#
    );
    assert!(bind("node-00001", "another").await.contains("Conflict"));
    assert_eq!(api.bindings.lock().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placed_pod_gets_one_event_in_constant_words_with_its_figures() {
    let api = Arc::new(Api::default());
    let world = watching_world(&api, Config::default()).await;
    world.model.send(Some(predictor())).expect("the scheduler listens");
    world.snapshots.send(Some(Arc::new(snapshot(1000, 0)))).expect("the scheduler listens");
    let ask = crate::world::args("p", &["node-00000", "node-00001"]);
    while !world.post("/explain", ask.as_bytes()).await.text().contains("predicted") {}
    let scores = world.post("/scheduler/prioritize", ask.as_bytes()).await.scores(&["node-00000", "node-00001"]);
    let best = usize::from(scores[1] > scores[0]);

    let placed = pod_on("p", &format!("node-0000{best}"), "500m");
    api.say("ADDED", placed.clone()).await;
    api.say("MODIFIED", placed).await;
    world.until(r#"wattle_scheduler_events_total{result="written"}"#, |count| count == 1.0).await;

    let events = api.events.lock().clone();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["note"], "Placed on a node with the least predicted cost.");
    assert_eq!((&events[0]["reason"], &events[0]["regarding"]["uid"]), (&"WattlePlaced".into(), &"uid-p".into()));
    let figures = &events[0]["metadata"]["annotations"];
    assert!(figures["wattle.dev/added-watts"].is_string() && figures["wattle.dev/score"] == "10", "{figures}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_gone_answers_go_on_from_what_was_known() {
    let api = Arc::new(Api::default());
    *api.pods.lock() = vec![pod_on("a", "node-00000", "500m")];
    let world = watching_world(&api, Config::default()).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 1.0).await;

    api.is_down.store(true, Ordering::SeqCst);
    api.pod_events.lock().take();
    world.until("wattle_scheduler_watch_errors_total", |errors| errors >= 1.0).await;

    let reply = world.post("/scheduler/prioritize", crate::world::args("p", &["node-00000", "x"]).as_bytes()).await;
    assert_eq!(reply.json().as_array().map(Vec::len), Some(2));
    assert_eq!(world.metric("wattle_scheduler_cluster_pods"), 1.0);
    assert_eq!(world.metric(r#"wattle_scheduler_watch_up{resource="pods"}"#), 0.0);

    // Every answer is seen: nothing is tried again behind one's back, for minutes.
    world.until("wattle_scheduler_watch_errors_total", |errors| errors >= 2.0).await;

    // It comes back: the watch works again though nothing happens.
    api.is_down.store(false, Ordering::SeqCst);
    world.until(r#"wattle_scheduler_watch_up{resource="pods"}"#, |up| up == 1.0).await;
    api.say("ADDED", pod_on("b", "node-00000", "500m")).await;
    world.until("wattle_scheduler_cluster_pods", |pods| pods == 2.0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_hangs_is_noticed_and_so_is_its_return() {
    let api = Arc::new(Api::default());
    let mut kube = api.start().await;
    kube.read_timeout = Some(Duration::from_millis(300));
    let world = watching_world_by(kube, Config::default()).await;

    api.hangs.store(true, Ordering::SeqCst);
    world.until(r#"wattle_scheduler_watch_up{resource="pods"}"#, |up| up == 0.0).await;
    assert!(world.metric(r#"wattle_scheduler_watch_errors_total{resource="pods"}"#) >= 1.0);

    api.hangs.store(false, Ordering::SeqCst);
    world.until(r#"wattle_scheduler_watch_up{resource="pods"}"#, |up| up == 1.0).await;
    world.stop().await;
}

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::machines::MACHINES;
use crate::mesh::MeshFolder;
use crate::node::Node;

/// What a made-up extender answers, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    filter: (u16, &'static str),
    prioritize: (u16, &'static str),
    asked: Arc<Mutex<Vec<Value>>>,
}

async fn extender(script: Script) -> Extender {
    let answer = |(status, body): (u16, &'static str)| (StatusCode::from_u16(status).expect("a status"), body);
    let filter = move |State(script): State<Script>, body: String| async move {
        script.asked.lock().push(serde_json::from_str(&body).expect("JSON"));
        answer(script.filter).into_response()
    };
    let prioritize = move |State(script): State<Script>, body: String| async move {
        script.asked.lock().push(serde_json::from_str(&body).expect("JSON"));
        answer(script.prioritize).into_response()
    };
    let app = Router::new()
        .route("/scheduler/filter", post(filter))
        .route("/scheduler/prioritize", post(prioritize))
        .with_state(script);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    Extender::new(address)
}

struct Given {
    placer: Placer,
    events: mpsc::Receiver<Event>,
    _folder: tempfile::TempDir,
}

async fn placer(extender: Extender) -> Given {
    let folder = tempfile::tempdir().expect("a folder");
    let (sender, events) = mpsc::channel(64);
    let now = Instant::now();
    let pods = Pods {
        nodes: MACHINES.iter().map(|machine| Arc::new(Node::simulated(machine, now))).collect(),
        mesh: MeshFolder::new(folder.path()),
        first_port: None,
        seed: 7,
        events: sender,
        tasks: TaskTracker::new(),
        leave: Duration::ZERO,
        end: CancellationToken::new(),
        running: Default::default(),
        started: Default::default(),
    };
    pods.mesh.write_resources().await.expect("a folder to write to");
    let placer = Placer { pods, extender, every: Duration::from_secs(1), placements: Arc::default() };
    Given { placer, events, _folder: folder }
}

const ALL_PASS: (u16, &str) = (200, r#"{"NodeNames":["node-a","node-b","node-c"]}"#);

async fn place_one(script: Script) -> (Option<Placement>, Given) {
    let mut given = placer(extender(script).await).await;
    let placement = given.placer.place(&WORKLOADS[1], &mut VecDeque::new()).await.expect("ports and files");
    (placement, given)
}

#[tokio::test]
async fn the_best_score_wins_and_the_pod_starts_there() {
    let scores = r#"[{"Host":"node-a","Score":1},{"Host":"node-b","Score":3},{"Host":"node-c","Score":9}]"#;
    let script = Script { filter: ALL_PASS, prioritize: (200, scores), ..Script::default() };

    let (placement, mut given) = place_one(script.clone()).await;

    let placement = placement.expect("placed");
    assert_eq!((placement.node.as_str(), placement.default_node.as_str()), ("node-c", "node-a"));
    assert_eq!(placement.fallback, None);
    let Some(Event::PodStarted(pod)) = given.events.recv().await else { panic!("expected a started pod") };
    assert_eq!(pod.identity.node, Some("node-c".into()));
    let endpoints = std::fs::read_to_string(given.placer.pods.mesh.path().join("endpoints.yaml")).expect("written");
    assert!(endpoints.contains(&*placement.pod.name));
    let asked = script.asked.lock();
    assert_eq!(asked[0]["Nodes"], Value::Null);
    assert_eq!(asked[0]["Pod"]["metadata"]["labels"]["app"], "search");
    assert_eq!(asked[1]["NodeNames"], json!(["node-a", "node-b", "node-c"]));
}

#[tokio::test]
async fn equal_scores_leave_the_choice_to_the_default_scheduler() {
    let scores = r#"[{"Host":"node-c","Score":5},{"Host":"node-b","Score":5},{"Host":"node-a","Score":5}]"#;
    let script = Script { filter: ALL_PASS, prioritize: (200, scores), ..Script::default() };
    let mut given = placer(extender(script).await).await;
    let mut extra = VecDeque::new();

    let mut nodes = Vec::new();
    for _ in 0..4 {
        let placement = given.placer.place(&WORKLOADS[1], &mut extra).await.expect("started").expect("placed");
        assert_eq!(placement.node, placement.default_node);
        nodes.push(placement.node.to_string());
    }

    assert_eq!(nodes, ["node-a", "node-b", "node-c", "node-a"]);
}

#[tokio::test]
async fn a_useless_extender_is_said_and_the_default_choice_taken() {
    let scripts = [
        (Script { filter: (500, "oops"), ..Script::default() }, "filter answered 500"),
        (Script { filter: (200, "no json"), ..Script::default() }, "filter answered something"),
        (Script { filter: (200, r#"{"Error":"no model"}"#), ..Script::default() }, "no model"),
        (Script { filter: ALL_PASS, prioritize: (503, ""), ..Script::default() }, "prioritize answered 503"),
        (
            Script { filter: ALL_PASS, prioritize: (200, r#"{"a":1}"#), ..Script::default() },
            "prioritize answered something",
        ),
    ];
    for (script, reason) in scripts {
        let placement = place_one(script).await.0.expect("placed");

        assert_eq!(placement.node, placement.default_node);
        assert!(placement.fallback.as_ref().is_some_and(|told| told.contains(reason)), "{placement:?}");
    }

    let nobody = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port");
    let mut given = placer(Extender::new(nobody)).await;
    let placement = given.placer.place(&WORKLOADS[1], &mut VecDeque::new()).await.expect("started").expect("placed");
    assert!(placement.fallback.is_some_and(|told| told.contains("no answer")));
}

#[tokio::test]
async fn a_pod_that_no_node_may_take_is_not_started() {
    let script = Script { filter: (200, r#"{"NodeNames":[]}"#), ..Script::default() };

    let (placement, given) = place_one(script).await;

    assert!(placement.is_none());
    assert!(given.placer.pods.running.is_empty());
}

#[tokio::test]
async fn a_node_that_was_not_offered_is_never_chosen() {
    let scores = r#"[{"Host":"node-z","Score":10},{"Host":"node-b","Score":1}]"#;
    let filter = (200, r#"{"NodeNames":["node-z","node-b"]}"#);
    let placement = place_one(Script { filter, prioritize: (200, scores), ..Script::default() }).await.0;
    assert_eq!(placement.expect("placed").node.as_str(), "node-b");
}

#[tokio::test]
async fn the_oldest_replica_makes_room_for_the_next() {
    let script = Script { filter: (500, ""), ..Script::default() };
    let mut given = placer(extender(script).await).await;
    let mut extra = VecDeque::new();

    for _ in 0..=MAX_EXTRA {
        given.placer.place(&WORKLOADS[1], &mut extra).await.expect("started");
    }

    assert_eq!(extra.len(), MAX_EXTRA);
    assert_eq!(given.placer.pods.running.len(), MAX_EXTRA);
    let endpoints = std::fs::read_to_string(given.placer.pods.mesh.path().join("endpoints.yaml")).expect("written");
    assert_eq!(endpoints.matches("kind: EndpointSlice").count(), MAX_EXTRA);
    assert!(!endpoints.contains("-0\n"), "the first one is gone");
}

#[tokio::test]
async fn pods_listen_from_the_given_port_on() {
    let first = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let first_port = first.local_addr().expect("an address").port();
    let mut given = placer(extender(Script { filter: (500, ""), ..Script::default() }).await).await;
    given.placer.pods.first_port = Some(first_port);

    given.placer.place(&WORKLOADS[1], &mut VecDeque::new()).await.expect("started");

    let Some(Event::PodStarted(pod)) = given.events.recv().await else { panic!("expected a started pod") };
    let outbound = pod.outbound.local_addr().expect("an address").port();
    assert!(outbound > first_port && outbound - first_port < 400, "{outbound} after {first_port}, which is in use");
}

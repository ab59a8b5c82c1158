//! The webhook over real connections.

use std::sync::Arc;

use wattle_contract::{Decision, NodeName, PodKey, Reason};
use wattle_scheduler::Config;
use wattle_scheduler::explain::table;

use crate::world::{WINDOW, World, args, predictor, snapshot};

const NODES: [&str; 4] = ["node-00000", "node-00001", "node-00002", "node-00009"];

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_answered_kept_and_handed_on() {
    let mut world = World::measured(Config::default(), 0).await;

    let reply = world.post("/scheduler/prioritize", args("search-1", &NODES).as_bytes()).await;

    let explained = world.get("/explain?namespace=hotel&pod=search-1").await;
    assert_eq!(explained.status, 200);
    let decision: Decision = serde_json::from_slice(&explained.body).expect("a decision");
    assert_eq!(decision.model.as_deref(), Some(predictor().id()));
    assert_eq!(decision.snapshot_version, Some(1000));
    assert_eq!(decision.pod.service, Some("search.hotel.svc.cluster.local".into()));
    let explained: Vec<(&str, u64)> =
        decision.candidates.iter().map(|c| (c.node.as_str(), u64::from(c.score))).collect();
    assert_eq!(NODES.into_iter().zip(reply.scores(&NODES)).collect::<Vec<_>>(), explained);
    assert!(reply.json().as_array().expect("a list").iter().all(|entry| entry["Score"] != 0), "{}", reply.text());
    assert_eq!(decision.candidates[3].reason, Reason::NoMeasurement);
    assert_eq!(decision.candidates[3].score, 5);
    assert!(decision.candidates[..3].iter().all(|c| c.reason == Reason::Predicted && c.added_watts.is_some()));
    assert_eq!(world.decisions.recv().await.as_ref(), Some(&decision));
    assert_eq!(world.scheduler.decision_for(&PodKey::new("hotel", "search-1")).as_deref(), Some(&decision));
    assert_eq!(world.metric("wattle_scheduler_unknown_nodes_total"), 1.0);
    assert!(table(&decision).lines().count() == 5);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explaining_leaves_no_trace_and_an_unknown_pod_is_not_found() {
    let world = World::measured(Config::default(), 0).await;

    let afresh = world.post("/explain", args("search-1", &NODES).as_bytes()).await;
    let newest = world.get("/explain?namespace=hotel&pod=search-1").await;
    let which = world.get("/explain").await;

    assert!(serde_json::from_slice::<Decision>(&afresh.body).is_ok(), "{}", afresh.text());
    assert_eq!(newest.status, 404);
    assert_eq!(newest.json()["error"], "no decision for pod hotel/search-1 is remembered");
    assert_eq!(which.status, 400);
    assert_eq!(world.metric("wattle_scheduler_score_spread_count"), 0.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_every_call() {
    let world = World::measured(Config::default(), 0).await;
    let mut connection = world.connect().await;

    for i in 0..50 {
        let verb = if i % 2 == 0 { "filter" } else { "prioritize" };
        let reply = connection.post(&format!("/scheduler/{verb}"), args(&format!("p-{i}"), &NODES).as_bytes()).await;
        assert_eq!(reply.status, 200);
        assert!(matches!(reply.body.last(), Some(b'}' | b']')));
    }

    assert_eq!(world.metric(r#"wattle_scheduler_calls_total{code="200",verb="filter"}"#), 25.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_names_are_answered() {
    let world = World::measured(Config::default(), 4_997).await;
    let names: Vec<String> = (0..5_000).rev().map(|i| format!("node-{i:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let reply = world.post("/scheduler/prioritize", args("search-1", &names).as_bytes()).await;

    let reply = reply.json();
    let explained = world.get("/explain?namespace=hotel&pod=search-1").await.json();
    let candidates = explained["candidates"].as_array().expect("a list");
    let scored: Vec<_> = candidates.iter().filter(|candidate| candidate["score"] != 0).collect();
    assert_eq!((candidates.len(), reply.as_array().map(Vec::len)), (5_000, Some(scored.len())));
    assert_eq!(reply[0]["Host"], scored[0]["node"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_known_all_are_equal_and_it_is_said_why() {
    let world = World::empty(Config::default(), None).await;

    let reply = world.post("/scheduler/prioritize", args("search-1", &NODES[..2]).as_bytes()).await;
    assert_eq!(reply.text(), r#"[{"Host":"node-00000","Score":5},{"Host":"node-00001","Score":5}]"#);
    assert!(!world.scheduler.is_ready());
    assert!(world.get("/explain?namespace=hotel&pod=search-1").await.text().contains("no_snapshot"));

    world.snapshots.send(Some(Arc::new(snapshot(1000, 0)))).expect("the scheduler listens");
    world.until("wattle_scheduler_compile_duration_seconds_count", |count| count >= 1.0).await;
    while !world.post("/explain", args("p", &NODES[..1]).as_bytes()).await.text().contains("no_model") {}
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_counts_until_a_window_that_began_after_it() {
    let world = World::measured(Config::default(), 0).await;
    let ask = args("search-1", &NODES[..3]);
    world.post("/scheduler/prioritize", ask.as_bytes()).await;
    let watts = async || {
        let decision: Decision =
            serde_json::from_slice(&world.post("/explain", ask.as_bytes()).await.body).expect("a decision");
        decision.candidates[0].p95_ms.expect("predicted").get()
    };
    let before = watts().await;

    for i in 0..10 {
        world.scheduler.observe_binding(&PodKey::new("hotel", &format!("other-{i}")), &node(), "u");
    }
    let loaded = watts().await;
    assert!(loaded > before, "{loaded} after ten bindings, {before} before");

    world.snapshots.send(Some(Arc::new(snapshot(1000, 0)))).expect("the scheduler listens");
    world.snapshots.send(Some(Arc::new(snapshot(1002, 0)))).expect("the scheduler listens");
    world.until("wattle_scheduler_assumed_pods", |pods| pods == 0.0).await;
    assert_eq!(WINDOW, 15_000);
    world.stop().await;
}

fn node() -> NodeName {
    "node-00000".into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_channel_drops_decisions_and_counts_them() {
    let world = World::measured(Config::default(), 0).await;

    for i in 0..12 {
        world.post("/scheduler/prioritize", args(&format!("p-{i}"), &NODES).as_bytes()).await;
    }

    world.until("wattle_scheduler_decisions_dropped_total", |dropped| dropped == 4.0).await;
    world.stop().await;
}

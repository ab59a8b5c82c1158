//! What follows a placement: an event with constant words, an outcome, weights for the data plane, advice.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use wattle_contract::{Decision, Edge, PodKey, Timestamp};
use wattle_scheduler::consolidate::{Advice, advise};
use wattle_scheduler::outcome::{Outcome, ReadFrom};
use wattle_scheduler::replay::predicted_by;
use wattle_scheduler::steer::Steering;
use wattle_scheduler::{Clock, Config};

use crate::toy::{Node, view};
use crate::world::{WINDOW, World, args, predictor, snapshot};

const NODES: [&str; 3] = ["node-00000", "node-00001", "node-00002"];

async fn send(world: &World, at: i64) {
    let count = "wattle_scheduler_compile_duration_seconds_count";
    let before = world.metric(count);
    world.snapshots.send(Some(Arc::new(snapshot(at, 0)))).expect("the scheduler listens");
    world.until(count, |after| after > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placement_is_held_against_what_was_measured_and_counted() {
    let world = World::measured(Config::default(), 0).await;
    let body = args("search-1", &NODES);
    world.post("/scheduler/prioritize", body.as_bytes()).await;
    world.post("/scheduler/prioritize", body.as_bytes()).await;
    let pod = PodKey::new("hotel", "search-1");
    world.scheduler.observe_binding(&pod, &"node-00001".into(), "uid-search-1");
    // Seen again, as by the watch after the bind verb: it counts once.
    world.scheduler.observe_binding(&pod, &"node-00001".into(), "uid-search-1");

    send(&world, 1003).await;

    let outcomes: Vec<Outcome> = serde_json::from_slice(&world.get("/outcomes").await.body).expect("outcomes");
    assert_eq!(outcomes.len(), 1);
    assert_eq!((outcomes[0].node.as_str(), outcomes[0].read_from), ("node-00001", ReadFrom::Node));
    let decision: Decision =
        serde_json::from_slice(&world.get("/explain?namespace=hotel&pod=search-1").await.body).expect("a decision");
    assert_eq!(outcomes[0].predicted_watts, decision.candidates[1].added_watts);
    assert!(outcomes[0].regret_watts.is_some() && outcomes[0].realised_p95_ms.is_some());
    assert_eq!(world.metric(r#"wattle_scheduler_outcomes_total{read_from="node"}"#), 1.0);
    assert_eq!(world.metric("wattle_scheduler_calls_per_pod_sum"), 2.0);
    assert!(world.metric("wattle_scheduler_predicted_joules_total") > 0.0);
    assert!(wattle_scheduler::explain::outcomes(&outcomes).contains("hotel/search-1"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steering_is_off_unless_asked_for_and_keeps_every_node() {
    let off = World::measured(Config::default(), 0).await;
    assert_eq!(off.get("/steering").await.status, 404);
    off.stop().await;

    let world = World::measured(Config { steer_ratio: Some(4.0), ..Config::default() }, 0).await;
    for at in 1001..1012 {
        send(&world, at).await;
    }

    let steering: Steering = serde_json::from_slice(&world.get("/steering").await.body).expect("weights");
    let weights = &steering.services["search.hotel.svc.cluster.local"];
    assert_eq!(weights.len(), 3);
    assert!(weights.values().all(|weight| (25..=100).contains(weight)), "{weights:?}");
    assert!(weights.values().max() > weights.values().min(), "{weights:?}");
    assert_eq!(**world.scheduler.steering().borrow(), steering, "the channel says the same");
    let tag =
        format!("GET /steering HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"{:016x}\"\r\n\r\n", steering.fingerprint());
    let mut connection = world.connect().await;
    connection.send(tag.as_bytes()).await;
    assert_eq!(connection.status().await, Some(304));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_steered_by_measurements_that_are_too_old() {
    let late = Arc::new(AtomicI64::new(1001 * WINDOW + 1_000));
    let clock = {
        let late = Arc::clone(&late);
        Clock::new(move || Timestamp(late.load(Ordering::SeqCst)))
    };
    let world = World::empty(Config { steer_ratio: Some(4.0), clock, ..Config::default() }, None).await;
    world.model.send(Some(predictor())).expect("the scheduler listens");
    send(&world, 1000).await;
    world.until("wattle_scheduler_steered_services", |services| services == 1.0).await;

    late.fetch_add(200_000, Ordering::SeqCst);

    world.until("wattle_scheduler_steered_services", |services| services == 0.0).await;
    assert!(world.scheduler.steering().borrow().services.is_empty());
    world.stop().await;
}

#[test]
fn the_node_that_saves_most_is_emptied_first_and_nobody_is_overfilled() {
    let idle = |span| Node { used: 800.0, span: Some(span), p95: Some(5.0), ..Node::default() };
    let world = [
        ("thirsty", idle(400.0)),
        ("frugal", idle(100.0)),
        ("full", Node { used: 15_000.0, ..Node::default() }),
        ("unmetered", Node { span: None, ..idle(1.0) }),
    ];
    let view = view(&world);

    let advice = advise(&view, &[]);

    assert_eq!(advice.looked_at, 3);
    assert_eq!(advice.nodes[0].node.as_str(), "thirsty");
    assert_eq!(advice.nodes[0].targets.iter().map(|(node, _)| node.as_str()).collect::<Vec<_>>(), ["frugal"]);
    // Idle power is half the span: 200 W and 20 W for the load are saved, 5 W are added.
    assert!((advice.nodes[0].saved_watts.get() - 215.0).abs() < 1.0, "{advice:?}");
    assert!(advice.nodes.iter().all(|emptied| emptied.node.as_str() != "full"), "{advice:?}");
    assert!((advice.saved_kwh_per_day - advice.saved_watts.get() * 0.024).abs() < 1e-9);
    let empty = advise(&crate::toy::view(&[]), &[]);
    assert_eq!(empty, Advice::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_predicted_anew_by_the_same_model_as_it_was() {
    let world = World::measured(Config::default(), 0).await;
    let body = args("search-1", &NODES);
    let made: Decision = serde_json::from_slice(&world.post("/explain", body.as_bytes()).await.body).expect("made");

    let again = predicted_by(&made, &predictor().compile(&snapshot(1000, 0)), "other");

    assert_eq!(again.model.as_deref(), Some("other"));
    for (was, now) in made.candidates.iter().zip(&again.candidates) {
        assert_eq!((was.added_watts, was.p95_ms, was.score), (now.added_watts, now.p95_ms, now.score));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_draw_a_pod_through_the_graph_of_the_snapshot() {
    let world = World::measured(Config { weight_affinity: 100.0, ..Config::default() }, 0).await;
    let mut snapshot = snapshot(1000, 0);
    let mut geo = snapshot.window.services[2].clone();
    geo.service = "geo.hotel.svc.cluster.local".into();
    snapshot.window.services.push(geo);
    let called = Edge::between("search.hotel.svc.cluster.local", "geo.hotel.svc.cluster.local", 50.0);
    snapshot.window.edges.push(called);
    world.snapshots.send(Some(Arc::new(snapshot))).expect("the scheduler listens");

    loop {
        let decision = world.post("/explain", args("search-1", &NODES).as_bytes()).await.json();
        if decision["candidates"][2]["parts"]["affinity"] == 0.0
            && decision["candidates"][0]["parts"]["affinity"] == 1.0
        {
            assert_eq!(decision["candidates"][2]["score"], 10);
            break;
        }
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

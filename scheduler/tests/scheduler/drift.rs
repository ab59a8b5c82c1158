//! A model that no longer says what is measured: its trees are left out where it drifted, and that is said.

use std::sync::Arc;

use wattle_contract::{ClusterSnapshot, Decision, Reason, Watts};
use wattle_model::{Artifact, Predictor};
use wattle_scheduler::Config;
use wattle_scheduler::explain::table;

use crate::world::{World, args, predictor, snapshot};

const NODES: [&str; 3] = ["node-00000", "node-00001", "node-00002"];

/// A window in which the second node draws twice what the model has learnt.
fn shifted(at: i64) -> ClusterSnapshot {
    let mut snapshot = snapshot(at, 0);
    let watts = &mut snapshot.window.nodes[1].power_watts;
    *watts = watts.and_then(|watts| Watts::new(2.0 * watts.get()));
    snapshot
}

async fn send(world: &World, snapshot: ClusterSnapshot) {
    let count = "wattle_scheduler_compile_duration_seconds_count";
    let before = world.metric(count);
    world.snapshots.send(Some(Arc::new(snapshot))).expect("the scheduler listens");
    world.until(count, |after| after > before).await;
}

async fn explained(world: &World) -> Decision {
    let reply = world.post("/explain", args("search-1", &NODES).as_bytes()).await;
    serde_json::from_slice(&reply.body).expect("a decision")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_model_drifted_it_falls_back_is_counted_and_explained_until_it_is_trained_again() {
    let world = World::measured(Config::default(), 0).await;
    assert!(explained(&world).await.candidates.iter().all(|candidate| candidate.reason == Reason::Predicted));

    for at in 1001..1012 {
        send(&world, shifted(at)).await;
    }

    let decision = explained(&world).await;
    let reasons: Vec<Reason> = decision.candidates.iter().map(|candidate| candidate.reason).collect();
    assert_eq!(reasons[1..], [Reason::Drifted, Reason::Predicted]);
    assert!(decision.candidates[1].added_watts.is_some(), "the layers below still predict");
    assert!(table(&decision).contains("without trees: the model has drifted here"));
    let drifted = reasons.iter().filter(|reason| **reason == Reason::Drifted).count() as f64;
    assert_eq!(world.metric(r#"wattle_scheduler_drift_alarms_total{target="power"}"#), drifted);
    assert_eq!(world.metric("wattle_scheduler_drift_alarms "), drifted);

    let mut again: Artifact = predictor().artifact().clone();
    again.provenance.seed += 1;
    world.model.send(Some(Arc::new(Predictor::new(&again).expect("loads")))).expect("the scheduler listens");
    world.until("wattle_scheduler_drift_alarms ", |alarms| alarms == 0.0).await;
    while explained(&world).await.candidates.iter().any(|candidate| candidate.reason != Reason::Predicted) {
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

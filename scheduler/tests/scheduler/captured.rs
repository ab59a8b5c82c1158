//! The bodies that a real kube-scheduler sent, through the real server.

use serde_json::Value;
use wattle_scheduler::Config;

use crate::world::{World, corpus};

#[tokio::test(flavor = "multi_thread")]
async fn captured_calls_get_answers_as_kube_scheduler_took_them() {
    let Some(folder) = corpus("extender") else { return };
    let world = World::measured(Config::default(), 0).await;
    let mut connection = world.connect().await;

    for mode in ["cached", "full"] {
        for verb in ["filter", "prioritize", "preempt"] {
            let body = std::fs::read(folder.join(format!("{mode}-{verb}.request.json"))).expect("a request");
            let accepted = std::fs::read(folder.join(format!("{mode}-{verb}.reply.json"))).expect("its reply");

            let reply = connection.post(&format!("/scheduler/{verb}"), &body).await;

            assert_eq!(reply.status, 200, "{mode} {verb}");
            if verb == "prioritize" {
                let accepted: Value = serde_json::from_slice(&accepted).expect("JSON");
                // Who scores 0 is left out; whoever is named was asked about, in the same order.
                let (named, asked) = (shape(&reply.json()), shape(&accepted));
                let mut next = asked.iter();
                assert!(named.iter().all(|host| next.any(|other| other == host)), "{mode}: {named:?} of {asked:?}");
                let best = reply.json().as_array().expect("a list").iter().filter_map(|p| p["Score"].as_i64()).max();
                assert_eq!(best, Some(10), "{}", reply.text());
            } else {
                assert_eq!(reply.text(), String::from_utf8_lossy(&accepted), "{mode} {verb}");
            }
        }
    }
    assert_eq!(world.metric("wattle_scheduler_whole_node_calls_total"), 2.0);
    world.stop().await;
}

/// The hosts in order, and that every entry has just a host and a whole score.
fn shape(reply: &Value) -> Vec<String> {
    let entries = reply.as_array().expect("a bare array");
    let entry = |entry: &Value| {
        let entry = entry.as_object().expect("an object");
        assert_eq!(entry.len(), 2, "{entry:?}");
        assert!(entry["Score"].is_i64(), "{entry:?}");
        entry["Host"].as_str().expect("a name").to_owned()
    };
    entries.iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_is_not_there_unless_it_was_enabled() {
    let world = World::empty(Config::default(), None).await;

    let reply =
        world.post("/scheduler/bind", br#"{"PodName":"p","PodNamespace":"d","PodUID":"u","Node":"node-00001"}"#).await;

    assert_eq!(reply.status, 404);
    world.stop().await;
}

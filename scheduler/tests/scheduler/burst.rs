//! A burst faster than its bindings are seen: pods that were scored count before anybody saw them on a node.

use std::collections::VecDeque;

use wattle_contract::{Bytes, NodeName};
use wattle_scheduler::Config;
use wattle_scheduler::assume::{Assumed, AssumedPod, favourites};
use wattle_scheduler::decide::{pod_cpu, weigh};
use wattle_scheduler::view::View;

use crate::toy::{MEASURED, Node, pod, policy, view};
use crate::world::{World, args};

/// Nodes of 16 cores, from nearly empty to more than half in use.
const USED: [f64; 6] = [1_000.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0, 9_000.0];
/// Use of a pod, in millicores.
const POD: f64 = 250.0;

/// Places pods as kube-scheduler does, each on one of the best; bindings are seen `lag` pods later. Gives the utilisation
/// of each node in the end.
fn burst(view: &View, count: usize, lag: usize, is_expected: bool) -> Vec<f64> {
    let (policy, numbers): (_, Vec<u32>) = (policy(), (0..6).collect());
    let (mut assumed, mut unseen, mut placed) = (Assumed::default(), VecDeque::new(), vec![0.0; USED.len()]);
    assumed.number(&view.names);
    for at in 0..count {
        let pod = pod(&format!("p-{at}"), POD);
        let scored = weigh(view, &assumed, &policy, &pod, &numbers, MEASURED, &|| false).expect("time enough");
        let best = scored.iter().map(|scored| scored.score).max().expect("candidates");
        let equals: Vec<usize> = (0..scored.len()).filter(|at| scored[*at].score == best).collect();
        let chosen = equals[at * 7 % equals.len()];
        placed[chosen] += POD;
        let (cpu, name) = (pod_cpu(view, &policy, &pod), |at: usize| NodeName::from(format!("n{at}").as_str()));
        if is_expected {
            let nodes = favourites(&scored).into_iter().map(name).collect();
            assumed.expect(pod.pod.clone(), nodes, cpu, Bytes(0), MEASURED);
        }
        let (bound, running_since) = (MEASURED, Some(MEASURED));
        unseen.push_back((
            pod.pod,
            AssumedPod { node: name(chosen), uid: pod.uid, cpu, memory: Bytes(0), bound, running_since },
        ));
        while unseen.len() > lag {
            let (pod, seen) = unseen.pop_front().expect("not empty");
            assumed.add(pod, seen);
        }
    }
    USED.iter().zip(placed).map(|(used, placed)| (used + placed) / 16_000.0).collect()
}

#[test]
fn a_burst_whose_bindings_are_not_seen_yet_fills_no_node() {
    let convex = |used| Node { used, bend: 1.3, ..Node::default() };
    let names: Vec<String> = (0..6).map(|at| format!("n{at}")).collect();
    let nodes: Vec<(&str, Node)> = names.iter().map(String::as_str).zip(USED.map(convex)).collect();
    let view = view(&nodes);
    // To 86 % of the cluster: 82.56 of 96 cores, 30 of them in use before.
    let count = 210;

    let blind = burst(&view, count, 60, false);
    let expected = burst(&view, count, 60, true);

    let most = |shares: &[f64]| shares.iter().copied().fold(0.0, f64::max);
    assert!(most(&blind) > 1.0, "the lag matters: {blind:?}");
    assert!(most(&expected) <= 1.0, "{expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_for_the_next_pod_and_asking_again_changes_nothing() {
    let world = World::measured(Config::default(), 0).await;
    let nodes = ["node-00000", "node-00001", "node-00002"];
    let scores = async |pod: &str| world.post("/scheduler/prioritize", args(pod, &nodes).as_bytes()).await.text();
    let assumed = async |pod: &str| {
        let explained = world.get(&format!("/explain?namespace=hotel&pod={pod}")).await.json();
        let all = explained["candidates"].as_array().expect("a list").clone();
        all.iter().filter_map(|candidate| candidate["assumed_millicores"].as_f64()).sum::<f64>()
    };

    let first = scores("first").await;
    let again = scores("first").await;
    assert_eq!(first, again, "a pod does not stand in its own way");
    assert_eq!(assumed("first").await, 0.0);
    scores("second").await;
    assert!(assumed("second").await > 0.0, "what the first will use counts");

    world.until("wattle_scheduler_provisional_pods", |pods| pods == 2.0).await;
    assert_eq!(world.metric("wattle_scheduler_assumed_pods"), 0.0, "nobody was seen on a node");
    world.stop().await;
}

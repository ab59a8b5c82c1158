//! The laws of placement, over random worlds.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use wattle_contract::{Bytes, Candidate, Millicores, Milliseconds, NodeName, PodRequest, Reason, Timestamp, Watts};
use wattle_scheduler::assume::{Assumed, AssumedPod};
use wattle_scheduler::decide::{Policy, decide, pod_cpu};
use wattle_scheduler::names::Names;
use wattle_scheduler::normalize::{Standing, neutral, normalize};
use wattle_scheduler::predict::Interval;
use wattle_scheduler::score::{Cost, Estimate, Weights, costs};
use wattle_scheduler::view::View;
use wattle_scheduler::wire::{ExtenderArgs, filter_answer};

use crate::toy::{MEASURED, Node, pod, policy, view};

fn decided(view: &View, policy: &Policy, pod: &PodRequest, nodes: &[&str], now: Timestamp) -> Vec<Candidate> {
    decide(view, &Assumed::default(), policy, pod, nodes, now, &|| false).expect("time enough")
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("node-{i:05}")).collect()
}

fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn any_node() -> impl Strategy<Value = Node> {
    let span = proptest::option::weighted(0.8, 10.0..500.0);
    let p95 = proptest::option::weighted(0.8, 1.0..100.0);
    (4_000.0..64_000.0, 0.0..1.1, span, 0.5..2.0, p95).prop_map(|(capacity, share, span, bend, p95)| Node {
        capacity,
        used: capacity * share,
        span,
        bend,
        p95,
    })
}

/// A world in which some nodes are not measured.
fn any_world() -> impl Strategy<Value = Vec<Option<Node>>> {
    proptest::collection::vec(proptest::option::weighted(0.8, any_node()), 1..24)
}

fn any_weights() -> impl Strategy<Value = (Option<f64>, Option<f64>)> {
    (proptest::option::of(0.0..100.0), proptest::option::of(0.0..100.0))
}

fn exactly(value: f64) -> Interval<Watts> {
    let watts = Watts::new(value).expect("finite");
    Interval { low: watts, mid: watts, high: watts }
}

fn scores(estimates: &[Estimate], weights: &Weights, slo: Option<Milliseconds>) -> Vec<u32> {
    let standings: Vec<Standing> = costs(estimates, weights, slo)
        .into_iter()
        .map(|parts| parts.and_then(|parts| Cost::new(parts.cost)).map_or(Standing::Unknown, Standing::Known))
        .collect();
    normalize(&standings, 10)
}

fn any_estimate() -> impl Strategy<Value = Estimate> {
    (
        proptest::option::weighted(0.9, 0.0..50.0),
        proptest::option::weighted(0.9, 0.1..100.0),
        proptest::option::of(0.0..1.0),
        proptest::option::of(0.0..1.0),
    )
        .prop_map(|(watts, p95, utilisation, local_traffic)| Estimate {
            added_watts: watts.map(exactly),
            p95: p95.and_then(Milliseconds::new).map(|p95| Interval { low: p95, mid: p95, high: p95 }),
            utilisation,
            local_traffic,
            ..Estimate::default()
        })
}

proptest! {
    #[test]
    fn what_is_kept_of_earlier_pods_changes_no_decision(
        world in any_world(),
        asked in proptest::collection::vec((0_usize..4, 0_usize..24, 0_i64..140, any::<bool>()), 1..30),
        off in any::<bool>(),
    ) {
        let names = names(world.len());
        let known: Vec<(&str, Node)> =
            names.iter().zip(&world).filter_map(|(name, node)| Some((name.as_str(), (*node)?))).collect();
        let (kept, policy) = (view(&known), Policy { empty_nodes_off: off, ..policy() });
        let mut assumed = Assumed::default();

        for (at, (kind, node, age, is_placed)) in asked.into_iter().enumerate() {
            let now = MEASURED.plus(Duration::from_secs(age.unsigned_abs()));
            let pod = PodRequest {
                slo_p95_ms: if kind == 3 { Milliseconds::new(20.0) } else { None },
                ..pod(&format!("p{at}"), [100.0, 500.0, 2_000.0, 500.0][kind])
            };
            let decided =
                |view: &View| decide(view, &assumed, &policy, &pod, &as_strs(&names), now, &|| false).expect("time enough");
            prop_assert_eq!(decided(&kept), decided(&view(&known)));
            if is_placed {
                let assumed_pod = AssumedPod {
                    node: format!("node-{node:05}").as_str().into(),
                    uid: pod.uid.clone(),
                    cpu: pod_cpu(&kept, &policy, &pod),
                    memory: Bytes(1 << 20),
                    bound: now,
                    running_since: Some(now),
                };
                assumed.add(pod.pod, assumed_pod);
            }
        }
    }

    #[test]
    fn filter_answers_with_a_subset(count in 0_usize..40, refused in proptest::collection::vec(0_usize..60, 0..20)) {
        let names = names(count);
        let body = serde_json::to_vec(&serde_json::json!({"Pod": {}, "NodeNames": names})).expect("json");
        let known = Names::new(names.iter().take(count / 2).map(|name| NodeName::from(name.as_str())));
        let args = ExtenderArgs::parse(&body, &known).expect("well-formed");
        let is_refused: Vec<bool> = (0..count).map(|i| refused.contains(&i)).collect();

        let answer = filter_answer(&known, &args.candidates, &is_refused, "no");
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("json");

        let kept: Vec<&str> =
            answer["NodeNames"].as_array().expect("a list").iter().map(|name| name.as_str().expect("text")).collect();
        let allowed: Vec<&str> = names.iter().zip(&is_refused).filter(|(_, no)| !**no).map(|(n, _)| n.as_str()).collect();
        prop_assert_eq!(kept, allowed);
    }

    #[test]
    fn scores_are_in_range_and_do_not_depend_on_order(
        world in any_world(),
        top in 1_u32..200,
        wishes in any_weights(),
        slo in proptest::option::of(1.0..200.0),
        shuffle in any::<u64>(),
    ) {
        let names = names(world.len());
        let known: Vec<(&str, Node)> =
            names.iter().zip(&world).filter_map(|(name, node)| Some((name.as_str(), (*node)?))).collect();
        let (view, policy) = (view(&known), Policy { top_score: top, ..policy() });
        let pod = PodRequest {
            weight_energy: wishes.0,
            weight_latency: wishes.1,
            slo_p95_ms: slo.and_then(Milliseconds::new),
            ..pod("p", 500.0)
        };
        let mut shuffled = as_strs(&names);
        shuffled.sort_by_key(|name| {
            name.bytes().fold(shuffle, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        });

        let asked = decided(&view, &policy, &pod, &as_strs(&names), MEASURED);
        let mut again = decided(&view, &policy, &pod, &shuffled, MEASURED);

        prop_assert!(asked.iter().all(|candidate| candidate.score <= top));
        again.sort_by(|a, b| a.node.cmp(&b.node));
        prop_assert_eq!(asked, again);
    }

    #[test]
    fn fewer_watts_never_score_lower(
        others in proptest::collection::vec(any_estimate(), 0..12),
        this in any_estimate(),
        less in 0.0..50.0,
        more in 0.0..50.0,
        weights in any_weights(),
        slo in proptest::option::of(1.0..200.0),
    ) {
        let weights = Weights {
            energy: weights.0.unwrap_or(1.0),
            latency: weights.1.unwrap_or(1.0),
            ..Weights::default()
        };
        let slo = slo.and_then(Milliseconds::new);
        let cheap = Estimate { added_watts: Some(exactly(less)), ..this };
        let dear = Estimate { added_watts: Some(exactly(less + more)), ..this };

        let mut side_by_side = others.clone();
        side_by_side.extend([cheap, dear]);
        let both = scores(&side_by_side, &weights, slo);
        prop_assert!(both[others.len()] >= both[others.len() + 1]);

        let alone = |this: Estimate| {
            let mut estimates = others.clone();
            estimates.push(this);
            scores(&estimates, &weights, slo)[others.len()]
        };
        prop_assert!(alone(cheap) >= alone(dear), "{} < {}", alone(cheap), alone(dear));
    }

    #[test]
    fn unknown_is_never_best_and_changes_nothing_for_others(world in any_world(), unknown in 1_usize..4) {
        let names = names(world.len() + unknown);
        let known: Vec<(&str, Node)> =
            names.iter().zip(&world).filter_map(|(name, node)| Some((name.as_str(), (*node)?))).collect();
        let view = view(&known);

        let with = decided(&view, &policy(), &pod("p", 500.0), &as_strs(&names), MEASURED);
        let without = decided(&view, &policy(), &pod("p", 500.0), &as_strs(&names[..world.len()]), MEASURED);

        prop_assert_eq!(&with[..world.len()], &without[..]);
        for candidate in with.iter().filter(|candidate| candidate.reason == Reason::NoMeasurement) {
            prop_assert_eq!(candidate.score, neutral(10));
        }
        let best = with.iter().map(|candidate| candidate.score).max().expect("at least one");
        if with.iter().any(|candidate| candidate.reason == Reason::Predicted) {
            prop_assert!(with.iter().all(|c| c.reason == Reason::Predicted || c.score < best));
        }
    }

    #[test]
    fn all_unknown_are_equal(count in 1_usize..40, case in 0_usize..4) {
        let names = names(count);
        let measured: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), Node::default())).collect();
        let (view, reason, now) = match case {
            0 => (View::default(), Reason::NoSnapshot, MEASURED),
            1 => (View { model: None, ..view(&measured) }, Reason::NoModel, MEASURED),
            2 => (view(&[]), Reason::NoMeasurement, MEASURED),
            _ => (view(&measured), Reason::StaleMeasurement, MEASURED.plus(Duration::from_secs(121))),
        };

        let candidates = decided(&view, &policy(), &pod("p", 500.0), &as_strs(&names), now);

        prop_assert!(candidates.iter().all(|c| c.reason == reason && c.score == neutral(10) && c.added_watts.is_none()));
    }

    #[test]
    fn overload_never_wins(world in any_world(), millicores in 1.0..64_000.0) {
        let names = names(world.len());
        let known: Vec<(&str, Node)> =
            names.iter().zip(&world).filter_map(|(name, node)| Some((name.as_str(), (*node)?))).collect();

        let candidates = decided(&view(&known), &policy(), &pod("p", millicores), &as_strs(&names), MEASURED);

        for candidate in candidates.iter().filter(|candidate| candidate.reason == Reason::Overload) {
            prop_assert_eq!(candidate.score, 0);
        }
        let sound: Vec<u32> =
            candidates.iter().filter(|c| c.reason == Reason::Predicted).map(|c| c.score).collect();
        if candidates.iter().any(|c| c.reason == Reason::Overload) {
            prop_assert!(sound.iter().all(|score| *score > 0));
        }
    }

    #[test]
    fn the_decision_has_one_entry_a_candidate_in_the_order_asked(world in any_world()) {
        let names = names(world.len());
        let known: Vec<(&str, Node)> =
            names.iter().zip(&world).filter_map(|(name, node)| Some((name.as_str(), (*node)?))).collect();

        let candidates = decided(&view(&known), &policy(), &pod("p", 100.0), &as_strs(&names), MEASURED);

        let answered: Vec<&str> = candidates.iter().map(|candidate| candidate.node.as_str()).collect();
        prop_assert_eq!(answered, as_strs(&names));
    }
}

#[test]
fn an_aged_measurement_counts_by_the_bad_end_of_its_interval() {
    let sure = Estimate { added_watts: Some(exactly(10.0)), ..Estimate::default() };
    let wide = Interval { low: exactly(5.0).low, mid: exactly(9.0).mid, high: exactly(13.0).high };
    let unsure = |doubt| Estimate { added_watts: Some(wide), doubt, ..Estimate::default() };

    let fresh = scores(&[sure, unsure(0.0)], &Weights::default(), None);
    let aged = scores(&[Estimate { doubt: 1.0, ..sure }, unsure(1.0)], &Weights::default(), None);

    assert!(fresh[1] > fresh[0], "{fresh:?}");
    assert!(aged[0] > aged[1], "{aged:?}");
}

/// Places pods one after the other on the best node, telling the overlay each time.
fn burst(view: &View, count: usize, nodes: &[&str]) -> BTreeMap<NodeName, usize> {
    let mut assumed = Assumed::default();
    let mut placed = BTreeMap::new();
    for i in 0..count {
        let pod = pod(&format!("p-{i}"), 500.0);
        let candidates = decide(view, &assumed, &policy(), &pod, nodes, MEASURED, &|| false).expect("time enough");
        let best = candidates.iter().reduce(|best, next| if next.score > best.score { next } else { best });
        let node = best.expect("candidates").node.clone();
        *placed.entry(node.clone()).or_insert(0) += 1;
        let cpu = pod_cpu(view, &policy(), &pod);
        assumed.add(
            pod.pod,
            AssumedPod { node, uid: pod.uid, cpu, memory: Bytes(0), bound: MEASURED, running_since: Some(MEASURED) },
        );
    }
    placed
}

#[test]
fn a_burst_is_not_herded() {
    let convex = Node { bend: 2.0, ..Node::default() };
    let world = [("a", convex), ("b", Node { used: 1_700.0, ..convex }), ("c", Node { used: 1_800.0, ..convex })];
    let view = view(&world);

    let placed = burst(&view, 60, &["a", "b", "c"]);

    assert!(placed.values().all(|count| (15..=25).contains(count)), "{placed:?}");
}

#[test]
fn a_burst_never_fills_a_node_while_others_have_room() {
    let cheap = Node { span: Some(10.0), p95: Some(1.0), ..Node::default() };
    let view = view(&[("cheap", cheap), ("dear", Node::default())]);

    let placed = burst(&view, 50, &["cheap", "dear"]);

    // 16 cores, 1.6 in use, half a core a pod.
    assert!(placed[&NodeName::from("cheap")] <= 28, "{placed:?}");
    assert_eq!(placed.values().sum::<usize>(), 50);
}

#[test]
fn out_of_time_is_an_error_and_not_half_a_decision() {
    let names = names(1_000);
    let policy = policy();
    let answer =
        decide(&View::default(), &Assumed::default(), &policy, &pod("p", 1.0), &as_strs(&names), MEASURED, &|| true);

    assert!(answer.is_err());
    assert_eq!(Millicores::new(100.0), Some(policy.default_pod_cpu));
}

#[test]
fn a_service_that_the_model_never_saw_still_prefers_the_faster_node() {
    let at = |ms: f64| {
        let p95 = Milliseconds::new(ms).expect("finite");
        Estimate { typical_p95: Some(Interval { low: p95, mid: p95, high: p95 }), ..Estimate::default() }
    };

    let scores = scores(&[at(5.0), at(50.0)], &Weights::default(), Milliseconds::new(1.0));
    assert!(scores[0] == 10 && scores[1] < neutral(10), "{scores:?}");
}

#[test]
fn an_empty_node_costs_its_idle_power_where_empty_nodes_are_off() {
    let busy = Node { used: 4_000.0, span: Some(300.0), p95: None, ..Node::default() };
    let empty = Node { used: 0.0, span: Some(200.0), p95: None, ..Node::default() };
    let mut view = view(&[("busy", busy), ("empty", empty)]);
    view.nodes[1].is_empty = true;
    let off = Policy { empty_nodes_off: true, ..policy() };

    let on = decided(&view, &policy(), &pod("p", 500.0), &["busy", "empty"], MEASURED);
    let woken = decided(&view, &off, &pod("p", 500.0), &["busy", "empty"], MEASURED);

    assert!(on[1].score > on[0].score, "{on:?}");
    assert!(woken[1].score < woken[0].score, "{woken:?}");
    assert!(woken[1].added_watts > Watts::new(100.0), "{woken:?}");
}

#[test]
fn a_watt_in_a_dirty_zone_counts_more() {
    let mut view = view(&[("clean", Node::default()), ("dirty", Node::default())]);
    (view.nodes[0].carbon, view.nodes[1].carbon) = (0.5, 1.5);

    let scored = decided(&view, &policy(), &pod("p", 500.0), &["clean", "dirty"], MEASURED);

    assert!(scored[0].score > scored[1].score, "{scored:?}");
    assert_eq!(scored[0].added_watts, scored[1].added_watts, "watts stay watts");
}

#[test]
fn a_full_memory_and_slow_neighbours_are_no_place_to_be() {
    let like = || view(&[("a", Node::default()), ("b", Node::default())]);
    let (mut crowded, mut noisy) = (like(), like());
    crowded.nodes[0].memory = Some((99.0, 100.0));
    crowded.nodes[1].memory = Some((50.0, 100.0));
    noisy.nodes[0].slowdown = Some(2.0);

    for view in [crowded, noisy] {
        let scored = decided(&view, &policy(), &pod("p", 500.0), &["a", "b"], MEASURED);
        assert!(scored[0].score < scored[1].score, "{scored:?}");
    }
}

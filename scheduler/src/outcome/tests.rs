//! Placements, windows, and what is made of them.

use super::*;
use wattle_contract::{MachineFacts, Millicores, NodeWindow};

fn watts(value: f64) -> Option<Watts> {
    Watts::new(value)
}

fn window(at: i64, node_watts: Option<f64>, services: &[(&str, f64)]) -> Window {
    let service = |(name, value): &(&str, f64)| ServiceWindow {
        service: (*name).into(),
        node: "n".into(),
        requests_per_second: 1.0,
        error_ratio: 0.0,
        p50_ms: None,
        p95_ms: None,
        cpu_used_millicores: None,
        power_watts: watts(*value),
    };
    let node = NodeWindow {
        node: "n".into(),
        machine: MachineFacts::default(),
        power_watts: node_watts.and_then(Watts::new),
        energy_joules: None,
        energy_source: None,
        cpu_used_millicores: Millicores::new(1.0),
        memory_used_bytes: None,
        requests_per_second: None,
        pods: None,
    };
    Window {
        start: Timestamp(at * 15_000),
        end: Timestamp((at + 1) * 15_000),
        nodes: vec![node],
        services: services.iter().map(service).collect(),
        edges: Vec::new(),
    }
}

fn placement(pod: &str, service: &str, predicted: f64) -> Placement {
    Placement {
        decision: DecisionId(1),
        pod: PodKey::new("hotel", pod),
        service: Some(service.into()),
        node: "n".into(),
        since: Timestamp(16_000),
        predicted_watts: watts(predicted),
        least_watts: watts(2.0),
        predicted_p95_ms: None,
    }
}

#[test]
fn a_placement_is_settled_by_the_first_window_that_began_after_it() {
    let mut outcomes = Outcomes::default();
    outcomes.settle(&window(0, Some(100.0), &[]));
    outcomes.placed(placement("a", "geo", 10.0));

    assert!(outcomes.settle(&window(1, Some(104.0), &[])).is_empty(), "it began before the pod ran");
    let settled = outcomes.settle(&window(2, Some(112.0), &[]));

    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].realised_watts, settled[0].read_from), (watts(12.0), ReadFrom::Node));
    assert_eq!(settled[0].regret_watts, watts(10.0));
    assert_eq!(settled[0].predicted_joules, Joules::new(150.0));
    assert_eq!(outcomes.newest(5), settled);
    assert!(outcomes.settle(&window(2, Some(112.0), &[])).is_empty(), "the same window again");
}

#[test]
fn pods_placed_together_share_by_what_was_predicted() {
    let mut outcomes = Outcomes::default();
    outcomes.settle(&window(0, Some(100.0), &[]));
    outcomes.placed(placement("a", "geo", 10.0));
    outcomes.placed(placement("b", "rate", 30.0));

    let settled = outcomes.settle(&window(2, Some(120.0), &[]));

    assert_eq!(settled.iter().map(|one| one.realised_watts).collect::<Vec<_>>(), [watts(5.0), watts(15.0)]);
}

#[test]
fn power_of_its_own_service_is_read_before_that_of_the_node() {
    let mut outcomes = Outcomes::default();
    outcomes.settle(&window(0, Some(100.0), &[("rate", 5.0)]));
    outcomes.placed(placement("a", "geo", 10.0));

    let settled = outcomes.settle(&window(2, Some(150.0), &[("rate", 40.0), ("geo", 8.0)]));

    assert_eq!((settled[0].realised_watts, settled[0].read_from), (watts(8.0), ReadFrom::Service));
}

#[test]
fn without_a_meter_nothing_is_claimed_and_a_pod_that_is_gone_is_forgotten() {
    let mut outcomes = Outcomes::default();
    outcomes.settle(&window(0, None, &[]));
    outcomes.placed(placement("a", "geo", 10.0));
    outcomes.placed(placement("gone", "geo", 10.0));
    outcomes.removed(&PodKey::new("hotel", "gone"));

    let settled = outcomes.settle(&window(2, None, &[]));

    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].realised_watts, settled[0].regret_watts), (None, None));
    assert_eq!(settled[0].read_from, ReadFrom::Nothing);
}

#[test]
fn a_placement_that_no_window_includes_is_given_up() {
    let mut outcomes = Outcomes::default();
    outcomes.placed(Placement { node: "elsewhere".into(), ..placement("a", "geo", 1.0) });

    outcomes.settle(&window(70, Some(1.0), &[]));

    assert!(outcomes.waiting.is_empty());
}

//! Power caps: the one reason to refuse a node.

use std::sync::Arc;
use std::time::Duration;

use wattle_contract::{EnergySource, MachineFacts, Millicores, NodeName, NodeWindow, Timestamp, Watts};
use wattle_scheduler::assume::{Assumed, AssumedPod};
use wattle_scheduler::filter::{CapGroups, PowerCap, refused};
use wattle_scheduler::view::View;

use crate::toy::{MEASURED, Node, pod, policy, view};

/// Two nodes in rack `left` drawing 100 W each, one in rack `right` drawing 100 W; a core more is 12.5 W more.
fn capped(caps: &[PowerCap]) -> View {
    let names = ["l1", "l2", "r1"];
    let windows: Vec<NodeWindow> = names
        .iter()
        .map(|name| NodeWindow {
            node: (*name).into(),
            machine: MachineFacts::default(),
            power_watts: Watts::new(100.0),
            energy_joules: None,
            energy_source: Some(EnergySource::Simulated),
            cpu_used_millicores: Millicores::new(1_600.0),
            memory_used_bytes: None,
            requests_per_second: None,
            pods: None,
        })
        .collect();
    let label = |node: &NodeName, label: &str| {
        let rack = if node.as_str().starts_with('l') { "left" } else { "right" };
        (label == "rack").then(|| Arc::from(rack))
    };
    let view = view(&names.map(|name| (name, Node::default())));
    View { caps: CapGroups::new(caps, &windows, &view.nodes, label), ..view }
}

fn cap(label: &str, value: Option<&str>, watts: f64) -> PowerCap {
    PowerCap { label: label.to_owned(), value: value.map(str::to_owned), watts: Watts::new(watts).expect("finite") }
}

fn refused_for(view: &View, assumed: &Assumed, millicores: f64) -> Vec<&'static str> {
    refused_at(view, assumed, millicores, MEASURED)
}

fn refused_at(view: &View, assumed: &Assumed, millicores: f64, now: Timestamp) -> Vec<&'static str> {
    let candidates = [0, 1, 2, u32::MAX];
    let refused = refused(view, assumed, &policy(), &pod("p", millicores), &candidates, now);
    ["l1", "l2", "r1", "nobody"].into_iter().zip(refused).filter(|(_, no)| *no).map(|(name, _)| name).collect()
}

#[test]
fn a_group_over_its_cap_is_refused_with_one_constant_text() {
    let view = capped(&[cap("rack", None, 210.0)]);

    assert!(refused_for(&view, &Assumed::default(), 500.0).is_empty());
    assert_eq!(refused_for(&view, &Assumed::default(), 1_000.0), ["l1", "l2"]);
}

#[test]
fn assumed_pods_count_against_the_cap() {
    let view = capped(&[cap("rack", Some("left"), 210.0)]);
    let mut assumed = Assumed::default();
    let there = AssumedPod {
        node: "l1".into(),
        uid: String::new(),
        cpu: Millicores::new(500.0).expect("finite"),
        memory: wattle_contract::Bytes(0),
        bound: MEASURED,
        running_since: None,
    };
    assumed.add(wattle_contract::PodKey::new("hotel", "other"), there);

    assert_eq!(refused_for(&view, &assumed, 500.0), ["l1", "l2"]);
}

#[test]
fn a_cap_on_the_host_name_holds_for_each_node_alone() {
    let view = capped(&[cap("kubernetes.io/hostname", None, 105.0)]);

    assert_eq!(refused_for(&view, &Assumed::default(), 500.0).len(), 3);
    assert!(refused_for(&view, &Assumed::default(), 100.0).is_empty());
}

#[test]
fn what_is_unknown_or_old_refuses_nobody() {
    let caps = [cap("rack", None, 1.0)];
    let assumed = Assumed::default();

    let no_model = View { model: None, ..capped(&caps) };
    assert!(refused_for(&no_model, &assumed, 500.0).is_empty());

    let late = MEASURED.plus(Duration::from_secs(121));
    assert!(refused_at(&capped(&caps), &assumed, 500.0, late).is_empty());
}

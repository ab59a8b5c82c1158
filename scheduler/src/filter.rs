//! Which candidates are refused: none, unless the cluster has power caps.
//!
//! A cap holds for all nodes that share the value of a label: a rack, a zone, a node. A candidate is refused when the
//! power its group draws, with the pods assumed there and with this pod on that node, would exceed the cap. What is
//! unknown refuses nobody: the extender never blocks scheduling because of its own trouble.

use std::collections::HashMap;
use std::sync::Arc;

use wattle_contract::{Millicores, NodeName, NodeWindow, PodRequest, Timestamp, Watts};

use crate::assume::Assumed;
use crate::decide::{Policy, pod_cpu};
use crate::view::{HOSTNAME, Node, View};

/// The reason given to kube-scheduler: one constant text, so that it can be counted over nodes.
pub const OVER_CAP: &str = "the power cap would be exceeded";

/// A limit on the power of all nodes that share a label's value.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerCap {
    /// The label, such as `topology.kubernetes.io/zone`.
    pub label: String,
    /// The value it holds for; `None`: each value of the label has this cap of its own.
    pub value: Option<String>,
    /// The most that the group may draw.
    pub watts: Watts,
}

/// The groups of nodes that caps hold for, and what they draw.
#[derive(Debug, Default)]
pub struct CapGroups {
    groups: Vec<Group>,
    /// The groups of each node, by number.
    of_node: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Group {
    cap: Watts,
    drawn: Watts,
}

impl CapGroups {
    /// Sorts measured nodes into the groups of the caps; `label` gives the value of a node's label.
    ///
    /// A node without a meter draws what is predicted of it.
    #[must_use]
    pub fn new(
        caps: &[PowerCap],
        windows: &[NodeWindow],
        nodes: &[Node],
        label: impl Fn(&NodeName, &str) -> Option<Arc<str>>,
    ) -> Self {
        if caps.is_empty() {
            return Self::default();
        }
        let mut sorted = Self { groups: Vec::new(), of_node: vec![Vec::new(); windows.len()] };
        for cap in caps {
            let mut by_value: HashMap<Arc<str>, usize> = HashMap::new();
            for (number, window) in windows.iter().enumerate() {
                let own_name = || (cap.label == HOSTNAME).then(|| window.node.as_str().into());
                let Some(value) = label(&window.node, &cap.label).or_else(own_name) else { continue };
                if cap.value.as_deref().is_some_and(|only| only != value.as_ref()) {
                    continue;
                }
                let group = *by_value.entry(value).or_insert_with(|| {
                    sorted.groups.push(Group { cap: cap.watts, drawn: Watts::ZERO });
                    sorted.groups.len() - 1
                });
                let predicted = || Some(nodes.get(number)?.model.as_ref()?.watts(Millicores::ZERO)?.mid);
                sorted.groups[group].drawn += window.power_watts.or_else(predicted).unwrap_or(Watts::ZERO);
                sorted.of_node[number].push(group);
            }
        }
        sorted
    }

    /// Tells whether no cap holds for any node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// Tells of each candidate, by number, whether it is refused; empty when nobody is.
#[must_use]
pub fn refused(
    view: &View,
    assumed: &Assumed,
    policy: &Policy,
    pod: &PodRequest,
    candidates: &[u32],
    now: Timestamp,
) -> Vec<bool> {
    if view.caps.is_empty() || view.model.is_none() {
        return Vec::new();
    }
    let own = pod_cpu(view, policy, pod);
    let added = |node: &Node, before: Millicores, more: Millicores| {
        let model = node.model.as_ref()?;
        Some(model.added_watts(before + more)?.mid - model.added_watts(before)?.mid)
    };
    let mut drawn: Vec<Watts> = view.caps.groups.iter().map(|group| group.drawn).collect();
    let own_share = assumed.own(view, &pod.pod);
    for (name, load) in assumed.loads() {
        let Some(number) = view.names.find(name.as_str()) else { continue };
        let cpu = own_share.without(number, load).cpu;
        let Some(watts) = added(&view.nodes[number], Millicores::ZERO, cpu) else { continue };
        view.caps.of_node[number].iter().for_each(|group| drawn[*group] += watts);
    }
    let is_over = |number: usize| {
        let node = view.nodes.get(number)?;
        if now.since(node.measured.end) > policy.stale_after {
            return None;
        }
        let before = own_share.without(number, assumed.load(view, number)).cpu;
        let watts = added(node, before, own)?;
        let groups = view.caps.of_node.get(number)?;
        Some(groups.iter().any(|group| drawn[*group] + watts > view.caps.groups[*group].cap))
    };
    candidates.iter().map(|number| is_over(*number as usize) == Some(true)).collect()
}

//! Which candidates are refused: none, unless the cluster has power caps.
//!
//! A cap holds for all nodes that share the value of a label: a rack, a zone, a node. A candidate is refused when the
//! power its group draws, with the pods assumed there and with this pod on that node, would exceed the cap. What is
//! unknown refuses nobody: the extender never blocks scheduling because of its own trouble.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wattle_contract::{Millicores, NodeName, NodeWindow, PodRequest, Timestamp, Watts};

use crate::assume::Assumed;
use crate::decide::{Policy, pod_cpu};
use crate::view::View;

/// The reason given to kube-scheduler: one constant text, so that it can be counted over nodes.
pub const OVER_CAP: &str = "the power cap would be exceeded";

/// The label that every node has: its own name.
const HOSTNAME: &str = "kubernetes.io/hostname";

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
    of_node: HashMap<NodeName, Vec<usize>>,
}

#[derive(Debug)]
struct Group {
    cap: Watts,
    drawn: Watts,
}

impl CapGroups {
    /// Sorts measured nodes into the groups of the caps; `label` gives the value of a node's label.
    #[must_use]
    pub fn new(caps: &[PowerCap], nodes: &[NodeWindow], label: impl Fn(&NodeName, &str) -> Option<Arc<str>>) -> Self {
        let mut sorted = Self::default();
        for cap in caps {
            let mut by_value: HashMap<Arc<str>, usize> = HashMap::new();
            for node in nodes {
                let own_name = || (cap.label == HOSTNAME).then(|| node.node.as_str().into());
                let Some(value) = label(&node.node, &cap.label).or_else(own_name) else { continue };
                if cap.value.as_deref().is_some_and(|only| only != value.as_ref()) {
                    continue;
                }
                let group = *by_value.entry(value).or_insert_with(|| {
                    sorted.groups.push(Group { cap: cap.watts, drawn: Watts::ZERO });
                    sorted.groups.len() - 1
                });
                sorted.groups[group].drawn += node.power_watts.unwrap_or(Watts::ZERO);
                sorted.of_node.entry(node.node.clone()).or_default().push(group);
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

/// Gives the candidates to refuse, each with the reason.
#[must_use]
pub fn refused<'a>(
    view: &View,
    assumed: &Assumed,
    policy: &Policy,
    pod: &PodRequest,
    nodes: &[&'a str],
    now: Timestamp,
) -> BTreeMap<&'a str, &'static str> {
    let Some(model) = view.model.as_ref().filter(|_| !view.caps.is_empty()) else { return BTreeMap::new() };
    let own = pod_cpu(view, policy, pod);
    let added = |node: &NodeName, before: Millicores, more: Millicores| {
        let node = model.predictions.node(node)?;
        Some(node.added_watts(before + more)?.mid - node.added_watts(before)?.mid)
    };
    let mut drawn: Vec<Watts> = view.caps.groups.iter().map(|group| group.drawn).collect();
    for (node, cpu) in assumed.loads() {
        let Some(groups) = view.caps.of_node.get(node) else { continue };
        let Some(watts) = added(node, Millicores::ZERO, cpu) else { continue };
        groups.iter().for_each(|group| drawn[*group] += watts);
    }
    let is_over = |name: &str| {
        let (node, measured) = view.nodes.get_key_value(name)?;
        if now.since(measured.end) > policy.stale_after {
            return None;
        }
        let watts = added(node, assumed.on(node), own)?;
        let groups = view.caps.of_node.get(node)?;
        Some(groups.iter().any(|group| drawn[*group] + watts > view.caps.groups[*group].cap))
    };
    nodes.iter().filter(|name| is_over(name) == Some(true)).map(|name| (*name, OVER_CAP)).collect()
}

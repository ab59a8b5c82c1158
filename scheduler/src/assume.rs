//! Pods that are on a node and not yet in its measurements.
//!
//! Between a binding and the first window that began after it, the node looks as empty as before: without this overlay
//! a burst of pods would all go to the same node. An entry ends when the node's measurements include the pod, when the
//! pod is gone, or after a time, whichever is first. Before it is bound, a pod that was scored counts provisionally.

mod provisional;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::{Bytes, Millicores, NodeName, PodKey, Timestamp};

use crate::names::Names;
use crate::view::View;

pub use provisional::{Own, favourites};

use provisional::{Provisional, Waiting};

/// The overlay of assumed pods.
#[derive(Debug, Default)]
pub struct Assumed {
    pods: HashMap<PodKey, AssumedPod>,
    provisional: Provisional,
    nodes: HashMap<NodeName, Load>,
    /// The same by number, for the names below.
    by_number: Vec<Load>,
    names: Arc<Names>,
}

/// One pod that is assumed to be on a node.
#[derive(Clone, Debug, PartialEq)]
pub struct AssumedPod {
    /// The node.
    pub node: NodeName,
    /// The pod's unique id; empty when unknown.
    pub uid: String,
    /// What it is expected to use.
    pub cpu: Millicores,
    /// Memory that it asked for; 0 when unknown.
    pub memory: Bytes,
    /// When it was put there.
    pub bound: Timestamp,
    /// Since when it can use anything there; `None` while its containers wait to start.
    pub running_since: Option<Timestamp>,
}

/// What is assumed on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Pods.
    pub pods: usize,
    /// Their processor use.
    pub cpu: Millicores,
    /// Their memory.
    pub memory: Bytes,
}

impl AssumedPod {
    const fn load(&self) -> Load {
        Load { pods: 1, cpu: self.cpu, memory: self.memory }
    }
}

impl Load {
    fn add(&mut self, more: &Self) {
        self.pods += more.pods;
        self.cpu += more.cpu;
        self.memory.0 = self.memory.0.saturating_add(more.memory.0);
    }

    fn less(self, some: &Self) -> Self {
        let pods = self.pods.saturating_sub(some.pods);
        // Of no pods nothing is left, not the rest of a sum that was rounded.
        let cpu = if pods == 0 { Millicores::ZERO } else { (self.cpu - some.cpu).max(Millicores::ZERO) };
        Self { pods, cpu, memory: Bytes(self.memory.0.saturating_sub(some.memory.0)) }
    }
}

impl Assumed {
    /// Numbers nodes as a view does: [`load`](Self::load) is then a look-up by number.
    pub fn number(&mut self, names: &Arc<Names>) {
        if Arc::ptr_eq(names, &self.names) {
            return;
        }
        self.names = Arc::clone(names);
        let of = |name: &NodeName| self.nodes.get(name).copied().unwrap_or_default();
        self.by_number = names.all().iter().map(of).collect();
    }

    /// Gives what is assumed on a node of a view.
    #[must_use]
    pub fn load(&self, view: &View, number: usize) -> Load {
        if self.nodes.is_empty() {
            return Load::default();
        }
        if Arc::ptr_eq(&view.names, &self.names) {
            return self.by_number.get(number).copied().unwrap_or_default();
        }
        view.names.name(number).and_then(|name| self.nodes.get(name)).copied().unwrap_or_default()
    }

    /// Gives what is assumed on every node of a view, by number.
    #[must_use]
    pub fn all(&self, view: &View) -> Vec<Load> {
        (0..view.names.len()).map(|number| self.load(view, number)).collect()
    }

    /// Gives the processor use that is assumed on a node.
    #[must_use]
    pub fn on(&self, node: &NodeName) -> Millicores {
        self.nodes.get(node).map_or(Millicores::ZERO, |load| load.cpu)
    }

    /// Walks the nodes that have assumed pods.
    pub fn loads(&self) -> impl Iterator<Item = (&NodeName, Load)> {
        self.nodes.iter().map(|(node, load)| (node, *load))
    }

    /// Gives what a pod has provisionally on the nodes of a view: it does not count when the pod is asked about again.
    #[must_use]
    pub fn own(&self, view: &View, pod: &PodKey) -> Own {
        self.provisional.get(pod).map(|waiting| Own::new(waiting, view)).unwrap_or_default()
    }

    /// Puts a pod provisionally on the nodes it will most likely go to, in place of what was there of it; a pod that was
    /// seen on a node already stays there.
    pub fn expect(&mut self, pod: PodKey, nodes: Vec<NodeName>, cpu: Millicores, memory: Bytes, now: Timestamp) {
        self.withdraw(&pod);
        if nodes.is_empty() || self.pods.contains_key(&pod) {
            return;
        }
        let waiting = Waiting::new(nodes, cpu, memory, now);
        waiting.nodes.iter().for_each(|node| self.grow(node, &waiting.share));
        self.provisional.insert(pod, waiting);
    }

    /// Gives how many pods were scored and are not seen on a node yet.
    #[must_use]
    pub fn provisional(&self) -> usize {
        self.provisional.len()
    }

    /// Gives how many pods are assumed in all, those not seen on a node yet left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Tells whether nothing is assumed anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a pod, in place of what was assumed of a pod of that name; of the same pod only the start is taken anew.
    pub fn add(&mut self, pod: PodKey, assumed: AssumedPod) {
        if let Some(old) = self.pods.get_mut(&pod)
            && (&old.node, &old.uid) == (&assumed.node, &assumed.uid)
        {
            old.running_since = assumed.running_since;
            return;
        }
        self.remove(&pod);
        self.grow(&assumed.node, &assumed.load());
        self.pods.insert(pod, assumed);
    }

    /// Removes a pod that is gone.
    pub fn remove(&mut self, pod: &PodKey) {
        self.withdraw(pod);
        if let Some(old) = self.pods.remove(pod) {
            self.shrink(&old.node, &old.load());
        }
    }

    /// Removes what a pod has provisionally.
    fn withdraw(&mut self, pod: &PodKey) {
        let Some(waiting) = self.provisional.remove(pod) else { return };
        waiting.nodes.iter().for_each(|node| self.shrink(node, &waiting.share));
    }

    fn grow(&mut self, node: &NodeName, more: &Load) {
        self.nodes.entry(node.clone()).or_default().add(more);
        if let Some(load) = self.names.find(node.as_str()).and_then(|number| self.by_number.get_mut(number)) {
            load.add(more);
        }
    }

    fn shrink(&mut self, node: &NodeName, some: &Load) {
        if let Some(load) = self.names.find(node.as_str()).and_then(|number| self.by_number.get_mut(number)) {
            *load = load.less(some);
        }
        let Some(load) = self.nodes.get_mut(node) else { return };
        *load = load.less(some);
        if load.pods == 0 {
            self.nodes.remove(node);
        }
    }

    /// Removes the pods that the measurements of their node include, those assumed for longer than `ttl`, and those that
    /// were not seen on a node in time.
    pub fn reconcile(&mut self, view: &View, now: Timestamp, ttl: Duration) {
        let is_over = |assumed: &AssumedPod| {
            let is_measured = assumed.running_since.is_some_and(|since| is_included(view, &assumed.node, since));
            is_measured || now.since(assumed.bound) > ttl
        };
        let over: Vec<PodKey> =
            self.pods.iter().filter(|(_, assumed)| is_over(assumed)).map(|(pod, _)| pod.clone()).collect();
        over.iter().for_each(|pod| self.remove(pod));
        self.provisional.over(now).iter().for_each(|pod| self.withdraw(pod));
    }
}

/// Tells whether a node's newest measurement began after a pod came to it.
#[must_use]
pub fn is_included(view: &View, node: &NodeName, since: Timestamp) -> bool {
    view.node(node).is_some_and(|node| node.measured.start >= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Measured;
    use crate::view::Node;

    fn pod(node: &str, cpu: f64, since: i64) -> AssumedPod {
        let cpu = Millicores::new(cpu).expect("finite");
        AssumedPod {
            node: node.into(),
            uid: "u".to_owned(),
            cpu,
            memory: Bytes(0),
            bound: Timestamp(since),
            running_since: Some(Timestamp(since)),
        }
    }

    fn measured(node: &str, start: i64) -> View {
        let measured = Measured { start: Timestamp(start), end: Timestamp(start + 15_000), deviation: 0.0 };
        let names = Arc::new(Names::new([NodeName::from(node)]));
        View { names, nodes: vec![Node::new(measured, None)], ..View::default() }
    }

    #[test]
    fn a_pod_is_assumed_until_a_window_that_began_after_it() {
        let mut assumed = Assumed::default();
        let view = measured("n", 0);
        assumed.add(PodKey::new("a", "1"), pod("n", 100.0, 1_000));
        assumed.number(&view.names);
        assumed.add(PodKey::new("a", "2"), pod("n", 50.0, 20_000));
        assert_eq!(assumed.load(&view, 0).cpu.get(), 150.0);
        assert_eq!(assumed.load(&measured("n", 0), 0), assumed.load(&view, 0));

        assumed.reconcile(&measured("n", 0), Timestamp(16_000), Duration::from_secs(300));
        assert_eq!(assumed.on(&"n".into()).get(), 150.0);

        assumed.reconcile(&measured("n", 15_000), Timestamp(31_000), Duration::from_secs(300));
        assert_eq!(assumed.on(&"n".into()).get(), 50.0);

        assumed.reconcile(&measured("m", 30_000), Timestamp(400_000), Duration::from_secs(300));
        assert!(assumed.is_empty());
        assert_eq!(assumed.on(&"n".into()), Millicores::ZERO);
    }

    #[test]
    fn a_pod_whose_containers_wait_is_assumed_until_they_run() {
        let mut assumed = Assumed::default();
        let key = PodKey::new("a", "1");
        let ttl = Duration::from_secs(300);
        assumed.add(key.clone(), AssumedPod { running_since: None, ..pod("n", 100.0, 1_000) });

        assumed.reconcile(&measured("n", 15_000), Timestamp(31_000), ttl);
        assert_eq!(assumed.on(&"n".into()).get(), 100.0);

        assumed.add(key, pod("n", 100.0, 20_000));
        assumed.reconcile(&measured("n", 15_000), Timestamp(31_000), ttl);
        assert_eq!(assumed.on(&"n".into()).get(), 100.0);

        assumed.reconcile(&measured("n", 30_000), Timestamp(46_000), ttl);
        assert!(assumed.is_empty());
    }

    #[test]
    fn a_pod_counts_once_wherever_it_was_seen() {
        let mut assumed = Assumed::default();
        let key = PodKey::new("a", "1");
        assumed.add(key.clone(), pod("n", 100.0, 1_000));
        assumed.add(key.clone(), pod("n", 100.0, 2_000));
        assumed.add(key.clone(), pod("m", 100.0, 3_000));

        assert_eq!((assumed.on(&"n".into()).get(), assumed.on(&"m".into()).get()), (0.0, 100.0));

        assumed.remove(&key);
        assumed.remove(&key);
        assert!(assumed.is_empty());
    }

    #[test]
    fn a_pod_that_was_scored_counts_until_it_is_seen_or_for_a_short_time() {
        let milli = |cpu| Millicores::new(cpu).expect("finite");
        let (key, other) = (PodKey::new("a", "1"), PodKey::new("a", "2"));
        let view = measured("n", 0);
        let mut assumed = Assumed::default();
        assumed.number(&view.names);
        assumed.expect(key.clone(), vec!["n".into(), "m".into()], milli(100.0), Bytes(8), Timestamp(1_000));
        assumed.expect(other.clone(), vec!["n".into()], milli(30.0), Bytes(0), Timestamp(9_000));

        // Shared among equals, and not counted against itself.
        assert_eq!((assumed.on(&"n".into()).get(), assumed.on(&"m".into()).get()), (80.0, 50.0));
        let without = assumed.own(&view, &key).without(0, assumed.load(&view, 0));
        assert_eq!((without.cpu.get(), without.memory), (30.0, Bytes(0)));
        assert_eq!((assumed.len(), assumed.provisional()), (0, 2));

        // Asked again, then seen on the other node.
        assumed.expect(key.clone(), vec!["n".into()], milli(100.0), Bytes(8), Timestamp(2_000));
        assert_eq!((assumed.on(&"n".into()).get(), assumed.on(&"m".into()).get()), (130.0, 0.0));
        assumed.add(key.clone(), pod("m", 100.0, 3_000));
        assumed.expect(key, vec!["n".into()], milli(100.0), Bytes(8), Timestamp(3_500));
        assert_eq!((assumed.on(&"n".into()).get(), assumed.on(&"m".into()).get()), (30.0, 100.0));

        assumed.reconcile(&view, Timestamp(20_000), Duration::from_secs(300));
        assert_eq!((assumed.on(&"n".into()).get(), assumed.provisional()), (0.0, 0));
        assumed.expect(other.clone(), vec!["n".into()], milli(30.0), Bytes(0), Timestamp(20_000));
        assumed.remove(&other);
        assert_eq!(assumed.on(&"n".into()), Millicores::ZERO);
    }
}

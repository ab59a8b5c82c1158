//! Which pod is where, and what that leaves: the simulated cluster as kube-scheduler sees it.

use std::collections::HashMap;

use crate::plan::{Amount, Plan};

/// Pods that a node may have.
const MOST_PODS: usize = 250;

/// The cluster at one moment.
#[derive(Debug)]
pub struct Cluster<'a> {
    /// What the run is.
    pub plan: &'a Plan,
    /// The nodes, in the plan's order.
    pub nodes: Vec<Node>,
    place: HashMap<usize, usize>,
}

/// A node and its pods.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What it offers.
    pub offers: Amount,
    /// What its pods ask for.
    pub asked: Amount,
    /// Its pods, by their place in the plan.
    pub pods: Vec<usize>,
    workloads: Vec<(usize, u32)>,
}

impl<'a> Cluster<'a> {
    /// Makes an empty one.
    #[must_use]
    pub fn new(plan: &'a Plan) -> Self {
        let node = |server: &crate::server::Server| Node {
            offers: Amount {
                cpu_milli: (server.cores * 1000.0) as i64,
                memory: i64::try_from(server.memory).unwrap_or(i64::MAX),
            },
            ..Node::default()
        };
        Self { plan, nodes: plan.nodes.iter().map(|(_, server)| node(server)).collect(), place: HashMap::new() }
    }

    /// Puts a pod on a node.
    pub fn put(&mut self, pod: usize, on: usize) {
        let about = &self.plan.pods[pod];
        let node = &mut self.nodes[on];
        node.asked.add(about.asks);
        node.pods.push(pod);
        match node.workloads.iter_mut().find(|(workload, _)| *workload == about.workload) {
            Some((_, count)) => *count += 1,
            None => node.workloads.push((about.workload, 1)),
        }
        self.place.insert(pod, on);
    }

    /// Takes a pod away; gives the node it was on.
    pub fn remove(&mut self, pod: usize) -> Option<usize> {
        let on = self.place.remove(&pod)?;
        let about = &self.plan.pods[pod];
        let node = &mut self.nodes[on];
        node.asked.subtract(about.asks);
        node.pods.retain(|other| *other != pod);
        if let Some((_, count)) = node.workloads.iter_mut().find(|(workload, _)| *workload == about.workload) {
            *count -= 1;
        }
        Some(on)
    }

    /// Tells where a pod is.
    #[must_use]
    pub fn node_of(&self, pod: usize) -> Option<usize> {
        self.place.get(&pod).copied()
    }

    /// Tells whether a pod's requests fit on a node, as NodeResourcesFit filters.
    #[must_use]
    pub fn fits(&self, pod: usize, on: usize) -> bool {
        let (node, asks) = (&self.nodes[on], self.plan.pods[pod].asks);
        node.asked.cpu_milli + asks.cpu_milli <= node.offers.cpu_milli
            && node.asked.memory + asks.memory <= node.offers.memory
            && node.pods.len() < MOST_PODS
    }
}

impl Node {
    /// Makes a node of which a part is asked for.
    #[must_use]
    pub fn of(offers: Amount, asked: Amount) -> Self {
        Self { offers, asked, ..Self::default() }
    }

    /// Counts the pods of a workload.
    #[must_use]
    pub fn count(&self, workload: usize) -> u32 {
        self.workloads.iter().find(|(known, _)| *known == workload).map_or(0, |(_, count)| *count)
    }
}

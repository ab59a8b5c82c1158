//! What else there is: load-aware plugins of kubernetes-sigs/scheduler-plugins, placement by hand, and chance.

use std::collections::HashMap;

use rand::RngExt as _;
use rand::rngs::StdRng;
use wattle_contract::{ClusterSnapshot, NodeName, Timestamp};

use super::kube::{Fit, Search, scores, spread};
use super::{Policy, pick};
use crate::app::SERVICES;
use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::server::Server;

/// Any node that fits.
#[derive(Debug, Default)]
pub struct Random(Search);

impl Policy for Random {
    fn observe(&mut self, _: &ClusterSnapshot, _: Timestamp) {}

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, _: Timestamp, random: &mut StdRng) -> Option<usize> {
        let nodes = self.0.feasible(pod, cluster);
        (!nodes.is_empty()).then(|| nodes[random.random_range(0..nodes.len())])
    }
}

/// Databases and caches on the first node, everything else by default on the others: the experiment's second scenario.
#[derive(Debug, Default)]
pub struct ByHand(Search);

impl Policy for ByHand {
    fn observe(&mut self, _: &ClusterSnapshot, _: Timestamp) {}

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, _: Timestamp, random: &mut StdRng) -> Option<usize> {
        let is_data = cluster.plan.pods[pod].service.is_some_and(|service| SERVICES[service].is_data);
        let mut nodes = self.0.feasible(pod, cluster);
        nodes.retain(|node| is_data == (*node == 0));
        pick(&nodes, &scores(pod, &nodes, cluster, Fit::LeastAllocated), random)
    }
}

/// What load-watcher knows: use of each node in the last window, and pods placed since.
#[derive(Debug, Default)]
struct Watched {
    used: HashMap<NodeName, f64>,
    since: Timestamp,
    placed: Vec<(usize, f64, Timestamp)>,
}

impl Watched {
    fn observe(&mut self, snapshot: &ClusterSnapshot) {
        self.since = snapshot.window.start;
        self.placed.retain(|(_, _, at)| *at > snapshot.window.start);
        self.used = snapshot
            .window
            .nodes
            .iter()
            .filter_map(|node| Some((node.node.clone(), node.cpu_used_millicores?.get() / 1000.0)))
            .collect();
    }

    fn on(&self, node: usize, plan: &Plan) -> Option<f64> {
        let placed: f64 = self.placed.iter().filter(|(at, _, _)| *at == node).map(|(_, cores, _)| cores).sum();
        Some(self.used.get(&plan.nodes[node].0)? + placed)
    }
}

/// Trimaran's TargetLoadPacking in place of kube-scheduler's resource plugins.
///
/// formula: for predicted use `u` and target `X`, in percent: `(100 - X) u / X + X` up to the target, `X (100 - u) / (100 -
/// X)` from there to 100, else 0; 0 without a measurement. A pod counts 1.5 times its request (the default multiplier).
#[derive(Debug)]
pub struct TargetLoadPacking {
    target: f64,
    search: Search,
    watched: Watched,
}

impl TargetLoadPacking {
    /// Makes one that packs up to a target. Units: percent.
    #[must_use]
    pub fn new(target: f64) -> Self {
        Self { target, search: Search::default(), watched: Watched::default() }
    }

    fn score(&self, used: Option<f64>, more: f64, server: &Server) -> i64 {
        let Some(used) = used else { return 0 };
        let u = 100.0 * (used + more) / server.cores;
        let score = if u <= self.target {
            (100.0 - self.target) * u / self.target + self.target
        } else if u <= 100.0 {
            self.target * (100.0 - u) / (100.0 - self.target)
        } else {
            0.0
        };
        score.round() as i64
    }
}

impl Policy for TargetLoadPacking {
    fn observe(&mut self, snapshot: &ClusterSnapshot, _: Timestamp) {
        self.watched.observe(snapshot);
    }

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, now: Timestamp, random: &mut StdRng) -> Option<usize> {
        let nodes = self.search.feasible(pod, cluster);
        let more = 1.5 * cluster.plan.pods[pod].asks.cpu_milli as f64 / 1000.0;
        let one = |(node, spread): (&usize, i64)| {
            let server = &cluster.plan.nodes[*node].1;
            self.score(self.watched.on(*node, cluster.plan), more, server) + 2 * spread
        };
        let scores: Vec<i64> = nodes.iter().zip(spread(pod, &nodes, cluster)).map(one).collect();
        let node = pick(&nodes, &scores, random)?;
        self.watched.placed.push((node, more, now));
        Some(node)
    }
}

/// PEAKS in place of kube-scheduler's resource plugins: the least jump of `k0 + k1 exp(k2 u)`, scaled to 0..100.
///
/// The model of each node is fitted to its own published curve: PEAKS is given the machines. As in its source, a node
/// whose use would pass 100 % counts as no jump at all, which is then the best score.
#[derive(Debug)]
pub struct Peaks {
    search: Search,
    watched: Watched,
    models: Vec<[f64; 2]>,
}

impl Peaks {
    /// Fits the model of every machine.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let models = plan.nodes.iter().map(|(_, server)| exponential_fit(server)).collect();
        Self { search: Search::default(), watched: Watched::default(), models }
    }
}

/// Fits `k1 (exp(k2 u) - 1)` to the power above idle, by the least squares over a grid of `k2`.
fn exponential_fit(server: &Server) -> [f64; 2] {
    let above: Vec<f64> = server.watts.iter().map(|watts| watts - server.watts[0]).collect();
    let of = |k2: f64| {
        let terms: Vec<f64> = (0..11).map(|level| (k2 * f64::from(level) / 10.0).exp() - 1.0).collect();
        let (dot, square) = terms.iter().zip(&above).fold((0.0, 0.0), |(d, s), (t, y)| (d + t * y, s + t * t));
        let k1 = dot / square;
        let error: f64 = terms.iter().zip(&above).map(|(t, y)| (k1 * t - y).powi(2)).sum();
        (error, [k1, k2])
    };
    let candidates = (-40..=40).filter(|step| *step != 0).map(|step| of(f64::from(step) * 0.1));
    candidates.min_by(|a, b| a.0.total_cmp(&b.0)).map_or([0.0, 1.0], |(_, model)| model)
}

impl Policy for Peaks {
    fn observe(&mut self, snapshot: &ClusterSnapshot, _: Timestamp) {
        self.watched.observe(snapshot);
    }

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, _: Timestamp, random: &mut StdRng) -> Option<usize> {
        let nodes = self.search.feasible(pod, cluster);
        let more = cluster.plan.pods[pod].asks.cpu_milli as f64 / 1000.0;
        let jump = |node: &usize| {
            let server = &cluster.plan.nodes[*node].1;
            let Some(used) = self.watched.on(*node, cluster.plan) else { return 0.0 };
            let (before, after) = (used / server.cores, (used + more) / server.cores);
            let [k1, k2] = self.models[*node];
            if after > 1.0 { 0.0 } else { k1 * ((k2 * after).exp() - (k2 * before).exp()) }
        };
        let jumps: Vec<f64> = nodes.iter().map(jump).collect();
        let (least, most) =
            jumps.iter().fold((f64::MAX, f64::MIN), |(low, high), jump| (low.min(*jump), high.max(*jump)));
        let one = |(jump, spread): (&f64, i64)| {
            let score = if most > least { 100.0 * (most - jump) / (most - least) } else { 100.0 };
            score as i64 + 2 * spread
        };
        let scores: Vec<i64> = jumps.iter().zip(spread(pod, &nodes, cluster)).map(one).collect();
        pick(&nodes, &scores, random)
    }
}

//! What the collector would publish of a step: the truth, measured as badly as asked for.
//!
//! A step is a window. Its figures are those that the collector's window code makes of Kepler's and Istio's series: mean
//! power and use over the window, quantiles as brackets of Istio's buckets, service rates and edges.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wattle_contract::{
    Bytes, ClusterSnapshot, Edge, EnergySource, Joules, LatencyBracket, Millicores, Milliseconds, NodeName, NodeWindow,
    PodPlacement, PodResources, ServiceWindow, Timestamp, Watts, Window,
};

use crate::app::Drawn;
use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::policy::ours::service_name;

/// How measurements are spoiled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// How late windows arrive.
    pub stale: Duration,
    /// Share of nodes that have no energy meter. Range: 0..=1.
    pub without_meter: f64,
    /// Largest factor by which the model's power is wrong, less 1. Range: 0..=1.
    pub model_error: f64,
    /// Share by which the model's power is wrong on every node alike. Range: above -1.
    pub model_bias: f64,
    /// Whether what the operator says of each machine is that of another one.
    pub wrong_class: bool,
    /// Standard deviation of a meter's relative error.
    pub noise: f64,
}

impl Faults {
    /// What is usual: 2 % of noise.
    #[must_use]
    pub const fn usual() -> Self {
        Self {
            stale: Duration::ZERO,
            without_meter: 0.0,
            model_error: 0.0,
            model_bias: 0.0,
            wrong_class: false,
            noise: 0.02,
        }
    }

    /// Measures everything exactly.
    #[must_use]
    pub const fn none() -> Self {
        Self { noise: 0.0, ..Self::usual() }
    }

    /// Tells whether a model trained under these faults is another one than without.
    #[must_use]
    pub fn touches_training(&self) -> bool {
        let usual = Self::usual();
        let (meter, class, noise) = (self.without_meter, self.wrong_class, self.noise);
        (meter, class, noise) != (usual.without_meter, usual.wrong_class, usual.noise)
    }
}

/// What happened in a step.
#[derive(Debug)]
pub struct Truth<'a> {
    /// Share of each node's processors that was busy.
    pub used: &'a [f64],
    /// Power of each node.
    pub watts: &'a [f64],
    /// User requests per second.
    pub rate: f64,
    /// Share of each service's requests on each node.
    pub spread: &'a [Vec<(usize, f64)>],
    /// Drawn times.
    pub drawn: &'a Drawn,
}

/// Istio's buckets, in milliseconds (telemetry defaults).
const BUCKETS: [f64; 17] =
    [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5];

/// The measuring side.
#[derive(Debug)]
pub struct Observer {
    faults: Faults,
    random: StdRng,
    meters: Vec<bool>,
    late: VecDeque<ClusterSnapshot>,
    version: u64,
}

impl Observer {
    /// Makes one; the same seed leaves the same nodes without meters.
    #[must_use]
    pub fn new(faults: Faults, plan: &Plan, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x7e1e);
        // An exact share of the nodes, not a draw for each: three nodes would have none or all too often.
        let mut meters = vec![true; plan.nodes.len()];
        let without = (faults.without_meter * plan.nodes.len() as f64).ceil() as usize;
        let mut left = without.min(plan.nodes.len());
        while left > 0 {
            let at = random.random_range(0..meters.len());
            left -= usize::from(std::mem::replace(&mut meters[at], false));
        }
        Self { faults, random, meters, late: VecDeque::new(), version: 0 }
    }

    /// Measures a step; gives what arrives at its end.
    pub fn measure(&mut self, cluster: &Cluster<'_>, truth: &Truth<'_>, start: Timestamp) -> Option<ClusterSnapshot> {
        self.version += 1;
        let end = start.plus(cluster.plan.step);
        let nodes = self.nodes(cluster, truth);
        let (services, edges) = (self.services(cluster, truth), edges(cluster.plan, truth));
        let window = Window { start, end, nodes, services, edges };
        self.late.push_back(ClusterSnapshot {
            version: self.version,
            taken: end,
            window,
            placements: placements(cluster),
            workloads: Vec::new(),
        });
        if self.late.front().is_some_and(|oldest| end.since(oldest.taken) >= self.faults.stale) {
            return self.late.pop_front();
        }
        None
    }

    fn noisy(&mut self, value: f64) -> f64 {
        if self.faults.noise == 0.0 {
            return value;
        }
        // Twelve uniform draws are normal enough for a meter.
        let normal: f64 = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        value * (1.0 + self.faults.noise * normal).max(0.0)
    }

    fn nodes(&mut self, cluster: &Cluster<'_>, truth: &Truth<'_>) -> Vec<NodeWindow> {
        let plan = cluster.plan;
        let seconds = plan.step.as_secs_f64();
        let mut windows = Vec::with_capacity(plan.nodes.len());
        for (at, (name, server)) in plan.nodes.iter().enumerate() {
            let watts = self.noisy(truth.watts[at]);
            let used = self.noisy(truth.used[at]).min(1.0) * server.cores * 1000.0;
            let has_meter = self.meters[at];
            let told = if self.faults.wrong_class { (at + 1) % plan.nodes.len() } else { at };
            let mut machine = plan.nodes[told].1.facts.clone();
            machine.cpu_capacity_millicores = server.facts.cpu_capacity_millicores;
            windows.push(NodeWindow {
                node: name.clone(),
                machine,
                power_watts: Watts::new(watts).filter(|_| has_meter),
                energy_joules: Joules::new(watts * seconds).filter(|_| has_meter),
                energy_source: has_meter.then_some(EnergySource::Simulated),
                cpu_used_millicores: Millicores::new(used),
                memory_used_bytes: None,
                requests_per_second: plan.app.as_ref().map(|app| requests(at, app, truth)),
                pods: u32::try_from(cluster.nodes[at].pods.len()).ok(),
            });
        }
        windows.sort_by(|a, b| a.node.cmp(&b.node));
        windows
    }

    fn services(&mut self, cluster: &Cluster<'_>, truth: &Truth<'_>) -> Vec<ServiceWindow> {
        let plan = cluster.plan;
        let Some(app) = &plan.app else { return Vec::new() };
        let mut drawn: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for (service, node, ms) in &truth.drawn.visits {
            drawn.entry((*service, *node)).or_default().push(*ms);
        }
        let mut windows = Vec::new();
        for (service, places) in truth.spread.iter().enumerate() {
            for (node, share) in places {
                let (name, server) = &plan.nodes[*node];
                let rate = truth.rate * app.visits[service] * share;
                let times = drawn.get_mut(&(service, *node));
                let times = times.map(|times| {
                    times.sort_unstable_by(f64::total_cmp);
                    times.as_slice()
                });
                let cores = rate * app.work_ms[service] / 1000.0 / server.speed;
                windows.push(ServiceWindow {
                    service: service_name(plan.workloads[service].as_str()),
                    node: name.clone(),
                    requests_per_second: rate,
                    error_ratio: 0.0,
                    p50_ms: times.and_then(|times| bracket(times, 0.5)),
                    p95_ms: times.and_then(|times| bracket(times, 0.95)),
                    cpu_used_millicores: Millicores::new(self.noisy(cores * 1000.0)),
                    power_watts: None,
                });
            }
        }
        windows.sort_by(|a, b| (&a.service, &a.node).cmp(&(&b.service, &b.node)));
        windows
    }
}

fn requests(node: usize, app: &crate::app::App, truth: &Truth<'_>) -> f64 {
    let here = truth.spread.iter().zip(&app.visits).map(|(places, visits)| {
        let share: f64 = places.iter().filter(|(at, _)| *at == node).map(|(_, share)| share).sum();
        share * visits
    });
    truth.rate * here.sum::<f64>()
}

fn edges(plan: &Plan, truth: &Truth<'_>) -> Vec<Edge> {
    let Some(app) = &plan.app else { return Vec::new() };
    let edge = |(client, server, calls): &(usize, usize, f64)| {
        let [client, server] = [client, server].map(|at| service_name(plan.workloads[*at].as_str()));
        Edge::between(client, server, truth.rate * calls)
    };
    app.edges.iter().map(edge).collect()
}

fn placements(cluster: &Cluster<'_>) -> Vec<PodPlacement> {
    let on = |(at, node): (usize, &crate::cluster::Node)| {
        let name: NodeName = cluster.plan.nodes[at].0.clone();
        node.pods.iter().map(|pod| (*pod, name.clone())).collect::<Vec<_>>()
    };
    let mut placements: Vec<PodPlacement> = cluster
        .nodes
        .iter()
        .enumerate()
        .flat_map(on)
        .map(|(pod, node)| {
            let about = &cluster.plan.pods[pod];
            PodPlacement {
                pod: about.key.clone(),
                // Pods of a recording belong to nothing that is known.
                workload: cluster.plan.app.is_some().then(|| cluster.plan.workloads[about.workload].clone()),
                node,
                resources: PodResources {
                    cpu_request_millicores: Millicores::new(about.asks.cpu_milli as f64),
                    memory_request_bytes: u64::try_from(about.asks.memory).ok().map(Bytes),
                    ..PodResources::default()
                },
            }
        })
        .collect();
    placements.sort_by(|a, b| a.pod.cmp(&b.pod));
    placements
}

/// Reads a quantile as from Istio's buckets: the bucket it lies in, and a straight line inside.
fn bracket(sorted: &[f64], quantile: f64) -> Option<LatencyBracket> {
    if sorted.is_empty() {
        return None;
    }
    let rank = quantile * sorted.len() as f64;
    let mut low = (0.0, 0);
    for bound in BUCKETS {
        let below = sorted.partition_point(|ms| *ms <= bound);
        if below as f64 >= rank {
            let share = (rank - low.1 as f64) / (below - low.1).max(1) as f64;
            let ms = Milliseconds::new;
            return Some(LatencyBracket {
                low: ms(low.0)?,
                estimate: ms(low.0 + share * (bound - low.0))?,
                high: ms(bound),
            });
        }
        low = (bound, below);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let times: Vec<f64> = (1..=100).map(|at| f64::from(at) * 0.2).collect();

        let p95 = bracket(&times, 0.95).expect("times");

        assert_eq!((p95.low.get(), p95.high.map(Milliseconds::get)), (10.0, Some(25.0)));
        assert!(p95.estimate.get() > 10.0 && p95.estimate.get() < 25.0);
        assert!(bracket(&[], 0.95).is_none());
    }
}

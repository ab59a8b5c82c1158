//! What came of a run, in sums that can be compared.

use std::time::Duration;

use crate::cluster::Cluster;

/// Sums over the measured steps of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Measured time. Units: seconds.
    pub seconds: f64,
    /// Energy with every node on.
    pub joules_on: f64,
    /// Energy with nodes off while they have no pod.
    pub joules_off: f64,
    /// The least energy for the same work, with every node on.
    pub bound_on: f64,
    /// The same with empty nodes off.
    pub bound_off: f64,
    /// User requests.
    pub requests: f64,
    /// Work that was done. Units: seconds of a reference processor.
    pub work: f64,
    /// Node-seconds with a pod.
    pub active_nodes: f64,
    /// Times of requests.
    pub latency: Histogram,
    /// Minutes in which the 95th percentile was above the objective; of a recorded cluster times the share of pods.
    pub slo_minutes: f64,
    /// Core-seconds that nobody can ask for, because the memory beside them is taken.
    pub stranded_cores: f64,
    /// GiB-seconds of memory that nobody can ask for, because the processors beside it are taken.
    pub stranded_gib: f64,
    /// Pod-minutes of waiting for a node.
    pub waiting_minutes: f64,
    /// Pods that were gone before a node was found.
    pub left_unplaced: usize,
    /// Pods that still waited at the end.
    pub never_placed: usize,
    /// Highest use of a node in a step.
    pub busiest: f64,
    /// Busy share of each node's processors times seconds, in the plan's order.
    pub node_used: Vec<f64>,
    /// Placements asked for.
    pub decisions: u64,
    /// Processor time of all placements.
    pub deciding: Duration,
}

/// One figure of an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name with the unit.
    pub name: &'static str,
    /// The same for the head of a narrow column.
    pub short: &'static str,
    /// Reads it.
    pub of: fn(&Outcome) -> f64,
}

/// All figures, in the order of the tables.
pub const FIGURES: [Figure; 15] = [
    Figure { name: "kWh, all on", short: "kWh on", of: |outcome| outcome.joules_on / 3.6e6 },
    Figure { name: "kWh, empty off", short: "kWh off", of: |outcome| outcome.joules_off / 3.6e6 },
    Figure { name: "bound, all on", short: "bound on", of: |outcome| outcome.bound_on / 3.6e6 },
    Figure { name: "bound, empty off", short: "bound off", of: |outcome| outcome.bound_off / 3.6e6 },
    Figure { name: "J/request", short: "J/request", of: |outcome| outcome.joules_on / outcome.requests.max(1.0) },
    Figure { name: "p50 ms", short: "p50 ms", of: |outcome| outcome.latency.quantile(0.5) },
    Figure { name: "p95 ms", short: "p95 ms", of: |outcome| outcome.latency.quantile(0.95) },
    Figure { name: "p99 ms", short: "p99 ms", of: |outcome| outcome.latency.quantile(0.99) },
    Figure { name: "SLO minutes", short: "SLO min", of: |outcome| outcome.slo_minutes },
    Figure { name: "active nodes", short: "active", of: |outcome| outcome.active_nodes / outcome.seconds.max(1.0) },
    Figure {
        name: "stranded cores",
        short: "strand core",
        of: |outcome| outcome.stranded_cores / outcome.seconds.max(1.0),
    },
    Figure { name: "stranded GiB", short: "strand GiB", of: |outcome| outcome.stranded_gib / outcome.seconds.max(1.0) },
    Figure {
        name: "unplaced pods",
        short: "unplaced",
        of: |outcome| (outcome.left_unplaced + outcome.never_placed) as f64,
    },
    Figure { name: "waiting min", short: "waiting min", of: |outcome| outcome.waiting_minutes },
    Figure {
        name: "us/decision",
        short: "us/decision",
        of: |outcome| outcome.deciding.as_secs_f64() * 1e6 / (outcome.decisions.max(1) as f64),
    },
];

/// Least room beside which what is left of the other resource is of use: one processor and 1 GiB.
const ROOM: (i64, i64) = (1000, 1 << 30);

impl Outcome {
    /// Adds what is stranded now.
    pub fn strand(&mut self, cluster: &Cluster<'_>, seconds: f64) {
        for node in &cluster.nodes {
            let (cpu, memory) = (node.offers.cpu_milli - node.asked.cpu_milli, node.offers.memory - node.asked.memory);
            if memory < ROOM.1 {
                self.stranded_cores += cpu as f64 / 1000.0 * seconds;
            }
            if cpu < ROOM.0 {
                self.stranded_gib += memory as f64 / f64::from(1 << 30) * seconds;
            }
        }
    }
}

/// Weighted times by their logarithm: a hundredth of relative resolution.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: std::collections::BTreeMap<i32, f64>,
}

/// Relative width of a bucket.
const WIDTH: f64 = 1.01;

impl Histogram {
    /// Adds a time with a weight.
    pub fn add(&mut self, ms: f64, weight: f64) {
        let bucket = (ms.max(1e-3).ln() / WIDTH.ln()).floor() as i32;
        *self.buckets.entry(bucket).or_default() += weight;
    }

    /// Gives a quantile; 0 without anything. Units: milliseconds.
    #[must_use]
    pub fn quantile(&self, at: f64) -> f64 {
        let mut left = at * self.buckets.values().sum::<f64>();
        for (bucket, weight) in &self.buckets {
            left -= weight;
            if left <= 0.0 {
                return WIDTH.powf(f64::from(*bucket) + 0.5);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_of_weighted_times_is_within_a_hundredth() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|ms| histogram.add(f64::from(ms), 2.0));

        assert!((histogram.quantile(0.95) / 950.0 - 1.0).abs() < 0.011);
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
    }
}

//! kube-scheduler's own filtering and scoring, as in 1.36 with its default plugins and weights.
//!
//! NodeResourcesFit filters; LeastAllocated (weight 1), NodeResourcesBalancedAllocation (1) and PodTopologySpread with the
//! system's defaults (2, host names, maxSkew 3) score. The other default plugins give every node of these scenarios the
//! same. At most a part of the nodes is looked at, beginning where the last search ended.
//!
//! Source: k8s.io/kubernetes v1.36.2, pkg/scheduler/schedule_one.go (numFeasibleNodesToFind) and
//! pkg/scheduler/framework/plugins/{noderesources,podtopologyspread}.

use rand::rngs::StdRng;
use wattle_contract::{ClusterSnapshot, Timestamp};

use super::{Policy, pick};
use crate::cluster::{Cluster, Node};
use crate::plan::Amount;

const MOST: i64 = 100;
const LEAST_TO_FIND: usize = 100;

/// The search for nodes that a pod fits on.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// percentageOfNodesToScore; 0 lets the size of the cluster decide.
    pub percentage: usize,
    next: usize,
}

impl Search {
    /// Looks at a percentage of the nodes.
    #[must_use]
    pub const fn of(percentage: usize) -> Self {
        Self { percentage, next: 0 }
    }

    /// Looks for nodes, from where the last search ended.
    pub fn feasible(&mut self, pod: usize, cluster: &Cluster<'_>) -> Vec<usize> {
        let all = cluster.nodes.len();
        let wanted = self.wanted(all);
        let mut found = Vec::with_capacity(wanted);
        let mut looked_at = 0;
        while looked_at < all && found.len() < wanted {
            let node = (self.next + looked_at) % all;
            looked_at += 1;
            if cluster.fits(pod, node) {
                found.push(node);
            }
        }
        self.next = (self.next + looked_at) % all.max(1);
        found
    }

    const fn wanted(&self, all: usize) -> usize {
        if all < LEAST_TO_FIND || self.percentage >= 100 {
            return all;
        }
        let mut percentage = self.percentage;
        if percentage == 0 {
            percentage = 50_usize.saturating_sub(all / 125);
            if percentage < 5 {
                percentage = 5;
            }
        }
        let wanted = all * percentage / 100;
        if wanted < LEAST_TO_FIND { LEAST_TO_FIND } else { wanted }
    }
}

/// How NodeResourcesFit scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The emptiest node first: the default.
    LeastAllocated,
    /// The fullest node first.
    MostAllocated,
}

/// Sums what kube-scheduler's plugins give each node.
#[must_use]
pub fn scores(pod: usize, nodes: &[usize], cluster: &Cluster<'_>, fit: Fit) -> Vec<i64> {
    let asks = cluster.plan.pods[pod].asks;
    let spread = spread(pod, nodes, cluster);
    let one = |(at, spread): (&usize, i64)| {
        let node = &cluster.nodes[*at];
        allocated(node, asks, fit) + balanced(node, asks) + 2 * spread
    };
    nodes.iter().zip(spread).map(one).collect()
}

fn shares(node: &Node, asks: Amount) -> [(i64, i64); 2] {
    [
        (node.asked.cpu_milli + asks.cpu_milli, node.offers.cpu_milli),
        (node.asked.memory + asks.memory, node.offers.memory),
    ]
}

fn allocated(node: &Node, asks: Amount, fit: Fit) -> i64 {
    let one = |(asked, offers): (i64, i64)| match fit {
        Fit::LeastAllocated if asked > offers => 0,
        Fit::LeastAllocated => (offers - asked) * MOST / offers.max(1),
        Fit::MostAllocated => asked.min(offers) * MOST / offers.max(1),
    };
    shares(node, asks).map(one).iter().sum::<i64>() / 2
}

fn balanced(node: &Node, asks: Amount) -> i64 {
    let balance = |shares: [(i64, i64); 2]| {
        let [cpu, memory] = shares.map(|(asked, offers)| (asked as f64 / offers.max(1) as f64).min(1.0));
        ((1.0 - ((cpu - memory) / 2.0).abs()) * MOST as f64) as i64
    };
    MOST / 2 + (MOST / 2 + balance(shares(node, asks)) - balance(shares(node, Amount::default()))) / 2
}

/// PodTopologySpread with the system's default constraints; pods that no service selects are not spread.
pub(crate) fn spread(pod: usize, nodes: &[usize], cluster: &Cluster<'_>) -> Vec<i64> {
    const MAX_SKEW: f64 = 3.0;
    let about = &cluster.plan.pods[pod];
    if about.service.is_none() {
        return vec![0; nodes.len()];
    }
    let weight = ((nodes.len() + 2) as f64).ln();
    let counts: Vec<i64> = nodes
        .iter()
        .map(|node| (f64::from(cluster.nodes[*node].count(about.workload)) * weight + MAX_SKEW - 1.0).round() as i64)
        .collect();
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    counts.iter().map(|count| if most == 0 { MOST } else { MOST * (most + least - count) / most }).collect()
}

/// kube-scheduler without an extender.
#[derive(Debug)]
pub struct KubeScheduler {
    search: Search,
    fit: Fit,
}

impl KubeScheduler {
    /// Makes one that scores nodes by a strategy.
    #[must_use]
    pub fn new(fit: Fit) -> Self {
        Self { search: Search::default(), fit }
    }
}

impl Policy for KubeScheduler {
    fn observe(&mut self, _: &ClusterSnapshot, _: Timestamp) {}

    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, _: Timestamp, random: &mut StdRng) -> Option<usize> {
        let nodes = self.search.feasible(pod, cluster);
        let scores = scores(pod, &nodes, cluster, self.fit);
        pick(&nodes, &scores, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_nodes_are_looked_for_as_the_real_one_was_measured_to() {
        let wanted = |all| Search::default().wanted(all);

        // Counted at a real kube-scheduler 1.36: 100 of 100, 420 of 1000, 500 of 5000.
        assert_eq!((wanted(100), wanted(1000), wanted(5000)), (100, 420, 500));
    }

    #[test]
    fn scores_are_those_of_the_real_plugins() {
        let node = Node::of(Amount { cpu_milli: 4000, memory: 8000 }, Amount { cpu_milli: 1000, memory: 4000 });
        let asks = Amount { cpu_milli: 1000, memory: 0 };

        // (4000 - 2000) / 4000 and (8000 - 4000) / 8000, each a half.
        assert_eq!(allocated(&node, asks, Fit::LeastAllocated), 50);
        // Before: |1/4 - 1/2| / 2 = 1/8 -> 87; after: 0 -> 100; 50 + (50 + 13) / 2.
        assert_eq!(balanced(&node, asks), 81);
    }
}

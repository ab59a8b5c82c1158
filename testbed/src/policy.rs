//! Who decides where a pod goes.

mod knowledge;
pub mod kube;
pub mod ours;
pub mod rivals;

use rand::RngExt as _;
use rand::rngs::StdRng;
use wattle_contract::{ClusterSnapshot, Timestamp};
use wattle_scheduler::steer::Steering;

use crate::cluster::Cluster;

/// What decides.
pub trait Policy {
    /// Takes a new measurement; `now` is when it arrives.
    fn observe(&mut self, snapshot: &ClusterSnapshot, now: Timestamp);

    /// Picks a node for a pod of the plan; `None` when none fits.
    fn place(&mut self, pod: usize, cluster: &Cluster<'_>, now: Timestamp, random: &mut StdRng) -> Option<usize>;

    /// Is told that a pod is gone.
    fn removed(&mut self, _pod: usize, _cluster: &Cluster<'_>) {}

    /// Gives the weights of endpoints that the data plane is told; `None` where requests go to all pods alike.
    fn steering(&self) -> Option<&Steering> {
        None
    }
}

/// Picks one of those with the highest score, as kube-scheduler does: any of them.
pub(crate) fn pick(nodes: &[usize], scores: &[i64], random: &mut StdRng) -> Option<usize> {
    let best = scores.iter().max()?;
    let best: Vec<usize> =
        nodes.iter().zip(scores).filter(|(_, score)| *score == best).map(|(node, _)| *node).collect();
    Some(best[random.random_range(0..best.len())])
}

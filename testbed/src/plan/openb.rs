//! A recorded cluster: the first nodes of the trace, and its pods in their order.
//!
//! As recorded, the pods would fill a hundredth of the nodes: the recording is of pods that came over months. Here the
//! order and the lives of the trace are kept and the gaps between arrivals are not: in each step as many pods come as
//! bring the use of the cluster to the load that is asked for. The list begins again at its end. What a pod uses is not
//! recorded: it is its request times a factor of its quality of service, 0.8 where somebody waits for it and 0.7 else.
//! The GPUs of the trace are left out. A node is a published server whose number of logical processors is nearest (of
//! those from 2012 on within a quarter of it), the node's place in the file modulo their number, with the power in
//! proportion.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wattle_contract::{PodKey, WorkloadName};

use super::{Amount, Plan, PodPlan};
use crate::corpus::{self, TraceNode, TracePod};
use crate::scenario::Trace;
use crate::server::Server;

const FIRST_YEAR: u16 = 2012;

/// Share of its request that a pod uses.
const fn factor(is_sensitive: bool) -> f64 {
    if is_sensitive { 0.8 } else { 0.7 }
}

/// Machines and pods of the trace, read once.
#[derive(Clone, Debug)]
pub struct Recorded {
    servers: Vec<(String, Server)>,
    pods: Vec<TracePod>,
}

impl Recorded {
    /// Reads the trace.
    ///
    /// # Errors
    /// The recorded data is not there.
    pub fn read(nodes: usize) -> anyhow::Result<Self> {
        let (nodes, pods) = corpus::trace(nodes)?;
        let known = corpus::servers(FIRST_YEAR)?;
        let servers =
            nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), server(node, at, &known))).collect();
        Ok(Self { servers, pods })
    }
}

fn server(node: &TraceNode, at: usize, known: &[Server]) -> Server {
    let cores = node.cpu_milli as f64 / 1000.0;
    let distance = |server: &Server| (server.cores / cores).ln().abs();
    let nearest = known.iter().map(distance).fold(f64::INFINITY, f64::min);
    let alike: Vec<&Server> = known.iter().filter(|server| distance(server) <= nearest.max(0.22)).collect();
    let server = alike[at % alike.len()].resized(cores, u64::try_from(node.memory).unwrap_or(0));
    let class = server.facts.class.as_ref().map(|class| format!("{class}-{cores}"));
    Server { facts: wattle_contract::MachineFacts { class, ..server.facts.clone() }, ..server }
}

/// Plans a run at a load: the share of all processors that is in use.
#[must_use]
pub fn plan(trace: &Trace, recorded: &Recorded, load: f64, seed: u64) -> Plan {
    let mut random = StdRng::seed_from_u64(seed);
    let step = trace.step_seconds as f64;
    let steps = (trace.hours * 3600.0 / step).round() as usize;
    let fill = steps / 4;
    let capacity: f64 = recorded.servers.iter().map(|(_, server)| server.cores).sum();
    // Seeds begin at other places of the list: the order stays.
    let mut next = random.random_range(0..recorded.pods.len());
    let mut pods: Vec<PodPlan> = Vec::new();
    let mut used = 0.0;
    let mut ends: std::collections::BTreeMap<usize, f64> = std::collections::BTreeMap::new();
    for at in 0..steps {
        used -= ends.remove(&at).unwrap_or(0.0);
        let target = load * capacity * ((at + 1) as f64 / fill as f64).min(1.0);
        while used < target {
            let pod = &recorded.pods[next % recorded.pods.len()];
            let uses = pod.cpu_milli as f64 / 1000.0 * factor(pod.is_sensitive);
            let until = at.saturating_add((pod.life / step).ceil() as usize);
            used += uses;
            *ends.entry(until).or_default() += uses;
            pods.push(PodPlan {
                key: PodKey::new("openb", &format!("{}-{next}", pod.name)),
                workload: 0,
                service: None,
                asks: Amount { cpu_milli: pod.cpu_milli, memory: pod.memory },
                uses,
                is_sensitive: pod.is_sensitive,
                span: (at, until),
            });
            next += 1;
        }
    }
    Plan {
        nodes: recorded.servers.iter().map(|(name, server)| (name.as_str().into(), server.clone())).collect(),
        pods,
        workloads: vec![WorkloadName::from("openb")],
        step: std::time::Duration::from_secs(trace.step_seconds as u64),
        steps,
        warm_up: fill + steps / 8,
        app: None,
        rates: Vec::new(),
        slo_p95_ms: trace.slo_p95_ms,
    }
}

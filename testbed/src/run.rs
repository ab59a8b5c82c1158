//! One run: a plan under a policy, step by step, in virtual time.
//!
//! ```text
//! pods go ─► pods come (and those that waited) ─► policy.place ─► load ─► power, latency ─► outcome
//!     ▲                                                               └─► window (faults) ─► policy.observe ─┐
//!     └──────────────────────────────────────── next step ◄───────────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wattle_contract::{ClusterSnapshot, Timestamp, Window};
use wattle_scheduler::steer::Steering;

use crate::app::{Drawn, Spread, draw, quantile};
use crate::bound::Bound;
use crate::cluster::Cluster;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::policy::ours::service_name;
use crate::queue::{Backlog, Queue, REQUEST_WORK_MS, request_size};
use crate::telemetry::{Faults, Observer, Truth};

/// User requests drawn in a step.
const DRAWS: usize = 300;
/// First instant of every run. Units: milliseconds since 1970.
const BEGIN: i64 = 1_700_000_010_000;
/// For how long the machines were measured before the first pod came.
const REST_SECONDS: u64 = 120;

/// A run under way.
struct Running<'a> {
    plan: &'a Plan,
    cluster: Cluster<'a>,
    backlogs: Vec<Backlog>,
    waiting: VecDeque<usize>,
    /// Of placements.
    choices: StdRng,
    /// Of request times.
    times: StdRng,
    all_on: Bound,
    empty_off: Bound,
    outcome: Outcome,
}

/// Runs a plan under a policy; gives what came of it, and every window that was measured if `windows` is given.
pub fn run(
    plan: &Plan,
    policy: &mut dyn Policy,
    faults: Faults,
    seed: u64,
    mut windows: Option<&mut Vec<Window>>,
) -> Outcome {
    let servers = || plan.nodes.iter().map(|(_, server)| server);
    let most = most_used(plan);
    let mut running = Running {
        plan,
        cluster: Cluster::new(plan),
        backlogs: vec![Backlog::default(); plan.nodes.len()],
        waiting: VecDeque::new(),
        choices: StdRng::seed_from_u64(seed),
        times: StdRng::seed_from_u64(seed ^ 0x71e5),
        all_on: Bound::all_on(servers(), most),
        empty_off: Bound::empty_off(servers(), most),
        outcome: Outcome::default(),
    };
    let mut observer = Observer::new(faults, plan, seed);
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); plan.steps];
    for (pod, about) in plan.pods.iter().enumerate() {
        if let Some(step) = leaving.get_mut(about.span.1) {
            step.push(pod);
        }
    }
    let rests = REST_SECONDS.div_ceil(plan.step.as_secs().max(1));
    for rest in (1..=u32::try_from(rests).unwrap_or(1)).rev() {
        let now = Timestamp(BEGIN).minus(plan.step * rest);
        if let Some(snapshot) = running.rest(&mut observer, now) {
            if let Some(windows) = &mut windows {
                windows.push(snapshot.window.clone());
            }
            policy.observe(&snapshot, now.plus(plan.step));
        }
    }
    let mut next = 0;
    for (step, leave) in leaving.iter().enumerate() {
        let now = Timestamp(BEGIN).plus(plan.step * u32::try_from(step).unwrap_or(u32::MAX));
        running.leave(leave, policy);
        while plan.pods.get(next).is_some_and(|pod| pod.span.0 <= step) {
            running.waiting.push_back(next);
            next += 1;
        }
        running.place(policy, now, step);
        if let Some(snapshot) = running.pass(step, policy.steering(), &mut observer, now) {
            if let Some(windows) = &mut windows {
                windows.push(snapshot.window.clone());
            }
            policy.observe(&snapshot, now.plus(plan.step));
        }
    }
    running.outcome.never_placed = running.waiting.len();
    running.outcome
}

/// Gives the greatest share of a node's processors that pods could use, all its processors asked for.
fn most_used(plan: &Plan) -> f64 {
    if plan.app.is_some() {
        return 1.0;
    }
    let share = |pod: &crate::plan::PodPlan| pod.uses * 1000.0 / pod.asks.cpu_milli.max(1) as f64;
    plan.pods.iter().map(share).fold(0.1, f64::max).min(1.0)
}

impl Running<'_> {
    fn leave(&mut self, pods: &[usize], policy: &mut dyn Policy) {
        for pod in pods {
            if self.cluster.remove(*pod).is_some() {
                policy.removed(*pod, &self.cluster);
            } else {
                self.waiting.retain(|waiting| waiting != pod);
                self.outcome.left_unplaced += 1;
            }
        }
    }

    fn place(&mut self, policy: &mut dyn Policy, now: Timestamp, step: usize) {
        for _ in 0..self.waiting.len() {
            let Some(pod) = self.waiting.pop_front() else { break };
            let began = std::time::Duration::from_nanos(cpu_nanos());
            let node = policy.place(pod, &self.cluster, now, &mut self.choices);
            self.outcome.deciding += std::time::Duration::from_nanos(cpu_nanos()).saturating_sub(began);
            self.outcome.decisions += 1;
            match node {
                Some(node) => self.cluster.put(pod, node),
                None => self.waiting.push_back(pod),
            }
        }
        if step >= self.plan.warm_up {
            self.outcome.waiting_minutes += self.waiting.len() as f64 * self.plan.step.as_secs_f64() / 60.0;
        }
    }

    /// Lets a step pass; gives what was measured of it.
    fn pass(
        &mut self,
        step: usize,
        steering: Option<&Steering>,
        observer: &mut Observer,
        now: Timestamp,
    ) -> Option<ClusterSnapshot> {
        let plan = self.plan;
        let seconds = plan.step.as_secs_f64();
        let rate = plan.rates.get(step).copied().unwrap_or(0.0);
        let spread = self.spread(steering);
        let offered = self.offered(&spread, rate);
        let (mut used, mut watts, mut queues) = (Vec::new(), Vec::new(), Vec::new());
        for ((backlog, offered), (_, server)) in self.backlogs.iter_mut().zip(&offered).zip(&plan.nodes) {
            let (share, queue) = backlog.pass(*offered, server.capacity(), server.speed, seconds);
            used.push(share);
            watts.push(server.power(share));
            queues.push(queue);
        }
        let drawn = match &plan.app {
            Some(app) => draw(app, &spread, &queues, DRAWS, &mut self.times),
            None => self.draw_pods(&queues),
        };
        if step >= plan.warm_up {
            self.count(&used, &watts, &queues, &drawn, rate);
        }
        observer.measure(
            &self.cluster,
            &Truth { used: &used, watts: &watts, rate, spread: &spread, drawn: &drawn },
            now,
        )
    }

    /// Gives what is measured of a step in which the cluster has no pods yet.
    fn rest(&self, observer: &mut Observer, now: Timestamp) -> Option<ClusterSnapshot> {
        let used = vec![0.0; self.plan.nodes.len()];
        let watts: Vec<f64> = self.plan.nodes.iter().map(|(_, server)| server.power(0.0)).collect();
        let drawn = Drawn::default();
        observer.measure(
            &self.cluster,
            &Truth { used: &used, watts: &watts, rate: 0.0, spread: &[], drawn: &drawn },
            now,
        )
    }

    /// Gives where the requests of each service go: to all its pods alike, or by the weights of their endpoints.
    fn spread(&self, steering: Option<&Steering>) -> Spread {
        if self.plan.app.is_none() {
            return Spread::new();
        }
        let mut counts: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.plan.workloads.len()];
        for (at, node) in self.cluster.nodes.iter().enumerate() {
            for (workload, places) in counts.iter_mut().enumerate() {
                let count = node.count(workload);
                if count > 0 {
                    places.push((at, f64::from(count)));
                }
            }
        }
        for (workload, places) in counts.iter_mut().enumerate() {
            let service = service_name(self.plan.workloads[workload].as_str());
            if let Some(weights) = steering.and_then(|steering| steering.services.get(&service)) {
                for (node, count) in places.iter_mut() {
                    // An endpoint that the last weights do not know yet counts as the best.
                    *count *= weights.get(&self.plan.nodes[*node].0).map_or(100.0, |weight| f64::from(*weight));
                }
            }
            let all: f64 = places.iter().map(|(_, count)| count).sum();
            places.iter_mut().for_each(|(_, count)| *count /= all);
        }
        counts
    }

    /// Gives the work that comes to each node. Units: seconds of a reference processor per second.
    fn offered(&self, spread: &Spread, rate: f64) -> Vec<f64> {
        let plan = self.plan;
        let mut offered = vec![0.0; plan.nodes.len()];
        if let Some(app) = &plan.app {
            for (service, places) in spread.iter().enumerate() {
                for (node, share) in places {
                    offered[*node] += rate * app.cores_per_request(service) * share;
                }
            }
            return offered;
        }
        for (at, node) in self.cluster.nodes.iter().enumerate() {
            offered[at] = node.pods.iter().map(|pod| plan.pods[*pod].uses).sum();
        }
        offered
    }

    /// Draws one request each of some pods that somebody waits for.
    fn draw_pods(&mut self, queues: &[Queue]) -> Drawn {
        let sensitive: Vec<usize> = self
            .cluster
            .nodes
            .iter()
            .enumerate()
            .flat_map(|(at, node)| node.pods.iter().filter(|pod| self.plan.pods[**pod].is_sensitive).map(move |_| at))
            .collect();
        let mut drawn = Drawn::default();
        for _ in 0..DRAWS.min(sensitive.len()) {
            let node = sensitive[self.times.random_range(0..sensitive.len())];
            let size = request_size(&mut self.times);
            drawn.requests.push(queues[node].draw(REQUEST_WORK_MS, size, &mut self.times));
        }
        drawn
    }

    fn count(&mut self, used: &[f64], watts: &[f64], queues: &[Queue], drawn: &Drawn, rate: f64) {
        let plan = self.plan;
        let (seconds, minutes) = (plan.step.as_secs_f64(), plan.step.as_secs_f64() / 60.0);
        let outcome = &mut self.outcome;
        let work: f64 = used.iter().zip(&plan.nodes).map(|(used, (_, server))| used * server.capacity()).sum();
        let with_pods = |at: &usize| !self.cluster.nodes[*at].pods.is_empty();
        let active: Vec<usize> = (0..watts.len()).filter(with_pods).collect();
        outcome.seconds += seconds;
        outcome.joules_on += watts.iter().sum::<f64>() * seconds;
        outcome.joules_off += active.iter().map(|at| watts[*at]).sum::<f64>() * seconds;
        outcome.bound_on += self.all_on.watts(work) * seconds;
        outcome.bound_off += self.empty_off.watts(work) * seconds;
        outcome.requests += rate * seconds;
        outcome.work += work * seconds;
        outcome.active_nodes += active.len() as f64 * seconds;
        let weight = if plan.app.is_some() { rate * seconds / DRAWS as f64 } else { seconds };
        drawn.requests.iter().for_each(|ms| outcome.latency.add(*ms, weight));
        if plan.app.is_some() {
            let p95 = quantile(&mut drawn.requests.clone(), 0.95).unwrap_or(0.0);
            outcome.slo_minutes += if p95 > plan.slo_p95_ms { minutes } else { 0.0 };
        } else {
            let (mut late, mut all) = (0.0, 0.0);
            for (at, node) in self.cluster.nodes.iter().enumerate() {
                let count = node.pods.iter().filter(|pod| plan.pods[**pod].is_sensitive).count() as f64;
                all += count;
                late += if queues[at].p95(REQUEST_WORK_MS) > plan.slo_p95_ms { count } else { 0.0 };
            }
            outcome.slo_minutes += if all > 0.0 { minutes * late / all } else { 0.0 };
        }
        outcome.strand(&self.cluster, seconds);
        outcome.node_used.resize(used.len(), 0.0);
        outcome.node_used.iter_mut().zip(used).for_each(|(sum, used)| *sum += used * seconds);
        outcome.busiest = used.iter().copied().fold(outcome.busiest, f64::max);
    }
}

/// Gives the processor time of this thread, which other programs on the machine do not disturb.
fn cpu_nanos() -> u64 {
    // schedstat: time on a processor, time waiting, slices.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

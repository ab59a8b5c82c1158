//! A simulated machine: cores that requests queue for, and a meter that turns busy cores into joules.
//!
//! A request takes one core for its work divided by the speed of the machine's cores, in real time, so that queueing,
//! utilisation and latency are those of a real M/G/k queue. Where the host wakes a request up late, later ones hold their
//! core for less: the machine's capacity does not depend on how busy the host is. Power is looked up in the machine's published curve at the mean
//! utilisation of each step and integrated. As in Kepler, a step's energy is split by utilisation into an active and an idle
//! part, and the active part is divided among pods by their processor time; idle energy belongs to nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use wattle_contract::{Joules, NodeName, PodKey};

use crate::machines::Machine;

/// Between two steps of the meter.
pub(crate) const STEP: Duration = Duration::from_millis(200);

/// A wake-up late by this much is the timer's granularity, not a busy host.
const TICK: Duration = Duration::from_millis(2);

/// One node of the demo.
#[derive(Debug)]
pub(crate) struct Node {
    name: NodeName,
    cores: u32,
    speed: f64,
    /// `None` on the host itself, whose energy is measured elsewhere.
    machine: Option<&'static Machine>,
    free: Semaphore,
    /// Time by which cores were held for longer than asked, not yet given back.
    late: Mutex<Duration>,
    meter: Mutex<Meter>,
}

/// What has been spent since the start.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// When it was read.
    pub(crate) at: Instant,
    /// Busy time summed over all cores, in seconds.
    pub(crate) busy_seconds: f64,
    /// All energy.
    pub(crate) joules: f64,
    /// The part of it that work was done with.
    pub(crate) active_joules: f64,
    /// Each pod's share.
    pub(crate) pods: BTreeMap<PodKey, PodReading>,
}

/// What one pod has spent since it was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodReading {
    /// Processor time, in seconds.
    pub(crate) seconds: f64,
    /// Active energy attributed to it.
    pub(crate) joules: f64,
    /// Whether it has been stopped.
    pub(crate) ended: bool,
}

#[derive(Debug)]
struct Meter {
    /// Up to here busy time is counted.
    counted: Instant,
    /// The last step: up to here energy is counted.
    stepped: Instant,
    spent: Reading,
    running: BTreeMap<PodKey, Running>,
}

#[derive(Debug, Default)]
struct Running {
    requests: u32,
    /// Processor time since the last step, in seconds.
    seconds: f64,
}

impl Node {
    /// Makes a simulated machine, idle since `now`.
    pub(crate) fn simulated(machine: &'static Machine, now: Instant) -> Self {
        let speed = machine.relative_speed();
        Self::new(NodeName::from(machine.node), machine.cores, speed, Some(machine), now)
    }

    /// Makes a node that takes requests but has no simulated meter.
    pub(crate) fn unmetered(name: NodeName, cores: u32, now: Instant) -> Self {
        Self::new(name, cores, 1.0, None, now)
    }

    fn new(name: NodeName, cores: u32, speed: f64, machine: Option<&'static Machine>, now: Instant) -> Self {
        let spent = Reading { at: now, busy_seconds: 0.0, joules: 0.0, active_joules: 0.0, pods: BTreeMap::new() };
        let meter = Meter { counted: now, stepped: now, spent, running: BTreeMap::new() };
        let free = Semaphore::new(cores as usize);
        Self { name, cores, speed, machine, free, late: Mutex::new(Duration::ZERO), meter: Mutex::new(meter) }
    }

    /// Gives its name.
    pub(crate) const fn name(&self) -> &NodeName {
        &self.name
    }

    /// Gives the number of its cores.
    pub(crate) const fn cores(&self) -> u32 {
        self.cores
    }

    /// Gives the machine it simulates; `None` on the host itself.
    pub(crate) const fn machine(&self) -> Option<&'static Machine> {
        self.machine
    }

    /// Does `work` (time on a core of speed 1) for a pod: waits for a core, then holds it.
    ///
    /// Cancel-safe: a request that is given up leaves the queue or frees its core at once.
    pub(crate) async fn work(&self, pod: &PodKey, work: Duration) {
        let Ok(permit) = self.free.acquire().await else { return };
        let _core = Core::take(self, pod, permit);
        let wanted = work.div_f64(self.speed);
        let given_back = {
            let mut late = self.late.lock();
            let part = (*late).min(wanted / 2);
            *late -= part;
            part
        };
        let begun = Instant::now();
        tokio::time::sleep(wanted - given_back).await;
        let held = begun.elapsed() + given_back;
        *self.late.lock() += held.saturating_sub(wanted + TICK);
    }

    /// Begins to account for a pod.
    pub(crate) fn start_pod(&self, pod: &PodKey) {
        self.meter.lock().spent.pods.insert(pod.clone(), PodReading::default());
    }

    /// Marks a pod as stopped; its energy stays readable until [`forget`](Self::forget).
    pub(crate) fn end_pod(&self, pod: &PodKey) {
        if let Some(reading) = self.meter.lock().spent.pods.get_mut(pod) {
            reading.ended = true;
        }
    }

    /// Drops what was counted for a stopped pod, unless it still answers requests. The node's own counters keep it.
    pub(crate) fn forget(&self, pod: &PodKey) {
        let mut meter = self.meter.lock();
        if !meter.running.contains_key(pod) && meter.spent.pods.get(pod).is_some_and(|reading| reading.ended) {
            meter.spent.pods.remove(pod);
        }
    }

    /// Counts everything up to `now` and gives the counters.
    pub(crate) fn read(&self, now: Instant) -> Reading {
        let mut meter = self.meter.lock();
        meter.step(self.machine, self.cores, now);
        meter.spent.clone()
    }

    /// Gives all energy spent up to `now`; `None` without a simulated meter.
    pub(crate) fn joules(&self, now: Instant) -> Option<Joules> {
        self.machine?;
        Joules::new(self.read(now).joules)
    }

    /// Steps the meter until told otherwise.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(STEP);
        loop {
            let now = ticks.tick().await;
            self.meter.lock().step(self.machine, self.cores, now);
        }
    }
}

impl Meter {
    /// Counts busy time up to `now`.
    fn count(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        for running in self.running.values_mut() {
            running.seconds += f64::from(running.requests) * seconds;
        }
    }

    /// Turns the time since the last step into energy.
    fn step(&mut self, machine: Option<&Machine>, cores: u32, now: Instant) {
        self.count(now);
        let span = now.saturating_duration_since(self.stepped).as_secs_f64();
        if span == 0.0 {
            return;
        }
        self.stepped = now;
        self.spent.at = now;

        let busy: f64 = self.running.values().map(|running| running.seconds).sum();
        let utilisation = busy / (f64::from(cores) * span);
        let joules = machine.map_or(0.0, |machine| machine.power(utilisation) * span);
        let active = joules * utilisation;
        self.spent.busy_seconds += busy;
        self.spent.joules += joules;
        self.spent.active_joules += active;
        for (pod, running) in &mut self.running {
            let seconds = std::mem::take(&mut running.seconds);
            if let Some(reading) = self.spent.pods.get_mut(pod) {
                reading.seconds += seconds;
                reading.joules += if busy > 0.0 { active * seconds / busy } else { 0.0 };
            }
        }
        self.running.retain(|_, running| running.requests > 0);
    }
}

/// A core in use; freed and accounted for on drop.
struct Core<'a> {
    node: &'a Node,
    pod: &'a PodKey,
    _permit: SemaphorePermit<'a>,
}

impl<'a> Core<'a> {
    fn take(node: &'a Node, pod: &'a PodKey, permit: SemaphorePermit<'a>) -> Self {
        let mut meter = node.meter.lock();
        meter.count(Instant::now());
        meter.running.entry(pod.clone()).or_default().requests += 1;
        drop(meter);
        Self { node, pod, _permit: permit }
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        let mut meter = self.node.meter.lock();
        meter.count(Instant::now());
        if let Some(running) = meter.running.get_mut(self.pod) {
            running.requests = running.requests.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;

//! Real energy: the RAPL counters of this machine under `/sys/class/powercap`, and its processor use from `/proc/stat`.
//!
//! One node, named after the host. All demo pods live in one process, so energy cannot be told apart by pod: only node
//! metrics are exported. Sockets with the same zone name are summed, as in Kepler. Counters start at zero with the exporter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use wattle_contract::NodeName;

use crate::error::Error;
use crate::exporter::Source;
use crate::exposition::{NodeEnergy, Processor, Zone, render};

/// Between two readings, as in Kepler. A package counter wraps after some ten minutes at full load.
const INTERVAL: Duration = Duration::from_secs(5);

/// A scrape later than this after the last reading takes a new one, as in Kepler.
const STALENESS: Duration = Duration::from_millis(500);

/// Where the kernel tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaplPaths {
    /// The powercap folder: `/sys/class/powercap`.
    pub powercap: PathBuf,
    /// The process file system: `/proc`.
    pub proc: PathBuf,
}

impl RaplPaths {
    /// Takes a powercap folder, and `/proc`.
    #[must_use]
    pub fn new(powercap: PathBuf) -> Self {
        Self { powercap, proc: PathBuf::from("/proc") }
    }

    /// Gives the host's name; `localhost` where the kernel does not say.
    #[must_use]
    pub fn host(&self) -> NodeName {
        let name = fs::read_to_string(self.proc.join("sys/kernel/hostname")).unwrap_or_default();
        NodeName::from(if name.trim().is_empty() { "localhost" } else { name.trim() })
    }

    /// Gives the number of logical processors, at least one.
    #[must_use]
    pub fn processors(&self) -> u32 {
        u32::try_from(processors(&self.proc).len()).unwrap_or(u32::MAX).max(1)
    }
}

/// The meters of this machine.
#[derive(Debug)]
pub(crate) struct Rapl {
    paths: RaplPaths,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Instant,
    counters: Vec<Counter>,
    processor_time: ProcessorTime,
    newest: NodeEnergy,
}

/// One powercap zone.
#[derive(Debug)]
struct Counter {
    zone: String,
    folder: PathBuf,
    /// Where it wraps; `None` where the kernel does not say.
    range_microjoules: Option<u64>,
    last_microjoules: u64,
}

/// Time since boot, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct ProcessorTime {
    busy: u64,
    all: u64,
}

impl Rapl {
    /// Finds the counters and reads them for the first time.
    pub(crate) fn open(paths: RaplPaths, now: Instant) -> Result<Self, Error> {
        let counters = find_counters(&paths.powercap)?;
        let mut zones: Vec<Zone> = Vec::new();
        for counter in &counters {
            let path = counter.folder.display().to_string();
            match zones.iter_mut().find(|zone| zone.name == counter.zone) {
                Some(zone) => zone.path = format!("{},{path}", zone.path),
                None => zones.push(empty_zone(counter.zone.clone(), path)),
            }
        }
        let newest = NodeEnergy {
            node: paths.host().to_string(),
            revision: "rapl",
            processors: processors(&paths.proc),
            zones,
            ..NodeEnergy::default()
        };
        let processor_time = processor_time(&paths.proc).unwrap_or_default();
        Ok(Self { paths, state: Mutex::new(State { at: now, counters, processor_time, newest }) })
    }

    /// Reads often enough that no wrap is missed.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            let now = ticks.tick().await;
            self.state.lock().read(&self.paths, now);
        }
    }

    /// Gives the energy of the widest zone since the start, in joules.
    pub(crate) fn joules(&self, now: Instant) -> f64 {
        let mut state = self.state.lock();
        state.read(&self.paths, now);
        let widest = |name: &str| state.newest.zones.iter().find(|zone| zone.name == name);
        let zones: Vec<_> = match widest("psys") {
            Some(zone) => vec![zone],
            None => ["package", "dram"].iter().filter_map(|name| widest(name)).collect(),
        };
        zones.iter().map(|zone| zone.active_joules + zone.idle_joules).sum()
    }
}

impl Source for Rapl {
    fn scrape(&self, now: Instant) -> String {
        let mut state = self.state.lock();
        state.read(&self.paths, now);
        render(&state.newest)
    }
}

impl State {
    /// Adds what was spent since the last reading.
    fn read(&mut self, paths: &RaplPaths, now: Instant) {
        let span = now.saturating_duration_since(self.at);
        if span <= STALENESS {
            return;
        }
        self.at = now;
        if let Some(time) = processor_time(&paths.proc) {
            let busy = time.busy.saturating_sub(self.processor_time.busy);
            let all = time.all.saturating_sub(self.processor_time.all);
            self.newest.usage_ratio = if all == 0 { 0.0 } else { (busy as f64 / all as f64).min(1.0) };
            self.processor_time = time;
        }

        let ratio = self.newest.usage_ratio;
        for zone in &mut self.newest.zones {
            let of_zone = self.counters.iter_mut().filter(|counter| counter.zone == zone.name);
            let joules = of_zone.map(Counter::advance).sum::<u64>() as f64 / 1e6;
            zone.active_joules += joules * ratio;
            zone.idle_joules += joules * (1.0 - ratio);
            zone.active_watts = joules * ratio / span.as_secs_f64();
            zone.idle_watts = joules * (1.0 - ratio) / span.as_secs_f64();
        }
    }
}

impl Counter {
    /// Gives the microjoules since the last call; none when the counter cannot be read just now.
    fn advance(&mut self) -> u64 {
        let Ok(now) = read_number(&self.folder.join("energy_uj")) else { return 0 };
        let before = std::mem::replace(&mut self.last_microjoules, now);
        match self.range_microjoules {
            _ if now >= before => now - before,
            Some(range) => range.saturating_sub(before).saturating_add(now),
            // Of unknown range: what is there was spent since it began again.
            None => now,
        }
    }
}

fn find_counters(powercap: &Path) -> Result<Vec<Counter>, Error> {
    let refuse = |path: &Path, reason: String, remedy| Error::Rapl { path: path.to_owned(), reason, remedy };
    let missing = "is this a virtual machine, or is the kernel module intel_rapl_common not loaded? Real counters need bare metal";
    let entries = fs::read_dir(powercap).map_err(|error| refuse(powercap, error.to_string(), missing))?;
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();

    let (mut counters, mut refused) = (Vec::new(), None);
    for folder in folders {
        let Ok(name) = fs::read_to_string(folder.join("name")) else { continue };
        let file = folder.join("energy_uj");
        // The memory-mapped interface repeats the zones of the other one.
        if !file.exists() || folder.to_string_lossy().contains("mmio") {
            continue;
        }
        match read_number(&file) {
            Ok(last_microjoules) => counters.push(Counter {
                zone: name.trim().split('-').next().unwrap_or_default().to_owned(),
                range_microjoules: read_number(&folder.join("max_energy_range_uj")).ok(),
                last_microjoules,
                folder,
            }),
            Err(error) => refused = Some((file, error)),
        }
    }
    match (counters.is_empty(), refused) {
        (false, _) => Ok(counters),
        (true, Some((file, error))) => {
            Err(refuse(&file, error.to_string(), "run as root or make energy_uj readable for this user"))
        }
        (true, None) => Err(refuse(powercap, "no zone with an energy_uj file".to_owned(), missing)),
    }
}

fn empty_zone(name: String, path: String) -> Zone {
    Zone { name, path, active_joules: 0.0, idle_joules: 0.0, active_watts: 0.0, idle_watts: 0.0 }
}

fn read_number(file: &Path) -> io::Result<u64> {
    fs::read_to_string(file)?.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads the first line of `/proc/stat`: user nice system idle iowait irq softirq steal; guests are in user already.
fn processor_time(proc: &Path) -> Option<ProcessorTime> {
    let text = fs::read_to_string(proc.join("stat")).ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Some(ProcessorTime { busy: all - idle, all })
}

/// Reads `/proc/cpuinfo`; empty where it cannot be read.
fn processors(proc: &Path) -> Vec<Processor> {
    let text = fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let of_block = |block: &str| {
        let value = |key: &str| {
            let mut pairs = block.lines().filter_map(|line| line.split_once(':'));
            pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
        };
        Some(Processor {
            processor: value("processor")?,
            physical: value("physical id").unwrap_or_default(),
            core: value("core id").unwrap_or_default(),
            vendor: value("vendor_id").unwrap_or_default(),
            model: value("model name").unwrap_or_default(),
        })
    };
    text.split("\n\n").filter_map(of_block).collect()
}

#[cfg(test)]
#[path = "rapl_tests.rs"]
mod tests;

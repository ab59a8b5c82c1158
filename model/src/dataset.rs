//! Rows to learn from, and a count of what was left out.
//!
//! ```text
//! Window ──► one PowerRow a node with a meter      (NodeFeatures -> watts)
//!        └─► one LatencyRow a service, node, quantile (NodeFeatures + its rate -> bracket of milliseconds)
//! ```

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use wattle_contract::{LatencyBracket, MachineFacts, Millicores, NodeName, NodeWindow, ServiceName, Timestamp, Window};

use crate::features::{NodeFeatures, extract, extract_service};
use crate::prior::MOST_WATTS;

/// One node in one window, with the power it drew.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerRow {
    /// The node.
    pub node: NodeName,
    /// Its facts in that window.
    pub machine: MachineFacts,
    /// First instant.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
    /// What the model is told.
    pub features: NodeFeatures,
    /// What was measured. Units: watts.
    pub watts: f64,
}

/// One service on one node in one window, with the latency that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRow {
    /// The service.
    pub service: ServiceName,
    /// The node it answered on.
    pub node: NodeName,
    /// First instant.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
    /// What the model is told of the node.
    pub features: NodeFeatures,
    /// What the model is told of the service: `ln(1 + requests per second)`.
    pub rate: f64,
    /// Median that was seen; `None` when not measured.
    pub p50: Option<Bracket>,
    /// 95th percentile that was seen; `None` when not measured.
    pub p95: Option<Bracket>,
}

/// A latency of which the bucket is known. Units: natural logarithms of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bracket {
    /// Lower bound.
    pub low: f64,
    /// Interpolated inside.
    pub mid: f64,
    /// Upper bound; infinite for the last bucket.
    pub high: f64,
}

/// Least latency that is told apart, in milliseconds: the logarithm needs a floor.
const LEAST_MS: f64 = 0.01;

impl Bracket {
    /// Takes a measured bracket; `None` when it contradicts itself or is not a latency.
    #[must_use]
    pub fn new(bracket: LatencyBracket) -> Option<Self> {
        let (low, mid) = (bracket.low.get(), bracket.estimate.get());
        let high = bracket.high.map_or(f64::INFINITY, |high| high.get());
        (low >= 0.0 && mid > 0.0 && low <= mid && mid <= high).then(|| Self {
            low: low.max(LEAST_MS).ln().min(mid.max(LEAST_MS).ln()),
            mid: mid.max(LEAST_MS).ln(),
            high: high.max(LEAST_MS).ln(),
        })
    }
}

/// How many rows were left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exclusions {
    /// The node has no meter in that window.
    pub no_meter: usize,
    /// Its processor use was not measured.
    pub no_cpu: usize,
    /// Its capacity is unknown.
    pub no_capacity: usize,
    /// Its power cannot be: not above zero, above 20 kW, or above three times its own peak.
    pub impossible_power: usize,
    /// Its processor use is negative or more than a tenth above capacity.
    pub impossible_use: usize,
    /// The same node or service was seen twice in one window, or windows overlap.
    pub duplicate: usize,
    /// The service had no latency, no traffic, or a bracket that contradicts itself.
    pub no_latency: usize,
}

impl fmt::Display for Exclusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { no_meter, no_cpu, no_capacity, impossible_power, impossible_use, duplicate, no_latency } = self;
        let reasons = [
            (no_meter, "without a meter"),
            (no_cpu, "without processor use"),
            (no_capacity, "without capacity"),
            (impossible_power, "with impossible power"),
            (impossible_use, "with impossible use"),
            (duplicate, "seen twice"),
            (no_latency, "without latency"),
        ];
        let said = reasons.iter().filter(|(count, _)| **count > 0).map(|(count, why)| format!("{count} {why}"));
        let said: Vec<String> = said.collect();
        if said.is_empty() { f.write_str("no row left out") } else { write!(f, "left out: {}", said.join(", ")) }
    }
}

/// Everything to learn from, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Rows for power.
    pub power: Vec<PowerRow>,
    /// Rows for latency.
    pub latency: Vec<LatencyRow>,
    /// What was left out.
    pub excluded: Exclusions,
}

impl Dataset {
    /// Takes the rows out of windows, which may come in any order.
    #[must_use]
    pub fn from_windows(windows: &[Window]) -> Self {
        let mut ordered: Vec<&Window> = windows.iter().collect();
        ordered.sort_by_key(|window| (window.start, window.end));
        let mut data = Self::default();
        let mut last_end = None;
        for window in ordered {
            if window.end <= window.start || last_end.is_some_and(|end| window.start < end) {
                data.excluded.duplicate += window.nodes.len() + window.services.len();
                continue;
            }
            last_end = Some(window.end);
            data.take(window);
        }
        data
    }

    fn take(&mut self, window: &Window) {
        let mut seen = BTreeSet::new();
        for node in &window.nodes {
            if !seen.insert(&node.node) {
                self.excluded.duplicate += 1;
                continue;
            }
            if let Some((features, watts)) = self.power_of(node) {
                let (node, machine) = (node.node.clone(), node.machine.clone());
                self.power.push(PowerRow { node, machine, start: window.start, end: window.end, features, watts });
            }
        }
        let mut seen = BTreeSet::new();
        for service in &window.services {
            if !seen.insert((&service.service, &service.node)) {
                self.excluded.duplicate += 1;
                continue;
            }
            let node = window.nodes.iter().find(|node| node.node == service.node);
            let Some(features) = node.and_then(usable) else {
                self.excluded.no_cpu += 1;
                continue;
            };
            let (p50, p95) = (service.p50_ms.and_then(Bracket::new), service.p95_ms.and_then(Bracket::new));
            if (p50.is_none() && p95.is_none())
                || service.requests_per_second.is_nan()
                || service.requests_per_second <= 0.0
            {
                self.excluded.no_latency += 1;
                continue;
            }
            self.latency.push(LatencyRow {
                service: service.service.clone(),
                node: service.node.clone(),
                start: window.start,
                end: window.end,
                features,
                rate: extract_service(Some(service)),
                p50,
                p95,
            });
        }
    }

    fn power_of(&mut self, node: &NodeWindow) -> Option<(NodeFeatures, f64)> {
        let Some(watts) = node.power_watts.map(|watts| watts.get()) else {
            self.excluded.no_meter += 1;
            return None;
        };
        if node.cpu_used_millicores.is_none() {
            self.excluded.no_cpu += 1;
            return None;
        }
        if node.machine.cpu_capacity_millicores.is_none_or(|capacity| capacity.get() <= 0.0) {
            self.excluded.no_capacity += 1;
            return None;
        }
        let Some(features) = usable(node) else {
            self.excluded.impossible_use += 1;
            return None;
        };
        let most = node.machine.peak_watts.map_or(MOST_WATTS, |peak| (3.0 * peak.get()).min(MOST_WATTS));
        if watts <= 0.0 || watts > most {
            self.excluded.impossible_power += 1;
            return None;
        }
        Some((features, watts))
    }

    /// Splits by time: everything that starts at or after the last `holdout` share of the windows is held out.
    ///
    /// Gives (earlier, later); both keep the count of exclusions.
    #[must_use]
    pub fn split(&self, holdout: f64) -> (Self, Self) {
        let starts: BTreeSet<Timestamp> =
            self.power.iter().map(|row| row.start).chain(self.latency.iter().map(|row| row.start)).collect();
        let kept = ((1.0 - holdout) * starts.len() as f64).round() as usize;
        let Some(&edge) = starts.iter().nth(kept) else {
            return (self.clone(), Self { excluded: self.excluded.clone(), ..Self::default() });
        };
        let part = |later: bool| Self {
            power: self.power.iter().filter(|row| (row.start >= edge) == later).cloned().collect(),
            latency: self.latency.iter().filter(|row| (row.start >= edge) == later).cloned().collect(),
            excluded: self.excluded.clone(),
        };
        (part(false), part(true))
    }

    /// Gives how many windows have rows.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.power
            .iter()
            .map(|row| row.start)
            .chain(self.latency.iter().map(|row| row.start))
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Gives the first and the last instant; `None` without rows.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let starts = self.power.iter().map(|row| row.start).chain(self.latency.iter().map(|row| row.start));
        let ends = self.power.iter().map(|row| row.end).chain(self.latency.iter().map(|row| row.end));
        Some((starts.min()?, ends.max()?))
    }
}

/// Gives the features of a node whose measured use is possible.
fn usable(node: &NodeWindow) -> Option<NodeFeatures> {
    let features = extract(node, Millicores::ZERO)?;
    let utilisation = features.utilisation();
    // A counter read a little late can pass capacity: up to a tenth counts as full.
    (utilisation <= 1.1).then(|| features.at(utilisation.min(1.0)))
}

//! From samples to a window: what happened between two points in time.
//!
//! A counter's growth is what it gained from the last sample before the window (or the first inside) to the last one
//! inside, so every step between two samples is in exactly one window: windows sum to what was measured (law 1). A
//! counter that went down has started again from zero, so growth is never negative (law 2). What has no sample is
//! `None` (law 6). The same samples give the same window, in whatever order they came.

pub(crate) mod counter;
mod energy;
mod pods;
pub(crate) mod quantile;
mod traffic;

use std::collections::BTreeMap;

use wattle_contract::{ClusterSnapshot, MachineFacts, NodeName, PodPlacement, Timestamp, Window};

use crate::graph::edge::Table;
use crate::store::samples::Selected;

/// What a window is computed from.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    /// First instant.
    pub(crate) start: i64,
    /// First instant after.
    pub(crate) end: i64,
    /// Series of [`crate::catalog::wanted`], with points from [`Inputs::reach`] before the start.
    pub(crate) series: &'a [Selected],
    /// What is known of the machines.
    pub(crate) machines: &'a BTreeMap<NodeName, MachineFacts>,
}

impl Inputs<'_> {
    /// How long before a window its first sample may have a predecessor.
    pub(crate) const fn reach(window_ms: i64) -> i64 {
        2 * window_ms + 30_000
    }

    fn named<'b>(&'b self, metric: &'b str) -> impl Iterator<Item = &'b Selected> {
        self.series.iter().filter(move |series| series.labels.metric_name() == metric)
    }

    fn growth(&self, series: &Selected) -> Option<counter::Growth> {
        counter::growth(&series.points, self.start, self.end)
    }

    /// Gives the time of the newest sample inside the window.
    fn newest(&self, series: &Selected) -> Option<i64> {
        let inside = series.points.partition_point(|point| point.0 < self.end);
        series.points[..inside].iter().rev().find(|point| !point.1.is_nan()).map(|p| p.0).filter(|&t| t >= self.start)
    }
}

/// Computes a window and where the pods are; `None` when nothing in it was measured.
pub(crate) fn compute(inputs: &Inputs<'_>) -> Option<(Window, Vec<PodPlacement>)> {
    let pods = pods::Pods::find(inputs);
    let energy = energy::Energy::find(inputs);
    let services = traffic::services(inputs, &pods, &energy);
    let nodes = energy.nodes(inputs, &pods, &services);
    let edges = traffic::edges(inputs, &services);
    if nodes.is_empty() && services.is_empty() && edges.is_empty() {
        return None;
    }
    let window = Window { start: Timestamp(inputs.start), end: Timestamp(inputs.end), nodes, services, edges };
    Some((window, pods.placements()))
}

/// Gives what passed over the edges of a computed window.
pub(crate) fn traffic(inputs: &Inputs<'_>, window: &Window) -> Table {
    traffic::table(inputs, &window.services)
}

/// Puts a published state together.
pub(crate) const fn snapshot(
    version: u64,
    taken: Timestamp,
    window: Window,
    placements: Vec<PodPlacement>,
) -> ClusterSnapshot {
    ClusterSnapshot { version, taken, window, placements, workloads: Vec::new() }
}

#[cfg(test)]
mod tests;

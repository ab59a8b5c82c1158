//! Windows of the past from the samples of another server, by the computation that this collector makes of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use wattle_contract::{Labels, MachineFacts, NodeName, Timestamp, Window};

use crate::catalog;
use crate::store::samples::Selected;
use crate::window::{self, Inputs};

/// A series as another server kept it.
#[derive(Clone, Debug)]
pub struct History {
    /// Its labels, the metric's name among them.
    pub labels: Labels,
    /// Milliseconds since 1970 and values, in any order.
    pub points: Vec<(i64, f64)>,
}

/// Gives the PromQL selector of everything that a window is computed from.
#[must_use]
pub fn selector() -> String {
    format!("{{__name__=~\"{}\"}}", catalog::WANTED.replace('\\', "\\\\"))
}

/// Gives how long before a window samples still matter to it.
#[must_use]
pub const fn reach(window: Duration) -> Duration {
    Duration::from_millis(Inputs::reach(window.as_millis() as i64).unsigned_abs())
}

/// Computes the windows that start between two points in time, on the grid that the collector itself uses.
///
/// A window in which nothing was measured is left out.
#[must_use]
pub fn windows(
    series: Vec<History>,
    (from, until): (Timestamp, Timestamp),
    length: Duration,
    machines: &BTreeMap<NodeName, MachineFacts>,
) -> Vec<Window> {
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
    let selected: Vec<Selected> = series.into_iter().map(selected).collect();
    let mut windows = Vec::new();
    let mut start = from.0.saturating_add(length - 1).div_euclid(length) * length;
    while start < until.0 {
        let inputs = Inputs { start, end: start + length, series: &selected, machines };
        windows.extend(window::compute(&inputs).map(|(window, _)| window));
        start += length;
    }
    windows
}

fn selected(History { labels, mut points }: History) -> Selected {
    points.sort_by_key(|point| point.0);
    points.dedup_by_key(|point| point.0);
    Selected { labels, points }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{METRIC_NAME, Watts};

    #[test]
    fn energy_of_all_windows_is_what_the_counter_gained() {
        let labels =
            Labels::new([(METRIC_NAME, "kepler_node_cpu_joules_total"), ("zone", "package-0"), ("node_name", "n1")]);
        let points: Vec<(i64, f64)> = (0..41).rev().map(|at| (at * 3_000, 300.0 * at as f64)).collect();

        let length = Duration::from_secs(15);
        let span = (Timestamp(0), Timestamp(130_000));
        let windows = windows(vec![History { labels, points }], span, length, &BTreeMap::new());

        assert_eq!(windows.len(), 9);
        let joules: f64 = windows.iter().filter_map(|window| window.nodes[0].energy_joules).map(|j| j.get()).sum();
        assert!((joules - 12_000.0).abs() < 1e-6, "{joules}");
        assert_eq!(windows[1].nodes[0].power_watts, Watts::new(100.0));
        assert!(selector().starts_with("{__name__=~\"^(?:kepler_node"));
        assert!(reach(length) >= length);
    }
}

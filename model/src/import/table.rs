//! A table with a row a node and window, or a row a service on a node and window, as windows.

use std::collections::BTreeMap;

use wattle_contract::{
    Bytes, EnergySource, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeName, NodeWindow, ServiceWindow,
    Timestamp, Watts, Window,
};

use crate::Error;
use crate::csv::Csv;

/// Columns that a table must have.
pub const REQUIRED: [&str; 5] = ["start_ms", "end_ms", "node", "cpu_used_millicores", "cpu_capacity_millicores"];
/// Columns that it may have; an empty cell is unknown. A row that names a service is about that service on the node:
/// its processor use and requests are the service's, and the columns of latency count.
pub const OPTIONAL: [&str; 20] = [
    "power_watts",
    "class",
    "memory_used_bytes",
    "memory_capacity_bytes",
    "requests_per_second",
    "pods",
    "cores",
    "chips",
    "tdp_watts",
    "hardware_year",
    "idle_watts",
    "peak_watts",
    "relative_speed",
    "service",
    "p50_ms",
    "p50_low_ms",
    "p50_high_ms",
    "p95_ms",
    "p95_low_ms",
    "p95_high_ms",
];

/// Columns by name; one that is not there is unknown in every row.
struct Columns<'a> {
    numbers: BTreeMap<&'static str, Vec<f64>>,
    nodes: Vec<&'a str>,
    classes: Vec<&'a str>,
    services: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(csv: &'a Csv) -> Result<Self, Error> {
        let text = |column: &str| if csv.has(column) { csv.text(column) } else { Ok(vec![""; csv.len()]) };
        let mut numbers = BTreeMap::new();
        for column in REQUIRED.into_iter().chain(OPTIONAL) {
            if !matches!(column, "node" | "class" | "service") && (csv.has(column) || REQUIRED.contains(&column)) {
                numbers.insert(column, csv.numbers(column)?);
            }
        }
        Ok(Self { numbers, nodes: csv.text("node")?, classes: text("class")?, services: text("service")? })
    }

    fn at(&self, column: &str, row: usize) -> f64 {
        self.numbers.get(column).map_or(f64::NAN, |cells| cells[row])
    }

    /// Gives a whole number; `None` when it is unknown or below zero.
    fn whole(&self, column: &str, row: usize) -> Option<u64> {
        let value = self.at(column, row);
        (value >= 0.0).then_some(value as u64)
    }

    fn count(&self, column: &str, row: usize) -> Option<u32> {
        self.whole(column, row).and_then(|value| u32::try_from(value).ok())
    }

    fn finite(&self, column: &str, row: usize) -> Option<f64> {
        Some(self.at(column, row)).filter(|value| value.is_finite())
    }

    fn machine(&self, row: usize) -> MachineFacts {
        MachineFacts {
            class: (!self.classes[row].is_empty()).then(|| self.classes[row].to_owned()),
            cpu_capacity_millicores: Millicores::new(self.at("cpu_capacity_millicores", row)),
            memory_capacity_bytes: self.whole("memory_capacity_bytes", row).map(Bytes),
            cores: self.count("cores", row),
            chips: self.count("chips", row),
            tdp_watts: Watts::new(self.at("tdp_watts", row)),
            hardware_year: self.whole("hardware_year", row).and_then(|year| u16::try_from(year).ok()),
            idle_watts: Watts::new(self.at("idle_watts", row)),
            peak_watts: Watts::new(self.at("peak_watts", row)),
            relative_speed: self.finite("relative_speed", row),
        }
    }

    fn node(&self, row: usize) -> NodeWindow {
        let power_watts = Watts::new(self.at("power_watts", row));
        NodeWindow {
            node: NodeName::from(self.nodes[row]),
            machine: self.machine(row),
            power_watts,
            energy_joules: None,
            energy_source: power_watts.map(|_| EnergySource::Measured),
            cpu_used_millicores: Millicores::new(self.at("cpu_used_millicores", row)),
            memory_used_bytes: self.whole("memory_used_bytes", row).map(Bytes),
            requests_per_second: self.finite("requests_per_second", row),
            pods: self.count("pods", row),
        }
    }

    fn service(&self, row: usize) -> ServiceWindow {
        ServiceWindow {
            service: self.services[row].into(),
            node: NodeName::from(self.nodes[row]),
            requests_per_second: self.finite("requests_per_second", row).unwrap_or(0.0),
            error_ratio: 0.0,
            p50_ms: self.bracket(["p50_low_ms", "p50_ms", "p50_high_ms"], row),
            p95_ms: self.bracket(["p95_low_ms", "p95_ms", "p95_high_ms"], row),
            cpu_used_millicores: Millicores::new(self.at("cpu_used_millicores", row)),
            power_watts: Watts::new(self.at("power_watts", row)),
        }
    }

    /// Gives a latency with the edges of its bucket; without edges it is taken as exact.
    fn bracket(&self, [low, estimate, high]: [&str; 3], row: usize) -> Option<LatencyBracket> {
        let estimate = Milliseconds::new(self.at(estimate, row))?;
        let low = Milliseconds::new(self.at(low, row)).unwrap_or(estimate);
        let has_edges = self.numbers.contains_key(high);
        Some(LatencyBracket {
            low,
            estimate,
            high: if has_edges { Milliseconds::new(self.at(high, row)) } else { Some(estimate) },
        })
    }
}

/// Turns a table into windows.
///
/// # Errors
/// [`Error::Import`] for a missing or unknown column, a cell that is not what its column holds, or a window that ends before
/// it starts; each names the line.
pub(super) fn windows(name: &str, csv: &Csv) -> Result<Vec<Window>, Error> {
    let fault = |line: u64, reason: String| Error::Import { name: name.to_owned(), line, reason };
    let known = |column: &String| REQUIRED.contains(&column.as_str()) || OPTIONAL.contains(&column.as_str());
    if let Some(unknown) = csv.names_with("").iter().find(|column| !known(column)) {
        let known = [REQUIRED.as_slice(), &OPTIONAL].concat().join(", ");
        return Err(fault(1, format!("unknown column {unknown:?}: known are {known}")));
    }
    let columns = Columns::of(csv)?;
    let mut windows: BTreeMap<(i64, i64), (Vec<NodeWindow>, Vec<ServiceWindow>)> = BTreeMap::new();
    for row in 0..csv.len() {
        let line = row as u64 + 2;
        let (start, end) = (columns.at("start_ms", row), columns.at("end_ms", row));
        if start.is_nan() || end.is_nan() || end <= start {
            return Err(fault(line, format!("the window from {start} to {end} ms is empty")));
        }
        if columns.nodes[row].is_empty() {
            return Err(fault(line, "no node is named".to_owned()));
        }
        let (nodes, services) = windows.entry((start as i64, end as i64)).or_default();
        if columns.services[row].is_empty() {
            nodes.push(columns.node(row));
        } else {
            services.push(columns.service(row));
        }
    }
    Ok(windows.into_iter().map(|(span, (nodes, services))| Window { services, ..into_window(span, nodes) }).collect())
}

fn into_window((start, end): (i64, i64), nodes: Vec<NodeWindow>) -> Window {
    Window { start: Timestamp(start), end: Timestamp(end), nodes, services: Vec::new(), edges: Vec::new() }
}

/// Puts nodes by span of time into windows, oldest first.
pub(super) fn into_windows(windows: BTreeMap<(i64, i64), Vec<NodeWindow>>) -> Vec<Window> {
    windows.into_iter().map(|(span, nodes)| into_window(span, nodes)).collect()
}

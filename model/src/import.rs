//! Training data from files: readers in, windows out.
//!
//! A file has the same fate as a store: it becomes [`Window`]s, and from there on nothing knows where it came from.

mod kepler;

use std::collections::BTreeMap;
use std::io::BufRead;

use wattle_contract::{Bytes, EnergySource, MachineFacts, Millicores, NodeName, NodeWindow, Timestamp, Watts, Window};

use crate::Error;
use crate::csv::Csv;

pub use kepler::windows_from_kepler_json;

/// Columns that a CSV file must have.
pub const REQUIRED: [&str; 5] = ["start_ms", "end_ms", "node", "cpu_used_millicores", "cpu_capacity_millicores"];
/// Columns that it may have; an empty cell is unknown.
pub const OPTIONAL: [&str; 11] = [
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
    "relative_speed",
];

/// Reads windows from a CSV file with a row a node and window; columns are [`REQUIRED`] and [`OPTIONAL`].
///
/// # Errors
/// [`Error::Read`] when reading fails, [`Error::Import`] for a missing or unknown column, a cell that is not what its
/// column holds, or a window that ends before it starts; each names the line.
pub fn windows_from_csv(name: &str, reader: impl BufRead) -> Result<Vec<Window>, Error> {
    let csv = Csv::read(name, reader)?;
    if let Some(unknown) = csv
        .names_with("")
        .iter()
        .find(|column| !REQUIRED.contains(&column.as_str()) && !OPTIONAL.contains(&column.as_str()))
    {
        let known = [REQUIRED.as_slice(), &OPTIONAL].concat().join(", ");
        return Err(Error::Import {
            name: name.to_owned(),
            line: 1,
            reason: format!("unknown column {unknown:?}: known are {known}"),
        });
    }
    let number = |column: &str| if csv.has(column) { csv.numbers(column) } else { Ok(vec![f64::NAN; csv.len()]) };
    let (start, end, nodes) = (csv.numbers("start_ms")?, csv.numbers("end_ms")?, csv.text("node")?);
    let (used, capacity, watts) =
        (number("cpu_used_millicores")?, number("cpu_capacity_millicores")?, number("power_watts")?);
    let (memory, installed, rate) =
        (number("memory_used_bytes")?, number("memory_capacity_bytes")?, number("requests_per_second")?);
    let (pods, cores, chips, tdp) = (number("pods")?, number("cores")?, number("chips")?, number("tdp_watts")?);
    let (year, speed) = (number("hardware_year")?, number("relative_speed")?);
    let class = if csv.has("class") { csv.text("class")? } else { vec![""; csv.len()] };
    let mut windows: BTreeMap<(i64, i64), Vec<NodeWindow>> = BTreeMap::new();
    for row in 0..csv.len() {
        let fault = |reason: String| Error::Import { name: name.to_owned(), line: row as u64 + 2, reason };
        if start[row].is_nan() || end[row].is_nan() || end[row] <= start[row] {
            return Err(fault(format!("the window from {} to {} ms is empty", start[row], end[row])));
        }
        if nodes[row].is_empty() {
            return Err(fault("no node is named".to_owned()));
        }
        let whole = |value: f64| (value >= 0.0).then_some(value as u32);
        let machine = MachineFacts {
            class: (!class[row].is_empty()).then(|| class[row].to_owned()),
            cpu_capacity_millicores: Millicores::new(capacity[row]),
            memory_capacity_bytes: (installed[row] >= 0.0).then_some(Bytes(installed[row] as u64)),
            cores: whole(cores[row]),
            chips: whole(chips[row]),
            tdp_watts: Watts::new(tdp[row]),
            hardware_year: (year[row] >= 0.0).then_some(year[row] as u16),
            relative_speed: speed[row].is_finite().then_some(speed[row]),
            ..MachineFacts::default()
        };
        windows.entry((start[row] as i64, end[row] as i64)).or_default().push(NodeWindow {
            node: NodeName::from(nodes[row]),
            machine,
            power_watts: Watts::new(watts[row]),
            energy_joules: None,
            energy_source: Watts::new(watts[row]).map(|_| EnergySource::Measured),
            cpu_used_millicores: Millicores::new(used[row]),
            memory_used_bytes: (memory[row] >= 0.0).then_some(Bytes(memory[row] as u64)),
            requests_per_second: rate[row].is_finite().then_some(rate[row]),
            pods: whole(pods[row]),
        });
    }
    Ok(into_windows(windows))
}

fn into_windows(windows: BTreeMap<(i64, i64), Vec<NodeWindow>>) -> Vec<Window> {
    let window = |((start, end), nodes)| Window {
        start: Timestamp(start),
        end: Timestamp(end),
        nodes,
        services: Vec::new(),
        edges: Vec::new(),
    };
    windows.into_iter().map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    const CSV: &str = "start_ms,end_ms,node,cpu_used_millicores,cpu_capacity_millicores,power_watts,class\n\
                       0,5000,a,1000,8000,90.5,small\n0,5000,b,,8000,70,\n5000,10000,a,2000,8000,,small\n";

    #[test]
    fn rows_become_windows_and_empty_cells_stay_unknown() {
        let windows = windows_from_csv("power.csv", CSV.as_bytes()).expect("windows");

        assert_eq!((windows.len(), windows[0].nodes.len()), (2, 2));
        assert_eq!(windows[0].nodes[1].cpu_used_millicores, None);
        assert_eq!(windows[1].nodes[0].power_watts, None);
        assert_eq!(windows[0].nodes[0].machine.class.as_deref(), Some("small"));
        let data = Dataset::from_windows(&windows);
        assert_eq!((data.power.len(), data.excluded.no_cpu, data.excluded.no_meter), (1, 1, 1));
    }

    #[test]
    fn faults_name_their_line() {
        let unknown = windows_from_csv("x.csv", "start_ms,end_ms,node,cpu,cpu_capacity_millicores\n".as_bytes());
        let empty = windows_from_csv("x.csv", CSV.replace("0,5000,b", "5,5,b").as_bytes());

        assert!(unknown.is_err_and(|error| error.to_string().starts_with("x.csv, line 1: unknown column \"cpu\"")));
        assert!(empty.is_err_and(|error| error.to_string() == "x.csv, line 3: the window from 5 to 5 ms is empty"));
    }
}

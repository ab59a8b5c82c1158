//! Recorded data beside the repository: real servers' power, a real cluster's nodes and pods.

use std::path::PathBuf;

use anyhow::Context as _;
use wattle_contract::{Bytes, MachineFacts, Millicores, Watts};

use crate::server::Server;

/// Gives the folder of the corpora: `WATTLE_CORPUS`, else `../shared/data` beside the repository.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from)
}

/// Reads a file of the corpora; says so in one line and gives `None` where it is not there.
#[expect(clippy::print_stdout, reason = "a test that compares less than it could says so")]
#[must_use]
pub fn read(path: &str) -> Option<String> {
    let file = folder().join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            println!("no corpus here, {} is not read: {error} (set WATTLE_CORPUS)", file.display());
            None
        }
    }
}

/// A table with a header line and no quoting, as both corpora are.
struct Table {
    path: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &str) -> anyhow::Result<Self> {
        let file = folder().join(path);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!("cannot read {}: set WATTLE_CORPUS to the folder of the recorded data", file.display())
        })?;
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let columns = lines.next().with_context(|| format!("{} is empty", file.display()))?;
        Ok(Self { path: path.to_owned(), columns, rows: lines.collect() })
    }

    fn column(&self, name: &str) -> anyhow::Result<usize> {
        self.columns.iter().position(|column| column == name).with_context(|| format!("{} has no {name}", self.path))
    }

    /// Reads a number of a row; `None` where the cell is empty.
    fn number(&self, row: &[String], column: usize) -> anyhow::Result<Option<f64>> {
        match row.get(column).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(cell) => Ok(Some(cell.parse().with_context(|| format!("{}: {cell:?} is no number", self.path))?)),
        }
    }
}

/// Reads the servers whose power was published, from `first_year` on, in the order of the file.
///
/// # Errors
/// The file is not there or not as its README says.
pub fn servers(first_year: u16) -> anyhow::Result<Vec<Server>> {
    let table = Table::read("specpower/specpower_machines.csv")?;
    let at = |name: &str| table.column(name);
    let (id, year, threads, chips, cores) =
        (at("machine_id")?, at("hw_year")?, at("threads")?, at("chips")?, at("cores")?);
    let (memory, tdp, idle) = (at("mem_gb")?, at("tdp_w")?, at("w_idle")?);
    let mut servers = Vec::new();
    for row in &table.rows {
        let number = |column| table.number(row, column);
        let (Some(year), Some(threads), Some(cores)) = (number(year)?, number(threads)?, number(cores)?) else {
            continue;
        };
        if year < f64::from(first_year) || threads < 1.0 {
            continue;
        }
        let mut watts = [0.0; 11];
        for (level, cell) in watts.iter_mut().enumerate() {
            *cell = number(idle + level)?.with_context(|| format!("{}: a level is missing", row[id]))?;
        }
        let bytes = (number(memory)?.unwrap_or(64.0) as u64) << 30;
        servers.push(Server {
            facts: MachineFacts {
                class: Some(row[id].clone()),
                cpu_capacity_millicores: Millicores::new(threads * 1000.0),
                memory_capacity_bytes: Some(Bytes(bytes)),
                cores: Some(cores as u32),
                chips: number(chips)?.map(|chips| chips as u32),
                tdp_watts: number(tdp)?.and_then(Watts::new),
                hardware_year: Some(year as u16),
                ..MachineFacts::default()
            },
            cores: threads,
            speed: 1.0,
            memory: bytes,
            watts,
        });
    }
    anyhow::ensure!(!servers.is_empty(), "{} has no server from {first_year} on", table.path);
    Ok(servers)
}

/// A node of the recorded cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceNode {
    /// Its name.
    pub name: String,
    /// Processors it offers, in thousandths.
    pub cpu_milli: i64,
    /// Memory it offers, in bytes.
    pub memory: i64,
}

/// A pod of the recorded cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct TracePod {
    /// Its name.
    pub name: String,
    /// Processors it asks for, in thousandths.
    pub cpu_milli: i64,
    /// Memory it asks for, in bytes.
    pub memory: i64,
    /// Whether somebody waits for it (quality of service LS).
    pub is_sensitive: bool,
    /// Seconds from its creation to its deletion.
    pub life: f64,
}

/// Reads the first `nodes` nodes, and the pods in the order of creation, then name.
///
/// # Errors
/// A file is not there or not as its README says.
pub fn trace(nodes: usize) -> anyhow::Result<(Vec<TraceNode>, Vec<TracePod>)> {
    let table = Table::read("alibaba-openb/openb_node_list_all_node.csv")?;
    let (sn, cpu, memory) = (table.column("sn")?, table.column("cpu_milli")?, table.column("memory_mib")?);
    let mut found = Vec::with_capacity(nodes);
    for row in table.rows.iter().take(nodes) {
        let number = |column| table.number(row, column).map(|number| number.unwrap_or(0.0) as i64);
        found.push(TraceNode { name: row[sn].clone(), cpu_milli: number(cpu)?, memory: number(memory)? << 20 });
    }
    anyhow::ensure!(found.len() == nodes, "{} has {} nodes, not {nodes}", table.path, found.len());

    let table = Table::read("alibaba-openb/openb_pod_list_default.csv")?;
    let at = |name: &str| table.column(name);
    let (name, cpu, memory, qos) = (at("name")?, at("cpu_milli")?, at("memory_mib")?, at("qos")?);
    let (created, deleted) = (at("creation_time")?, at("deletion_time")?);
    let mut pods = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let number = |column| table.number(row, column).map(|number| number.unwrap_or(0.0));
        let pod = TracePod {
            name: row[name].clone(),
            cpu_milli: number(cpu)? as i64,
            memory: (number(memory)? as i64) << 20,
            is_sensitive: row[qos] == "LS",
            life: (number(deleted)? - number(created)?).max(1.0),
        };
        pods.push((number(created)? as i64, pod));
    }
    pods.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.name.cmp(&other.name)));
    Ok((found, pods.into_iter().map(|(_, pod)| pod).collect()))
}

//! Scenarios as files: YAML, unknown keys refused.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::plan::{Plan, hotel, openb};
use crate::server::Server;

/// A file that says what is simulated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// An application on a few machines.
    #[serde(default)]
    pub hotel: Option<Hotel>,
    /// A recorded cluster.
    #[serde(default)]
    pub trace: Option<Trace>,
}

/// hotelReservation on a few machines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hotel {
    /// Groups of machines by their classes; each is tried.
    pub machines: std::collections::BTreeMap<String, Vec<String>>,
    /// Mean user requests per second; each is tried.
    pub loads: Vec<f64>,
    /// Forms of the load over time; each is tried.
    pub shapes: Vec<Shape>,
    /// Simulated hours.
    pub hours: f64,
    /// Seconds of a step, which is also the measurement window.
    pub step_seconds: usize,
    /// Releases of each service per hour.
    pub releases_per_hour: f64,
    /// 95th percentile of whole requests to keep. Units: milliseconds.
    pub slo_p95_ms: f64,
}

impl Default for Hotel {
    fn default() -> Self {
        Self {
            machines: std::collections::BTreeMap::new(),
            loads: Vec::new(),
            shapes: vec![Shape::Diurnal],
            hours: 4.0,
            step_seconds: 15,
            releases_per_hour: 0.5,
            slo_p95_ms: 50.0,
        }
    }
}

/// The nodes and pods of a recorded cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// How many nodes of the recording.
    pub nodes: usize,
    /// Shares of all processors in use; each is tried.
    pub loads: Vec<f64>,
    /// Simulated hours.
    pub hours: f64,
    /// Seconds of a step, which is also the measurement window.
    pub step_seconds: usize,
    /// 95th percentile of a sensitive pod's request to keep. Units: milliseconds.
    pub slo_p95_ms: f64,
}

/// How the load changes over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// It stays.
    Steady,
    /// A wave of two hours, 40 % up and down.
    Diurnal,
    /// Four minutes in nineteen at 1.6 times the rest.
    Burst,
}

/// One combination of a scenario's choices.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What is varied, for tables.
    pub name: String,
    /// What the load is, for tables and plots.
    pub load: f64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Hotel { hotel: Hotel, servers: Vec<Server>, shape: Shape },
    Trace { trace: Trace, recorded: std::sync::Arc<openb::Recorded> },
}

impl Scenario {
    /// Reads a file; a bare name is one of the scenarios that come with the testbed.
    ///
    /// # Errors
    /// There is no such file, or it is not a scenario.
    pub fn read(path: &str) -> anyhow::Result<Self> {
        let text = match path {
            "hotel-3" => include_str!("../scenarios/hotel-3.yaml").to_owned(),
            "alibaba-1000" => include_str!("../scenarios/alibaba-1000.yaml").to_owned(),
            _ => std::fs::read_to_string(Path::new(path)).with_context(|| {
                format!("cannot read the scenario {path}: expected hotel-3, alibaba-1000 or a file")
            })?,
        };
        serde_saphyr::from_str(&text).with_context(|| format!("the scenario {path} is not as it should be"))
    }

    /// Gives every combination of its choices.
    ///
    /// # Errors
    /// A machine is not known, or recorded data is not there.
    pub fn cells(&self) -> anyhow::Result<Vec<Cell>> {
        let mut cells = Vec::new();
        if let Some(hotel) = &self.hotel {
            self.check(hotel.hours, hotel.step_seconds, &hotel.loads)?;
            for (group, classes) in &hotel.machines {
                let known = |class: &String| {
                    Server::built_in(class).with_context(|| format!("{}: no machine is called {class:?}", self.name))
                };
                let servers = classes.iter().map(known).collect::<anyhow::Result<Vec<Server>>>()?;
                for shape in &hotel.shapes {
                    for load in &hotel.loads {
                        let name = format!("{group}/{}/{load}", shape.label());
                        let kind = Kind::Hotel { hotel: hotel.clone(), servers: servers.clone(), shape: *shape };
                        cells.push(Cell { name, load: *load, kind });
                    }
                }
            }
        }
        if let Some(trace) = &self.trace {
            self.check(trace.hours, trace.step_seconds, &trace.loads)?;
            let recorded = std::sync::Arc::new(openb::Recorded::read(trace.nodes)?);
            for load in &trace.loads {
                let kind = Kind::Trace { trace: trace.clone(), recorded: std::sync::Arc::clone(&recorded) };
                cells.push(Cell { name: format!("load/{:.0}%", load * 100.0), load: *load, kind });
            }
        }
        anyhow::ensure!(!cells.is_empty(), "{} has neither `hotel` nor `trace`, or no loads", self.name);
        Ok(cells)
    }

    /// Refuses what would be a run of no steps, or of steps without end.
    fn check(&self, hours: f64, step_seconds: usize, loads: &[f64]) -> anyhow::Result<()> {
        let name = &self.name;
        anyhow::ensure!(hours > 0.0 && hours <= 1000.0, "{name}: hours is {hours}, not above 0 and at most 1000");
        let within = 1..=600;
        anyhow::ensure!(within.contains(&step_seconds), "{name}: step_seconds is {step_seconds}, not 1 to 600");
        let steps = hours * 3600.0 / step_seconds as f64;
        anyhow::ensure!(steps >= 12.0, "{name}: {steps:.0} steps of {step_seconds} s in hours, 12 are the least");
        let wrong = loads.iter().find(|load| !(**load > 0.0 && **load <= 1e6));
        anyhow::ensure!(wrong.is_none(), "{name}: loads has {wrong:?}, not above 0 and at most 1000000");
        Ok(())
    }
}

impl Cell {
    /// Plans a run with a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        match &self.kind {
            Kind::Hotel { hotel, servers, shape } => hotel::plan(hotel, servers, *shape, self.load, seed),
            Kind::Trace { trace, recorded } => openb::plan(trace, recorded, self.load, seed),
        }
    }

    /// Gives the same machines under a load that goes up and down over an hour or two: what a model is trained on.
    #[must_use]
    pub fn training(&self, seed: u64) -> Plan {
        match &self.kind {
            Kind::Hotel { hotel, servers, .. } => {
                let hotel = Hotel { hours: 2.0, ..hotel.clone() };
                hotel::plan(&hotel, servers, Shape::Diurnal, self.load, seed)
            }
            Kind::Trace { trace, recorded } => {
                let trace = Trace { hours: trace.hours.min(1.5), ..trace.clone() };
                openb::plan(&trace, recorded, self.load, seed)
            }
        }
    }
}

impl Shape {
    /// Gives its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Diurnal => "diurnal",
            Self::Burst => "burst",
        }
    }
}

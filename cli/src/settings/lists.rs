//! Settings that are lists of mappings: scrape jobs and machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wattle_collector::{ScrapeJob, ScrapeTarget};
use wattle_contract::{MachineFacts, NodeName};

use super::Setting;
use super::value::parse_duration;

/// What is scraped.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScrapeJobs(pub Vec<ScrapeJob>);

/// What is known of the nodes' hardware.
#[derive(Debug, Clone, Default)]
pub(crate) struct MachineList(pub BTreeMap<NodeName, MachineFacts>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJob {
    name: String,
    #[serde(default = "default_interval")]
    interval: String,
    #[serde(default = "default_timeout")]
    timeout: String,
    #[serde(default = "default_path")]
    path: String,
    #[serde(default)]
    honor_labels: bool,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    address: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawMachine {
    node: String,
    #[serde(flatten)]
    facts: MachineFacts,
}

fn default_interval() -> String {
    "15s".to_owned()
}

fn default_timeout() -> String {
    "10s".to_owned()
}

fn default_path() -> String {
    "/metrics".to_owned()
}

/// Gives the items of a list; empty text is an empty list, other text is read as JSON (the environment).
fn items(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::String(text) => serde_json::from_str(text).map_err(|e| format!("not a JSON list: {e}")),
        Value::Array(items) => Ok(items.clone()),
        _ => Err("not a list".to_owned()),
    }
}

fn duration(text: &str, of: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(span) if !span.is_zero() => Ok(span),
        _ => Err(format!("{of} '{text}' is not a duration such as 15s")),
    }
}

impl Setting for ScrapeJobs {
    const KIND: &'static str = "list of scrape jobs";

    fn read(value: &Value) -> Result<Self, String> {
        let mut jobs = Vec::new();
        for (at, item) in items(value)?.into_iter().enumerate() {
            let raw: RawJob = serde_json::from_value(item).map_err(|e| format!("entry {}: {e}", at + 1))?;
            jobs.push(ScrapeJob {
                interval: duration(&raw.interval, "interval")?,
                timeout: duration(&raw.timeout, "timeout")?,
                name: raw.name,
                path: raw.path,
                honor_labels: raw.honor_labels,
                targets: raw
                    .targets
                    .into_iter()
                    .map(|t| ScrapeTarget { address: t.address, labels: t.labels.into_iter().collect() })
                    .collect(),
                ..ScrapeJob::default()
            });
        }
        Ok(Self(jobs))
    }
}

impl Setting for MachineList {
    const KIND: &'static str = "list of machines";

    fn read(value: &Value) -> Result<Self, String> {
        let mut machines = BTreeMap::new();
        for (at, item) in items(value)?.into_iter().enumerate() {
            let raw: RawMachine = serde_json::from_value(item).map_err(|e| format!("entry {}: {e}", at + 1))?;
            machines.insert(NodeName::from(raw.node), raw.facts);
        }
        Ok(Self(machines))
    }
}

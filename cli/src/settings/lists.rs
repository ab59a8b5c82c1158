//! Settings that are lists of mappings: scrape jobs, machines and power caps.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wattle_collector::ScrapeJob;
use wattle_contract::{MachineFacts, NodeName, Watts};
use wattle_scheduler::filter::PowerCap;

use super::Setting;

/// What is scraped.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScrapeJobs(pub Vec<ScrapeJob>);

/// What is known of the nodes' hardware.
#[derive(Debug, Clone, Default)]
pub(crate) struct MachineList(pub BTreeMap<NodeName, MachineFacts>);

/// Limits on the power of groups of nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct PowerCapList(pub Vec<PowerCap>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCap {
    label: String,
    #[serde(default)]
    value: Option<String>,
    watts: f64,
}

#[derive(Deserialize)]
struct RawMachine {
    node: String,
    #[serde(flatten)]
    facts: MachineFacts,
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

impl Setting for ScrapeJobs {
    const KIND: &'static str = "list of scrape jobs";

    fn read(value: &Value) -> Result<Self, String> {
        let jobs = items(value)?.into_iter().enumerate();
        let read = jobs.map(|(at, item)| ScrapeJob::read(item).map_err(|e| format!("entry {}: {e}", at + 1)));
        read.collect::<Result<_, _>>().map(Self)
    }
}

impl Setting for PowerCapList {
    const KIND: &'static str = "list of power caps";

    fn read(value: &Value) -> Result<Self, String> {
        let mut caps = Vec::new();
        for (at, item) in items(value)?.into_iter().enumerate() {
            let raw: RawCap = serde_json::from_value(item).map_err(|e| format!("entry {}: {e}", at + 1))?;
            let watts = Watts::new(raw.watts).filter(|watts| watts.get() > 0.0);
            match watts {
                Some(watts) if !raw.label.is_empty() => {
                    caps.push(PowerCap { label: raw.label, value: raw.value, watts });
                }
                _ => return Err(format!("entry {}: needs a label and more than 0 watts", at + 1)),
            }
        }
        Ok(Self(caps))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cap_has_a_label_and_watts() {
        let caps =
            PowerCapList::read(&Value::from(r#"[{"label":"rack","watts":500},{"label":"z","value":"a","watts":9}]"#));
        let caps = caps.expect("two caps").0;
        assert_eq!((caps[0].value.as_deref(), caps[1].value.as_deref()), (None, Some("a")));

        for wrong in
            [r#"[{"label":"rack"}]"#, r#"[{"label":"","watts":5}]"#, r#"[{"label":"r","watts":0}]"#, "[7]", "x"]
        {
            assert!(PowerCapList::read(&Value::from(wrong)).is_err(), "{wrong}");
        }
    }
}

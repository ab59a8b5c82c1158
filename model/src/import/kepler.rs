//! Prometheus range-query answers in a file, a metric a key, as the Kepler model server's training pipeline keeps them.
//!
//! ```text
//! { "kepler_node_platform_joules_total": [ {"metric": {"instance": "n1", ...}, "values": [[1695115663, "12.5"], ...]}, ... ], ... }
//! ```
//!
//! Under a key there may also stand a whole answer of `/api/v1/query_range`. Series of one node (label `node_name`, `node`,
//! `exported_instance` or `instance`) are summed; counters become rates between neighbouring samples, and a counter that
//! fell begins anew. Power is taken from the widest zone there is: platform, then package and dram together.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use wattle_contract::{EnergySource, MachineFacts, Millicores, NodeName, NodeWindow, Watts, Window};

use super::into_windows;
use crate::Error;

/// Energy counters in joules, widest zone first; the second and third are added.
const PLATFORM: [&str; 2] = ["kepler_node_platform_joules_total", "kepler_platform_joules_total"];
const PARTS: [&str; 2] = ["kepler_node_package_joules_total", "kepler_node_dram_joules_total"];
/// Processor time counters in microseconds, and those of older Keplers in milliseconds.
const CPU_US: [&str; 2] = ["kepler_node_bpf_cpu_time_us_total", "kepler_container_bpf_cpu_time_us_total"];
const CPU_MS: [&str; 2] = ["kepler_node_bpf_cpu_time_ms_total", "kepler_container_bpf_cpu_time_ms_total"];
/// Labels that may name the node of a series, the surest first.
const NODE: [&str; 4] = ["node_name", "node", "exported_instance", "instance"];

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Series(Vec<Series>),
    Response { data: Matrix },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Rates of one metric by node and by the milliseconds between which they were taken.
type Rates = BTreeMap<String, BTreeMap<(i64, i64), f64>>;

/// Reads windows from such a file; `capacity` is what each node offers, since the counters do not tell it.
///
/// # Errors
/// [`Error::Read`] when reading fails, [`Error::Import`] when the text is not such a file or holds no counter known here.
pub fn windows_from_kepler_json(
    name: &str,
    mut reader: impl Read,
    capacity: &BTreeMap<NodeName, MachineFacts>,
) -> Result<Vec<Window>, Error> {
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|source| Error::Read { name: name.to_owned(), source })?;
    let fault = |line: u64, reason: String| Error::Import { name: name.to_owned(), line, reason };
    let answers: BTreeMap<String, Answer> =
        serde_json::from_str(&text).map_err(|error| fault(error.line() as u64, error.to_string()))?;
    let named = |metric: &&str| -> Result<Option<Rates>, Error> {
        let nameless = || fault(1, format!("a series of {metric} names no node: expected a label {}", NODE.join(", ")));
        answers.get(*metric).map(|answer| rates(answer).ok_or_else(nameless)).transpose()
    };
    let first = |metrics: &[&str]| metrics.iter().map(named).find_map(Result::transpose).transpose();
    let watts = match first(&PLATFORM)? {
        Some(watts) => watts,
        None => PARTS
            .iter()
            .map(named)
            .filter_map(Result::transpose)
            .try_fold(Rates::new(), |sum, more| Ok::<_, Error>(add(sum, more?)))?,
    };
    let (cpu, a_millicore) = match (first(&CPU_US)?, first(&CPU_MS)?) {
        (Some(cpu), _) => (cpu, 1000.0),
        (None, Some(cpu)) => (cpu, 1.0),
        (None, None) => {
            return Err(fault(
                1,
                format!("no processor time: expected one of {}", [CPU_US, CPU_MS].concat().join(", ")),
            ));
        }
    };
    if watts.is_empty() {
        return Err(fault(1, format!("no energy: expected one of {}", [PLATFORM, PARTS].concat().join(", "))));
    }
    let mut windows: BTreeMap<(i64, i64), Vec<NodeWindow>> = BTreeMap::new();
    for (node, spans) in cpu {
        let node_name = NodeName::from(node.as_str());
        for (span, used) in spans {
            let power = watts.get(&node).and_then(|watts| watts.get(&span)).copied().and_then(Watts::new);
            windows.entry(span).or_default().push(NodeWindow {
                node: node_name.clone(),
                machine: capacity.get(&node_name).cloned().unwrap_or_default(),
                power_watts: power,
                energy_joules: None,
                energy_source: power.map(|_| EnergySource::Measured),
                cpu_used_millicores: Millicores::new(used / a_millicore),
                memory_used_bytes: None,
                requests_per_second: None,
                pods: None,
            });
        }
    }
    Ok(into_windows(windows))
}

fn add(mut sum: Rates, more: Rates) -> Rates {
    for (node, spans) in more {
        let known = sum.entry(node).or_default();
        for (span, rate) in spans {
            *known.entry(span).or_default() += rate;
        }
    }
    sum
}

/// Sums rates by node; `None` when a series names no node.
fn rates(answer: &Answer) -> Option<Rates> {
    let series = match answer {
        Answer::Series(series) | Answer::Response { data: Matrix { result: series } } => series,
        Answer::Other(_) => return Some(Rates::new()),
    };
    let mut rates = Rates::new();
    for Series { metric, values } in series {
        let node = NODE.iter().find_map(|label| metric.get(*label)).filter(|node| !node.is_empty())?;
        let node = rates.entry(node.clone()).or_default();
        for pair in values.windows(2) {
            let value = |at: usize| pair[at].1.parse::<f64>().ok().filter(|value| value.is_finite());
            let (Some(before), Some(now)) = (value(0), value(1)) else { continue };
            let seconds = pair[1].0 - pair[0].0;
            if seconds > 0.0 {
                let grown = if now >= before { now - before } else { now };
                *node.entry(((pair[0].0 * 1000.0) as i64, (pair[1].0 * 1000.0) as i64)).or_default() += grown / seconds;
            }
        }
    }
    Some(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_watts_and_millicores_and_a_reset_is_no_negative_power() {
        let text = r#"{
            "kepler_node_package_joules_total": [{"metric": {"instance": "n1"}, "values": [[0, "100"], [3, "400"], [6, "30"]]}],
            "kepler_node_dram_joules_total": {"status": "success", "data": {"resultType": "matrix", "result":
                [{"metric": {"instance": "n1"}, "values": [[0, "10"], [3, "40"], [6, "70"]]}]}},
            "kepler_container_bpf_cpu_time_us_total": [
                {"metric": {"instance": "n1", "pod_name": "a"}, "values": [[0, "0"], [3, "3000000"], [6, "4500000"]]},
                {"metric": {"instance": "n1", "pod_name": "b"}, "values": [[0, "0"], [3, "1500000"], [6, "3000000"]]}]
        }"#;

        let windows = windows_from_kepler_json("k.json", text.as_bytes(), &BTreeMap::new()).expect("windows");

        let node = |at: usize| &windows[at].nodes[0];
        assert_eq!(windows.len(), 2);
        assert_eq!(node(0).power_watts, Watts::new(110.0));
        assert_eq!(node(0).cpu_used_millicores, Millicores::new(1500.0));
        assert_eq!(node(1).power_watts, Watts::new(20.0));
        let older = text.replace("cpu_time_us", "cpu_time_ms").replace("000\"]", "\"]");
        let older = windows_from_kepler_json("k.json", older.as_bytes(), &BTreeMap::new()).expect("windows");
        assert_eq!(older[0].nodes[0].cpu_used_millicores, Millicores::new(1500.0));
        let nameless = text.replace("\"instance\"", "\"job\"");
        let refused = windows_from_kepler_json("k.json", nameless.as_bytes(), &BTreeMap::new()).expect_err("no node");
        assert!(refused.to_string().contains("kepler_node_package_joules_total names no node"), "{refused}");
        assert!(windows_from_kepler_json("k.json", "{}".as_bytes(), &BTreeMap::new()).is_err());
        assert!(windows_from_kepler_json("k.json", "[1".as_bytes(), &BTreeMap::new()).is_err());
    }
}

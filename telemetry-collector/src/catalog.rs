//! What foreign metrics mean to us: names and labels of Kepler and Istio to our signals.
//!
//! Kepler's zones overlap (psys contains package, package contains core), so zones are never summed, but for package
//! and dram, which do not. Both generations of Kepler are known: `kepler_node_cpu_joules_total{zone=}` and, to v0.9,
//! `kepler_node_<zone>_joules_total` with a `mode` each for idle and dynamic energy.

use promql_parser::label::{MatchOp, Matcher, Matchers};
use wattle_contract::{EnergySource, Labels, METRIC_NAME, NodeName, PodKey};

/// Every metric a window is computed from.
pub(crate) const WANTED: &str = "^(?:kepler_node_cpu_joules_total|kepler_node_cpu_usage_ratio|kepler_node_cpu_info|\
    kepler_pod_cpu_joules_total|kepler_container_cpu_seconds_total|kepler_container_(?:package_|dram_)?joules_total|kepler_node_(?:package|dram|platform)_joules_total|\
    istio_requests_total|istio_request_duration_milliseconds_bucket|istio_re(?:quest|sponse)_bytes_sum)$";

/// Label of series that the rules for Kepler made of others: the same energy once more.
const ALIAS: &str = "kepler_alias";

/// Gives the selector of every metric a window is computed from.
pub(crate) fn wanted() -> Matchers {
    let matchers = match regex::Regex::new(WANTED) {
        Ok(pattern) => vec![Matcher::new(MatchOp::Re(pattern), METRIC_NAME, WANTED)],
        Err(_) => Vec::new(),
    };
    Matchers::new(matchers)
}

/// A part of a machine with a meter, widest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Zone {
    /// The whole machine (psys, or the platform meter of older Kepler).
    Machine,
    /// The processors.
    Package,
    /// The memory.
    Dram,
}

impl Zone {
    fn from_label(zone: &str) -> Option<Self> {
        match zone.split_once('-').map_or(zone, |(kind, _)| kind) {
            "psys" => Some(Self::Machine),
            "package" => Some(Self::Package),
            "dram" => Some(Self::Dram),
            _ => None,
        }
    }

    /// Gives the zones whose energy is that of the node: the widest, or those that do not overlap.
    pub(crate) fn widest(present: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut zones: Vec<Self> = present.collect();
        zones.sort_unstable();
        zones.dedup();
        if zones.first() == Some(&Self::Machine) {
            zones.truncate(1);
        }
        zones
    }
}

/// Gives the zone and the source of a node's energy counter; `None` for any other series.
pub(crate) fn node_energy(labels: &Labels) -> Option<(Zone, EnergySource)> {
    if labels.get(ALIAS).is_some() {
        return None;
    }
    let zone = match labels.metric_name() {
        "kepler_node_cpu_joules_total" => Zone::from_label(labels.get("zone")?)?,
        "kepler_node_platform_joules_total" => Zone::Machine,
        "kepler_node_package_joules_total" => Zone::Package,
        "kepler_node_dram_joules_total" => Zone::Dram,
        _ => return None,
    };
    let source = match labels.get("energy_source").or_else(|| labels.get("source")) {
        Some("simulated") => EnergySource::Simulated,
        Some("estimated" | "trained_power_model") => EnergySource::Estimated,
        _ => EnergySource::Measured,
    };
    Some((zone, source))
}

/// Gives the pod and the zone of a counter of a pod's energy, or of a container's of it; `None` for any other series.
///
/// Older Kepler counts by container, and gives them idle energy too (`mode`), which the newer one leaves with the node: what
/// they used (`dynamic`) is of both. Its sum over the zones is what the container has of the whole machine.
pub(crate) fn pod_energy(labels: &Labels) -> Option<(PodKey, Zone)> {
    let zone = match labels.metric_name() {
        "kepler_pod_cpu_joules_total" if labels.get("state") != Some("terminated") => {
            let pod = PodKey::new(labels.get("pod_namespace")?, labels.get("pod_name")?);
            return Some((pod, Zone::from_label(labels.get("zone")?)?));
        }
        "kepler_container_joules_total" => Zone::Machine,
        "kepler_container_package_joules_total" => Zone::Package,
        "kepler_container_dram_joules_total" => Zone::Dram,
        _ => return None,
    };
    if labels.get(ALIAS).is_some() || labels.get("mode").is_some_and(|mode| mode != "dynamic") {
        return None;
    }
    // What runs in no pod is counted under these names.
    let name = labels.get("pod_name").filter(|name| !matches!(*name, "system_processes" | "kernel_processes"))?;
    Some((PodKey::new(labels.get("container_namespace")?, name), zone))
}

/// Gives the node that a Kepler series is about.
pub(crate) fn kepler_node(labels: &Labels) -> Option<NodeName> {
    // Older Kepler has `instance` of its own, which a scrape renames.
    ["node_name", "exported_instance", "node", "instance"].iter().find_map(|name| labels.get(name)).map(Into::into)
}

/// Gives a label of Istio's that is known; Istio writes `unknown` where it is not.
pub(crate) fn known<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    labels.get(name).filter(|value| *value != "unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_that_overlap_are_never_summed() {
        assert_eq!(Zone::widest([Zone::Dram, Zone::Machine, Zone::Package].into_iter()), [Zone::Machine]);
        assert_eq!(Zone::widest([Zone::Dram, Zone::Package].into_iter()), [Zone::Package, Zone::Dram]);
        assert_eq!(Zone::from_label("core"), None);
    }

    #[test]
    fn both_generations_of_kepler_are_known() {
        let new = Labels::new([(METRIC_NAME, "kepler_node_cpu_joules_total"), ("zone", "psys")]);
        let old = Labels::new([
            (METRIC_NAME, "kepler_node_package_joules_total"),
            ("source", "trained_power_model"),
            ("exported_instance", "node-7"),
            ("instance", "10.0.0.1:9102"),
        ]);

        assert_eq!(node_energy(&new), Some((Zone::Machine, EnergySource::Measured)));
        assert_eq!(node_energy(&old), Some((Zone::Package, EnergySource::Estimated)));
        assert_eq!(kepler_node(&old), Some("node-7".into()));
        let alias = Labels::new([(METRIC_NAME, "kepler_node_platform_joules_total"), ("kepler_alias", "v0.9")]);
        assert_eq!(node_energy(&alias), None, "energy would be there twice");
        assert!(!wanted().matchers.is_empty());
    }
}

//! Rules of DestinationRule.

use super::check::{Check, is_host, is_name};
use super::traffic_policy;
use crate::kinds::destination_rule::DestinationRule;

/// Checks a DestinationRule.
pub(super) fn check(spec: &DestinationRule, check: &mut Check<'_>) {
    if !spec.host.is_empty() && !is_host(&spec.host) {
        check.error("spec.host", format!("Invalid value: {:?} is no host name", spec.host));
    }
    if let Some(policy) = &spec.traffic_policy {
        traffic_policy::check(policy, "spec.trafficPolicy", check);
    }
    for (index, subset) in spec.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{index}]");
        if !subset.name.is_empty() && !is_name(&subset.name) {
            check.error(format!("{path}.name"), format!("Invalid value: {:?} is no name", subset.name));
        }
        if spec.subsets[..index].iter().any(|other| other.name == subset.name) {
            check.error(format!("{path}.name"), format!("Duplicate value: {:?}: duplicate subset name", subset.name));
        }
        if subset.labels.is_empty() {
            check.advise(&path, "a subset without labels is all endpoints of the host");
        }
        check.labels(&format!("{path}.labels"), &subset.labels);
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy::check(policy, &format!("{path}.trafficPolicy"), check);
        }
    }
    check.export_to("spec.exportTo", &spec.export_to, false);
    if let Some(selector) = &spec.workload_selector {
        check.selector("spec.workloadSelector.matchLabels", &selector.match_labels);
        if !spec.export_to.is_empty() && spec.export_to.iter().any(|scope| scope != ".") {
            let message = "Invalid value: a rule with workloadSelector is not exported beyond its namespace";
            check.error_with("spec.exportTo", message, "use \".\", or remove workloadSelector");
        }
    }
}

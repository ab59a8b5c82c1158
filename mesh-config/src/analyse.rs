//! What the resources mean together, and what is likely not meant.
//!
//! Findings that Istio's own analysis knows carry its codes; those with `WAT` codes are ours.

mod destinations;
mod gateways;
mod injection;
mod limits;
mod matches;
mod opaque;
mod own;
mod policies;
mod retries;
mod selectors;
mod shadows;
mod subsets;
mod tls;
mod workloads;

use std::collections::BTreeMap;

use crate::documents::Documents;
use crate::finding::{Finding, Problem, RuleId};
use crate::kinds::virtual_service::{Destination, VirtualService};
use crate::resource::Resource;

/// Collects findings.
#[derive(Debug)]
pub(crate) struct Analysis<'a> {
    pub(crate) documents: &'a Documents,
    findings: Vec<Finding>,
}

impl Analysis<'_> {
    /// Adds a finding about a resource.
    fn tell(&mut self, resource: &Resource, problem: Problem) {
        self.findings.push(resource.finding(problem));
    }
}

/// Says everything there is to say about the resources, what reading found included; by file and line.
#[must_use]
pub fn analyse(documents: &Documents) -> Vec<Finding> {
    let mut analysis = Analysis { documents, findings: documents.findings() };
    destinations::analyse(&mut analysis);
    gateways::analyse(&mut analysis);
    injection::analyse(&mut analysis);
    limits::analyse(&mut analysis);
    matches::analyse(&mut analysis);
    opaque::analyse(&mut analysis);
    own::analyse(&mut analysis);
    policies::analyse(&mut analysis);
    retries::analyse(&mut analysis);
    selectors::analyse(&mut analysis);
    shadows::analyse(&mut analysis);
    subsets::analyse(&mut analysis);
    tls::analyse(&mut analysis);
    workloads::analyse(&mut analysis);
    analysis.findings.sort();
    analysis.findings
}

/// A rule that names something that is not there.
const fn reference(word: &'static str) -> RuleId {
    RuleId::error("IST0101", word)
}

/// Gives every destination of a VirtualService with its path.
fn destinations_of(spec: &VirtualService) -> Vec<(String, &Destination)> {
    let mut found = Vec::new();
    for (index, rule) in spec.http.iter().enumerate() {
        let path = format!("spec.http[{index}]");
        let routed = rule.route.iter().enumerate();
        found.extend(routed.filter_map(|(number, one)| {
            Some((format!("{path}.route[{number}].destination"), one.destination.as_ref()?))
        }));
        found.extend(rule.mirror.iter().map(|mirror| (format!("{path}.mirror"), mirror)));
        let mirrored = rule.mirrors.iter().enumerate();
        found.extend(mirrored.filter_map(|(number, one)| {
            Some((format!("{path}.mirrors[{number}].destination"), one.destination.as_ref()?))
        }));
    }
    for (index, rule) in spec.tls.iter().enumerate() {
        let routed = rule.route.iter().enumerate();
        found.extend(routed.filter_map(|(number, one)| {
            Some((format!("spec.tls[{index}].route[{number}].destination"), one.destination.as_ref()?))
        }));
    }
    for (index, rule) in spec.tcp.iter().enumerate() {
        let routed = rule.route.iter().enumerate();
        found.extend(routed.filter_map(|(number, one)| {
            Some((format!("spec.tcp[{index}].route[{number}].destination"), one.destination.as_ref()?))
        }));
    }
    found
}

/// Writes labels as a selector.
fn selector_text(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

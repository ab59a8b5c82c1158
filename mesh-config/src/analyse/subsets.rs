//! Subsets: named and not defined, defined and empty, defined and never used.

use std::collections::BTreeSet;

use super::{Analysis, destinations_of, reference, selector_text};
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::Deployment;
use crate::kinds::destination_rule::DestinationRule;
use crate::kinds::virtual_service::VirtualService;
use crate::registry::{Service, labels_match};

const NOT_FOUND: RuleId = reference("subset-not-found");
const NO_PODS: RuleId = RuleId::warning("IST0173", "subset-selects-no-pods");
const NO_VERSION: RuleId = RuleId::warning("WAT0111", "no-version-label");
const UNUSED_POLICY: RuleId = RuleId::info("WAT0112", "subset-policy-unused");

/// Analyses subsets.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    let complete = |host: &str, namespace: &str| hosts::complete(host, namespace, documents.settings());
    // What the DestinationRules define, by host pattern.
    let mut defined: Vec<(String, &str)> = Vec::new();
    for (resource, rule) in documents.of::<DestinationRule>() {
        let host = complete(&rule.host, resource.namespace());
        defined.extend(rule.subsets.iter().map(|subset| (host.clone(), subset.name.as_str())));
    }
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for (resource, spec) in documents.of::<VirtualService>() {
        for (path, destination) in
            destinations_of(spec).into_iter().filter(|(_, destination)| !destination.subset.is_empty())
        {
            let host = complete(&destination.host, resource.namespace());
            used.insert((host.clone(), destination.subset.clone()));
            let known =
                defined.iter().any(|(pattern, name)| *name == destination.subset && hosts::within(&host, pattern));
            if known {
                continue;
            }
            let message = format!("no DestinationRule defines subset {:?} of {host}", destination.subset);
            let others: Vec<&str> =
                defined.iter().filter(|(pattern, _)| hosts::within(&host, pattern)).map(|(_, name)| *name).collect();
            let remedy = match others.as_slice() {
                [] => "add a DestinationRule for the host with this subset".to_owned(),
                names => format!("the subsets of the host are {}", names.join(", ")),
            };
            let problem = Problem::new(NOT_FOUND, format!("{path}.subset"), message);
            analysis.tell(
                resource,
                problem
                    .effect("requests that take this route are answered 503 (flag NC), not spread over all endpoints")
                    .remedy(remedy),
            );
        }
    }
    rules(analysis, &used);
    versions(analysis, &used);
}

fn rules(analysis: &mut Analysis<'_>, used: &BTreeSet<(String, String)>) {
    let documents = analysis.documents;
    for (resource, rule) in documents.of::<DestinationRule>() {
        let host = hosts::complete(&rule.host, resource.namespace(), documents.settings());
        let service =
            documents.registry().service(&host, resource.namespace()).filter(|service| !service.selector.is_empty());
        for (index, subset) in rule.subsets.iter().enumerate() {
            let path = format!("spec.subsets[{index}]");
            if let Some(service) = service
                && !selects(analysis, service, &subset.labels)
            {
                let message = format!("no pod of {host} has the labels {}", selector_text(&subset.labels));
                let problem = Problem::new(NO_PODS, format!("{path}.labels"), message);
                analysis.tell(
                    resource,
                    problem
                        .effect("requests to the subset are answered 503 (no healthy upstream)")
                        .remedy("correct the labels, or add the pods"),
                );
            }
            let is_used = used.iter().any(|(used_host, name)| *name == subset.name && hosts::within(used_host, &host));
            if subset.traffic_policy.is_some()
                && !is_used
                && documents.of_kind(crate::kinds::Kind::VirtualService).iter().any(|_| true)
            {
                let message = format!("no route names subset {:?}", subset.name);
                let problem = Problem::new(UNUSED_POLICY, format!("{path}.trafficPolicy"), message);
                analysis.tell(
                    resource,
                    problem
                        .effect("its policy is never used: it does not apply to requests that name no subset")
                        .remedy("route to the subset, or move the policy up"),
                );
            }
        }
    }
}

fn selects(analysis: &Analysis<'_>, service: &Service, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let mut pods = analysis.documents.registry().workloads_in(service.namespace());
    pods.any(|pod| labels_match(&service.selector, &pod.labels) && labels_match(labels, &pod.labels))
}

/// Tells of Deployments that subsets are meant for and whose pods no subset keyed on `version` can select.
fn versions(analysis: &mut Analysis<'_>, used: &BTreeSet<(String, String)>) {
    let documents = analysis.documents;
    for (resource, deployment) in documents.of::<Deployment>() {
        let labels = &deployment.0.template.metadata.labels;
        if labels.contains_key("version") || labels.contains_key("app.kubernetes.io/version") {
            continue;
        }
        let own: Vec<String> = [Some(resource.name()), labels.get("app").map(String::as_str)]
            .into_iter()
            .flatten()
            .map(|name| hosts::complete(name, resource.namespace(), documents.settings()))
            .collect();
        let meant = used.iter().any(|(host, _)| {
            own.contains(host)
                || documents.registry().service(host, resource.namespace()).is_some_and(|service| {
                    service.namespace() == resource.namespace()
                        && !service.selector.is_empty()
                        && labels_match(&service.selector, labels)
                })
        });
        // A Deployment that a defined subset selects by other labels is well served.
        let selected = documents
            .of::<DestinationRule>()
            .flat_map(|(_, rule)| &rule.subsets)
            .any(|subset| !subset.labels.is_empty() && labels_match(&subset.labels, labels));
        if meant && !selected {
            let problem = Problem::new(
                NO_VERSION,
                "spec.template.metadata.labels",
                "routes name subsets of this workload, and its pods have no version label",
            );
            analysis.tell(
                resource,
                problem
                    .effect("no subset keyed on version can select them")
                    .remedy("add the label version to the pod template"),
            );
        }
    }
}

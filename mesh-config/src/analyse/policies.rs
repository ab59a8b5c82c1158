//! AuthorizationPolicies: whom they hold for, whom they name, and what they refuse altogether.

use super::{Analysis, reference, selector_text};
use crate::finding::{Problem, RuleId};
use crate::kinds::authorization_policy::{AuthorizationPolicy, PolicyAction};
use crate::kinds::peer_authentication::PeerAuthentication;
use crate::kinds::{Kind, NamespaceSpec};
use crate::registry::labels_match;
use crate::resource::Resource;

const NO_WORKLOAD: RuleId = RuleId::warning("IST0127", "policy-selects-nothing");
const NAMESPACE_NOT_FOUND: RuleId = reference("namespace-not-found");
const DENIES_ALL: RuleId = RuleId::warning("WAT0103", "policy-denies-everything");
const ROOT_SELECTOR: RuleId = RuleId::warning("WAT0115", "root-selector-ignored");

/// Analyses policies.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, policy) in documents.of::<AuthorizationPolicy>() {
        workloads(analysis, resource, policy);
        namespaces(analysis, resource, policy);
        let everything =
            policy.rules.iter().position(|rule| rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty());
        if let Some(index) = everything.filter(|_| policy.action == PolicyAction::Deny) {
            let problem = Problem::new(
                DENIES_ALL,
                format!("spec.rules[{index}]"),
                "a DENY rule without conditions matches every request",
            );
            analysis.tell(
                resource,
                problem.effect("every request to the selected workloads is refused, whatever is allowed elsewhere"),
            );
        }
    }
    let root = &documents.settings().root_namespace;
    for (resource, peer) in documents.of::<PeerAuthentication>() {
        let selects = peer.selector.as_ref().is_some_and(|selector| !selector.match_labels.is_empty());
        if selects && resource.namespace() == root {
            let problem = Problem::new(
                ROOT_SELECTOR,
                "spec.selector",
                "a PeerAuthentication with a selector has no effect in the root namespace",
            );
            analysis
                .tell(resource, problem.remedy("put it into the namespace of the workloads, or remove the selector"));
        }
    }
}

fn workloads(analysis: &mut Analysis<'_>, resource: &std::sync::Arc<Resource>, policy: &AuthorizationPolicy) {
    if !policy.target_refs.is_empty() || policy.target_ref.is_some() {
        return;
    }
    let documents = analysis.documents;
    let empty = std::collections::BTreeMap::new();
    let labels = policy.selector.as_ref().map_or(&empty, |selector| &selector.match_labels);
    let whole_mesh = resource.namespace() == documents.settings().root_namespace;
    if whole_mesh && labels.is_empty() {
        return;
    }
    let registry = documents.registry();
    let found = if whole_mesh {
        registry.workloads().iter().any(|pod| labels_match(labels, &pod.labels))
    } else {
        registry.workloads_in(resource.namespace()).any(|pod| labels_match(labels, &pod.labels))
    };
    if !found {
        let place = if whole_mesh { "the mesh".to_owned() } else { format!("namespace {}", resource.namespace()) };
        let message = match labels.is_empty() {
            true => format!("there is no workload in {place}"),
            false => format!("no workload in {place} has the labels {}", selector_text(labels)),
        };
        let path = if labels.is_empty() { "metadata.namespace" } else { "spec.selector" };
        analysis.tell(
            resource,
            Problem::new(NO_WORKLOAD, path, message)
                .effect("it protects nothing")
                .remedy("correct the labels or the namespace"),
        );
    }
}

fn namespaces(analysis: &mut Analysis<'_>, resource: &std::sync::Arc<Resource>, policy: &AuthorizationPolicy) {
    let documents = analysis.documents;
    // Without any Namespace among the files nothing can be said of which exist.
    if documents.of_kind(Kind::Namespace).is_empty() {
        return;
    }
    let known: Vec<&str> = documents.of::<NamespaceSpec>().map(|(namespace, _)| namespace.name()).collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        for (number, from) in rule.from.iter().enumerate() {
            let Some(source) = &from.source else { continue };
            for (field, names) in [("namespaces", &source.namespaces), ("notNamespaces", &source.not_namespaces)] {
                for (place, pattern) in
                    names.iter().enumerate().filter(|(_, pattern)| !known.iter().any(|name| fits(name, pattern)))
                {
                    let path = format!("spec.rules[{index}].from[{number}].source.{field}[{place}]");
                    let problem = Problem::new(NAMESPACE_NOT_FOUND, path, format!("there is no namespace {pattern}"));
                    analysis.tell(resource, problem.effect("the entry matches nobody").remedy("correct the name"));
                }
            }
        }
    }
}

fn fits(name: &str, pattern: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(prefix), _) => name.starts_with(prefix),
        (_, Some(suffix)) => name.ends_with(suffix),
        _ => name == pattern,
    }
}

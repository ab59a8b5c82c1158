//! Our own kinds and tokens: what they refer to and is not there, and what asks for tokens that nobody verifies.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Analysis, reference, selector_text};
use crate::compile::is_of_routes;
use crate::documents::Documents;
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::Kind;
use crate::kinds::authorization_policy::{AuthorizationPolicy, RuleFrom};
use crate::kinds::health_check::HealthCheck;
use crate::kinds::rate_limit::RateLimit;
use crate::kinds::request_authentication::RequestAuthentication;
use crate::registry::labels_match;
use crate::resource::Resource;

const TARGET_NOT_FOUND: RuleId = reference("target-not-found");
const HOST_NOT_FOUND: RuleId = reference("host-not-found");
const SELECTS_NOTHING: RuleId = RuleId::warning("WAT0124", "limit-selects-nothing");
const NO_TOKENS: RuleId = RuleId::warning("WAT0125", "no-request-authentication");

/// Analyses limits, checks, and policies that ask for tokens.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, spec) in documents.of::<RateLimit>() {
        targets(analysis, resource, spec);
        selected(analysis, resource, spec);
    }
    for (resource, spec) in documents.of::<HealthCheck>() {
        let host = hosts::complete(&spec.host, resource.namespace(), documents.settings());
        if documents.registry().service(&host, resource.namespace()).is_none() {
            let problem = Problem::new(HOST_NOT_FOUND, "spec.host", format!("there is no service {host}"));
            analysis.tell(resource, problem.effect("nobody is asked").remedy("correct the host"));
        }
    }
    for (resource, policy) in documents.of::<AuthorizationPolicy>() {
        tokens(analysis, resource, policy);
    }
}

fn targets(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &RateLimit) {
    for (index, target) in spec.target_refs.iter().enumerate() {
        let kinds: &[Kind] = match (target.kind.as_str(), target.group.as_str()) {
            ("VirtualService", _) => &[Kind::VirtualService],
            ("HTTPRoute", _) => &[Kind::HttpRoute],
            ("GRPCRoute", _) => &[Kind::GrpcRoute],
            ("Gateway", "networking.istio.io") => &[Kind::Gateway],
            _ => &[Kind::ApiGateway],
        };
        let mut known = kinds.iter().flat_map(|kind| analysis.documents.of_kind(*kind));
        let named = known.find(|one| one.name() == target.name && one.namespace() == resource.namespace());
        let path = format!("spec.targetRefs[{index}]");
        match named {
            None => {
                let message = format!("there is no {} {}/{}", target.kind, resource.namespace(), target.name);
                let problem = Problem::new(TARGET_NOT_FOUND, format!("{path}.name"), message);
                analysis.tell(resource, problem.effect("nothing is limited").remedy("correct kind and name"));
            }
            Some(one) if is_of_routes(target) && !target.section_name.is_empty() => {
                let names = rule_names(one);
                if !names.contains(&target.section_name.as_str()) {
                    let message = format!("{} has no rule named {:?}", one.object(), target.section_name);
                    let problem = Problem::new(TARGET_NOT_FOUND, format!("{path}.sectionName"), message);
                    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
                    let remedy = match names.is_empty() {
                        true => "give the rule a name, or leave sectionName out to limit all of them".to_owned(),
                        false => format!("its rules are {}", names.join(", ")),
                    };
                    analysis.tell(resource, problem.effect("nothing is limited").remedy(remedy));
                }
            }
            Some(_) => {}
        }
    }
}

fn rule_names(resource: &Resource) -> Vec<&str> {
    use crate::kinds::gateway_api::{GrpcRoute, HttpRoute};
    use crate::kinds::virtual_service::VirtualService;

    let names = resource.get::<VirtualService>().map(|spec| spec.http.iter().map(|rule| rule.name.as_str()).collect());
    names
        .or_else(|| resource.get::<HttpRoute>().map(|spec| spec.rules.iter().map(|rule| rule.name.as_str()).collect()))
        .or_else(|| resource.get::<GrpcRoute>().map(|spec| spec.rules.iter().map(|rule| rule.name.as_str()).collect()))
        .unwrap_or_default()
}

fn selected(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &RateLimit) {
    let Some(labels) = spec.selector.as_ref().map(|selector| &selector.match_labels) else { return };
    if !any_workload(analysis.documents, resource, labels) {
        let message = format!("no workload has the labels {}", selector_text(labels));
        let problem = Problem::new(SELECTS_NOTHING, "spec.selector", message);
        analysis.tell(resource, problem.effect("nothing is limited").remedy("correct the labels or the namespace"));
    }
}

fn any_workload(documents: &Documents, resource: &Resource, labels: &BTreeMap<String, String>) -> bool {
    let registry = documents.registry();
    if resource.namespace() == documents.settings().root_namespace {
        return registry.workloads().iter().any(|pod| labels_match(labels, &pod.labels));
    }
    registry.workloads_in(resource.namespace()).any(|pod| labels_match(labels, &pod.labels))
}

/// Tells a policy that asks for tokens where no RequestAuthentication of the namespace or the root verifies any.
fn tokens(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, policy: &AuthorizationPolicy) {
    let root = &analysis.documents.settings().root_namespace;
    let mut verified = analysis.documents.of::<RequestAuthentication>();
    if verified.any(|(one, _)| one.namespace() == resource.namespace() || one.namespace() == *root) {
        return;
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        let asks = |from: &RuleFrom| from.source.as_ref().is_some_and(|source| !source.request_principals.is_empty());
        let asked = rule.from.iter().position(asks);
        let asked = asked.map(|number| format!("{path}.from[{number}].source.requestPrincipals"));
        let condition = || {
            let at = rule.when.iter().position(|when| when.key.starts_with("request.auth.") && !when.values.is_empty());
            at.map(|number| format!("{path}.when[{number}]"))
        };
        if let Some(path) = asked.or_else(condition) {
            let message = "it asks for a token, and no RequestAuthentication here verifies any";
            analysis.tell(
                resource,
                Problem::new(NO_TOKENS, path, message)
                    .effect("the rule matches no request")
                    .remedy("add a RequestAuthentication for the same workloads"),
            );
        }
    }
}

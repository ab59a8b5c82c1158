//! Policies that ask of HTTP what a TCP port cannot answer.

use std::sync::Arc;

use wattle_contract::WorkloadIdentity;

use super::Analysis;
use crate::compile::{Context, applies, http_fields, opaque_ports, policy_rule, reached};
use crate::finding::{Problem, RuleId};
use crate::kinds::authorization_policy::{AuthorizationPolicy, PolicyAction, Rule};
use crate::resource::Resource;

const HTTP_ON_TCP: RuleId = RuleId::warning("WAT0123", "http-fields-on-tcp-port");

/// A rule with fields that only HTTP has, and whether it was told.
struct Asking<'a> {
    resource: &'a Arc<Resource>,
    policy: &'a AuthorizationPolicy,
    index: usize,
    rule: &'a Rule,
    fields: Vec<String>,
    told: bool,
}

/// Analyses the rules that hold for workloads with TCP ports: each is told once, of the first such workload.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    let mut asking: Vec<Asking<'_>> = Vec::new();
    for (resource, policy) in documents.of::<AuthorizationPolicy>() {
        for (index, rule) in policy.rules.iter().enumerate() {
            let fields = http_fields(rule);
            if !fields.is_empty() {
                asking.push(Asking { resource, policy, index, rule, fields, told: false });
            }
        }
    }
    if asking.is_empty() {
        return;
    }
    for identity in documents.identities() {
        let context = Context::new(documents, &identity);
        let mut ports: Option<Vec<u16>> = None;
        for one in asking.iter_mut().filter(|one| !one.told) {
            if !applies(&context, one.resource, one.policy) {
                continue;
            }
            let opaque = ports.get_or_insert_with(|| opaque_ports(&context));
            let reached = reached(&policy_rule(one.rule, one.resource.namespace()), opaque);
            if let Some(port) = reached.first() {
                one.told = true;
                tell(analysis, one, &identity, *port);
            }
        }
    }
}

fn tell(analysis: &mut Analysis<'_>, one: &Asking<'_>, identity: &WorkloadIdentity, port: u16) {
    let path = format!("spec.rules[{}].{}", one.index, one.fields[0]);
    let message = format!(
        "{} asks of HTTP, and port {port} of {}/{} is TCP",
        one.fields.join(", "),
        identity.namespace,
        identity.workload
    );
    let effect = match one.policy.action {
        PolicyAction::Absent | PolicyAction::Allow => {
            "the whole rule is left out there: it allows nothing on TCP ports"
        }
        PolicyAction::Deny => {
            "the field is left out there: the rule refuses every connection that the rest of it matches"
        }
        PolicyAction::Audit | PolicyAction::Custom => {
            "the field is left out there: the rule matches every connection that the rest of it matches"
        }
    };
    let remedy = "name the HTTP ports in operation.ports, and write a rule without fields of HTTP for the TCP ports";
    analysis.tell(one.resource, Problem::new(HTTP_ON_TCP, path, message).effect(effect).remedy(remedy));
}

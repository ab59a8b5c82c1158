//! The authorization policies of a workload, in the order of their evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_contract::ProxyMode;
use wattle_contract::route::{
    AuthorizationPolicy as Compiled, Condition, Operation, PolicyAction, Rule, Source, StringMatch, Values,
};

use super::{Context, opaque};
use crate::kinds::authorization_policy::{
    AuthorizationPolicy, Condition as When, Operation as To, PolicyAction as Action, Rule as Written, Source as From,
};
use crate::kinds::gateway::Gateway;
use crate::kinds::shared::PolicyTargetReference;
use crate::registry::labels_match;
use crate::resource::Resource;

/// Gives the policies that hold for the workload, given its ports that carry bytes: custom first, then deny, allow, audit.
pub(super) fn of_workload(context: &Context<'_>, opaque: &[u16]) -> Vec<Compiled> {
    let all = context.documents.of::<AuthorizationPolicy>();
    let mut held: Vec<_> = all.filter(|(resource, policy)| applies(context, resource, policy)).collect();
    // Stable: inside one action the oldest stays first.
    held.sort_by_key(|(_, policy)| match policy.action {
        Action::Custom => 0,
        Action::Deny => 1,
        Action::Absent | Action::Allow => 2,
        Action::Audit => 3,
    });
    held.into_iter().map(|(resource, policy)| compile(resource, policy, opaque)).collect()
}

/// Says whether a policy holds for the workload.
pub(crate) fn applies(context: &Context<'_>, resource: &Resource, policy: &AuthorizationPolicy) -> bool {
    let selector = policy.selector.as_ref().map(|selector| &selector.match_labels);
    concerns(context, resource, selector, &policy.target_refs, policy.target_ref.as_ref())
}

/// Says whether a resource with a selector and references means the workload; references count alone.
pub(super) fn concerns(
    context: &Context<'_>,
    resource: &Resource,
    selector: Option<&BTreeMap<String, String>>,
    many: &[PolicyTargetReference],
    one: Option<&PolicyTargetReference>,
) -> bool {
    if many.is_empty() && one.is_none() {
        return selects(context, resource, selector);
    }
    let in_reach = [context.namespace(), &context.settings.root_namespace].contains(&resource.namespace());
    in_reach && many.iter().chain(one).any(|reference| targets(context, resource, reference))
}

/// Says whether labels select the workload: in the root namespace those of any namespace, elsewhere those of its own.
pub(super) fn selects(context: &Context<'_>, resource: &Resource, labels: Option<&BTreeMap<String, String>>) -> bool {
    [context.namespace(), &context.settings.root_namespace].contains(&resource.namespace())
        && labels.is_none_or(|labels| labels_match(labels, &context.client.labels))
}

/// Says whether a workload carries a Gateway of the Gateway API's name, as those have that serve it.
pub(super) fn serves(context: &Context<'_>, gateway: &str) -> bool {
    context.client.labels.get("gateway.networking.k8s.io/gateway-name").is_some_and(|name| name == gateway)
}

/// Says whether one of Istio's Gateways selects the workload.
pub(super) fn gateway_selects(context: &Context<'_>, namespace: &str, name: &str) -> bool {
    context.documents.of::<Gateway>().any(|(resource, gateway)| {
        resource.name() == name
            && resource.namespace() == namespace
            && labels_match(&gateway.selector, &context.client.labels)
    })
}

/// Says whether a reference to a Gateway means the workload: Gateway API workloads carry its name as a label.
pub(super) fn targets(context: &Context<'_>, resource: &Resource, reference: &PolicyTargetReference) -> bool {
    reference.kind == "Gateway"
        && context.client.mode == ProxyMode::Gateway
        && resource.namespace() == context.namespace()
        && serves(context, &reference.name)
}

fn compile(resource: &Arc<Resource>, policy: &AuthorizationPolicy, opaque: &[u16]) -> Compiled {
    let provider = policy.provider.as_ref().map(|provider| provider.name.clone());
    let action = match policy.action {
        Action::Absent | Action::Allow => PolicyAction::Allow,
        Action::Deny => PolicyAction::Deny,
        Action::Audit => PolicyAction::Audit,
        Action::Custom => PolicyAction::Custom(provider.unwrap_or_default()),
    };
    let rules = policy.rules.iter().flat_map(|written| {
        let rule = rule(written, resource.namespace());
        if opaque::http_fields(written).is_empty() { vec![rule] } else { opaque::split(rule, &action, opaque) }
    });
    let rules = rules.collect();
    Compiled {
        name: format!("{}/{}", resource.namespace(), resource.name()),
        action,
        rules,
        dry_run: resource.meta.annotations.get("istio.io/dry-run").is_some_and(|value| value == "true"),
    }
}

/// Compiles a rule as it is meant for HTTP.
pub(crate) fn rule(written: &Written, namespace: &str) -> Rule {
    Rule {
        from: written.from.iter().map(|from| source(&from.source.clone().unwrap_or_default(), namespace)).collect(),
        to: written.to.iter().map(|to| operation(&to.operation.clone().unwrap_or_default())).collect(),
        when: written.when.iter().map(condition).collect(),
    }
}

fn source(from: &From, namespace: &str) -> Source {
    let account = |name: &String| if name.contains('/') { name.clone() } else { format!("{namespace}/{name}") };
    let accounts: Vec<String> = from.service_accounts.iter().map(account).collect();
    let not_accounts: Vec<String> = from.not_service_accounts.iter().map(account).collect();
    Source {
        principals: values(&from.principals, &from.not_principals),
        request_principals: values(&from.request_principals, &from.not_request_principals),
        namespaces: values(&from.namespaces, &from.not_namespaces),
        service_accounts: values(&accounts, &not_accounts),
        trust_domains: values(&from.trust_domains, &from.not_trust_domains),
        ip_blocks: from.ip_blocks.clone(),
        not_ip_blocks: from.not_ip_blocks.clone(),
        remote_ip_blocks: from.remote_ip_blocks.clone(),
        not_remote_ip_blocks: from.not_remote_ip_blocks.clone(),
    }
}

fn operation(to: &To) -> Operation {
    let ports = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    let paths = |texts: &[String]| texts.iter().map(|text| path(text)).collect();
    Operation {
        hosts: values(&to.hosts, &to.not_hosts),
        ports: ports(&to.ports),
        not_ports: ports(&to.not_ports),
        methods: values(&to.methods, &to.not_methods),
        paths: Values { any_of: paths(&to.paths), none_of: paths(&to.not_paths) },
    }
}

fn condition(when: &When) -> Condition {
    Condition { key: when.key.clone(), values: values(&when.values, &when.not_values) }
}

fn values(any_of: &[String], none_of: &[String]) -> Values {
    Values {
        any_of: any_of.iter().map(|text| value(text)).collect(),
        none_of: none_of.iter().map(|text| value(text)).collect(),
    }
}

/// Reads `exact`, `prefix*`, `*suffix` and `*`.
fn value(text: &str) -> StringMatch {
    if text == "*" {
        return StringMatch::Present;
    }
    if let Some(prefix) = text.strip_suffix('*') {
        return StringMatch::Prefix(prefix.to_owned());
    }
    match text.strip_prefix('*') {
        Some(suffix) => StringMatch::Suffix(suffix.to_owned()),
        None => StringMatch::Exact(text.to_owned()),
    }
}

/// Reads a path, which may be a template: `{*}` is one element, `{**}` any number of them.
fn path(text: &str) -> StringMatch {
    if !text.contains("{*}") && !text.contains("{**}") {
        return value(text);
    }
    let mut expression = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        expression.push_str(&regex::escape(&rest[..start]));
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("{**}") {
            expression.push_str(".*");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{*}") {
            expression.push_str("[^/]+");
            rest = after;
        } else {
            expression.push_str("\\{");
            rest = &rest[1..];
        }
    }
    expression.push_str(&regex::escape(rest));
    StringMatch::Regex(expression)
}

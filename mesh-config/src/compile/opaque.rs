//! Policies on ports whose requests cannot be read: what is asked of HTTP means something else there.
//!
//! As in Istio both fail closed: a rule that allows loses its say on these ports, any other rule loses the fields that
//! only HTTP has, and so matches more.

use wattle_contract::route::{
    GatewayListener, InboundPort, Operation, PolicyAction, Protocol, Rule, Source, StringMatch, Values,
};

use crate::kinds::authorization_policy::Rule as Written;

/// Conditions that only HTTP can answer.
const HTTP_KEYS: [&str; 2] = ["request.headers[", "request.auth."];

/// Gives the ports of a workload that carry bytes; what is yet to be detected is not among them.
pub(super) fn of_inbound(ports: &[InboundPort]) -> Vec<u16> {
    // HTTP in TLS that the application ends is bytes to the proxy beside it.
    let opaque = |port: &&InboundPort| matches!(port.protocol, Protocol::Tcp | Protocol::Tls | Protocol::Https);
    ports.iter().filter(opaque).map(|port| port.port).collect()
}

/// Gives the ports of a gateway that carry bytes and nothing else.
pub(super) fn of_listeners(listeners: &[GatewayListener]) -> Vec<u16> {
    let opaque = |listener: &GatewayListener| matches!(listener.protocol, Protocol::Tcp | Protocol::Tls);
    let only = |port: u16| listeners.iter().filter(|other| other.port == port).all(opaque);
    let mut ports: Vec<u16> = listeners.iter().map(|listener| listener.port).filter(|port| only(*port)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Gives the paths of the fields of a rule that only HTTP has, from the rule on.
pub(crate) fn http_fields(rule: &Written) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |given: bool, path: String| found.extend(given.then_some(path));
    for (index, source) in rule.from.iter().enumerate().filter_map(|(at, from)| Some((at, from.source.as_ref()?))) {
        let path = |field: &str| format!("from[{index}].source.{field}");
        add(!source.request_principals.is_empty(), path("requestPrincipals"));
        add(!source.not_request_principals.is_empty(), path("notRequestPrincipals"));
    }
    for (index, to) in rule.to.iter().enumerate().filter_map(|(at, to)| Some((at, to.operation.as_ref()?))) {
        let path = |field: &str| format!("to[{index}].operation.{field}");
        add(!to.hosts.is_empty(), path("hosts"));
        add(!to.not_hosts.is_empty(), path("notHosts"));
        add(!to.methods.is_empty(), path("methods"));
        add(!to.not_methods.is_empty(), path("notMethods"));
        add(!to.paths.is_empty(), path("paths"));
        add(!to.not_paths.is_empty(), path("notPaths"));
    }
    for (index, when) in rule.when.iter().enumerate() {
        add(needs_http(&when.key), format!("when[{index}].key"));
    }
    found
}

fn needs_http(key: &str) -> bool {
    HTTP_KEYS.iter().any(|start| key.starts_with(start))
}

/// Gives the ports among some that a rule speaks of.
pub(crate) fn reached(rule: &Rule, ports: &[u16]) -> Vec<u16> {
    let by_operation = |port: u16| rule.to.is_empty() || rule.to.iter().any(|to| allows(to, port));
    let exactly = |values: &[StringMatch], port: u16| values.contains(&StringMatch::Exact(port.to_string()));
    let by_condition = |port: u16| {
        rule.when.iter().filter(|when| when.key == "destination.port").all(|when| {
            let Values { any_of, none_of } = &when.values;
            (any_of.is_empty() || exactly(any_of, port)) && !exactly(none_of, port)
        })
    };
    ports.iter().copied().filter(|port| by_operation(*port) && by_condition(*port)).collect()
}

fn allows(to: &Operation, port: u16) -> bool {
    (to.ports.is_empty() || to.ports.contains(&port)) && !to.not_ports.contains(&port)
}

/// Splits a rule with fields that only HTTP has into what it means elsewhere and what it means on opaque ports.
pub(super) fn split(mut rule: Rule, action: &PolicyAction, opaque: &[u16]) -> Vec<Rule> {
    if reached(&rule, opaque).is_empty() {
        return vec![rule];
    }
    let there = if *action == PolicyAction::Allow { None } else { without_http(&rule, opaque) };
    if rule.to.is_empty() {
        rule.to.push(Operation::default());
    }
    for to in &mut rule.to {
        let more = opaque.iter().filter(|port| !to.not_ports.contains(port));
        let more: Vec<u16> = more.copied().collect();
        to.not_ports.extend(more);
    }
    std::iter::once(rule).chain(there).collect()
}

/// Gives what is left of a rule on opaque ports.
fn without_http(rule: &Rule, opaque: &[u16]) -> Option<Rule> {
    let anything = [Operation::default()];
    let operations = if rule.to.is_empty() { &anything[..] } else { &rule.to };
    let to: Vec<Operation> = operations
        .iter()
        .map(|to| opaque.iter().copied().filter(|port| allows(to, *port)).collect::<Vec<u16>>())
        .filter(|ports| !ports.is_empty())
        .map(|ports| Operation { ports, ..Operation::default() })
        .collect();
    let from = rule.from.iter().map(|from| Source { request_principals: Values::default(), ..from.clone() });
    let when = rule.when.iter().filter(|when| !needs_http(&when.key)).cloned();
    (!to.is_empty()).then(|| Rule { from: from.collect(), to, when: when.collect() })
}

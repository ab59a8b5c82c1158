//! What a change of the resources would change for traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use wattle_contract::route::{RouteSource, RouteTable};
use wattle_contract::{ProxyMode, WorkloadIdentity};

use crate::compile;
use crate::documents::Documents;
use crate::kinds::gateway::Gateway;

/// Something that would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Whose proxies: `sidecars in NAMESPACE`, `workload NAMESPACE/NAME` or `gateway NAMESPACE/NAME`.
    pub proxies: String,
    /// What: `route`, `cluster`, `inbound`, `policy`, `rate limit`, `tokens`, `telemetry` or `listener`, with its name.
    pub what: String,
    /// Field that changes, as a path into the compiled table; empty when the whole thing comes or goes.
    pub field: String,
    /// As it is; null when it comes.
    pub before: Value,
    /// As it would be; null when it goes.
    pub after: Value,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Value::Null, _) if self.field.is_empty() => write!(f, "{}: {} is added", self.proxies, self.what),
            (_, Value::Null) if self.field.is_empty() => write!(f, "{}: {} is removed", self.proxies, self.what),
            (before, after) => {
                let (before, after) = (shown(before), shown(after));
                write!(f, "{}: {} {}: {before} becomes {after}", self.proxies, self.what, self.field)
            }
        }
    }
}

/// Gives a value as JSON, and a split of traffic as its clusters with their weights.
fn shown(value: &Value) -> String {
    let share = |target: &Value| Some(format!("{} weight {}", target["cluster"].as_str()?, target["weight"].as_u64()?));
    let split: Option<Vec<String>> = value.as_array().and_then(|targets| targets.iter().map(share).collect());
    split.filter(|split| !split.is_empty()).map_or_else(|| value.to_string(), |split| split.join(", "))
}

/// Says what would change for traffic, proxy by proxy. What is the same for every client in a namespace is said once.
#[must_use]
pub fn diff(old: &Documents, new: &Documents) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, identity) in clients(old, new) {
        let (before, after) = (parts(&compile::table(old, &identity)), parts(&compile::table(new, &identity)));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for what in names {
            let (before, after) = (before.get(what), after.get(what));
            if before == after {
                continue;
            }
            match (before, after) {
                (Some(before), Some(after)) => fields(&name, what, String::new(), before, after, &mut changes),
                (before, after) => changes.push(Change {
                    proxies: name.clone(),
                    what: what.clone(),
                    field: String::new(),
                    before: before.cloned().unwrap_or_default(),
                    after: after.cloned().unwrap_or_default(),
                }),
            }
        }
    }
    // Said for all sidecars of a namespace, it need not be said again for each workload.
    let general: BTreeSet<(String, String, String)> = changes
        .iter()
        .filter_map(|change| {
            let namespace = change.proxies.strip_prefix("sidecars in ")?;
            Some((namespace.to_owned(), change.what.clone(), change.field.clone()))
        })
        .collect();
    changes.retain(|change| {
        let Some((namespace, _)) = change.proxies.strip_prefix("workload ").and_then(|name| name.split_once('/'))
        else {
            return true;
        };
        !general.contains(&(namespace.to_owned(), change.what.clone(), change.field.clone()))
    });
    changes
}

fn clients(old: &Documents, new: &Documents) -> BTreeMap<String, WorkloadIdentity> {
    let mut clients = BTreeMap::new();
    for documents in [old, new] {
        for resource in documents.resources() {
            let namespace = resource.namespace();
            clients
                .entry(format!("sidecars in {namespace}"))
                .or_insert_with(|| documents.identity(namespace, "any-workload"));
        }
        for identity in documents.identities() {
            let kind = if identity.mode == ProxyMode::Gateway { "gateway" } else { "workload" };
            clients.entry(format!("{kind} {}/{}", identity.namespace, identity.workload)).or_insert(identity);
        }
        for (resource, gateway) in documents.of::<Gateway>() {
            let identity = documents.identity(resource.namespace(), resource.name());
            let name = format!("gateway {}/{}", resource.namespace(), resource.name());
            clients.entry(name).or_insert(WorkloadIdentity {
                mode: ProxyMode::Gateway,
                labels: gateway.selector.clone(),
                ..identity
            });
        }
    }
    clients
}

/// Cuts a table into named parts; where the resources stand in their files does not count.
fn parts(table: &RouteTable) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    let hosts = table.outbound.iter().flat_map(|port| port.hosts.iter().map(move |host| (port.port, host)));
    let at_gateway =
        table.gateways.iter().flat_map(|listener| listener.hosts.iter().map(move |host| (listener.port, host)));
    for (port, host) in hosts.chain(at_gateway) {
        let mut routes = host.routes.clone();
        routes.iter_mut().for_each(|route| route.source = RouteSource::default());
        parts.insert(
            format!(
                "route {}",
                if host.name.contains(':') { host.name.clone() } else { format!("{}:{port}", host.name) }
            ),
            json(&routes),
        );
    }
    for port in &table.outbound {
        parts.insert(format!("connections to port {}", port.port), json(&port.l4));
    }
    for listener in &table.gateways {
        parts.insert(format!("listener {}", listener.port), json(&(&listener.protocol, &listener.tls, &listener.l4)));
    }
    for (name, cluster) in &table.clusters {
        parts.insert(format!("cluster {name}"), json(cluster));
    }
    for port in &table.inbound {
        parts.insert(format!("inbound {}", port.port), json(port));
    }
    for policy in &table.policies {
        parts.insert(format!("policy {}", policy.name), json(policy));
    }
    for limit in &table.rate_limits {
        parts.insert(format!("rate limit {}", limit.name), json(limit));
    }
    for (index, rule) in table.authentication.iter().enumerate() {
        parts.insert(format!("tokens of {} ({}, {index})", rule.issuer, rule.name), json(rule));
    }
    parts.insert("telemetry".to_owned(), json(&table.telemetry));
    parts.insert("outbound policy".to_owned(), json(&table.outbound_policy));
    parts
}

fn json<T: Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// Goes down to the fields that differ.
fn fields(proxies: &str, what: &str, field: String, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
                if old != new {
                    let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                    fields(proxies, what, field, old, new, changes);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new) {
                fields(proxies, what, format!("{field}[{index}]"), old, new, changes);
            }
        }
        (before, after) => changes.push(Change {
            proxies: proxies.to_owned(),
            what: what.to_owned(),
            field,
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

//! What is accepted and has no effect, told by name: nothing that a user wrote is passed over in silence.

use std::collections::BTreeMap;

use crate::compile::is_host;
use crate::decode::{Schema, Support};
use crate::finding::{Problem, rules};
use crate::kinds::virtual_service::VirtualService;
use crate::kinds::{Kind, Spec};
use crate::resource::Resource;
use crate::yaml::{Node, Value, push_key};

impl Kind {
    /// Says what the kind does not do, when it does nothing at all.
    pub(crate) const fn unapplied(self) -> Option<&'static str> {
        match self {
            Self::EnvoyFilter => Some("none of its patches has an effect: the proxy is not Envoy"),
            Self::WasmPlugin | Self::TrafficExtension => Some("no code is loaded: the proxy runs none"),
            Self::ProxyConfig => Some("set the proxy's own settings instead"),
            Self::WorkloadGroup => Some("no WorkloadEntry is made of it: write them"),
            _ => None,
        }
    }
}

/// What a `Host` to set cannot do, for the table of what is applied.
pub(crate) const HOST_OF_ONE_DESTINATION: &str =
    "only the host of a rule with one destination is set; set it for the whole rule, in headers or rewrite.authority";

/// Tells the hosts that are set for one of several destinations: the authority is rewritten before one is chosen.
fn hosts_of_destinations(spec: &VirtualService, problems: &mut Vec<Problem>) {
    for (index, rule) in spec.http.iter().enumerate().filter(|(_, rule)| rule.route.len() > 1) {
        for (number, one) in rule.route.iter().enumerate() {
            let set = one.headers.as_ref().and_then(|headers| headers.request.as_ref()).map(|request| &request.set);
            for name in set.into_iter().flat_map(BTreeMap::keys).filter(|name| is_host(name)) {
                let mut path = format!("spec.http[{index}].route[{number}].headers.request.set");
                push_key(&mut path, name);
                let message = format!("{name} of one of several destinations is accepted, not applied");
                problems.push(
                    Problem::new(rules::NOT_APPLIED, path, message)
                        .effect("requests to this destination keep the authority they have")
                        .remedy("set it for the whole rule, or give the destination a rule of its own"),
                );
            }
        }
    }
}

/// Tells what has no effect.
pub(super) fn tell(resource: &Resource, root: &Node, problems: &mut Vec<Problem>) {
    if !resource.kind.is_strict() && resource.kind.unapplied().is_none() {
        return;
    }
    if let Some(effect) = resource.kind.unapplied() {
        let problem =
            Problem::new(rules::NOT_APPLIED, "kind", format!("{} is accepted, not applied", resource.kind.name()));
        problems.push(problem.effect(effect));
        return;
    }
    if let Spec::VirtualService(spec) = &resource.spec {
        hosts_of_destinations(spec, problems);
    }
    if let Some(spec) = root.get("spec") {
        walk(spec, &resource.kind.schema(), &mut "spec".to_owned(), problems);
    }
}

fn walk(node: &Node, schema: &Schema, path: &mut String, problems: &mut Vec<Problem>) {
    let length = path.len();
    match (&node.value, schema) {
        (Value::Mapping(entries), Schema::Object(fields)) => {
            for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                let name = key.text().unwrap_or_default();
                let Some(field) = fields.iter().find(|field| field.json == name || field.aliases.contains(&name))
                else {
                    continue;
                };
                push_key(path, name);
                match field.support {
                    Support::Applied => walk(value, &(field.schema)(), path, problems),
                    Support::NotApplied(why) => {
                        let problem =
                            Problem::new(rules::NOT_APPLIED, path.clone(), format!("{name} is accepted, not applied"));
                        problems.push(problem.effect(why));
                    }
                }
                path.truncate(length);
            }
        }
        (Value::Sequence(items), Schema::List(item)) => {
            for (index, value) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(value, item, path, problems);
                path.truncate(length);
            }
        }
        (Value::Mapping(entries), Schema::Map(item)) => {
            for (key, value) in entries {
                push_key(path, key.text().unwrap_or_default());
                walk(value, item, path, problems);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

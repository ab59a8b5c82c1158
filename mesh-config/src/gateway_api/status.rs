//! The status of every object, as a controller writes it back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{CONTROLLERS, Listener, backends, parents, serves};
use crate::documents::Documents;
use crate::kinds::gateway_api::{
    BackendRef, Gateway, GatewayClass, GrpcRoute, HttpRoute, Listener as Written, Reference, TcpRoute, TlsRoute,
};
use crate::kinds::{Fields, Kind, Secret};
use crate::resource::Resource;

/// Routes attached to a listener, by Gateway and index.
type Attached = BTreeMap<(String, usize), u32>;

/// Gives the status of GatewayClasses, Gateways and routes, each as an object with `status`.
#[must_use]
pub fn statuses(documents: &Documents) -> Vec<Value> {
    let listeners = &documents.plan().gateway_api.listeners;
    let mut attached = Attached::new();
    let mut routes = Vec::new();
    each::<HttpRoute>(documents, listeners, &mut attached, &mut routes, |route| {
        (&route.parent_refs, &route.hostnames, route.rules.iter().flat_map(|rule| &rule.backend_refs).collect())
    });
    each::<GrpcRoute>(documents, listeners, &mut attached, &mut routes, |route| {
        (&route.parent_refs, &route.hostnames, route.rules.iter().flat_map(|rule| &rule.backend_refs).collect())
    });
    each::<TlsRoute>(documents, listeners, &mut attached, &mut routes, |route| {
        (&route.parent_refs, &route.hostnames, route.rules.iter().flat_map(|rule| &rule.backend_refs).collect())
    });
    each::<TcpRoute>(documents, listeners, &mut attached, &mut routes, |route| {
        (&route.parent_refs, &[], route.rules.iter().flat_map(|rule| &rule.backend_refs).collect())
    });
    let classes =
        documents.of::<GatewayClass>().filter(|(_, class)| CONTROLLERS.contains(&class.controller_name.as_str()));
    let classes = classes.map(|(resource, _)| {
        object(resource, json!({ "conditions": [condition("Accepted", true, "Accepted", "the class is served")] }))
    });
    let gateways = documents.of::<Gateway>().filter(|(_, gateway)| serves(documents, &gateway.gateway_class_name));
    let gateways = gateways.map(|(resource, gateway)| gateway_status(documents, resource, gateway, &attached));
    let mut all: Vec<Value> = classes.chain(gateways).collect();
    all.extend(routes);
    all
}

fn condition(kind: &str, holds: bool, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message })
}

fn object(resource: &Resource, mut status: Value) -> Value {
    let group = resource.kind.group();
    observe(&mut status, resource.meta.generation);
    json!({
        "apiVersion": format!("{group}/v1"),
        "kind": resource.kind.name(),
        "metadata": { "name": resource.name(), "namespace": resource.meta.namespace },
        "status": status,
    })
}

/// Writes the generation that was looked at into every condition.
fn observe(status: &mut Value, generation: i64) {
    match status {
        Value::Array(items) => items.iter_mut().for_each(|item| observe(item, generation)),
        Value::Object(fields) if fields.contains_key("reason") => {
            fields.insert("observedGeneration".to_owned(), json!(generation));
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| observe(value, generation)),
        _ => {}
    }
}

/// What a route's status depends on.
type Parts<'a> = (&'a [Reference], &'a [String], Vec<&'a BackendRef>);

fn each<T: Fields + 'static>(
    documents: &Documents,
    listeners: &[Listener],
    attached: &mut Attached,
    routes: &mut Vec<Value>,
    parts: impl Fn(&T) -> Parts<'_>,
) {
    for (resource, route) in documents.of::<T>() {
        let (references, hostnames, used) = parts(route);
        let refused = used.iter().find_map(|backend| backends::refusal(documents, resource, backend));
        let mut parents = Vec::new();
        for attachment in parents::attach(documents, listeners, resource, references, hostnames) {
            for listener in &attachment.listeners {
                *attached.entry((listener.full_name(), listener.index)).or_default() += 1;
            }
            let accepted = match &attachment.refusal {
                None => condition("Accepted", true, "Accepted", "the route is taken"),
                Some((reason, message)) => condition("Accepted", false, reason, message),
            };
            let resolved = match &refused {
                None => condition("ResolvedRefs", true, "ResolvedRefs", "all references are resolved"),
                Some((reason, message)) => condition("ResolvedRefs", false, reason, message),
            };
            parents.push(json!({
                "controllerName": CONTROLLERS[0],
                "parentRef": parent(references.get(attachment.index)),
                "conditions": [accepted, resolved],
            }));
        }
        if !parents.is_empty() {
            routes.push(object(resource, json!({ "parents": parents })));
        }
    }
}

fn parent(reference: Option<&Reference>) -> Value {
    reference.and_then(crate::decode::Decode::encode).unwrap_or_default()
}

fn gateway_status(documents: &Documents, resource: &Arc<Resource>, gateway: &Gateway, attached: &Attached) -> Value {
    let listeners: Vec<(Value, bool)> = gateway
        .listeners
        .iter()
        .enumerate()
        .map(|(index, listener)| {
            let name = format!("{}/{}~{}~{}", resource.namespace(), resource.name(), super::INFIX, listener.name);
            let count = attached.get(&(name, index)).copied().unwrap_or(0);
            listener_status(documents, resource, gateway, listener, count)
        })
        .collect();
    let fine = listeners.iter().all(|(_, fine)| *fine);
    let any = listeners.iter().any(|(_, fine)| *fine);
    let accepted = if fine {
        condition("Accepted", true, "Accepted", "the Gateway is taken")
    } else {
        condition("Accepted", any, "ListenersNotValid", "some listeners are not valid")
    };
    let programmed = if any {
        condition("Programmed", true, "Programmed", "the Gateway is served")
    } else {
        condition("Programmed", false, "Invalid", "no listener is valid")
    };
    let listeners: Vec<Value> = listeners.into_iter().map(|(status, _)| status).collect();
    let resolved = condition("ResolvedRefs", true, "ResolvedRefs", "all references are resolved");
    object(resource, json!({ "conditions": [accepted, programmed, resolved], "listeners": listeners }))
}

/// Gives a listener's status and whether it can be served.
fn listener_status(
    documents: &Documents,
    resource: &Resource,
    gateway: &Gateway,
    listener: &Written,
    count: u32,
) -> (Value, bool) {
    let kinds = parents::supported_kinds(listener);
    let known = matches!(listener.protocol.as_str(), "HTTP" | "HTTPS" | "TLS" | "TCP");
    let wanted = listener.allowed_routes.as_ref().map_or(0, |allowed| allowed.kinds.len());
    let broken = certificate(documents, resource, listener);
    let resolved = match &broken {
        Some((reason, message)) => condition("ResolvedRefs", false, reason, message),
        None if wanted > kinds.len() => {
            condition("ResolvedRefs", false, "InvalidRouteKinds", "some kinds of routes are not taken by the protocol")
        }
        None => condition("ResolvedRefs", true, "ResolvedRefs", "all references are resolved"),
    };
    let clash = gateway.listeners.iter().any(|other| {
        !std::ptr::eq(other, listener)
            && other.port == listener.port
            && compatible(&other.protocol) != compatible(&listener.protocol)
    });
    let accepted = match known {
        true => condition("Accepted", true, "Accepted", "the listener is taken"),
        false => condition("Accepted", false, "UnsupportedProtocol", "the protocol is not served"),
    };
    let conflicted = if clash {
        condition("Conflicted", true, "ProtocolConflict", "another listener of the port has another protocol")
    } else {
        condition("Conflicted", false, "NoConflicts", "there is no conflict")
    };
    let fine = known && broken.is_none() && !clash;
    let programmed = if fine {
        condition("Programmed", true, "Programmed", "the listener is served")
    } else {
        condition("Programmed", false, "Invalid", "the listener is not served")
    };
    let kinds: Vec<Value> =
        kinds.iter().map(|kind: &Kind| json!({ "group": kind.group(), "kind": kind.name() })).collect();
    let status = json!({
        "name": listener.name,
        "attachedRoutes": count,
        "supportedKinds": kinds,
        "conditions": [accepted, conflicted, programmed, resolved],
    });
    (status, fine)
}

/// Protocols that may share a port.
fn compatible(protocol: &str) -> &str {
    match protocol {
        "HTTPS" | "TLS" => "TLS",
        other => other,
    }
}

fn certificate(documents: &Documents, resource: &Resource, listener: &Written) -> Option<(&'static str, String)> {
    let tls = listener.tls.as_ref()?;
    let secrets = documents.of_kind(Kind::Secret);
    for reference in &tls.certificate_refs {
        let namespace = if reference.namespace.is_empty() { resource.namespace() } else { &reference.namespace };
        if !matches!(reference.kind.as_str(), "" | "Secret")
            || reference.group.as_deref().is_some_and(|group| !group.is_empty())
        {
            return Some(("InvalidCertificateRef", format!("{} {} is no Secret", reference.kind, reference.name)));
        }
        if namespace != resource.namespace()
            && !backends::is_granted(documents, resource, "", "Secret", &reference.name, namespace)
        {
            return Some((
                "RefNotPermitted",
                format!("no ReferenceGrant in {namespace} lets it refer to Secret {}", reference.name),
            ));
        }
        let found = secrets.iter().any(|secret| {
            secret.get::<Secret>().is_some() && secret.name() == reference.name && secret.namespace() == namespace
        });
        if !found {
            return Some(("InvalidCertificateRef", format!("there is no Secret {namespace}/{}", reference.name)));
        }
    }
    None
}

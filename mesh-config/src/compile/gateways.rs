//! What a gateway listens on: the servers of the Gateways that select it, with the VirtualServices bound to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_contract::route::{DomainMatch, GatewayListener, GatewayTls, Protocol, Route, VirtualHost};

use super::matching::Site;
use super::virtual_services::Entry;
use super::{Context, l4, routes, tls};
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::gateway::{Gateway, Server};
use crate::registry::labels_match;
use crate::resource::Resource;

/// A server of a Gateway that selects the workload.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// `namespace/name` of the Gateway.
    pub(crate) gateway: String,
    pub(crate) resource: Arc<Resource>,
    pub(crate) server: Server,
}

/// Compiles the listeners of a gateway workload.
pub(super) fn listeners(context: &Context<'_>) -> Vec<GatewayListener> {
    let mut by_port: BTreeMap<u16, Vec<Bound>> = BTreeMap::new();
    for bound in servers(context.documents, context) {
        let number = bound.server.port.as_ref().and_then(|port| u16::try_from(port.number).ok());
        if let Some(number) = number.filter(|number| *number > 0) {
            by_port.entry(number).or_default().push(bound);
        }
    }
    by_port.into_iter().map(|(port, bound)| listener(context, port, &bound)).collect()
}

fn servers(documents: &Documents, context: &Context<'_>) -> Vec<Bound> {
    let mut bound = Vec::new();
    for (resource, gateway) in documents.of::<Gateway>() {
        if !labels_match(&gateway.selector, &context.client.labels) {
            continue;
        }
        let name = format!("{}/{}", resource.namespace(), resource.name());
        let own = gateway.servers.iter().map(|server| Bound {
            gateway: name.clone(),
            resource: resource.clone(),
            server: server.clone(),
        });
        bound.extend(own);
    }
    for listener in &context.plan.gateway_api.listeners {
        if is_served_by(context, &listener.resource) {
            let own = listener.gateway.servers.iter().map(|server| Bound {
                gateway: listener.full_name(),
                resource: listener.resource.clone(),
                server: server.clone(),
            });
            bound.extend(own);
        }
    }
    bound
}

/// Says whether the workload serves a Gateway of the Gateway API: by the label that names it, or because a Service that
/// the Gateway names as its address selects it.
fn is_served_by(context: &Context<'_>, resource: &Resource) -> bool {
    let label = context.client.labels.get("gateway.networking.k8s.io/gateway-name");
    if label.is_some_and(|name| name == resource.name()) && resource.namespace() == context.namespace() {
        return true;
    }
    let spec = resource.get::<crate::kinds::gateway_api::Gateway>();
    let addresses = spec.map_or(&[][..], |spec| &spec.addresses);
    addresses.iter().filter(|address| address.kind == "Hostname").any(|address| {
        let host = hosts::complete(&address.value, resource.namespace(), context.settings);
        context.registry.service(&host, resource.namespace()).is_some_and(|service| {
            service.namespace() == context.namespace()
                && !service.selector.is_empty()
                && labels_match(&service.selector, &context.client.labels)
        })
    })
}

fn listener(context: &Context<'_>, port: u16, bound: &[Bound]) -> GatewayListener {
    let spoken =
        |bound: &Bound| bound.server.port.as_ref().map_or("HTTP", |port| port.protocol.as_str()).to_uppercase();
    let mut made = GatewayListener {
        name: bound.first().map(name).unwrap_or_default(),
        bind: bound.iter().find_map(|bound| bound.server.bind.parse().ok()),
        port,
        protocol: protocol(&bound.first().map(spoken).unwrap_or_default()),
        tls: Vec::new(),
        hosts: Vec::new(),
        l4: Vec::new(),
        health_check: None,
    };
    let mut gathered = Gathered::default();
    for one in bound {
        let protocol = protocol(&spoken(one));
        if let Some(settings) = &one.server.tls
            && matches!(protocol, Protocol::Https | Protocol::Tls)
        {
            let names = one.server.hosts.iter().map(|host| l4::domain(hosts::split_scope(host).1)).collect();
            made.tls.push(GatewayTls { hosts: names, terminate: tls::server(settings, one.resource.namespace()) });
        }
        let passes = one.server.tls.as_ref().is_some_and(|settings| tls::server(settings, "").is_none());
        if protocol == Protocol::Tcp || (protocol == Protocol::Tls) || (protocol == Protocol::Https && passes) {
            made.l4.extend(l4_routes(context, port, one));
        } else {
            gathered.add(context, port, one);
        }
    }
    made.hosts = gathered.finish();
    made
}

/// Gives the server's own name, else the Gateway's.
fn name(bound: &Bound) -> String {
    if bound.server.name.is_empty() { bound.gateway.clone() } else { bound.server.name.clone() }
}

fn protocol(name: &str) -> Protocol {
    match name {
        "HTTPS" => Protocol::Https,
        "HTTP2" | "GRPC" | "GRPC-WEB" => Protocol::Http2,
        "TLS" => Protocol::Tls,
        "TCP" | "MONGO" | "REDIS" | "MYSQL" => Protocol::Tcp,
        _ => Protocol::Http,
    }
}

fn l4_routes(context: &Context<'_>, port: u16, bound: &Bound) -> Vec<wattle_contract::route::L4Route> {
    let entries = context.virtual_services().filter(|entry| !binds(entry, bound).is_empty());
    entries.flat_map(|entry| l4::of_entry(context, site(port, bound, entry), entry)).collect()
}

fn site<'a>(port: u16, bound: &'a Bound, entry: &'a Entry) -> Site<'a> {
    Site { port, gateway: &bound.gateway, namespace: entry.resource.namespace(), by_elements: entry.by_elements }
}

/// Gives the hosts that a VirtualService and a server share: of each pair the narrower.
pub(crate) fn binds(entry: &Entry, bound: &Bound) -> Vec<String> {
    if !entry.gateways.contains(&bound.gateway) {
        return Vec::new();
    }
    let mut shared = Vec::new();
    for server_host in &bound.server.hosts {
        let (namespace, pattern) = hosts::split_scope(server_host);
        let admitted = match namespace {
            None | Some("*") => true,
            Some(".") => entry.resource.namespace() == bound.resource.namespace(),
            Some(namespace) => entry.resource.namespace() == namespace,
        };
        if !admitted || !entry.is_visible_to(bound.resource.namespace()) {
            continue;
        }
        for host in &entry.hosts {
            if hosts::within(host, pattern) {
                shared.push(host.clone());
            } else if hosts::within(pattern, host) {
                shared.push(pattern.to_owned());
            }
        }
    }
    shared.sort();
    shared.dedup();
    shared
}

/// Virtual hosts of one port, by host.
#[derive(Default)]
struct Gathered {
    hosts: BTreeMap<String, Gathering>,
}

#[derive(Default)]
struct Gathering {
    routes: Vec<Route>,
    /// Routes that take everything: put last, so that those of younger VirtualServices are reached.
    catch_all: Vec<Route>,
    redirect: bool,
}

impl Gathered {
    fn add(&mut self, context: &Context<'_>, port: u16, bound: &Bound) {
        let redirect = bound.server.tls.as_ref().is_some_and(|settings| settings.https_redirect);
        for entry in context.virtual_services() {
            for host in binds(entry, bound) {
                let routes = routes::of_entry(context, site(port, bound, entry), entry);
                let gathering = self.hosts.entry(host).or_default();
                gathering.redirect |= redirect;
                for route in routes {
                    // Two servers of one port may bind the same VirtualService to the same host.
                    let list = if route.matches.is_empty() { &mut gathering.catch_all } else { &mut gathering.routes };
                    if !list.contains(&route) {
                        list.push(route);
                    }
                }
            }
        }
        if redirect {
            for host in &bound.server.hosts {
                self.hosts.entry(hosts::split_scope(host).1.to_owned()).or_default().redirect = true;
            }
        }
    }

    fn finish(self) -> Vec<Arc<VirtualHost>> {
        let hosts = self.hosts.into_iter().map(|(host, mut gathering)| {
            gathering.routes.extend(gathering.catch_all);
            let domain: DomainMatch = l4::domain(&host);
            Arc::new(VirtualHost {
                name: host,
                domains: vec![domain],
                routes: gathering.routes,
                https_redirect: gathering.redirect,
            })
        });
        hosts.collect()
    }
}

//! Which resource handles a request, and why the others do not.

mod arriving;
mod evaluate;
mod settings;
mod text;
mod verdict;

use std::sync::Arc;

use serde::Serialize;
use wattle_contract::route::{Action, Cluster, Route, RouteTable, VirtualHost};
use wattle_contract::{ProxyMode, WorkloadIdentity};

use crate::compile;
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::gateway::Gateway;
use crate::kinds::virtual_service::VirtualService;

/// A request, as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestDescription {
    /// Method, upper-case.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host without port.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path without query.
    pub path: String,
    /// Query without question mark.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl RequestDescription {
    /// Reads `GET http://reviews:9080/x?q=1`; without a method it is GET.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the text.
    pub fn parse(text: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let (method, url) = text.trim().split_once(' ').unwrap_or(("GET", text.trim()));
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        if !matches!(scheme, "http" | "https") {
            return Err(format!("scheme {scheme:?} of {url:?} is neither http nor https"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| format!("port {port:?} of {url:?} is no number"))?),
            None => (authority, if scheme == "https" { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(format!("{url:?} names no host: write METHOD http://HOST:PORT/PATH"));
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Ok(Self {
            method: method.to_uppercase(),
            scheme: scheme.to_owned(),
            host: host.to_lowercase(),
            port,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.to_owned(),
            headers: headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
        })
    }
}

/// How a request is handled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Whose proxy carries it: `sidecar of NAMESPACE/WORKLOAD` or `gateway NAMESPACE/NAME`.
    pub proxy: String,
    /// The virtual host that takes it; empty when none does.
    pub virtual_host: String,
    /// What happens, in one sentence.
    pub outcome: String,
    /// The rule that takes it.
    pub route: Option<Route>,
    /// What a gateway asks before it looks for a rule: tokens, limits, policies.
    pub arriving: Vec<String>,
    /// The destinations of the rule, with what holds for them.
    pub destinations: Vec<Destination>,
    /// Rules that were looked at before or come after, in order, and why they do not take it.
    pub others: Vec<Considered>,
    /// VirtualServices that name the host and are not used, and why.
    pub unused: Vec<Considered>,
}

/// A destination of the rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Destination {
    /// Name of the cluster.
    pub cluster: String,
    /// Share of the requests, in percent.
    pub percent: f64,
    /// Number of endpoints; `None` when the cluster does not exist, which answers 503 (flag NC).
    pub endpoints: Option<usize>,
    /// What holds for it.
    pub settings: Vec<String>,
    /// What the policies of the workload behind it say.
    pub policy: String,
    /// What the workload behind it asks beside: tokens and limits.
    pub arriving: Vec<String>,
}

/// A rule or resource that does not take the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// The resource: `VirtualService hotel/search`.
    pub object: String,
    /// Its file.
    pub file: String,
    /// The line of the rule.
    pub line: u32,
    /// Name of the rule; empty for a whole resource.
    pub rule: String,
    /// Why it does not take the request.
    pub reason: String,
}

/// Explains a request. Without a client it is sent from a workload in the service's own namespace, or comes to the gateway
/// that serves the host.
#[must_use]
pub fn explain(documents: &Documents, request: &RequestDescription, from: Option<&WorkloadIdentity>) -> Explanation {
    let client = from.cloned().unwrap_or_else(|| guess(documents, request));
    let table = compile::table(documents, &client);
    let found = virtual_host(&table, &client, request);
    let proxy = match client.mode {
        ProxyMode::Sidecar => format!("sidecar of {}/{}", client.namespace, client.workload),
        ProxyMode::Gateway => format!("gateway {}/{}", client.namespace, client.workload),
    };
    let mut explanation = Explanation {
        proxy,
        virtual_host: found.map(|host| host.name.clone()).unwrap_or_default(),
        outcome: String::new(),
        route: None,
        arriving: Vec::new(),
        destinations: Vec::new(),
        others: Vec::new(),
        unused: unused(documents, &client, request, found),
    };
    if client.mode == ProxyMode::Gateway {
        explanation.arriving = arriving::lines(&table.authentication, &table.rate_limits, request);
        if !table.policies.is_empty() {
            explanation.arriving.push(format!("policy: {}", verdict::decide(&table.policies, None, request)));
        }
    }
    let Some(host) = found else {
        explanation.outcome = match (client.mode, table.outbound_policy) {
            (ProxyMode::Sidecar, wattle_contract::route::OutboundPolicy::AllowAny) => {
                format!(
                    "no virtual host takes {}:{}: the request is sent where the client wanted",
                    request.host, request.port
                )
            }
            (ProxyMode::Sidecar, _) => {
                format!("no virtual host takes {}:{}: answered 502 (REGISTRY_ONLY)", request.host, request.port)
            }
            (ProxyMode::Gateway, _) => {
                format!("no virtual host takes {}:{}: answered 404 (flag NR)", request.host, request.port)
            }
        };
        return explanation;
    };
    if host.https_redirect && request.scheme == "http" {
        "answered 301 to https (tls.httpsRedirect)".clone_into(&mut explanation.outcome);
        return explanation;
    }
    choose(&mut explanation, documents, &client, &table, host, request);
    explanation
}

fn choose(
    explanation: &mut Explanation,
    documents: &Documents,
    client: &WorkloadIdentity,
    table: &RouteTable,
    host: &VirtualHost,
    request: &RequestDescription,
) {
    for route in &host.routes {
        let reason = match (explanation.route.is_some(), evaluate::mismatch(route, request)) {
            (true, _) => "it comes after the rule that takes the request".to_owned(),
            (false, Some(reason)) => reason,
            (false, None) => {
                explanation.outcome = evaluate::outcome(route, request);
                explanation.destinations = destinations(documents, client, table, route, request);
                explanation.route = Some(route.clone());
                continue;
            }
        };
        explanation.others.push(Considered {
            object: format!("{} {}/{}", route.source.kind, route.source.namespace, route.source.name),
            file: route.source.file.clone(),
            line: route.source.line,
            rule: route.name.clone(),
            reason,
        });
    }
    if explanation.route.is_none() {
        "no rule of the virtual host matches: answered 404 (flag NR)".clone_into(&mut explanation.outcome);
    }
}

fn destinations(
    documents: &Documents,
    client: &WorkloadIdentity,
    table: &RouteTable,
    route: &Route,
    request: &RequestDescription,
) -> Vec<Destination> {
    let Action::Forward(clusters) = &route.action else { return Vec::new() };
    let total: u32 = clusters.iter().map(|one| one.weight).sum();
    clusters
        .iter()
        .map(|one| {
            let cluster = table.clusters.get(&one.cluster);
            let (policy, arriving) =
                cluster.map(|cluster| verdict::of_cluster(documents, client, cluster, request)).unwrap_or_default();
            Destination {
                cluster: one.cluster.to_string(),
                percent: f64::from(one.weight) * 100.0 / f64::from(total.max(1)),
                endpoints: cluster.map(|cluster| cluster.endpoints.len()),
                settings: cluster.map(|cluster| told(documents, client, cluster, route)).unwrap_or_default(),
                policy,
                arriving,
            }
        })
        .collect()
}

fn told(documents: &Documents, client: &WorkloadIdentity, cluster: &Cluster, route: &Route) -> Vec<String> {
    let resources = compile::resources_of(documents, client, cluster.service.as_str(), &cluster.namespace);
    settings::lines(cluster, route, &resources)
}

/// Finds the virtual host of a request.
fn virtual_host<'a>(
    table: &'a RouteTable,
    client: &WorkloadIdentity,
    request: &RequestDescription,
) -> Option<&'a VirtualHost> {
    let hosts: &[Arc<VirtualHost>] = match client.mode {
        ProxyMode::Sidecar => &table.outbound.iter().find(|port| port.port == request.port)?.hosts,
        ProxyMode::Gateway => &table.gateways.iter().find(|listener| listener.port == request.port)?.hosts,
    };
    evaluate::best_host(hosts, &request.host)
}

/// Says why VirtualServices that name the host are not used.
fn unused(
    documents: &Documents,
    client: &WorkloadIdentity,
    request: &RequestDescription,
    used: Option<&VirtualHost>,
) -> Vec<Considered> {
    let winners: Vec<(&str, &str)> = used
        .into_iter()
        .flat_map(|host| &host.routes)
        .map(|route| (route.source.namespace.as_str(), route.source.name.as_str()))
        .collect();
    let mut found = Vec::new();
    for entry in &documents.plan().virtual_services.entries {
        let namespace = entry.resource.namespace();
        if winners.contains(&(namespace, entry.resource.name())) || entry.resource.get::<VirtualService>().is_none() {
            continue;
        }
        let names_it = entry.hosts.iter().any(|host| {
            hosts::within(&request.host, host)
                || hosts::variants(host, client.namespace.as_str(), documents.settings()).contains(&request.host)
        });
        if !names_it {
            continue;
        }
        let reason = if !entry.is_visible_to(client.namespace.as_str()) {
            format!("exportTo does not show it to namespace {}", client.namespace)
        } else if client.mode == ProxyMode::Sidecar && !entry.is_mesh() {
            format!("it is for {}, not for the mesh", entry.gateways.join(", "))
        } else if client.mode == ProxyMode::Gateway {
            "it is not bound to this gateway, or its host is not".to_owned()
        } else {
            "another VirtualService owns the host: on the mesh they are not merged, the most specific and oldest wins"
                .to_owned()
        };
        let (line, _) = entry.resource.locate("spec.hosts");
        found.push(Considered {
            object: entry.resource.object(),
            file: entry.resource.file().to_owned(),
            line,
            rule: String::new(),
            reason,
        });
    }
    found
}

/// Guesses who sends a request.
fn guess(documents: &Documents, request: &RequestDescription) -> WorkloadIdentity {
    let labels = request.host.split('.').collect::<Vec<_>>();
    let services = documents.registry().all();
    let service = services.filter(|service| service.is_kubernetes()).find(|service| {
        let own = service.host.split('.').collect::<Vec<_>>();
        own.starts_with(&labels) && service.ports.iter().any(|port| port.number == request.port)
    });
    if let Some(service) = service {
        return documents.identity(service.namespace(), "any-workload");
    }
    let serves = |gateway: &Gateway| {
        gateway.servers.iter().any(|server| {
            server.port.as_ref().is_some_and(|port| port.number == u32::from(request.port))
                && server.hosts.iter().any(|host| hosts::within(&request.host, hosts::split_scope(host).1))
        })
    };
    match documents.of::<Gateway>().find(|(_, gateway)| serves(gateway)) {
        Some((resource, gateway)) => WorkloadIdentity {
            mode: ProxyMode::Gateway,
            labels: gateway.selector.clone(),
            ..documents.identity(resource.namespace(), resource.name())
        },
        None => documents.identity("default", "any-workload"),
    }
}

//! Routes of connections: TCP and TLS that is ended elsewhere.

use wattle_contract::route::{DomainMatch, HeaderOperations, L4Match, L4Route, Protocol, WeightedCluster};

use super::Context;
use super::matching::{Site, site_holds};
use super::routes::{cluster_name, cluster_of};
use super::virtual_services::{Entry, MESH};
use crate::kinds::virtual_service::{L4MatchAttributes, RouteDestination, TlsMatchAttributes};
use crate::registry::{Port, Service};

/// Compiles the connection routes of a service's port.
pub(super) fn of_service(
    context: &Context<'_>,
    owner: Option<&Entry>,
    service: &Service,
    port: &Port,
    number: u16,
) -> Vec<L4Route> {
    let mut routes = Vec::new();
    if let Some(entry) = owner {
        let site = Site { port: number, gateway: MESH, namespace: entry.resource.namespace(), by_elements: false };
        routes = of_entry(context, site, entry);
    }
    let sni = match port.protocol {
        Protocol::Tls => vec![domain(&service.host)],
        _ => Vec::new(),
    };
    let own = L4Match { sni_hosts: sni, destination_subnets: service.addresses.clone(), source_subnet: None };
    let open = own == L4Match::default();
    routes.push(L4Route {
        name: format!("{}:{number}", service.host),
        matches: if open { Vec::new() } else { vec![own] },
        destinations: vec![plain(cluster_name(port.number, "", &service.host), 1)],
    });
    routes
}

/// Compiles the TLS and TCP rules of a VirtualService for one site.
pub(super) fn of_entry(context: &Context<'_>, site: Site<'_>, entry: &Entry) -> Vec<L4Route> {
    let name = entry.resource.name();
    let mut routes = Vec::new();
    for (index, rule) in entry.tls.iter().enumerate() {
        let held: Vec<L4Match> =
            rule.matches.iter().filter(|one| tls_holds(context, site, one)).map(tls_match).collect();
        if !held.is_empty() {
            let destinations = destinations(context, site, &rule.route);
            routes.push(L4Route { name: format!("{name}/spec.tls[{index}]"), matches: held, destinations });
        }
    }
    for (index, rule) in entry.tcp.iter().enumerate() {
        let held: Vec<L4Match> =
            rule.matches.iter().filter(|one| tcp_holds(context, site, one)).map(tcp_match).collect();
        if held.is_empty() && !rule.matches.is_empty() {
            continue;
        }
        let open = held.iter().any(|one| *one == L4Match::default());
        let destinations = destinations(context, site, &rule.route);
        let matches = if open { Vec::new() } else { held };
        routes.push(L4Route { name: format!("{name}/spec.tcp[{index}]"), matches, destinations });
    }
    routes
}

fn tls_holds(context: &Context<'_>, site: Site<'_>, one: &TlsMatchAttributes) -> bool {
    site_holds(context, site, one.port, &one.gateways, &one.source_labels, &one.source_namespace)
}

fn tcp_holds(context: &Context<'_>, site: Site<'_>, one: &L4MatchAttributes) -> bool {
    site_holds(context, site, one.port, &one.gateways, &one.source_labels, &one.source_namespace)
}

fn tls_match(one: &TlsMatchAttributes) -> L4Match {
    L4Match {
        sni_hosts: one.sni_hosts.iter().map(|host| domain(host)).collect(),
        destination_subnets: one.destination_subnets.clone(),
        source_subnet: None,
    }
}

fn tcp_match(one: &L4MatchAttributes) -> L4Match {
    L4Match {
        sni_hosts: Vec::new(),
        destination_subnets: one.destination_subnets.clone(),
        source_subnet: Some(one.source_subnet.clone()).filter(|subnet| !subnet.is_empty()),
    }
}

fn destinations(context: &Context<'_>, site: Site<'_>, route: &[RouteDestination]) -> Vec<WeightedCluster> {
    let single = route.len() == 1;
    let compiled = route.iter().filter_map(|one| {
        let cluster = cluster_of(context, site, site.namespace, one.destination.as_ref()?);
        Some(plain(cluster, if single { 1 } else { u32::try_from(one.weight).unwrap_or(0) }))
    });
    compiled.filter(|one| one.weight > 0).collect()
}

fn plain(cluster: wattle_contract::ClusterName, weight: u32) -> WeightedCluster {
    WeightedCluster {
        cluster,
        weight,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
    }
}

/// Compiles a host or wildcard.
pub(super) fn domain(host: &str) -> DomainMatch {
    match host.strip_prefix('*') {
        Some("") => DomainMatch::Any,
        Some(suffix) => DomainMatch::Suffix(suffix.to_owned()),
        None => DomainMatch::Exact(host.to_owned()),
    }
}

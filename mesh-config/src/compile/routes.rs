//! The routes of a VirtualService for one site, and the route that exists without any.

use wattle_contract::ClusterName;
use wattle_contract::route::{Action, HeaderOperations, Route, RouteSource, WeightedCluster};

use super::matching::{Site, alternatives};
use super::virtual_services::{Entry, HttpEntry};
use super::{Context, actions, retries};
use crate::hosts;
use crate::kinds::virtual_service::{Destination, HttpRouteDestination};
use crate::registry::Service;

/// Names a cluster as Istio does.
pub(super) fn cluster_name(port: u16, subset: &str, host: &str) -> ClusterName {
    // Written by hand: it is the most frequent text of a compilation.
    let number = port.to_string();
    let mut name = String::with_capacity(11 + number.len() + subset.len() + host.len());
    for part in ["outbound|", &number, "|", subset, "|", host] {
        name.push_str(part);
    }
    ClusterName::from(name)
}

/// Compiles the rules of a VirtualService; what stands after a rule that takes everything is dead and left out.
pub(super) fn of_entry(context: &Context<'_>, site: Site<'_>, entry: &Entry) -> Vec<Route> {
    let mut routes = Vec::new();
    for http in &entry.http {
        let Some(route) = of_rule(context, site, http) else { continue };
        let takes_everything = route.matches.is_empty();
        routes.push(route);
        if takes_everything {
            break;
        }
    }
    routes
}

fn of_rule(context: &Context<'_>, site: Site<'_>, http: &HttpEntry) -> Option<Route> {
    let rule = http.route()?;
    let namespace = http.resource.namespace();
    let matches = alternatives(context, site, &rule.matches)?;
    let action = match (&rule.redirect, &rule.direct_response) {
        (Some(redirect), _) => actions::redirect(redirect),
        (None, Some(response)) => actions::direct(response),
        (None, None) => Action::Forward(destinations(context, site, namespace, &rule.route)),
    };
    let (line, _) = http.resource.locate(&http.path);
    let rate_limits = context.plan.route_limits.of(&http.resource, &rule.name);
    let request = rule.headers.as_ref().and_then(|headers| headers.request.as_ref());
    let response = rule.headers.as_ref().and_then(|headers| headers.response.as_ref());
    let forwards = matches!(action, Action::Forward(_));
    Some(Route {
        name: if rule.name.is_empty() { [http.resource.name(), &http.path].join("/") } else { rule.name.clone() },
        source: RouteSource {
            kind: http.resource.kind.name().to_owned(),
            namespace: namespace.to_owned(),
            name: http.resource.name().to_owned(),
            file: http.resource.file().to_owned(),
            line,
        },
        matches,
        action,
        rewrite: actions::rewrite(rule),
        timeout: actions::bound(rule.timeout),
        retries: retries::policy(rule.retries.as_ref()).filter(|_| forwards),
        fault: actions::fault(rule.fault.as_ref()),
        mirrors: actions::mirrors(context, site, namespace, rule),
        cors: actions::cors(rule.cors_policy.as_ref()),
        request_headers: actions::headers(request),
        response_headers: actions::headers(response),
        rate_limits,
    })
}

fn destinations(
    context: &Context<'_>,
    site: Site<'_>,
    namespace: &str,
    route: &[HttpRouteDestination],
) -> Vec<WeightedCluster> {
    let single = route.len() == 1;
    let compiled = route.iter().filter_map(|one| {
        let destination = one.destination.as_ref()?;
        // A lone destination gets everything whatever its weight; among several, no weight means no share.
        let weight = if single { 1 } else { u32::try_from(one.weight).unwrap_or(0) };
        let request = one.headers.as_ref().and_then(|headers| headers.request.as_ref());
        let response = one.headers.as_ref().and_then(|headers| headers.response.as_ref());
        Some(WeightedCluster {
            cluster: cluster_of(context, site, namespace, destination),
            weight,
            request_headers: actions::headers(request),
            response_headers: actions::headers(response),
        })
    });
    compiled.filter(|one| one.weight > 0).collect()
}

/// Names the cluster of a destination: its port is the one named, else the service's only one, else the site's.
pub(super) fn cluster_of(
    context: &Context<'_>,
    site: Site<'_>,
    namespace: &str,
    destination: &Destination,
) -> ClusterName {
    let host = hosts::complete(&destination.host, namespace, context.settings);
    let named = destination.port.as_ref().and_then(|port| u16::try_from(port.number).ok()).filter(|port| *port > 0);
    let service = context.registry.service(&host, context.namespace());
    let only = service.filter(|service| service.ports.len() == 1).map(|service| service.ports[0].number);
    // A wildcard service stands for the hosts it covers.
    let host = service.map_or(host.as_str(), |service| service.host.as_str());
    cluster_name(named.or(only).unwrap_or(site.port), &destination.subset, host)
}

/// The route of a service that no VirtualService names.
pub(super) fn default_route(service: &Service, port: u16) -> Route {
    let cluster = cluster_name(port, "", &service.host);
    Route {
        name: "default".to_owned(),
        source: RouteSource::default(),
        matches: Vec::new(),
        action: Action::Forward(vec![WeightedCluster {
            cluster,
            weight: 1,
            request_headers: HeaderOperations::default(),
            response_headers: HeaderOperations::default(),
        }]),
        rewrite: None,
        timeout: None,
        retries: retries::policy(None),
        fault: None,
        mirrors: Vec::new(),
        cors: None,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        rate_limits: Vec::new(),
    }
}

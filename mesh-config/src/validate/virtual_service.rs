//! Rules of VirtualService but for those of one HTTP rule.

use super::check::{Check, is_host, is_ip, is_network};
use super::fields::{destination, no_overlap, weights};
use super::http_route;
use crate::hosts;
use crate::kinds::virtual_service::{TcpRoute, TlsRoute, VirtualService};

/// Checks a VirtualService.
pub(super) fn check(spec: &VirtualService, check: &mut Check<'_>) {
    let is_mesh = spec.gateways.is_empty() || spec.gateways.iter().any(|name| name == "mesh");
    if spec.hosts.is_empty() {
        delegate(spec, check);
    }
    for (index, host) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        if host == "*" && is_mesh {
            let message =
                "Invalid value: \"*\": wildcard host * is not allowed for virtual services bound to the mesh gateway";
            check.error_with(path, message, "name the hosts, or bind the VirtualService to a Gateway only");
        } else if !is_host(host) && !is_ip(host) {
            check.error(path, format!("Invalid value: {host:?} is no host name"));
        } else if is_mesh && !host.contains('.') && host.starts_with('*') {
            check.error(path, format!("Invalid value: {host:?}: a short wildcard"));
        }
    }
    no_overlap(check, "spec.hosts", &spec.hosts);
    for (index, gateway) in spec.gateways.iter().enumerate() {
        let (namespace, name) = hosts::split_scope(gateway);
        if name.is_empty() || namespace == Some("") || name.contains('/') {
            check.error(
                format!("spec.gateways[{index}]"),
                format!("Invalid value: {gateway:?} is no name of a gateway"),
            );
        }
    }
    if spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty() {
        check.error("spec", "http, tcp or tls must be provided in virtual service");
    }
    let is_root = spec.http.iter().any(|route| route.delegate.is_some());
    for (index, route) in spec.http.iter().enumerate() {
        http_route::check(route, &format!("spec.http[{index}]"), spec.hosts.is_empty(), check);
    }
    if is_root && spec.hosts.is_empty() {
        check.error_with("spec.http", "Invalid value: a delegate cannot delegate", "delegation goes one level deep");
    }
    spec.tls
        .iter()
        .enumerate()
        .for_each(|(index, route)| tls(route, &spec.hosts, &format!("spec.tls[{index}]"), check));
    spec.tcp.iter().enumerate().for_each(|(index, route)| tcp(route, &format!("spec.tcp[{index}]"), check));
    check.export_to("spec.exportTo", &spec.export_to, false);
}

/// Without hosts it is the target of a delegation, which has HTTP rules only.
fn delegate(spec: &VirtualService, check: &mut Check<'_>) {
    if !spec.gateways.is_empty() {
        let message = "a VirtualService without hosts is a delegate, and a delegate names no gateways";
        check.error_with("spec.hosts", message, "name hosts, or remove gateways");
    }
    if !spec.tcp.is_empty() || !spec.tls.is_empty() {
        let message = "a VirtualService without hosts is a delegate, and a delegate has http rules only";
        check.error_with("spec.hosts", message, "name hosts");
    }
}

fn tls(route: &TlsRoute, vs_hosts: &[String], path: &str, check: &mut Check<'_>) {
    if route.matches.is_empty() {
        check.error(format!("{path}.match"), "TLS route must have at least one match condition");
    }
    for (index, one) in route.matches.iter().enumerate() {
        let at = format!("{path}.match[{index}]");
        if one.sni_hosts.is_empty() {
            check.error(format!("{at}.sniHosts"), "TLS match must have at least one SNI host");
        }
        for (number, host) in one.sni_hosts.iter().enumerate() {
            let at = format!("{at}.sniHosts[{number}]");
            if is_ip(host) {
                check.advise(
                    at,
                    format!(
                        "using an IP address ({host:?}) goes against SNI spec and most clients do not support this"
                    ),
                );
            } else if !is_host(host) {
                check.error(at, format!("Invalid value: {host:?} is no host name"));
            } else if !vs_hosts.iter().any(|other| hosts::within(host, other)) {
                check.error(
                    at,
                    format!("Invalid value: SNI host {host:?} is not a compatible subset of the virtual service hosts"),
                );
            }
        }
        subnets(&one.destination_subnets, &at, check);
    }
    l4_route(path, &route.route, check);
}

fn tcp(route: &TcpRoute, path: &str, check: &mut Check<'_>) {
    for (index, one) in route.matches.iter().enumerate() {
        subnets(&one.destination_subnets, &format!("{path}.match[{index}]"), check);
        if !one.source_subnet.is_empty() && !is_network(&one.source_subnet) {
            check.error(
                format!("{path}.match[{index}].sourceSubnet"),
                format!("Invalid value: {:?} is no network", one.source_subnet),
            );
        }
    }
    l4_route(path, &route.route, check);
}

fn subnets(networks: &[String], path: &str, check: &mut Check<'_>) {
    for (index, network) in networks.iter().enumerate() {
        if !is_network(network) {
            check.error(
                format!("{path}.destinationSubnets[{index}]"),
                format!("Invalid value: {network:?} is no network"),
            );
        }
    }
}

fn l4_route(path: &str, route: &[crate::kinds::virtual_service::RouteDestination], check: &mut Check<'_>) {
    if route.is_empty() {
        check.error(format!("{path}.route"), "Required value: a route has at least one destination");
    }
    for (index, one) in route.iter().enumerate() {
        destination(check, &format!("{path}.route[{index}].destination"), one.destination.as_ref());
    }
    let shares: Vec<i32> = route.iter().map(|one| one.weight).collect();
    weights(check, &format!("{path}.route"), &shares);
}

//! What a table may ask for that this build cannot do: named, so that nothing is left out silently.
//!
//! What an explicit listener can never be asked for is no reason: TCP ports of an outbound table and clusters of original
//! destinations are kept, and nothing is sent to them.

use wattle_contract::EndpointAddress;
use wattle_contract::RouteTable;
use wattle_contract::route::{
    ClientTls, Cluster, CustomTag, Discovery, GatewayListener, InboundTls, Route, Telemetry, VirtualHost,
};

/// Gives every reason to refuse a table.
pub(super) fn missing(table: &RouteTable) -> Vec<String> {
    let mut reasons = Vec::new();
    for port in table.inbound.iter().filter(|port| port.tls == InboundTls::Strict) {
        reasons.push(format!("port {}: mesh TLS is demanded (STRICT), but this build has none", port.port));
    }
    table.gateways.iter().for_each(|gateway| gateway_reasons(gateway, &mut reasons));
    for (name, cluster) in &table.clusters {
        let mut own = Vec::new();
        cluster_reasons(cluster, &mut own);
        reasons.extend(own.into_iter().map(|reason| format!("cluster {name}: {reason}")));
    }
    for rule in &table.authentication {
        reasons.push(format!("request authentication {}: tokens are not verified by this build", rule.name));
    }
    for limit in &table.rate_limits {
        reasons.push(format!("rate limit {}: requests are not counted by this build", limit.name));
    }
    let hosts = table.outbound.iter().flat_map(|port| &port.hosts);
    for host in hosts.chain(table.gateways.iter().flat_map(|gateway| &gateway.hosts)) {
        host.routes.iter().for_each(|route| route_reasons(host, route, &mut reasons));
    }
    telemetry_reasons(&table.telemetry, &mut reasons);
    reasons
}

fn route_reasons(host: &VirtualHost, route: &Route, reasons: &mut Vec<String>) {
    if route.matches.iter().any(|one| !one.claims.is_empty()) {
        reasons.push(format!(
            "virtual host {}: route {}: claims of tokens are not looked at by this build",
            host.name, route.name
        ));
    }
    for limit in &route.rate_limits {
        reasons.push(format!(
            "virtual host {}: rate limit {}: requests are not counted by this build",
            host.name, limit.name
        ));
    }
}

fn gateway_reasons(gateway: &GatewayListener, reasons: &mut Vec<String>) {
    if !gateway.l4.is_empty() {
        reasons.push(format!("gateway {}: TCP and TLS routes are not carried by this build", gateway.name));
    }
    if gateway.health_check.is_some() {
        reasons.push(format!("gateway {}: active health checks are not made by this build", gateway.name));
    }
}

fn cluster_reasons(cluster: &Cluster, reasons: &mut Vec<String>) {
    let mut unless = |fine: bool, what: &str| {
        if !fine {
            reasons.push(format!("{what} by this build"));
        }
    };
    match &cluster.tls {
        ClientTls::Disable => {}
        ClientTls::Auto => unless(
            !cluster.endpoints.iter().any(|endpoint| endpoint.mesh_tls),
            "mesh TLS towards its endpoints is not spoken",
        ),
        ClientTls::Mesh { .. } => unless(false, "mesh TLS towards its endpoints is not spoken"),
        // What of it cannot be had is said where it is compiled.
        ClientTls::Simple { .. } => {}
    }
    unless(!matches!(cluster.discovery, Discovery::DynamicDns), "hosts of requests are not resolved");
    unless(
        !cluster.endpoints.iter().any(|endpoint| matches!(endpoint.address, EndpointAddress::Unix(_))),
        "Unix sockets are not connected to",
    );
    let locality = &cluster.locality;
    unless(
        locality.distribute.is_empty() && locality.failover.is_empty() && locality.failover_priority.is_empty(),
        "locality shares and failover are not heeded",
    );
    unless(cluster.warmup.is_none(), "slow start is not done");
    unless(cluster.health_check.is_none(), "active health checks are not made");
    unless(cluster.proxy_protocol.is_none(), "the PROXY protocol is not spoken");
}

fn telemetry_reasons(telemetry: &Telemetry, reasons: &mut Vec<String>) {
    if !telemetry.metrics.is_empty() {
        reasons.push("telemetry: changes to the standard metrics are not made by this build".to_owned());
    }
    if telemetry.access_log.as_ref().is_some_and(|log| !log.filter.is_empty()) {
        reasons.push("telemetry: filters of the access log are not evaluated by this build".to_owned());
    }
    for (name, tag) in &telemetry.custom_tags {
        if matches!(tag, CustomTag::Environment(..)) {
            reasons.push(format!(
                "telemetry: tag {name} is to be read from the environment, which this build does not do"
            ));
        }
    }
}

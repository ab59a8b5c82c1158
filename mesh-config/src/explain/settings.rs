//! What holds for a request on its way to a cluster, in words.

use std::time::Duration;

use wattle_contract::route::{
    Balancer, ClientTls, Cluster, HashKey, HashTable, HealthCheckKind, Limits, RetryPolicy, Route,
};

use super::{arriving, evaluate};
use crate::resource::Resource;

/// Lists what holds, and the resources that say it beside the route's own.
pub(super) fn lines(cluster: &Cluster, route: &Route, resources: &[std::sync::Arc<Resource>]) -> Vec<String> {
    let mut lines = vec![
        match route.timeout {
            Some(timeout) => format!("timeout {} s for all tries together", timeout.as_secs_f64()),
            None => "no timeout".to_owned(),
        },
        route.retries.as_ref().map_or_else(|| "no retries".to_owned(), retries),
        format!("balancer {}", balancer(&cluster.balancer)),
        format!("TLS {}", tls(cluster)),
    ];
    if let Some(limits) = limits(&cluster.limits) {
        lines.push(format!("limits of each client proxy: {limits}"));
    }
    if let Some(outlier) = &cluster.outlier {
        let needed = 100_u32.div_ceil(outlier.max_ejection_percent.max(1));
        lines.push(format!(
            "ejects after {} consecutive 5xx, at most {} % of the endpoints (nobody below {needed} endpoints)",
            outlier.consecutive_5xx.unwrap_or(0),
            outlier.max_ejection_percent
        ));
    }
    if let Some(check) = &cluster.health_check {
        let how = match &check.kind {
            HealthCheckKind::Http { path, .. } => format!("GET {path}"),
            HealthCheckKind::Tcp => "a connection".to_owned(),
            HealthCheckKind::Grpc { service } => format!("gRPC health of {service:?}"),
        };
        lines.push(format!(
            "asks every endpoint every {} s ({how}): out after {} failures, back after {}",
            check.interval.as_secs_f64(),
            check.unhealthy_threshold,
            check.healthy_threshold
        ));
    }
    lines.extend(route.rate_limits.iter().map(|limit| arriving::limit(limit)));
    lines.extend(resources.iter().map(|resource| {
        let (line, _) = resource.locate("spec");
        format!("set by {} {}:{line}", resource.object(), resource.file())
    }));
    lines
}

fn retries(policy: &RetryPolicy) -> String {
    let each = policy.per_try_timeout.map_or_else(String::new, |time| format!(", {} s each", time.as_secs_f64()));
    format!("up to {} further tries{each}, on {}", policy.attempts, evaluate::retry_words(&policy.on))
}

fn balancer(balancer: &Balancer) -> String {
    let (key, table) = match balancer {
        Balancer::LeastRequest => return "LEAST_REQUEST".to_owned(),
        Balancer::RoundRobin => return "ROUND_ROBIN".to_owned(),
        Balancer::Random => return "RANDOM".to_owned(),
        Balancer::Passthrough => return "PASSTHROUGH (the address the client wanted)".to_owned(),
        Balancer::ConsistentHash { key, table } => (key, table),
    };
    let key = match key {
        HashKey::Header(name) => format!("header {name}"),
        HashKey::Cookie { name, .. } => format!("cookie {name}"),
        HashKey::SourceIp => "the peer's address".to_owned(),
        HashKey::QueryParameter(name) => format!("query parameter {name}"),
    };
    match table {
        HashTable::Ring { minimum_size } => format!("by a hash of {key} (ring of at least {minimum_size} points)"),
        HashTable::Maglev { size } => format!("by a hash of {key} (Maglev table of {size})"),
    }
}

fn tls(cluster: &Cluster) -> String {
    match &cluster.tls {
        ClientTls::Disable => "none: cleartext".to_owned(),
        ClientTls::Auto => {
            let with_proxy = cluster.endpoints.iter().filter(|endpoint| endpoint.mesh_tls).count();
            match with_proxy {
                0 => "none: no endpoint is known to have a proxy (mesh mTLS where one has)".to_owned(),
                count if count == cluster.endpoints.len() => "mesh mTLS".to_owned(),
                count => {
                    format!("mesh mTLS to {count} of {} endpoints, cleartext to the others", cluster.endpoints.len())
                }
            }
        }
        ClientTls::Mesh { .. } => "mesh mTLS (ISTIO_MUTUAL)".to_owned(),
        ClientTls::Simple { certificate, sni, skip_verify, .. } => {
            let mode = if certificate.is_some() { "MUTUAL" } else { "SIMPLE" };
            let name = if sni.is_empty() { "the request's host".to_owned() } else { sni.clone() };
            let checked = if *skip_verify { ", the server's certificate is not checked" } else { "" };
            format!("{mode}, server name {name}{checked}")
        }
    }
}

/// Lists the limits that are set; `None` when none is.
fn limits(limits: &Limits) -> Option<String> {
    let seconds = |time: Option<Duration>| time.map(|time| format!("{} s", time.as_secs_f64()));
    let count = |number: Option<u32>| number.map(|number| number.to_string());
    let named = [
        ("connections", count(limits.max_connections)),
        ("pending requests", count(limits.max_pending_requests)),
        ("requests in flight", count(limits.max_requests)),
        ("tries in flight", count(limits.max_retries)),
        ("requests per connection", count(limits.max_requests_per_connection)),
        ("streams per connection", count(limits.max_concurrent_streams)),
        ("idle for", seconds(limits.idle_timeout)),
        ("connection age", seconds(limits.max_connection_duration)),
    ];
    let given: Vec<String> = named.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    (!given.is_empty()).then(|| given.join(", "))
}

//! Clusters: every port and subset of every service that a workload sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{
    Balancer, Cluster, HashKey, HashTable, Limits, LocalityPolicy, Outlier, Protocol, ProxyProtocol, RetryBudget,
    TcpKeepalive, UpstreamProtocol, Warmup,
};
use wattle_contract::{ClusterName, Endpoint, ServiceName};

use super::cache::Clusters;
use super::effective::{Effective, effective};
use super::routes::cluster_name;
use super::scope::Scope;
use super::{Context, health_checks, tls};
use crate::kinds::destination_rule::{
    ConnectionPool, ConsistentHash, H2UpgradePolicy, LoadBalancer, LocalityLoadBalancerSetting, OutlierDetection,
    ProxyProtocolVersion, SimpleLb, Subset,
};
use crate::registry::{Port, Service, labels_match};

/// Envoy's and Istio's bound on making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Envoy's smallest ring.
const RING_SIZE: u64 = 1024;
/// Envoy's Maglev table.
const MAGLEV_SIZE: u64 = 65_537;

/// Clusters by name.
type ByName = BTreeMap<ClusterName, Arc<Cluster>>;

/// Compiles the clusters of all services in a scope, and gives their hashes in the order of the services.
pub(super) fn of_scope(context: &Context<'_>, scope: &Scope) -> (ByName, Vec<Arc<str>>) {
    let mut hashes = Vec::with_capacity(scope.services.len());
    let mut named: Vec<(ClusterName, Arc<Cluster>)> = Vec::new();
    for (service, _) in &scope.services {
        let kept = of_service(context, service);
        named.extend(kept.clusters.iter().map(|cluster| (cluster.name.clone(), cluster.clone())));
        hashes.push(kept.hash);
    }
    (named.into_iter().collect(), hashes)
}

fn of_service(context: &Context<'_>, service: &Arc<Service>) -> Clusters {
    let mut rules = context.plan.destination_rules.of(context, &service.host, service.namespace());
    let check = context.plan.health_checks.of(context, &service.host, service.namespace());
    rules.resources.extend(check.clone());
    // Which endpoints take mesh mTLS depends on policies too, that may change by themselves.
    let stable = !context.plan.peer_modes.decides()
        || !service.ports.iter().flat_map(|port| &port.endpoints).any(|endpoint| endpoint.mesh_tls);
    let cache = context.documents.cache();
    if let Some(kept) = stable.then(|| cache.clusters(service, &rules.resources)).flatten() {
        return kept;
    }
    let mut clusters = Vec::new();
    for port in &service.ports {
        let blocks = effective(rules.policy, None, port.number);
        let first = clusters.len();
        clusters.push(cluster(context, service, port, None, blocks));
        for subset in rules.subsets.values() {
            let blocks = effective(rules.policy, subset.traffic_policy.as_ref(), port.number);
            clusters.push(cluster(context, service, port, Some(subset), blocks));
        }
        let health_check = health_checks::of_port(check.as_deref(), port.number);
        clusters[first..].iter_mut().for_each(|cluster| cluster.health_check.clone_from(&health_check));
    }
    let hash: Arc<str> = super::hash_of(&clusters).into();
    let clusters: Vec<Arc<Cluster>> = clusters.into_iter().map(Arc::new).collect();
    let made = Clusters { service: service.clone(), rules: rules.resources, clusters: clusters.into(), hash };
    if stable {
        cache.keep_clusters(made.clone());
    }
    made
}

fn cluster(
    context: &Context<'_>,
    service: &Service,
    port: &Port,
    subset: Option<&Subset>,
    blocks: Effective<'_>,
) -> Cluster {
    let subset_name = subset.map_or("", |subset| subset.name.as_str());
    let tcp = blocks.connection_pool.and_then(|pool| pool.tcp.as_ref());
    let chosen = |endpoint: &&Endpoint| subset.is_none_or(|subset| labels_match(&subset.labels, &endpoint.labels));
    let endpoints = port
        .endpoints
        .iter()
        .filter(chosen)
        .map(|endpoint| context.plan.peer_modes.with_proxy(context, service, endpoint));
    let keepalive = tcp.and_then(|tcp| tcp.tcp_keepalive.as_ref());
    Cluster {
        name: cluster_name(port.number, subset_name, &service.host),
        service: ServiceName::from(service.host.as_str()),
        namespace: service.namespace().to_owned(),
        port: port.number,
        subset: subset_name.to_owned(),
        external: service.external,
        discovery: service.discovery,
        endpoints: endpoints.collect(),
        balancer: balancer(blocks.load_balancer),
        locality: locality(
            blocks.load_balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref()),
            blocks.outlier.is_some(),
        ),
        warmup: blocks.load_balancer.and_then(warmup),
        protocol: upstream(port.protocol, blocks.connection_pool),
        tls: tls::client(service, blocks.tls),
        limits: limits(blocks.connection_pool),
        retry_budget: blocks.retry_budget.map(|budget| RetryBudget {
            percent: budget.percent.unwrap_or(20.0),
            min_concurrency: if budget.min_retry_concurrency == 0 { 3 } else { budget.min_retry_concurrency },
            interval: budget.budget_interval.map(|time| time.0),
        }),
        outlier: blocks.outlier.map(outlier),
        health_check: None,
        connect_timeout: tcp.and_then(|tcp| super::actions::bound(tcp.connect_timeout)).unwrap_or(CONNECT_TIMEOUT),
        keepalive: keepalive.map(|keepalive| TcpKeepalive {
            probes: Some(keepalive.probes).filter(|probes| *probes > 0),
            time: keepalive.time.map(|time| time.0),
            interval: keepalive.interval.map(|time| time.0),
        }),
        proxy_protocol: blocks.proxy_protocol.map(|protocol| match protocol.version {
            ProxyProtocolVersion::V2 => ProxyProtocol::V2,
            ProxyProtocolVersion::V1 | ProxyProtocolVersion::Absent => ProxyProtocol::V1,
        }),
    }
}

fn balancer(settings: Option<&LoadBalancer>) -> Balancer {
    let Some(settings) = settings else { return Balancer::LeastRequest };
    if let Some(hash) = &settings.consistent_hash {
        return consistent_hash(hash);
    }
    match settings.simple {
        SimpleLb::RoundRobin => Balancer::RoundRobin,
        SimpleLb::Random => Balancer::Random,
        SimpleLb::Passthrough => Balancer::Passthrough,
        // LEAST_CONN is an old name of LEAST_REQUEST.
        SimpleLb::Absent | SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            Balancer::LeastRequest
        }
    }
}

fn consistent_hash(hash: &ConsistentHash) -> Balancer {
    let key = if let Some(name) = &hash.http_header_name {
        HashKey::Header(name.to_lowercase())
    } else if let Some(cookie) = &hash.http_cookie {
        HashKey::Cookie {
            name: cookie.name.clone(),
            path: cookie.path.clone(),
            ttl: cookie.ttl.map(|time| time.0),
            attributes: cookie.attributes.iter().map(|one| (one.name.clone(), one.value.clone())).collect(),
        }
    } else if let Some(name) = &hash.http_query_parameter_name {
        HashKey::QueryParameter(name.clone())
    } else {
        HashKey::SourceIp
    };
    let table = match (&hash.maglev, &hash.ring_hash) {
        (Some(maglev), _) => {
            HashTable::Maglev { size: if maglev.table_size == 0 { MAGLEV_SIZE } else { maglev.table_size } }
        }
        (None, ring) => {
            let size = ring.as_ref().map_or(hash.minimum_ring_size, |ring| ring.minimum_ring_size);
            HashTable::Ring { minimum_size: if size == 0 { RING_SIZE } else { size } }
        }
    };
    Balancer::ConsistentHash { key, table }
}

/// Compiles locality settings: on unless switched off, but failing over needs outlier detection to notice failures.
fn locality(settings: Option<&LocalityLoadBalancerSetting>, has_outlier: bool) -> LocalityPolicy {
    let Some(settings) = settings else {
        return LocalityPolicy { enabled: has_outlier, ..LocalityPolicy::default() };
    };
    let distribute: Vec<_> = settings
        .distribute
        .iter()
        .map(|one| (one.from.clone(), one.to.iter().map(|(to, share)| (to.clone(), *share)).collect()))
        .collect();
    LocalityPolicy {
        enabled: settings.enabled.unwrap_or(true) && (has_outlier || !distribute.is_empty()),
        distribute,
        failover: settings.failover.iter().map(|one| (one.from.clone(), one.to.clone())).collect(),
        failover_priority: settings.failover_priority.clone(),
    }
}

fn warmup(settings: &LoadBalancer) -> Option<Warmup> {
    let old =
        settings.warmup_duration_secs.map(|time| Warmup { duration: time.0, minimum_percent: 10.0, aggression: 1.0 });
    let new = settings.warmup.as_ref().and_then(|warmup| {
        Some(Warmup {
            duration: warmup.duration?.0,
            minimum_percent: warmup.minimum_percent.unwrap_or(10.0),
            aggression: warmup.aggression.unwrap_or(1.0),
        })
    });
    new.or(old)
}

fn upstream(protocol: Protocol, pool: Option<&ConnectionPool>) -> UpstreamProtocol {
    let http = pool.and_then(|pool| pool.http.as_ref());
    if http.is_some_and(|http| http.use_client_protocol) {
        return UpstreamProtocol::AsDownstream;
    }
    let upgrade = http.is_some_and(|http| http.h2_upgrade_policy == H2UpgradePolicy::Upgrade);
    match protocol {
        Protocol::Http2 => UpstreamProtocol::Http2,
        Protocol::Http | Protocol::Https | Protocol::Auto if upgrade => UpstreamProtocol::Http2,
        Protocol::Http | Protocol::Https => UpstreamProtocol::Http1,
        Protocol::Auto => UpstreamProtocol::AsDownstream,
        Protocol::Tls | Protocol::Tcp => UpstreamProtocol::Tcp,
    }
}

/// Compiles limits: zero means the default, which is no limit.
pub(super) fn limits(pool: Option<&ConnectionPool>) -> Limits {
    let some = |number: i32| u32::try_from(number).ok().filter(|number| *number > 0);
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let idle = http.and_then(|http| http.idle_timeout).or_else(|| tcp.and_then(|tcp| tcp.idle_timeout));
    Limits {
        max_connections: tcp.and_then(|tcp| some(tcp.max_connections)),
        max_pending_requests: http.and_then(|http| some(http.http1_max_pending_requests)),
        max_requests: http.and_then(|http| some(http.http2_max_requests)),
        max_retries: http.and_then(|http| some(http.max_retries)),
        max_requests_per_connection: http.and_then(|http| some(http.max_requests_per_connection)),
        max_concurrent_streams: http.and_then(|http| some(http.max_concurrent_streams)),
        idle_timeout: super::actions::bound(idle),
        max_connection_duration: tcp.and_then(|tcp| super::actions::bound(tcp.max_connection_duration)),
    }
}

/// Compiles outlier detection with Envoy's defaults.
pub(crate) fn outlier(settings: &OutlierDetection) -> Outlier {
    let local =
        settings.split_external_local_origin_errors.then(|| settings.consecutive_local_origin_failures.unwrap_or(5));
    let percent = |number: i32| u32::try_from(number).unwrap_or(0).min(100);
    let statuses: BTreeSet<u16> =
        settings.outlier_detection_http_error_codes.iter().filter_map(|code| u16::try_from(*code).ok()).collect();
    Outlier {
        consecutive_5xx: Some(settings.consecutive5xx_errors.unwrap_or(5)).filter(|count| *count > 0),
        consecutive_gateway_errors: settings.consecutive_gateway_errors.filter(|count| *count > 0),
        consecutive_local_failures: local.filter(|count| *count > 0),
        interval: super::actions::bound(settings.interval).unwrap_or(Duration::from_secs(10)),
        base_ejection_time: super::actions::bound(settings.base_ejection_time).unwrap_or(Duration::from_secs(30)),
        max_ejection_percent: if settings.max_ejection_percent == 0 {
            10
        } else {
            percent(settings.max_ejection_percent)
        },
        min_health_percent: percent(settings.min_health_percent),
        error_statuses: statuses,
    }
}

//! Builders of route tables: what a test does not say is as Istio's defaults have it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{
    Action, Balancer, ClientTls, Cluster, Discovery, DomainMatch, HeaderOperations, HttpMatch, InboundPort, InboundTls,
    Limits, LocalityPolicy, Outlier, PathMatch, PortRoutes, Protocol, RetryOn, RetryPolicy, Route, RouteSource,
    UpstreamProtocol, VirtualHost, WeightedCluster,
};
use wattle_contract::{Endpoint, EndpointAddress, Health, Locality, ProxyMode, RouteTable, WorkloadIdentity};

pub(crate) const HOST: &str = "svc.example";

pub(crate) fn identity(workload: &str) -> WorkloadIdentity {
    WorkloadIdentity {
        mode: ProxyMode::Sidecar,
        namespace: "hotel".into(),
        workload: workload.into(),
        pod: format!("{workload}-0"),
        node: Some("node-a".into()),
        service_account: workload.to_owned(),
        labels: BTreeMap::from([("app".to_owned(), workload.to_owned()), ("version".to_owned(), "v1".to_owned())]),
        cluster: "demo".to_owned(),
        trust_domain: "cluster.local".to_owned(),
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Socket(address),
        labels: BTreeMap::from([("app".to_owned(), "svc".to_owned()), ("version".to_owned(), "v2".to_owned())]),
        workload: Some("svc-v2".into()),
        node: None,
        locality: Locality::default(),
        weight: 1,
        health: Health::Healthy,
        service_account: String::new(),
        mesh_tls: false,
    }
}

pub(crate) fn cluster(name: &str, addresses: &[SocketAddr]) -> Cluster {
    Cluster {
        name: name.into(),
        service: "svc.hotel.svc.cluster.local".into(),
        namespace: "hotel".to_owned(),
        port: 80,
        subset: String::new(),
        external: false,
        discovery: Discovery::Static,
        endpoints: addresses.iter().map(|address| endpoint(*address)).collect(),
        balancer: Balancer::LeastRequest,
        locality: LocalityPolicy::default(),
        warmup: None,
        protocol: UpstreamProtocol::Http1,
        tls: ClientTls::Auto,
        limits: Limits::default(),
        retry_budget: None,
        outlier: None,
        health_check: None,
        connect_timeout: Duration::from_secs(10),
        keepalive: None,
        proxy_protocol: None,
    }
}

pub(crate) fn outlier(errors: u32, percent: u32) -> Outlier {
    Outlier {
        consecutive_5xx: Some(errors),
        consecutive_gateway_errors: None,
        consecutive_local_failures: None,
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_percent: percent,
        min_health_percent: 0,
        error_statuses: [].into(),
    }
}

pub(crate) fn to(cluster: &str) -> WeightedCluster {
    weighted(cluster, 100)
}

pub(crate) fn weighted(cluster: &str, weight: u32) -> WeightedCluster {
    WeightedCluster {
        cluster: cluster.into(),
        weight,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
    }
}

pub(crate) fn route(path: Option<PathMatch>, action: Action) -> Route {
    Route {
        name: "route".to_owned(),
        source: RouteSource::default(),
        matches: path.map(|path| HttpMatch { path: Some(path), ..HttpMatch::default() }).into_iter().collect(),
        action,
        rewrite: None,
        timeout: None,
        retries: None,
        fault: None,
        mirrors: Vec::new(),
        cors: None,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        rate_limits: Vec::new(),
    }
}

pub(crate) fn prefix(path: &str, cluster: &str) -> Route {
    route(Some(PathMatch::Prefix(path.to_owned())), Action::Forward(vec![to(cluster)]))
}

pub(crate) fn everything(cluster: &str) -> Route {
    route(None, Action::Forward(vec![to(cluster)]))
}

/// Istio's default policy, with the words of `on` in place of its own.
pub(crate) fn retries(attempts: u32, on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        attempts,
        per_try_timeout: None,
        on,
        backoff: Duration::from_millis(25),
        ignore_previous_hosts: true,
        remote_localities: false,
    }
}

pub(crate) fn default_on() -> RetryOn {
    RetryOn { connect_failure: true, refused_stream: true, grpc: [1, 14].into(), ..RetryOn::default() }
}

pub(crate) fn gateway_error() -> RetryOn {
    RetryOn { gateway_error: true, connect_failure: true, refused_stream: true, ..RetryOn::default() }
}

/// One host on port 80.
pub(crate) fn table(version: &str, routes: Vec<Route>, clusters: Vec<Cluster>) -> RouteTable {
    let host = VirtualHost {
        name: HOST.to_owned(),
        domains: vec![DomainMatch::Exact(HOST.to_owned())],
        routes,
        https_redirect: false,
    };
    RouteTable {
        version: version.to_owned(),
        outbound: vec![PortRoutes { port: 80, protocol: Protocol::Http, hosts: vec![Arc::new(host)], l4: Vec::new() }],
        clusters: clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect(),
        ..RouteTable::default()
    }
}

/// A table of a workload that is only asked, on port 8080.
pub(crate) fn inbound_table() -> RouteTable {
    let port = InboundPort {
        port: 8080,
        protocol: Protocol::Http,
        service: "svc.hotel.svc.cluster.local".to_owned(),
        application: None,
        tls: InboundTls::Permissive,
        limits: Limits::default(),
    };
    RouteTable { version: "inbound".to_owned(), inbound: vec![port], ..RouteTable::default() }
}

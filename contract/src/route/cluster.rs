//! A set of endpoints and how they are used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClientTls, HealthCheck, Limits, Outlier, RetryBudget};
use crate::{ClusterName, Endpoint, ServiceName};

/// One service port or subset of it as a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// The service it belongs to (`destination_service`).
    pub service: ServiceName,
    /// Namespace of the service (`destination_service_namespace`).
    pub namespace: String,
    /// The service's port.
    pub port: u16,
    /// Subset, where it is one; empty otherwise.
    pub subset: String,
    /// Whether the service lies outside the mesh.
    pub external: bool,
    /// Where endpoints come from.
    pub discovery: Discovery,
    /// The endpoints known when the table was compiled.
    pub endpoints: Vec<Endpoint>,
    /// How one is picked.
    pub balancer: Balancer,
    /// How localities share.
    pub locality: LocalityPolicy,
    /// Slow start of new endpoints.
    pub warmup: Option<Warmup>,
    /// What the upstream speaks.
    pub protocol: UpstreamProtocol,
    /// TLS towards the upstream.
    pub tls: ClientTls,
    /// Bounds on what is in flight.
    pub limits: Limits,
    /// Bound on tries.
    pub retry_budget: Option<RetryBudget>,
    /// Passive health.
    pub outlier: Option<Outlier>,
    /// Active health.
    pub health_check: Option<HealthCheck>,
    /// Bound on making a connection.
    pub connect_timeout: Duration,
    /// Keep-alive probes of the kernel.
    pub keepalive: Option<TcpKeepalive>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// Where endpoints come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// The list in the table.
    Static,
    /// Host names of the list, resolved again and again; every address is an endpoint.
    Dns,
    /// The same, but only the first address is used for a connection.
    LogicalDns,
    /// The address the client wanted.
    OriginalDestination,
    /// The host in the request, resolved.
    DynamicDns,
}

/// How an endpoint is picked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balancer {
    /// Of two drawn at random the one with fewer requests in flight.
    #[default]
    LeastRequest,
    /// Each in turn, by weight.
    RoundRobin,
    /// At random, by weight.
    Random,
    /// The address the client wanted.
    Passthrough,
    /// By a hash of the request.
    ConsistentHash {
        /// What is hashed.
        key: HashKey,
        /// With which table.
        table: HashTable,
    },
}

/// What a consistent hash is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKey {
    /// A header, by lower-case name.
    Header(String),
    /// A cookie, made when it is missing and `ttl` is given.
    Cookie {
        /// Name of the cookie.
        name: String,
        /// Path of a cookie that is made.
        path: String,
        /// Life of a cookie that is made; zero is a session cookie, `None` makes none.
        ttl: Option<Duration>,
        /// Further attributes of a cookie that is made.
        attributes: Vec<(String, String)>,
    },
    /// The peer's address.
    SourceIp,
    /// A query parameter, by name.
    QueryParameter(String),
}

/// Table of a consistent hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashTable {
    /// Ketama ring of at least this many points.
    Ring {
        /// Points.
        minimum_size: u64,
    },
    /// Maglev table of this prime size.
    Maglev {
        /// Entries.
        size: u64,
    },
}

/// How localities share the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalityPolicy {
    /// Whether locality is looked at.
    pub enabled: bool,
    /// From a locality (`region/zone/sub-zone`, `*` allowed) to shares by locality; sums to 100.
    pub distribute: Vec<(String, Vec<(String, u32)>)>,
    /// From a region to the one that steps in.
    pub failover: Vec<(String, String)>,
    /// Labels by which endpoints are ranked.
    pub failover_priority: Vec<String>,
}

/// Slow start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warmup {
    /// How long it lasts.
    pub duration: Duration,
    /// Share of the weight at its start. Range: 0..=100.
    pub minimum_percent: f64,
    /// Exponent of the growth; 1 is linear.
    pub aggression: f64,
}

/// What the upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, or by ALPN inside TLS.
    Http2,
    /// What the client spoke.
    AsDownstream,
    /// Bytes.
    Tcp,
}

/// Keep-alive probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpKeepalive {
    /// Probes without answer before the connection is given up.
    pub probes: Option<u32>,
    /// Idle time before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// What happens to requests for hosts that nobody described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboundPolicy {
    /// They are sent where the client wanted.
    #[default]
    AllowAny,
    /// They are refused: 502 with flag NR for HTTP, a closed connection otherwise.
    RegistryOnly,
}

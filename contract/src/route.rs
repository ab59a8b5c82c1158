//! The compiled mesh configuration that a proxy obeys.
//!
//! mesh-config compiles Istio and Gateway API resources into a [`RouteTable`] for one [`WorkloadIdentity`]; proxy-core
//! carries traffic by it and never sees a resource. Everything that is decided when configuration is built (namespaces,
//! `exportTo`, `sourceLabels`, gateways, subsets, inheritance of policies, defaults) is decided in the table already.
//!
//! ```text
//! outbound request ─► PortRoutes (by port) ─► VirtualHost (by authority) ─► Route (first match) ─► Cluster ─► Endpoint
//! inbound request  ─► InboundPort (by port): TLS mode, tokens, policies ─► the application
//! gateway request  ─► GatewayListener (by port) ─► TLS by SNI ─► VirtualHost ─► Route ─► Cluster ─► Endpoint
//! ```
//!
//! [`WorkloadIdentity`]: crate::WorkloadIdentity

mod authentication;
mod cluster;
mod listener;
mod matching;
mod policy;
mod rate;
mod resilience;
mod rule;
mod table;
mod telemetry;
mod tls;

pub use authentication::{ClaimHeader, ClaimMatch, JwtKeys, JwtRule, TokenLocation};
pub use cluster::{
    Balancer, Cluster, Discovery, HashKey, HashTable, LocalityPolicy, OutboundPolicy, ProxyProtocol, TcpKeepalive,
    UpstreamProtocol, Warmup,
};
pub use listener::{GatewayListener, GatewayTls, InboundPort, L4Match, L4Route, PortRoutes, Protocol, VirtualHost};
pub use matching::{DomainMatch, HeaderMatch, HttpMatch, PathMatch, QueryMatch, StringMatch};
pub use policy::{Action as PolicyAction, AuthorizationPolicy, Condition, Operation, Rule, Source, Values};
pub use rate::{RateLimit, RateLimitKey};
pub use resilience::{
    Abort, Delay, Fault, HealthCheck, HealthCheckKind, Limits, Outlier, PercentMillionths, RetryBudget, RetryOn,
    RetryPolicy,
};
pub use rule::{
    Action, Cors, DirectResponse, HeaderOperations, Mirror, Redirect, RedirectPort, Rewrite, Route, RouteSource,
    WeightedCluster,
};
pub use table::RouteTable;
pub use telemetry::{AccessLog, CustomTag, MetricOverride, Telemetry};
pub use tls::{Certificate, ClientCertificate, ClientTls, InboundTls, SanMatch, ServerTls, TlsVersion, TlsVersions};

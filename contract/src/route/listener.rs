//! Ports: where requests arrive and which table they are looked up in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DomainMatch, HealthCheck, InboundTls, Limits, Route, ServerTls, WeightedCluster};

/// What a port speaks, as Kubernetes `appProtocol`, a port name or a Gateway server declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1, HTTP/2 by preface.
    Http,
    /// HTTP/2 with prior knowledge, gRPC included.
    Http2,
    /// HTTP inside TLS that this proxy ends.
    Https,
    /// TLS routed by its server name, ended elsewhere.
    Tls,
    /// Bytes.
    Tcp,
    /// Not declared: detect by the first bytes.
    Auto,
}

/// Sidecar, outbound: requests to one port, whatever their host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortRoutes {
    /// The service port.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// HTTP: by host. At most one host matches an authority; the most specific domain wins.
    pub hosts: Vec<Arc<VirtualHost>>,
    /// TCP and TLS: first match wins.
    pub l4: Vec<L4Route>,
}

/// The routes of one or more hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualHost {
    /// Name for humans and metrics.
    pub name: String,
    /// The authorities it answers to.
    pub domains: Vec<DomainMatch>,
    /// First match wins.
    pub routes: Vec<Route>,
    /// Whether plain HTTP is answered with a redirect to HTTPS (301) before any route.
    pub https_redirect: bool,
}

/// A TCP or TLS route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct L4Route {
    /// Name for humans and metrics.
    pub name: String,
    /// Alternatives; empty matches everything.
    pub matches: Vec<L4Match>,
    /// Where it goes, by weight.
    pub destinations: Vec<WeightedCluster>,
}

/// Conditions on a connection; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct L4Match {
    /// TLS server names; empty means any.
    pub sni_hosts: Vec<DomainMatch>,
    /// Original destination, as networks in CIDR notation; empty means any.
    pub destination_subnets: Vec<String>,
    /// Peer address, as a network in CIDR notation.
    pub source_subnet: Option<String>,
}

/// Sidecar, inbound: one port of the workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundPort {
    /// The port that the application listens on.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// Host of the service in front, for telemetry; empty when none selects the workload.
    pub service: String,
    /// Where the application listens; `None` means the same port on loopback.
    pub application: Option<SocketAddr>,
    /// Whether mesh TLS is demanded, offered or refused.
    pub tls: InboundTls,
    /// Limits on connections to the application.
    pub limits: Limits,
}

/// Gateway: one port with everything served on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatewayListener {
    /// Name for humans and metrics.
    pub name: String,
    /// Address to bind; `None` means the proxy's default.
    pub bind: Option<IpAddr>,
    /// Port to bind.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS settings by server name; empty for cleartext.
    pub tls: Vec<GatewayTls>,
    /// HTTP: by host.
    pub hosts: Vec<Arc<VirtualHost>>,
    /// TCP and TLS passthrough: first match wins.
    pub l4: Vec<L4Route>,
    /// Active health check of what stands behind, where asked for.
    pub health_check: Option<HealthCheck>,
}

/// TLS settings for some server names of a gateway port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatewayTls {
    /// The server names it is for.
    pub hosts: Vec<DomainMatch>,
    /// How TLS is ended; `None` passes it through.
    pub terminate: Option<ServerTls>,
}

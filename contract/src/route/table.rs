//! The whole configuration of one proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AuthorizationPolicy, Cluster, GatewayListener, InboundPort, JwtRule, OutboundPolicy, PortRoutes, RateLimit,
    Telemetry,
};
use crate::ClusterName;

/// Everything one proxy does, taken whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Hash of the content: the same resources give the same version.
    pub version: String,
    /// Sidecar: what to do with requests to a port, ordered by port.
    pub outbound: Vec<PortRoutes>,
    /// Sidecar: what to do with requests to a port of the workload, ordered by port.
    pub inbound: Vec<InboundPort>,
    /// Gateway: what to listen on, ordered by port.
    pub gateways: Vec<GatewayListener>,
    /// Upstream clusters by name; every name used in a route is here, or the route answers 503 with flag NC.
    pub clusters: BTreeMap<ClusterName, Arc<Cluster>>,
    /// Tokens that the workload accepts on requests to it, ordered by issuer; empty when it does not look at tokens.
    pub authentication: Vec<JwtRule>,
    /// Limits on the requests that come to the workload.
    pub rate_limits: Vec<Arc<RateLimit>>,
    /// Authorization policies of the workload, in the order of evaluation.
    pub policies: Vec<AuthorizationPolicy>,
    /// What the telemetry resources ask for.
    pub telemetry: Telemetry,
    /// What happens to requests for hosts that nobody described.
    pub outbound_policy: OutboundPolicy,
}

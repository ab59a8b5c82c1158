//! One address behind a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{NodeName, WorkloadName};

/// One address that can answer, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where to connect.
    pub address: EndpointAddress,
    /// Pod labels, for subsets and for `destination_version`.
    pub labels: BTreeMap<String, String>,
    /// Workload behind it, where known.
    pub workload: Option<WorkloadName>,
    /// Node it runs on, where known.
    pub node: Option<NodeName>,
    /// Region, zone and sub-zone.
    pub locality: Locality,
    /// Relative weight inside its locality. Range: 1 and above.
    pub weight: u32,
    /// Health as the control plane knows it.
    pub health: Health,
    /// Service account of the workload, for the expected SPIFFE identity; empty when unknown.
    pub service_account: String,
    /// Whether a proxy that speaks mesh mTLS stands before it.
    pub mesh_tls: bool,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointAddress {
    /// An address and port.
    Socket(SocketAddr),
    /// A host name to resolve, and a port.
    Dns(String, u16),
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// Where an endpoint stands, for locality-aware balancing. Empty parts are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Locality {
    /// Region.
    pub region: String,
    /// Zone inside the region.
    pub zone: String,
    /// Sub-zone inside the zone.
    pub sub_zone: String,
}

/// Health as the control plane knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Ready for traffic.
    #[default]
    Healthy,
    /// Being shut down: existing sessions only.
    Draining,
    /// Not ready.
    Unhealthy,
}

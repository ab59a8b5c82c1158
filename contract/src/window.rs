//! What was measured over one span of time: the row that training and serving share.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Joules, Millicores, Milliseconds, NodeName, ServiceName, Timestamp, Watts};

/// Everything measured between two points in time, aligned to a whole number of window lengths since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// First instant of the window.
    pub start: Timestamp,
    /// First instant after the window.
    pub end: Timestamp,
    /// One entry a node that was heard of, ordered by name.
    pub nodes: Vec<NodeWindow>,
    /// One entry a service and node with traffic, ordered by service then node.
    pub services: Vec<ServiceWindow>,
    /// Who called whom, ordered by client then server.
    pub edges: Vec<Edge>,
}

/// One node during a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeWindow {
    /// The node.
    pub node: NodeName,
    /// What is known of its hardware.
    pub machine: MachineFacts,
    /// Mean power of the widest zone that has a meter (psys before package and dram); `None` without a meter.
    pub power_watts: Option<Watts>,
    /// Energy of the same zone; `None` without a meter.
    pub energy_joules: Option<Joules>,
    /// Where the energy figure comes from.
    pub energy_source: Option<EnergySource>,
    /// Mean processor use.
    pub cpu_used_millicores: Option<Millicores>,
    /// Mean memory use.
    pub memory_used_bytes: Option<Bytes>,
    /// Requests answered by the pods of this node.
    pub requests_per_second: Option<f64>,
    /// Running pods seen on this node.
    pub pods: Option<u32>,
}

/// Facts about a machine that do not change while it runs. Every field may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFacts {
    /// Machine class, such as an instance type; nodes of one class share what was learnt.
    pub class: Option<String>,
    /// Logical processors in use, as thousandths of a core.
    pub cpu_capacity_millicores: Option<Millicores>,
    /// Installed memory.
    pub memory_capacity_bytes: Option<Bytes>,
    /// Physical cores over all sockets.
    pub cores: Option<u32>,
    /// Processor sockets.
    pub chips: Option<u32>,
    /// Thermal design power of one socket.
    pub tdp_watts: Option<Watts>,
    /// Year the hardware became available.
    pub hardware_year: Option<u16>,
    /// Power at active idle.
    pub idle_watts: Option<Watts>,
    /// Power at full load.
    pub peak_watts: Option<Watts>,
    /// Speed of one core relative to the cluster's reference machine; 1 is the reference.
    pub relative_speed: Option<f64>,
}

/// Where an energy figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergySource {
    /// A meter in the machine, such as RAPL, ACPI or a BMC.
    Measured,
    /// A power curve of a real machine driven by a simulated load.
    Simulated,
    /// An estimate by another program's model.
    Estimated,
}

/// One service on one node during a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceWindow {
    /// The service that answered.
    pub service: ServiceName,
    /// The node it answered on.
    pub node: NodeName,
    /// Requests answered.
    pub requests_per_second: f64,
    /// Share of answers that were server errors. Range: 0..=1.
    pub error_ratio: f64,
    /// Median latency seen by the server's proxy.
    pub p50_ms: Option<LatencyBracket>,
    /// 95th percentile of the same.
    pub p95_ms: Option<LatencyBracket>,
    /// Processor use of the service's pods on this node.
    pub cpu_used_millicores: Option<Millicores>,
    /// Power attributed to the service's pods on this node (active share, no idle).
    pub power_watts: Option<Watts>,
}

/// A quantile read from a histogram: the truth lies in the bucket, the estimate is interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyBracket {
    /// Lower bound of the bucket.
    pub low: Milliseconds,
    /// Linear interpolation inside the bucket, as `histogram_quantile` gives it.
    pub estimate: Milliseconds,
    /// Upper bound of the bucket; `None` for the last, unbounded one.
    pub high: Option<Milliseconds>,
}

/// Traffic from one service to another during a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Who called.
    pub client: ServiceName,
    /// Who answered.
    pub server: ServiceName,
    /// Calls.
    pub requests_per_second: f64,
    /// Request and response bodies together.
    pub bytes_per_second: Option<f64>,
    /// Share of answers that were server errors. Range: 0..=1.
    pub error_ratio: f64,
    /// 95th percentile of the latency seen by the client's proxy.
    pub p95_ms: Option<LatencyBracket>,
    /// Median of the same.
    #[serde(default)]
    pub p50_ms: Option<LatencyBracket>,
    /// 99th percentile of the same.
    #[serde(default)]
    pub p99_ms: Option<LatencyBracket>,
    /// Active energy of the server's pods for one of its requests.
    #[serde(default)]
    pub joules_per_request: Option<Joules>,
    /// Share of the traces' time that was spent waiting for the server over this edge. Range: 0..=1.
    #[serde(default)]
    pub critical_path_share: Option<f64>,
    /// Share of calls that stayed on the client's node. Range: 0..=1.
    #[serde(default)]
    pub same_node_share: Option<f64>,
}

impl Edge {
    /// Makes an edge of which nothing but its calls is known.
    #[must_use]
    pub fn between(client: impl Into<ServiceName>, server: impl Into<ServiceName>, requests_per_second: f64) -> Self {
        Self {
            client: client.into(),
            server: server.into(),
            requests_per_second,
            bytes_per_second: None,
            error_ratio: 0.0,
            p95_ms: None,
            p50_ms: None,
            p99_ms: None,
            joules_per_request: None,
            critical_path_share: None,
            same_node_share: None,
        }
    }
}

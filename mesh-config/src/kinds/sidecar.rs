//! Sidecar: what a workload sees and how it is reached.

use std::collections::BTreeMap;

use super::destination_rule::ConnectionPool;
use super::gateway::ServerTlsSettings;
use super::virtual_service::Destination;
use crate::decode::{choices, message};

message! {
    /// Istio's `Sidecar`.
    struct Sidecar {
        workload_selector: Option<WorkloadSelector> = "workloadSelector";
        ingress: Vec<IstioIngressListener> = "ingress";
        egress: Vec<IstioEgressListener> = "egress";
        inbound_connection_pool: Option<ConnectionPool> = "inboundConnectionPool";
        outbound_traffic_policy: Option<OutboundTrafficPolicy> = "outboundTrafficPolicy";
    }

    /// Istio's `IstioIngressListener`.
    struct IstioIngressListener {
        port: Option<SidecarPort> = "port" required;
        bind: String = "bind" unapplied "inbound ports are bound by the proxy";
        capture_mode: CaptureMode = "captureMode" unapplied "capture is set up outside the mesh resources";
        default_endpoint: String = "defaultEndpoint";
        tls: Option<ServerTlsSettings> = "tls" unapplied "inbound TLS follows PeerAuthentication";
        connection_pool: Option<ConnectionPool> = "connectionPool";
    }

    /// Istio's `IstioEgressListener`.
    struct IstioEgressListener {
        port: Option<SidecarPort> = "port";
        bind: String = "bind" unapplied "outbound ports share one listener";
        capture_mode: CaptureMode = "captureMode" unapplied "capture is set up outside the mesh resources";
        hosts: Vec<String> = "hosts" required;
    }

    /// Istio's `WorkloadSelector`.
    struct WorkloadSelector {
        labels: BTreeMap<String, String> = "labels";
    }

    /// Istio's `OutboundTrafficPolicy`.
    struct OutboundTrafficPolicy {
        mode: OutboundMode = "mode";
        egress_proxy: Option<Destination> = "egressProxy" unapplied "hidden in Istio too";
    }

    /// Istio's `SidecarPort`.
    struct SidecarPort {
        number: u32 = "number";
        protocol: String = "protocol";
        name: String = "name";
        target_port: u32 = "targetPort" unapplied "deprecated: Istio ignores it too";
    }
}

choices! {
    /// Istio's `OutboundTrafficPolicy.Mode`.
    enum OutboundMode { RegistryOnly = "REGISTRY_ONLY", AllowAny = "ALLOW_ANY" }

    /// Istio's `CaptureMode`.
    enum CaptureMode { Default = "DEFAULT", Iptables = "IPTABLES", None = "NONE" }
}

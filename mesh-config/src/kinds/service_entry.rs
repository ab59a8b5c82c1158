//! ServiceEntry: hosts that no Kubernetes Service describes.

use super::sidecar::WorkloadSelector;
use super::workload_entry::WorkloadEntry;
use crate::decode::{choices, message};

message! {
    /// Istio's `ServiceEntry`.
    struct ServiceEntry {
        hosts: Vec<String> = "hosts" required;
        addresses: Vec<String> = "addresses";
        ports: Vec<ServicePort> = "ports";
        location: Location = "location";
        resolution: Resolution = "resolution";
        endpoints: Vec<WorkloadEntry> = "endpoints";
        workload_selector: Option<WorkloadSelector> = "workloadSelector";
        export_to: Vec<String> = "exportTo";
        subject_alt_names: Vec<String> = "subjectAltNames";
    }

    /// Istio's `ServicePort`.
    struct ServicePort {
        number: u32 = "number" required;
        protocol: String = "protocol";
        name: String = "name" required;
        target_port: u32 = "targetPort";
    }
}

choices! {
    /// Istio's `ServiceEntry.Location`.
    enum Location { MeshExternal = "MESH_EXTERNAL", MeshInternal = "MESH_INTERNAL" }

    /// Istio's `ServiceEntry.Resolution`.
    enum Resolution { None = "NONE", Static = "STATIC", Dns = "DNS", DnsRoundRobin = "DNS_ROUND_ROBIN", DynamicDns = "DYNAMIC_DNS" }
}

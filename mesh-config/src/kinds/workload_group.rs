//! WorkloadGroup: template of WorkloadEntries.

use std::collections::BTreeMap;

use super::workload_entry::WorkloadEntry;
use crate::decode::message;

message! {
    /// Istio's `WorkloadGroup`.
    struct WorkloadGroup {
        metadata: Option<WorkloadGroupObjectMeta> = "metadata" unapplied "there is no auto-registration: write WorkloadEntries";
        template: Option<WorkloadEntry> = "template" unapplied "there is no auto-registration: write WorkloadEntries";
        probe: Option<ReadinessProbe> = "probe" unapplied "there is no auto-registration: write WorkloadEntries";
    }

    /// Istio's `WorkloadGroup.ObjectMeta`.
    struct WorkloadGroupObjectMeta {
        labels: BTreeMap<String, String> = "labels";
        annotations: BTreeMap<String, String> = "annotations";
    }

    /// Istio's `ReadinessProbe`.
    struct ReadinessProbe {
        initial_delay_seconds: i32 = "initialDelaySeconds";
        timeout_seconds: i32 = "timeoutSeconds";
        period_seconds: i32 = "periodSeconds";
        success_threshold: i32 = "successThreshold";
        failure_threshold: i32 = "failureThreshold";
        http_get: Option<HttpHealthCheckConfig> = "httpGet";
        tcp_socket: Option<TcpHealthCheckConfig> = "tcpSocket";
        exec: Option<ExecHealthCheckConfig> = "exec";
        grpc: Option<GrpcHealthCheckConfig> = "grpc";
    }
    one_of ["httpGet", "tcpSocket", "exec", "grpc"]

    /// Istio's `HTTPHealthCheckConfig`.
    struct HttpHealthCheckConfig {
        path: String = "path";
        port: u32 = "port" required;
        host: String = "host";
        scheme: String = "scheme";
        http_headers: Vec<HttpHeader> = "httpHeaders";
    }

    /// Istio's `GrpcHealthCheckConfig`.
    struct GrpcHealthCheckConfig {
        port: u32 = "port";
        service: String = "service";
    }

    /// Istio's `HTTPHeader`.
    struct HttpHeader {
        name: String = "name";
        value: String = "value";
    }

    /// Istio's `TCPHealthCheckConfig`.
    struct TcpHealthCheckConfig {
        host: String = "host";
        port: u32 = "port" required;
    }

    /// Istio's `ExecHealthCheckConfig`.
    struct ExecHealthCheckConfig {
        command: Vec<String> = "command" required;
    }
}

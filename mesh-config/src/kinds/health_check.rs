//! HealthCheck, a kind of our own: endpoints of a service that are asked how they are. Istio leaves it to Kubernetes.

use crate::decode::{Time, message};

message! {
    /// Our own `HealthCheck`.
    struct HealthCheck {
        host: String = "host" required;
        ports: Vec<u32> = "ports";
        export_to: Vec<String> = "exportTo";
        http: Option<HttpCheck> = "http";
        tcp: Option<TcpCheck> = "tcp";
        grpc: Option<GrpcCheck> = "grpc";
        check_port: u32 = "checkPort";
        interval: Option<Time> = "interval";
        timeout: Option<Time> = "timeout";
        unhealthy_threshold: u32 = "unhealthyThreshold";
        healthy_threshold: u32 = "healthyThreshold";
    }
    one_of ["http", "tcp", "grpc"]

    /// A GET that must answer 2xx.
    struct HttpCheck {
        path: String = "path" required;
        host: String = "host";
    }

    /// A connection that must be accepted.
    struct TcpCheck {}

    /// The gRPC health service.
    struct GrpcCheck {
        service: String = "service";
    }
}

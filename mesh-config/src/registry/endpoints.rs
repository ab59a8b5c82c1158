//! Endpoints of a service's port.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use wattle_contract::route::Protocol;
use wattle_contract::{Endpoint, EndpointAddress, Health, NodeName, WorkloadName};

use super::Workload;

/// Tells what a port speaks: by `appProtocol`, else by the first word of its name.
pub(crate) fn protocol(app_protocol: &str, name: &str) -> Protocol {
    let declared = match app_protocol {
        "kubernetes.io/h2c" => "http2",
        "kubernetes.io/ws" => "http",
        "kubernetes.io/wss" => "https",
        other => other,
    };
    let lower = declared.to_lowercase();
    let lower = if lower.is_empty() { name.to_lowercase() } else { lower };
    let word = if lower.starts_with("grpc-web") { "grpc-web" } else { lower.split('-').next().unwrap_or_default() };
    match word {
        "http" => Protocol::Http,
        "http2" | "grpc" | "grpc-web" => Protocol::Http2,
        // What the application sends inside TLS of its own stays closed to the proxy.
        "https" | "tls" => Protocol::Tls,
        "tcp" | "mongo" | "redis" | "mysql" => Protocol::Tcp,
        _ => Protocol::Auto,
    }
}

/// Reads an address: an IP, a Unix socket or a host name.
pub(super) fn address(text: &str, port: u16) -> EndpointAddress {
    if let Some(path) = text.strip_prefix("unix://") {
        return EndpointAddress::Unix(PathBuf::from(path));
    }
    match text.parse::<IpAddr>() {
        Ok(ip) => EndpointAddress::Socket(SocketAddr::new(ip, port)),
        Err(_) => EndpointAddress::Dns(text.to_lowercase(), port),
    }
}

/// Makes the endpoint of an address; a workload adds what is known of it.
pub(super) fn endpoint(address: EndpointAddress, workload: Option<&Workload>) -> Endpoint {
    let node = workload.map(|workload| workload.spec.node_name.as_str()).filter(|node| !node.is_empty());
    Endpoint {
        address,
        labels: workload.map(|workload| workload.labels.clone()).unwrap_or_default(),
        workload: workload.map(|workload| WorkloadName::from(workload.owner.as_str())),
        node: node.map(NodeName::from),
        locality: workload.and_then(Workload::locality).unwrap_or_default(),
        weight: workload.and_then(|workload| workload.entry.as_ref()).map_or(1, |entry| entry.weight.max(1)),
        health: Health::Healthy,
        service_account: workload.map(account).unwrap_or_default(),
        mesh_tls: workload.is_some_and(Workload::has_proxy),
    }
}

fn account(workload: &Workload) -> String {
    let name = &workload.spec.service_account_name;
    if name.is_empty() && workload.entry.is_none() { "default".to_owned() } else { name.clone() }
}

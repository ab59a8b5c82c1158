//! Rules of ServiceEntry, WorkloadEntry and WorkloadGroup.

use super::check::{Check, is_dns_label, is_host, is_ip, is_name, is_network};
use crate::kinds::service_entry::{Resolution, ServiceEntry};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::workload_group::WorkloadGroup;

/// Checks a ServiceEntry.
pub(super) fn entry(spec: &ServiceEntry, check: &mut Check<'_>) {
    hosts(spec, check);
    for (index, address) in spec.addresses.iter().enumerate() {
        let at = format!("spec.addresses[{index}]");
        if !is_network(address) {
            check.error(at, format!("Invalid value: {address:?} is no address or network"));
        } else if address.contains('/')
            && !matches!(spec.resolution, Resolution::Absent | Resolution::None | Resolution::Static)
        {
            check.error(at, "CIDR addresses are allowed only for NONE/STATIC resolution types");
        }
    }
    ports(spec, check);
    endpoints(spec, check);
    if let Some(selector) = &spec.workload_selector {
        if !spec.endpoints.is_empty() {
            check.error("spec.workloadSelector", "only one of WorkloadSelector or Endpoints can be set");
        }
        check.selector("spec.workloadSelector.labels", &selector.labels);
        if selector.labels.is_empty() {
            check.advise("spec.workloadSelector", "a selector without labels selects nothing");
        }
    }
    check.export_to("spec.exportTo", &spec.export_to, true);
}

fn hosts(spec: &ServiceEntry, check: &mut Check<'_>) {
    for (index, host) in spec.hosts.iter().enumerate() {
        let at = format!("spec.hosts[{index}]");
        if host == "*" {
            check.error(at, "hostname cannot be wildcard");
        } else if !is_host(host) {
            check.error(at, format!("Invalid value: {host:?} is no host name"));
        } else if !host.contains('.') {
            check.advise(at, format!("{host:?} is a short name: it is taken as it stands, without namespace"));
        } else if host.starts_with('*')
            && spec.endpoints.is_empty()
            && matches!(spec.resolution, Resolution::Dns | Resolution::DnsRoundRobin)
        {
            check.error_with(
                at,
                "hosts must be FQDN if no endpoints are provided for resolution mode DNS",
                "use NONE or DYNAMIC_DNS",
            );
        } else if !host.starts_with('*') && spec.resolution == Resolution::DynamicDns {
            check.error(at, "DYNAMIC_DNS needs wildcard hosts");
        }
    }
    if spec.resolution == Resolution::DynamicDns && (!spec.endpoints.is_empty() || !spec.addresses.is_empty()) {
        check.error("spec.resolution", "DYNAMIC_DNS takes no addresses and no endpoints");
    }
}

fn ports(spec: &ServiceEntry, check: &mut Check<'_>) {
    for (index, port) in spec.ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        check.port(format!("{at}.number"), port.number);
        if port.target_port != 0 {
            check.port(format!("{at}.targetPort"), port.target_port);
        }
        if port.target_port != 0
            && matches!(spec.resolution, Resolution::Absent | Resolution::None)
            && port.target_port != port.number
        {
            check.advise(format!("{at}.targetPort"), "with resolution NONE the target port has no effect");
        }
        if !port.name.is_empty() && !is_dns_label(&port.name) {
            check.error(format!("{at}.name"), format!("Invalid value: {:?} is no port name", port.name));
        }
        if spec.ports[..index].iter().any(|other| other.name == port.name) {
            check.error(format!("{at}.name"), format!("Duplicate value: {:?}", port.name));
        }
        if spec.ports[..index].iter().any(|other| other.number == port.number) {
            check.error(
                format!("{at}.number"),
                format!("Invalid value: {}: port number cannot be duplicated", port.number),
            );
        }
    }
}

fn endpoints(spec: &ServiceEntry, check: &mut Check<'_>) {
    let none = matches!(spec.resolution, Resolution::Absent | Resolution::None);
    if none && !spec.endpoints.is_empty() {
        check.error_with("spec.endpoints", "NONE mode cannot set endpoints", "use resolution STATIC or DNS");
    }
    if spec.resolution == Resolution::DnsRoundRobin && spec.endpoints.len() > 1 {
        check.error("spec.endpoints", "DNS_ROUND_ROBIN mode cannot have multiple endpoints");
    }
    if spec.resolution == Resolution::Static && spec.endpoints.is_empty() && spec.workload_selector.is_none() {
        check.advise("spec.resolution", "STATIC without endpoints and workloadSelector: nothing answers");
    }
    for (index, one) in spec.endpoints.iter().enumerate() {
        let at = format!("spec.endpoints[{index}]");
        workload(one, &at, check);
        let unix = one.address.starts_with("unix://");
        let dns = matches!(spec.resolution, Resolution::Dns | Resolution::DnsRoundRobin);
        if spec.resolution == Resolution::Static && !unix && !one.address.is_empty() && !is_ip(&one.address) {
            check.error(
                format!("{at}.address"),
                format!("Invalid value: {:?}: STATIC resolution needs an IP address", one.address),
            );
        } else if dns && unix {
            check.error(format!("{at}.address"), "a Unix socket needs STATIC resolution");
        }
        for name in one.ports.keys() {
            if !spec.ports.iter().any(|port| port.name == *name) {
                check.error(
                    format!("{at}.ports"),
                    format!("Invalid value: endpoint port {name:?} is not defined by the service entry"),
                );
            }
        }
    }
}

/// Checks a WorkloadEntry.
pub(super) fn workload(spec: &WorkloadEntry, path: &str, check: &mut Check<'_>) {
    if let Some(socket) = spec.address.strip_prefix("unix://") {
        if !socket.starts_with(['/', '@']) {
            check.error(format!("{path}.address"), "UDS must be an absolute path or abstract socket");
        }
        if socket.ends_with('/') {
            check.error(format!("{path}.address"), "UDS may not be a dir");
        }
        if !spec.ports.is_empty() {
            check.error(path, "UDS may not include ports");
        }
    } else if spec.address.is_empty() && spec.network.is_empty() {
        check.error(path, "Address is required");
    } else if !spec.address.is_empty() && !is_ip(&spec.address) && !is_name(&spec.address) {
        check.error(format!("{path}.address"), format!("Invalid value: {:?} is no address", spec.address));
    }
    ports_of(spec, path, check);
}

fn ports_of(spec: &WorkloadEntry, path: &str, check: &mut Check<'_>) {
    for (name, number) in &spec.ports {
        let at = format!("{path}.ports");
        if !is_dns_label(name) {
            check.error(&at, format!("Invalid value: {name:?}: port name must be valid"));
        }
        check.port(at, *number);
    }
    check.labels(&format!("{path}.labels"), &spec.labels);
}

/// Checks a WorkloadGroup.
pub(super) fn group(spec: &WorkloadGroup, check: &mut Check<'_>) {
    let Some(template) = &spec.template else { return };
    if template.address.is_empty() {
        ports_of(template, "spec.template", check);
    } else {
        workload(template, "spec.template", check);
    }
    let Some(probe) = &spec.probe else { return };
    let methods = [probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.exec.is_some(), probe.grpc.is_some()];
    if !methods.contains(&true) {
        check.error("spec.probe", "a probe needs httpGet, tcpSocket, exec or grpc");
    }
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (field, number) in numbers {
        check.natural(format!("spec.probe.{field}"), number);
    }
    if let Some(http) = &probe.http_get {
        check.port("spec.probe.httpGet.port", http.port);
        if !matches!(http.scheme.as_str(), "" | "HTTP" | "HTTPS") {
            check.error("spec.probe.httpGet.scheme", "scheme must be one of [HTTP, HTTPS]");
        }
    }
    if let Some(tcp) = &probe.tcp_socket {
        check.port("spec.probe.tcpSocket.port", tcp.port);
    }
}

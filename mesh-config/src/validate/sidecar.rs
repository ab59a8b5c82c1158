//! Rules of Sidecar.

use super::check::{Check, is_dns_label, is_host, is_ip};
use crate::finding::rules;
use crate::hosts;
use crate::kinds::sidecar::{CaptureMode, IstioEgressListener, IstioIngressListener, OutboundMode, Sidecar};

/// Checks a Sidecar.
pub(super) fn check(spec: &Sidecar, check: &mut Check<'_>) {
    if let Some(selector) = &spec.workload_selector {
        check.selector("spec.workloadSelector.labels", &selector.labels);
    }
    if spec.egress.is_empty()
        && spec.ingress.is_empty()
        && spec.outbound_traffic_policy.is_none()
        && spec.inbound_connection_pool.is_none()
    {
        check.error("spec", "sidecar: empty configuration provided");
    }
    for (index, listener) in spec.ingress.iter().enumerate() {
        let path = format!("spec.ingress[{index}]");
        ingress(listener, &path, check);
        let number = |listener: &IstioIngressListener| listener.port.as_ref().map(|port| port.number);
        if spec.ingress[..index].iter().any(|other| other.bind == listener.bind && number(other) == number(listener)) {
            check.error(format!("{path}.port.number"), "Duplicate value: ports on ingress listeners must be unique");
        }
    }
    for (index, listener) in spec.egress.iter().enumerate() {
        let path = format!("spec.egress[{index}]");
        egress(listener, &path, check);
        if listener.port.is_none() && index + 1 < spec.egress.len() {
            check.error(path, "sidecar: the egress listener with empty port should be the last listener in the list");
        }
    }
    let Some(policy) = &spec.outbound_traffic_policy else { return };
    if let Some(proxy) = &policy.egress_proxy {
        let rule = rules::DEPRECATED_FIELD;
        check.warn(
            rule,
            "spec.outboundTrafficPolicy.egressProxy",
            "egressProxy is deprecated",
            "route through an egress gateway by VirtualService",
        );
        if policy.mode == OutboundMode::AllowAny && proxy.port.is_none() {
            check.error("spec.outboundTrafficPolicy.egressProxy.port", "Required value");
        }
    }
}

fn ingress(listener: &IstioIngressListener, path: &str, check: &mut Check<'_>) {
    if let Some(port) = &listener.port {
        check.port(format!("{path}.port.number"), port.number);
    }
    bind(&listener.bind, path, check);
    let endpoint = &listener.default_endpoint;
    if endpoint.is_empty() {
        return;
    }
    let at = format!("{path}.defaultEndpoint");
    if let Some(socket) = endpoint.strip_prefix("unix://") {
        if !socket.starts_with(['/', '@']) {
            check.error(at, "UDS must be an absolute path or abstract socket");
        } else {
            check.advise(at, "a Unix socket as default endpoint is not connected to: the port itself is used");
        }
        return;
    }
    let Ok(address) = endpoint.parse::<std::net::SocketAddr>() else {
        check.error(
            at,
            format!("Invalid value: {endpoint:?}: use 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT or unix:///PATH"),
        );
        return;
    };
    if !address.ip().is_loopback() && !address.ip().is_unspecified() {
        check.error(at, format!("Invalid value: {endpoint:?}: only the pod itself can be the default endpoint"));
    }
}

fn egress(listener: &IstioEgressListener, path: &str, check: &mut Check<'_>) {
    if listener.hosts.is_empty() {
        check.error(format!("{path}.hosts"), "sidecar: egress listener must contain at least one host");
    }
    for (index, host) in listener.hosts.iter().enumerate() {
        let at = format!("{path}.hosts[{index}]");
        let (namespace, name) = hosts::split_scope(host);
        match namespace {
            None => check.error_with(
                at,
                format!("Invalid value: {host:?}: use NAMESPACE/HOST"),
                "\"./*\" is the own namespace, \"*/*\" everything",
            ),
            Some(namespace) if !matches!(namespace, "*" | "." | "~") && !is_dns_label(namespace) => {
                check.error(at, format!("Invalid value: {namespace:?} is no namespace"));
            }
            Some(_) if !is_host(name) => check.error(at, format!("Invalid value: {name:?} is no host name")),
            Some(_) => {}
        }
    }
    if let Some(port) = &listener.port {
        check.port(format!("{path}.port.number"), port.number);
    } else if listener.capture_mode == CaptureMode::None && !listener.bind.is_empty() {
        check.error(path, "sidecar: egress listener with bind and captureMode NONE needs a port");
    }
    bind(&listener.bind, path, check);
}

fn bind(bind: &str, path: &str, check: &mut Check<'_>) {
    if !bind.is_empty() && !is_ip(bind) && !bind.starts_with("unix://") {
        check.error(format!("{path}.bind"), format!("Invalid value: {bind:?} is no address"));
    }
}

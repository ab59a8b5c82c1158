//! The rules that a resource must keep by itself, as Istio's schema and webhook hold them.

mod check;
mod destination_rule;
mod fields;
mod gateway;
mod gateway_api;
mod http_route;
mod own;
mod security;
mod service_entry;
mod sidecar;
mod telemetry;
mod traffic_policy;
mod unapplied;
mod virtual_service;

use crate::finding::Problem;
use crate::kinds::Spec;
use crate::resource::Resource;
use crate::yaml::Node;
use check::Check;
pub(crate) use unapplied::HOST_OF_ONE_DESTINATION;

/// Checks one resource.
pub(crate) fn validate(resource: &Resource, root: &Node, problems: &mut Vec<Problem>) {
    let mut check = Check::new(problems);
    match &resource.spec {
        Spec::VirtualService(spec) => virtual_service::check(spec, &mut check),
        Spec::DestinationRule(spec) => destination_rule::check(spec, &mut check),
        Spec::Gateway(spec) => gateway::check(spec, &mut check),
        Spec::ServiceEntry(spec) => service_entry::entry(spec, &mut check),
        Spec::WorkloadEntry(spec) => service_entry::workload(spec, "spec", &mut check),
        Spec::WorkloadGroup(spec) => service_entry::group(spec, &mut check),
        Spec::Sidecar(spec) => sidecar::check(spec, &mut check),
        Spec::ProxyConfig(spec) => telemetry::proxy_config(spec, &mut check),
        Spec::Telemetry(spec) => telemetry::check(spec, &mut check),
        Spec::PeerAuthentication(spec) => {
            security::peer(spec, &mut check);
            security::empty_port_levels(root, &mut check);
        }
        Spec::RequestAuthentication(spec) => security::request(spec, &mut check),
        Spec::AuthorizationPolicy(spec) => security::authorization(spec, &mut check),
        Spec::GatewayClass(spec) => gateway_api::class(spec, &mut check),
        Spec::ApiGateway(spec) => gateway_api::gateway(spec, &mut check),
        Spec::HttpRoute(spec) => gateway_api::http_route(spec, &mut check),
        Spec::GrpcRoute(spec) => gateway_api::grpc_route(spec, &mut check),
        Spec::TlsRoute(spec) => gateway_api::tls_route(spec, &mut check),
        Spec::TcpRoute(spec) => gateway_api::tcp_route(spec, &mut check),
        Spec::RateLimit(spec) => own::rate_limit(spec, &mut check),
        Spec::HealthCheck(spec) => own::health_check(spec, &mut check),
        _ => {}
    }
    unapplied::tell(resource, root, problems);
}

#[cfg(test)]
mod tests {
    use super::check::{is_dns_label, is_host};

    #[test]
    fn hosts_are_labels_with_an_optional_wildcard_in_front() {
        assert!(is_host("a.example.com") && is_host("*.example.com") && is_host("*"));
        assert!(!is_host("a*.example.com") && !is_host("a..b") && !is_host("-a.b"));
        assert!(is_dns_label("http-1") && !is_dns_label("@") && !is_dns_label(""));
    }
}

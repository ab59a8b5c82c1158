//! Gateways: who serves them, which ports and certificates they need, and which VirtualServices bind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Analysis, reference, selector_text};
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::gateway::{Gateway, Server};
use crate::kinds::kubernetes::ServiceSpec;
use crate::kinds::virtual_service::VirtualService;
use crate::kinds::{Kind, Secret};
use crate::registry::labels_match;
use crate::resource::Resource;

const NO_WORKLOAD: RuleId = reference("gateway-selects-nothing");
const GATEWAY_NOT_FOUND: RuleId = reference("gateway-not-found");
const SECRET_NOT_FOUND: RuleId = reference("secret-not-found");
const PORT: RuleId = RuleId::warning("IST0162", "gateway-port-not-on-service");
const CONFLICT: RuleId = RuleId::warning("IST0145", "gateway-conflict");
const HOST: RuleId = RuleId::warning("IST0132", "host-not-in-gateway");
const DUPLICATE_CERTIFICATE: RuleId = RuleId::warning("IST0138", "duplicate-certificate");

/// Analyses gateways.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, gateway) in documents.of::<Gateway>() {
        workloads(analysis, resource, gateway);
        secrets(analysis, resource, gateway);
    }
    conflicts(analysis);
    certificates(analysis);
    for (resource, spec) in documents.of::<VirtualService>() {
        bindings(analysis, resource, spec);
    }
}

/// Labels of the ingress gateway that Istio installs by default; assumed where the files hold none.
fn default_ingress() -> BTreeMap<String, String> {
    [("app", "istio-ingressgateway"), ("istio", "ingressgateway")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Checks that pods serve the Gateway and that a Service opens its ports.
fn workloads(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, gateway: &Gateway) {
    let documents = analysis.documents;
    let selected: Vec<_> =
        documents.registry().workloads().iter().filter(|pod| labels_match(&gateway.selector, &pod.labels)).collect();
    let assumed = selected.is_empty() && labels_match(&gateway.selector, &default_ingress());
    if selected.is_empty() && !assumed {
        let message = format!("no pod has the labels {}", selector_text(&gateway.selector));
        let problem = Problem::new(NO_WORKLOAD, "spec.selector", message);
        analysis.tell(resource, problem.effect("nobody listens for it").remedy("use the labels of the gateway's pods"));
        return;
    }
    let mut open: BTreeSet<u32> = BTreeSet::new();
    if assumed {
        open.extend([80, 443]);
    }
    for (service, spec) in documents.of::<ServiceSpec>() {
        let selects = |pod: &&&crate::registry::Workload| {
            pod.namespace == service.namespace()
                && !spec.selector.is_empty()
                && labels_match(&spec.selector, &pod.labels)
        };
        if selected.iter().any(|pod| selects(&pod)) {
            open.extend(spec.ports.iter().map(|port| port.port));
        }
    }
    for (index, server) in gateway.servers.iter().enumerate() {
        let Some(port) = server.port.as_ref().filter(|port| !open.contains(&port.number)) else { continue };
        let message = format!("no Service in front of the gateway's pods has port {}", port.number);
        let problem = Problem::new(PORT, format!("spec.servers[{index}].port.number"), message);
        analysis.tell(
            resource,
            problem.effect("nobody outside reaches it").remedy("add the port to the gateway's Service"),
        );
    }
}

fn secrets(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, gateway: &Gateway) {
    let documents = analysis.documents;
    let pods = documents.registry().workloads().iter().filter(|pod| labels_match(&gateway.selector, &pod.labels));
    let mut places: BTreeSet<&str> = pods.map(|pod| pod.namespace.as_str()).collect();
    if places.is_empty() {
        places.extend([documents.settings().root_namespace.as_str(), resource.namespace()]);
    }
    for (index, server) in gateway.servers.iter().enumerate() {
        let Some(tls) = &server.tls else { continue };
        let single = Some(("credentialName".to_owned(), &tls.credential_name)).filter(|(_, name)| !name.is_empty());
        let many =
            tls.credential_names.iter().enumerate().map(|(number, name)| (format!("credentialNames[{number}]"), name));
        for (field, name) in single.into_iter().chain(many) {
            if name.contains("://") {
                continue;
            }
            let exists = documents
                .of::<Secret>()
                .any(|(secret, _)| secret.name() == name && places.contains(secret.namespace()));
            if exists {
                continue;
            }
            let where_to: Vec<&str> = places.iter().copied().collect();
            let message = format!(
                "there is no Secret {name:?} in the namespace of the gateway's pods ({})",
                where_to.join(" or ")
            );
            let problem = Problem::new(SECRET_NOT_FOUND, format!("spec.servers[{index}].tls.{field}"), message);
            let remedy = "create it (kubectl create secret tls) beside the gateway's pods, not beside the Gateway";
            analysis.tell(resource, problem.effect("TLS handshakes on this port fail").remedy(remedy));
        }
    }
}

/// Tells of servers of different Gateways on one port with one host.
fn conflicts(analysis: &mut Analysis<'_>) {
    let all: Vec<_> = analysis.documents.of::<Gateway>().collect();
    let name = |server: &Server| server.port.as_ref().map(|port| port.number);
    for (resource, gateway) in &all {
        for (index, server) in gateway.servers.iter().enumerate() {
            let clash = all.iter().find(|(other, theirs)| {
                !Arc::ptr_eq(other, resource)
                    && gateway.selector == theirs.selector
                    && theirs
                        .servers
                        .iter()
                        .any(|their| name(their) == name(server) && name(their).is_some() && share_host(server, their))
            });
            let Some((other, _)) = clash else { continue };
            let message = format!("{} serves the same port and host for the same pods", other.object());
            let problem = Problem::new(CONFLICT, format!("spec.servers[{index}]"), message);
            let effect = "of two servers with one port and host the older Gateway's counts";
            analysis.tell(resource, problem.effect(effect).remedy("merge them, or give them different hosts"));
        }
    }
}

fn share_host(one: &Server, other: &Server) -> bool {
    let names =
        |server: &Server| server.hosts.iter().map(|host| hosts::split_scope(host).1.to_owned()).collect::<Vec<_>>();
    let theirs = names(other);
    names(one).iter().any(|host| theirs.contains(host))
}

fn certificates(analysis: &mut Analysis<'_>) {
    let all: Vec<_> = analysis.documents.of::<Gateway>().collect();
    for (resource, gateway) in &all {
        for (index, server) in gateway.servers.iter().enumerate() {
            let Some(tls) = server.tls.as_ref().filter(|tls| !tls.credential_name.is_empty()) else { continue };
            let twin = all.iter().find(|(other, theirs)| {
                let same_name = |server: &Server| {
                    server.tls.as_ref().is_some_and(|other| other.credential_name == tls.credential_name)
                };
                !Arc::ptr_eq(other, resource)
                    && theirs.selector == gateway.selector
                    && theirs.servers.iter().any(same_name)
            });
            let Some((other, _)) = twin else { continue };
            let message = format!("{} uses the same certificate", other.object());
            let problem =
                Problem::new(DUPLICATE_CERTIFICATE, format!("spec.servers[{index}].tls.credentialName"), message);
            let effect = "a browser may reuse one HTTP/2 connection for both, and gets 404 on the second";
            analysis.tell(resource, problem.effect(effect).remedy("serve both hosts from one Gateway"));
        }
    }
}

/// Checks the gateways that a VirtualService names.
fn bindings(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &VirtualService) {
    let documents = analysis.documents;
    for (index, name) in spec.gateways.iter().enumerate().filter(|(_, name)| *name != "mesh") {
        let full = crate::compile::gateway_name(name, resource.namespace());
        let found = documents
            .of_kind(Kind::Gateway)
            .iter()
            .find(|gateway| format!("{}/{}", gateway.namespace(), gateway.name()) == full);
        if found.is_none() {
            let known: Vec<String> = documents
                .of_kind(Kind::Gateway)
                .iter()
                .map(|gateway| format!("{}/{}", gateway.namespace(), gateway.name()))
                .collect();
            let remedy = match known.as_slice() {
                [] => "add the Gateway".to_owned(),
                names => format!("the Gateways are {}: `name` means the same namespace", names.join(", ")),
            };
            let problem = Problem::new(
                GATEWAY_NOT_FOUND,
                format!("spec.gateways[{index}]"),
                format!("there is no Gateway {full}"),
            );
            analysis.tell(resource, problem.effect("requests at the edge are answered 404").remedy(remedy));
        }
        let gateway = found.and_then(|gateway| Some((gateway, gateway.get::<Gateway>()?)));
        let admitted = gateway
            .is_some_and(|(gateway, spec_of)| spec.hosts.iter().any(|host| admits(gateway, spec_of, resource, host)));
        if !admitted && !spec.hosts.is_empty() {
            let message = format!("no server of {full} takes {} from this namespace", spec.hosts.join(", "));
            let problem = Problem::new(HOST, format!("spec.gateways[{index}]"), message);
            analysis.tell(
                resource,
                problem.effect("no route of it is bound there").remedy("add the host to a server, or correct it here"),
            );
        }
    }
}

fn admits(gateway: &Resource, spec: &Gateway, service: &Resource, host: &str) -> bool {
    spec.servers.iter().flat_map(|server| &server.hosts).any(|entry| {
        let (namespace, pattern) = hosts::split_scope(entry);
        let from_here = match namespace {
            None | Some("*") => true,
            Some(".") => gateway.namespace() == service.namespace(),
            Some(namespace) => namespace == service.namespace(),
        };
        from_here && hosts::overlap(host, pattern)
    })
}

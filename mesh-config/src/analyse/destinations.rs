//! Hosts that routes and rules name and nobody serves; hosts that two VirtualServices claim.

use std::collections::BTreeMap;

use super::{Analysis, destinations_of, reference};
use crate::compile::find_delegate;
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::destination_rule::DestinationRule;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::virtual_service::VirtualService;

const SERVICE_NOT_FOUND: RuleId = reference("service-not-found");
const PORT_NOT_FOUND: RuleId = reference("port-not-found");
const DELEGATE_NOT_FOUND: RuleId = reference("delegate-not-found");
const PORT_NEEDED: RuleId = RuleId::error("IST0112", "destination-port-needed");
const UNKNOWN_HOST: RuleId = RuleId::warning("IST0174", "rule-host-not-found");
const CONFLICT: RuleId = RuleId::error("IST0109", "mesh-host-conflict");
const PASSTHROUGH: RuleId = RuleId::info("WAT0110", "tls-passthrough");
const ADDRESSES: RuleId = RuleId::warning("IST0134", "addresses-required");

/// Analyses destinations.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, spec) in documents.of::<VirtualService>() {
        for (path, destination) in destinations_of(spec) {
            for problem in destination_problems(analysis, resource.namespace(), &path, destination) {
                analysis.tell(resource, problem);
            }
        }
        for (index, rule) in spec.http.iter().enumerate() {
            let Some(delegate) = rule.delegate.as_ref().filter(|delegate| !delegate.name.is_empty()) else { continue };
            if find_delegate(documents, resource, delegate).is_none() {
                let message =
                    format!("there is no delegate {:?} without hosts that this namespace sees", delegate.name);
                let problem = Problem::new(DELEGATE_NOT_FOUND, format!("spec.http[{index}].delegate"), message);
                analysis.tell(resource, problem.effect("the rule has no routes: requests fall to the next one"));
            }
        }
    }
    rule_hosts(analysis);
    mesh_conflicts(analysis);
    service_entries(analysis);
}

fn destination_problems(
    analysis: &Analysis<'_>,
    namespace: &str,
    path: &str,
    destination: &crate::kinds::virtual_service::Destination,
) -> Vec<Problem> {
    let documents = analysis.documents;
    let host = hosts::complete(&destination.host, namespace, documents.settings());
    let port = destination.port.as_ref().map(|port| port.number);
    let Some(service) = documents.registry().service(&host, namespace) else {
        let with_port = port.map_or_else(String::new, |port| format!(" with port {port}"));
        let message = format!("there is no service {host}{with_port} that namespace {namespace} sees");
        let elsewhere = documents.registry().all().find(|service| {
            service.host.split('.').next() == Some(destination.host.as_str()) && service.is_visible_to(namespace)
        });
        let remedy = elsewhere.map_or_else(
            || "add the Service or a ServiceEntry, or correct the host".to_owned(),
            |service| {
                format!("a short name is completed with the rule's own namespace: did you mean {}?", service.host)
            },
        );
        let problem = Problem::new(SERVICE_NOT_FOUND, format!("{path}.host"), message);
        return vec![problem.effect("requests that take this route are answered 503 (flag NC)").remedy(remedy)];
    };
    match port {
        Some(port) if !service.ports.iter().any(|one| u32::from(one.number) == port) => {
            let numbers: Vec<String> = service.ports.iter().map(|port| port.number.to_string()).collect();
            let message = format!("{host} has no port {port}");
            let problem = Problem::new(PORT_NOT_FOUND, format!("{path}.port"), message);
            let remedy =
                format!("its ports are {}; the Service's port counts, not the container's", numbers.join(", "));
            vec![problem.effect("requests that take this route are answered 503 (flag NC)").remedy(remedy)]
        }
        None if service.ports.len() > 1 => {
            let message = format!("{host} has {} ports, and the destination names none", service.ports.len());
            let problem = Problem::new(PORT_NEEDED, path, message);
            vec![
                problem
                    .effect("the port of the request is taken, which the service may not have")
                    .remedy("name the port"),
            ]
        }
        _ => Vec::new(),
    }
}

fn rule_hosts(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, rule) in documents.of::<DestinationRule>() {
        let host = hosts::complete(&rule.host, resource.namespace(), documents.settings());
        let known = documents.registry().service(&host, resource.namespace()).is_some()
            || documents.registry().all().any(|service| hosts::within(&service.host, &host));
        if !known && !rule.host.is_empty() {
            let problem = Problem::new(UNKNOWN_HOST, "spec.host", format!("there is no service {host}"));
            analysis.tell(
                resource,
                problem.effect("the rule applies to nothing").remedy("add the Service, or correct the host"),
            );
        }
    }
}

/// Tells of hosts on the mesh that several VirtualServices claim: they are not merged.
fn mesh_conflicts(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    let mut claims: BTreeMap<(&str, &str), Vec<&crate::compile::VirtualServiceEntry>> = BTreeMap::new();
    let entries = &documents.plan().virtual_services.entries;
    for entry in
        entries.iter().filter(|entry| entry.is_mesh() && entry.resource.kind == crate::kinds::Kind::VirtualService)
    {
        for host in &entry.hosts {
            // Public ones meet everywhere, private ones in their namespace only.
            let scope = if entry.is_visible_to("") { "*" } else { entry.resource.namespace() };
            claims.entry((scope, host)).or_default().push(entry);
        }
    }
    for ((_, host), claimants) in claims {
        let [winner, losers @ ..] = claimants.as_slice() else { continue };
        if losers.is_empty() {
            continue;
        }
        let names: Vec<String> =
            claimants.iter().map(|one| format!("{}/{}", one.resource.namespace(), one.resource.name())).collect();
        let winner = winner.resource.object();
        for claimant in &claimants {
            let index = claimant.hosts.iter().position(|one| one == host).unwrap_or_default();
            let message = format!("{host} is claimed on the mesh by {}", names.join(", "));
            let problem = Problem::new(CONFLICT, format!("spec.hosts[{index}]"), message);
            let effect = format!("sidecars use {winner} alone, the oldest: the others are ignored, not merged");
            analysis.tell(
                &claimant.resource,
                problem.effect(effect).remedy("put the rules into one VirtualService, or delegate"),
            );
        }
    }
}

fn service_entries(analysis: &mut Analysis<'_>) {
    for (resource, entry) in analysis.documents.of::<ServiceEntry>() {
        for (index, port) in entry.ports.iter().enumerate() {
            let path = format!("spec.ports[{index}]");
            let protocol = port.protocol.to_uppercase();
            let is_tcp = protocol == "TCP" || (protocol.is_empty() && !port.name.starts_with("http"));
            if is_tcp && entry.addresses.is_empty() {
                let problem = Problem::new(
                    ADDRESSES,
                    format!("{path}.protocol"),
                    "a TCP port is found by address, and the entry has none",
                );
                let effect =
                    format!("every connection to port {}, whatever its address, goes to this entry", port.number);
                analysis.tell(resource, problem.effect(effect).remedy("add spec.addresses"));
            }
            if matches!(protocol.as_str(), "HTTPS" | "TLS") {
                let message =
                    format!("port {} carries TLS of the application's own, routed by its server name", port.number);
                let problem = Problem::new(PASSTHROUGH, format!("{path}.protocol"), message);
                let effect = "no HTTP retries, timeouts, header rules or HTTP metrics for it";
                let remedy = "to have them, send plain HTTP to a port of protocol HTTP and originate TLS with a DestinationRule (tls.mode SIMPLE)";
                analysis.tell(resource, problem.effect(effect).remedy(remedy));
            }
        }
    }
}

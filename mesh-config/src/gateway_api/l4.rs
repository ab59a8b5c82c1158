//! TLSRoutes and TCPRoutes: one VirtualService per parent.

use std::sync::Arc;

use super::{INFIX, Listener, Translated, backends, parents};
use crate::compile::VirtualServiceEntry;
use crate::documents::Documents;
use crate::kinds::gateway_api::{L4Rule, Reference, TcpRoute, TlsRoute};
use crate::kinds::virtual_service::{
    Destination, PortSelector, RouteDestination, TcpRoute as TcpRule, TlsMatchAttributes, TlsRoute as TlsRule,
    VirtualService,
};
use crate::resource::Resource;

/// Translates all TLS and TCP routes.
pub(super) fn translate(documents: &Documents, listeners: &[Listener]) -> Vec<Translated> {
    let mut made = Vec::new();
    for (resource, route) in documents.of::<TlsRoute>() {
        for (index, gateway) in
            gateways(documents, listeners, resource, &route.parent_refs, &route.hostnames).into_iter().enumerate()
        {
            let hosts = if route.hostnames.is_empty() { vec!["*".to_owned()] } else { route.hostnames.clone() };
            let rule = |rule: &L4Rule| TlsRule {
                matches: vec![TlsMatchAttributes { sni_hosts: hosts.clone(), ..TlsMatchAttributes::default() }],
                route: destinations(documents, resource, rule),
            };
            let spec = VirtualService {
                tls: route.rules.iter().map(rule).collect(),
                hosts: hosts.clone(),
                gateways: vec![gateway],
                ..VirtualService::default()
            };
            made.push(translated(resource, format!("{}~tls~{index}~{INFIX}", resource.name()), spec));
        }
    }
    for (resource, route) in documents.of::<TcpRoute>() {
        for (index, gateway) in
            gateways(documents, listeners, resource, &route.parent_refs, &[]).into_iter().enumerate()
        {
            let rule = |rule: &L4Rule| TcpRule { matches: Vec::new(), route: destinations(documents, resource, rule) };
            let spec = VirtualService {
                tcp: route.rules.iter().map(rule).collect(),
                hosts: vec!["*".to_owned()],
                gateways: vec![gateway],
                ..VirtualService::default()
            };
            made.push(translated(resource, format!("{}~tcp~{index}~{INFIX}", resource.name()), spec));
        }
    }
    made
}

fn gateways(
    documents: &Documents,
    listeners: &[Listener],
    resource: &Arc<Resource>,
    references: &[Reference],
    hostnames: &[String],
) -> Vec<String> {
    let attachments = parents::attach(documents, listeners, resource, references, hostnames);
    let mut names: Vec<String> =
        attachments.iter().flat_map(|attachment| &attachment.listeners).map(|listener| listener.full_name()).collect();
    names.sort();
    names.dedup();
    names
}

fn destinations(documents: &Documents, resource: &Resource, rule: &L4Rule) -> Vec<RouteDestination> {
    let used: Vec<_> = rule.backend_refs.iter().filter(|backend| backend.weight != Some(0)).collect();
    if used.is_empty() {
        // As Istio does: a destination that does not exist, so that connections are closed.
        let nowhere = Destination {
            host: "internal.cluster.local".to_owned(),
            subset: "zero-weight".to_owned(),
            port: Some(PortSelector { number: 65535 }),
        };
        return vec![RouteDestination { destination: Some(nowhere), weight: 0 }];
    }
    let single = used.len() == 1;
    used.into_iter()
        .map(|backend| RouteDestination {
            destination: Some(backends::destination(
                documents,
                resource,
                &backend.namespace,
                &backend.name,
                backend.port,
            )),
            weight: if single { 0 } else { backend.weight.unwrap_or(1) },
        })
        .collect()
}

fn translated(resource: &Arc<Resource>, name: String, spec: VirtualService) -> Translated {
    let entry = VirtualServiceEntry {
        resource: resource.clone(),
        hosts: spec.hosts.clone(),
        gateways: spec.gateways.clone(),
        http: Vec::new(),
        tls: spec.tls.clone(),
        tcp: spec.tcp.clone(),
        export_to: Vec::new(),
        by_elements: true,
    };
    Translated { name, namespace: resource.namespace().to_owned(), spec, entry }
}

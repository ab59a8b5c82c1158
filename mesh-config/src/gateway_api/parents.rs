//! Whether a route may attach to what it names.

use std::sync::Arc;

use super::{Listener, serves};
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::gateway_api::{Gateway, Listener as Written, Reference};
use crate::kinds::{Kind, gateway_api};
use crate::resource::Resource;

/// What a parent reference comes to.
#[derive(Debug)]
pub(super) struct Attachment<'a> {
    /// Its index among the route's references.
    pub(super) index: usize,
    pub(super) reference: &'a Reference,
    /// The listeners that take the route; none when the parent is a Service.
    pub(super) listeners: Vec<&'a Listener>,
    /// The host of the Service that is the parent.
    pub(super) service: Option<String>,
    /// Why it is not taken: reason and message.
    pub(super) refusal: Option<(&'static str, String)>,
}

/// Looks up every parent of a route that concerns us.
pub(super) fn attach<'a>(
    documents: &'a Documents,
    listeners: &'a [Listener],
    route: &Arc<Resource>,
    references: &'a [Reference],
    hostnames: &[String],
) -> Vec<Attachment<'a>> {
    references
        .iter()
        .enumerate()
        .filter_map(|(index, reference)| {
            let group = reference.group.as_deref().unwrap_or("gateway.networking.k8s.io");
            let namespace = if reference.namespace.is_empty() { route.namespace() } else { &reference.namespace };
            let mut made = Attachment { index, reference, listeners: Vec::new(), service: None, refusal: None };
            match (group, reference.kind.as_str()) {
                ("gateway.networking.k8s.io", "" | "Gateway") => {
                    let (gateway, spec) = documents
                        .of::<Gateway>()
                        .find(|(gateway, _)| gateway.name() == reference.name && gateway.namespace() == namespace)?;
                    if !serves(documents, &spec.gateway_class_name) {
                        return None;
                    }
                    to_gateway(&mut made, listeners, route, gateway, spec, hostnames);
                }
                ("", "Service") => {
                    made.service = Some(format!("{}.{namespace}.svc.{}", reference.name, documents.settings().domain))
                }
                _ => return None,
            }
            Some(made)
        })
        .collect()
}

fn to_gateway<'a>(
    made: &mut Attachment<'a>,
    listeners: &'a [Listener],
    route: &Resource,
    gateway: &Arc<Resource>,
    spec: &Gateway,
    hostnames: &[String],
) {
    let reference = made.reference;
    let named: Vec<(&'a Listener, &Written)> = listeners
        .iter()
        .filter(|listener| Arc::ptr_eq(&listener.resource, gateway))
        .filter_map(|listener| Some((listener, spec.listeners.get(listener.index)?)))
        .filter(|(_, written)| reference.section_name.is_empty() || reference.section_name == written.name)
        .filter(|(_, written)| reference.port == 0 || reference.port == written.port)
        .collect();
    if named.is_empty() {
        made.refusal = Some(("NoMatchingParent", format!("{} has no such listener", gateway.object())));
        return;
    }
    let of_kind: Vec<_> = named.into_iter().filter(|(_, written)| takes_kind(written, route.kind)).collect();
    if of_kind.is_empty() {
        made.refusal = Some(("NotAllowedByListeners", format!("no listener takes {}", route.kind.name())));
        return;
    }
    let by_host: Vec<_> = of_kind.into_iter().filter(|(_, written)| host_fits(&written.hostname, hostnames)).collect();
    if by_host.is_empty() {
        let message = "no hostname of the route lies within a listener's".to_owned();
        made.refusal = Some(("NoMatchingListenerHostname", message));
        return;
    }
    let admitted = |listener: &Listener| {
        listener.gateway.servers.iter().flat_map(|server| &server.hosts).any(|host| {
            hosts::split_scope(host).0.is_some_and(|namespace| namespace == "*" || namespace == route.namespace())
        })
    };
    made.listeners = by_host.into_iter().map(|(listener, _)| listener).filter(|listener| admitted(listener)).collect();
    if made.listeners.is_empty() {
        made.refusal =
            Some(("NotAllowedByListeners", format!("no listener takes routes of namespace {}", route.namespace())));
    }
}

fn host_fits(listener: &str, hostnames: &[String]) -> bool {
    listener.is_empty() || hostnames.is_empty() || hostnames.iter().any(|name| hosts::overlap(name, listener))
}

/// Says whether a listener takes a kind of route, by its protocol and by what it allows.
pub(super) fn takes_kind(listener: &Written, kind: Kind) -> bool {
    supported_kinds(listener).contains(&kind)
}

/// Gives the kinds of routes that a listener takes.
pub(super) fn supported_kinds(listener: &Written) -> Vec<Kind> {
    let passthrough = listener.tls.as_ref().is_some_and(|tls| tls.mode == "Passthrough");
    let by_protocol: &[Kind] = match listener.protocol.as_str() {
        "HTTP" | "HTTPS" => &[Kind::HttpRoute, Kind::GrpcRoute],
        "TLS" if passthrough => &[Kind::TlsRoute],
        "TLS" => &[Kind::TcpRoute, Kind::TlsRoute],
        "TCP" => &[Kind::TcpRoute],
        _ => &[],
    };
    let allowed: &[gateway_api::RouteGroupKind] =
        listener.allowed_routes.as_ref().map_or(&[], |allowed| &allowed.kinds);
    by_protocol
        .iter()
        .copied()
        .filter(|kind| {
            allowed.is_empty()
                || allowed.iter().any(|one| {
                    one.kind == kind.name()
                        && one.group.as_deref().unwrap_or("gateway.networking.k8s.io") == "gateway.networking.k8s.io"
                })
        })
        .collect()
}

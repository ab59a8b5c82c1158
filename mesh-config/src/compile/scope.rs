//! What a workload sees: everything exported to its namespace, or what its Sidecar lets through.

use std::sync::Arc;

use wattle_contract::route::OutboundPolicy;

use super::Context;
use crate::hosts;
use crate::kinds::sidecar::{IstioEgressListener, OutboundMode, Sidecar};
use crate::registry::{Service, labels_match};
use crate::resource::Resource;

/// Services that a workload sees, and the ports on which it sees them.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Services by host; with the ports of the egress listeners that show them, where these name any.
    pub(crate) services: Vec<(Arc<Service>, Option<Vec<u16>>)>,
    pub(crate) outbound_policy: OutboundPolicy,
    /// The Sidecar that decided.
    pub(crate) sidecar: Option<Arc<Resource>>,
}

impl Scope {
    /// Gives the scope of a workload.
    pub(crate) fn of(context: &Context<'_>) -> Self {
        let Some((resource, sidecar)) = sidecar_of(context) else { return Self::everything(context) };
        let outbound_policy = match sidecar.outbound_traffic_policy.as_ref().map(|policy| policy.mode) {
            // The zero value of an empty block is the strict one.
            Some(OutboundMode::RegistryOnly | OutboundMode::Absent) => OutboundPolicy::RegistryOnly,
            Some(OutboundMode::AllowAny) | None => OutboundPolicy::AllowAny,
        };
        let mut scope = Self::everything(context);
        scope.outbound_policy = outbound_policy;
        scope.sidecar = Some(resource.clone());
        if !sidecar.egress.is_empty() {
            let services = std::mem::take(&mut scope.services);
            scope.services = services
                .into_iter()
                .filter_map(|(service, _)| {
                    let ports = shown_on(context, sidecar, &service)?;
                    Some((service, ports))
                })
                .collect();
        }
        scope
    }

    /// Gives everything that is exported to the workload's namespace.
    pub(crate) fn everything(context: &Context<'_>) -> Self {
        let services = context.registry.visible_to(context.namespace());
        Self {
            services: services.map(|service| (service.clone(), None)).collect(),
            outbound_policy: OutboundPolicy::AllowAny,
            sidecar: None,
        }
    }
}

/// Finds the Sidecar of a workload: one that selects it, else its namespace's, else the root namespace's; the oldest.
pub(super) fn sidecar_of<'a>(context: &Context<'a>) -> Option<(&'a Arc<Resource>, &'a Sidecar)> {
    let all: Vec<_> = context.documents.of::<Sidecar>().collect();
    let selects = |sidecar: &Sidecar| {
        sidecar
            .workload_selector
            .as_ref()
            .filter(|selector| !selector.labels.is_empty())
            .map(|selector| labels_match(&selector.labels, &context.client.labels))
    };
    let own = |resource: &Resource| resource.namespace() == context.namespace();
    let root = |resource: &Resource| resource.namespace() == context.settings.root_namespace;
    let find = |wanted: &dyn Fn(&Resource, Option<bool>) -> bool| {
        all.iter().find(|(resource, sidecar)| wanted(resource, selects(sidecar))).copied()
    };
    find(&|resource, selected| own(resource) && selected == Some(true))
        .or_else(|| find(&|resource, selected| own(resource) && selected.is_none()))
        .or_else(|| find(&|resource, selected| root(resource) && selected.is_none()))
}

/// Says on which ports a Sidecar shows a service: `None` nowhere, an inner `None` on its own ports.
#[expect(clippy::option_option, reason = "outside: whether it is shown; inside: whether ports are restricted")]
fn shown_on(context: &Context<'_>, sidecar: &Sidecar, service: &Service) -> Option<Option<Vec<u16>>> {
    let mut ports = Vec::new();
    for listener in &sidecar.egress {
        if !shows(context, listener, service) {
            continue;
        }
        match listener.port.as_ref().and_then(|port| u16::try_from(port.number).ok()).filter(|port| *port > 0) {
            None => return Some(None),
            Some(port) => ports.push(port),
        }
    }
    (!ports.is_empty()).then_some(Some(ports))
}

fn shows(context: &Context<'_>, listener: &IstioEgressListener, service: &Service) -> bool {
    let covers = |entry: &str| {
        let (namespace, host) = hosts::split_scope(entry);
        let in_namespace = match namespace {
            None | Some("*") => true,
            Some(".") => service.namespace() == context.namespace(),
            Some(namespace) => service.namespace() == namespace,
        };
        in_namespace && hosts::within(&service.host, host)
    };
    let shown = |entry: &String| entry != "~/*" && !entry.starts_with('~') && covers(entry);
    let hidden = |entry: &String| entry.strip_prefix("~/").is_some_and(|host| host != "*" && covers(host));
    listener.hosts.iter().any(shown) && !listener.hosts.iter().any(hidden)
}

//! Requests that reach a workload: the ports of the services that select it, or those its Sidecar lists.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wattle_contract::route::{InboundPort, Protocol};

use super::Context;
use super::clusters::limits;
use super::scope::{Scope, sidecar_of};
use crate::kinds::sidecar::{IstioIngressListener, Sidecar};
use crate::registry::{Target, labels_match, protocol};

/// Compiles the inbound ports of a workload.
pub(super) fn ports(context: &Context<'_>, scope: &Scope) -> Vec<InboundPort> {
    let sidecar = sidecar_of(context).map(|(_, sidecar)| sidecar).filter(|_| scope.sidecar.is_some());
    let mut ports = of_services(context, sidecar);
    if let Some(sidecar) = sidecar.filter(|sidecar| !sidecar.ingress.is_empty()) {
        let by_service = std::mem::take(&mut ports);
        for listener in &sidecar.ingress {
            if let Some(port) = of_listener(context, sidecar, listener, &by_service) {
                ports.entry(port.port).or_insert(port);
            }
        }
    }
    ports.into_values().collect()
}

fn of_services(context: &Context<'_>, sidecar: Option<&Sidecar>) -> BTreeMap<u16, InboundPort> {
    let mut ports = BTreeMap::new();
    let mut services: Vec<_> = context
        .registry
        .all()
        .filter(|service| {
            service.is_kubernetes()
                && service.namespace() == context.namespace()
                && !service.selector.is_empty()
                && labels_match(&service.selector, &context.client.labels)
        })
        .collect();
    services.sort_by(|a, b| a.resource.by_age(&b.resource));
    for service in services {
        for port in &service.ports {
            let Some(number) = target(context, &port.target) else { continue };
            ports.entry(number).or_insert_with(|| InboundPort {
                port: number,
                protocol: port.protocol,
                service: service.host.clone(),
                application: None,
                tls: mode(context, number),
                limits: limits(sidecar.and_then(|sidecar| sidecar.inbound_connection_pool.as_ref())),
            });
        }
    }
    ports
}

fn mode(context: &Context<'_>, port: u16) -> wattle_contract::route::InboundTls {
    let modes = &context.plan.peer_modes;
    modes.mode(&context.settings.root_namespace, context.namespace(), &context.client.labels, port).0
}

/// Gives the number of a target port; a name is looked up in the workload's own pod, else in any pod with its labels.
fn target(context: &Context<'_>, target: &Target) -> Option<u16> {
    let name = match target {
        Target::Number(number) => return Some(*number),
        Target::Name(name) => name,
    };
    let own = context.registry.pod(context.namespace(), &context.client.pod).and_then(|pod| pod.port_named(name));
    own.or_else(|| {
        let mut alike = context
            .registry
            .workloads_in(context.namespace())
            .filter(|pod| pod.owner == context.client.workload.as_str() || pod.labels == context.client.labels);
        alike.find_map(|pod| pod.port_named(name))
    })
}

fn of_listener(
    context: &Context<'_>,
    sidecar: &Sidecar,
    listener: &IstioIngressListener,
    by_service: &BTreeMap<u16, InboundPort>,
) -> Option<InboundPort> {
    let declared = listener.port.as_ref()?;
    let number = u16::try_from(declared.number).ok()?;
    let spoken =
        if declared.protocol.is_empty() { protocol("", &declared.name) } else { protocol(&declared.protocol, "") };
    let pool = listener.connection_pool.as_ref().or(sidecar.inbound_connection_pool.as_ref());
    Some(InboundPort {
        port: number,
        protocol: if spoken == Protocol::Auto {
            by_service.get(&number).map_or(spoken, |port| port.protocol)
        } else {
            spoken
        },
        service: by_service.get(&number).map(|port| port.service.clone()).unwrap_or_default(),
        application: application(&listener.default_endpoint),
        tls: mode(context, number),
        limits: limits(pool),
    })
}

/// Reads `127.0.0.1:PORT`, `[::1]:PORT` or `0.0.0.0:PORT`, which stands for the pod's own address.
fn application(endpoint: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = endpoint.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Some(address)
}

//! Backends: which exist, which may be referred to, and what they come to.

use super::filters::header_operations;
use crate::documents::Documents;
use crate::kinds::gateway_api::{BackendRef, Reference, ReferenceGrant};
use crate::kinds::virtual_service::{Destination, Headers, HttpRouteDestination, PortSelector};
use crate::resource::Resource;

/// Says why a backend cannot be used: reason and message.
pub(super) fn refusal(documents: &Documents, route: &Resource, backend: &BackendRef) -> Option<(&'static str, String)> {
    let group = backend.group.as_deref().unwrap_or("");
    let kind = backend.kind.as_deref().unwrap_or("Service");
    if !group.is_empty() || kind != "Service" {
        return Some(("InvalidKind", format!("backends of kind {group}/{kind} are not known")));
    }
    if !backend.namespace.is_empty()
        && backend.namespace != route.namespace()
        && !is_granted(documents, route, "", kind, &backend.name, &backend.namespace)
    {
        return Some((
            "RefNotPermitted",
            format!("no ReferenceGrant in {} lets {} refer to {}", backend.namespace, route.object(), backend.name),
        ));
    }
    let host = host(documents, route, &backend.namespace, &backend.name);
    let service = documents.registry().service(&host, route.namespace());
    match service {
        None => Some(("BackendNotFound", format!("there is no Service {host}"))),
        Some(service) if !service.ports.iter().any(|port| u32::from(port.number) == backend.port) => {
            Some(("BackendNotFound", format!("{host} has no port {}", backend.port)))
        }
        Some(_) => None,
    }
}

/// Says whether an object of another namespace may be referred to.
pub(super) fn is_granted(
    documents: &Documents,
    from: &Resource,
    group: &str,
    kind: &str,
    name: &str,
    namespace: &str,
) -> bool {
    documents.of::<ReferenceGrant>().filter(|(grant, _)| grant.namespace() == namespace).any(|(_, grant)| {
        grant.from.iter().any(|one| {
            one.group == from.kind.group() && one.kind == from.kind.name() && one.namespace == from.namespace()
        }) && grant
            .to
            .iter()
            .any(|one| one.group == group && one.kind == kind && (one.name.is_empty() || one.name == name))
    })
}

fn host(documents: &Documents, route: &Resource, namespace: &str, name: &str) -> String {
    let namespace = if namespace.is_empty() { route.namespace() } else { namespace };
    format!("{name}.{namespace}.svc.{}", documents.settings().domain)
}

/// Gives the destination of a reference.
pub(super) fn destination(
    documents: &Documents,
    route: &Resource,
    namespace: &str,
    name: &str,
    port: u32,
) -> Destination {
    Destination {
        host: host(documents, route, namespace, name),
        port: (port != 0).then_some(PortSelector { number: port }),
        ..Destination::default()
    }
}

/// Gives the destination of a mirror.
pub(super) fn mirror(documents: &Documents, route: &Resource, reference: &Reference) -> Destination {
    destination(documents, route, &reference.namespace, &reference.name, reference.port)
}

/// Translates the backends of a rule; `None` when none of them takes requests, which is answered 500.
pub(super) fn weighted(
    documents: &Documents,
    route: &Resource,
    backends: &[BackendRef],
) -> Option<Vec<HttpRouteDestination>> {
    let used: Vec<&BackendRef> = backends.iter().filter(|backend| backend.weight != Some(0)).collect();
    if used.iter().all(|backend| refusal(documents, route, backend).is_some()) {
        return None;
    }
    let single = used.len() == 1;
    Some(
        used.into_iter()
            .map(|backend| {
                let headers = Headers {
                    request: header_operations(
                        backend.filters.iter().filter_map(|filter| filter.request_header_modifier.as_ref()),
                    ),
                    response: header_operations(
                        backend.filters.iter().filter_map(|filter| filter.response_header_modifier.as_ref()),
                    ),
                };
                HttpRouteDestination {
                    destination: Some(destination(documents, route, &backend.namespace, &backend.name, backend.port)),
                    weight: if single { 0 } else { backend.weight.unwrap_or(1) },
                    headers: Some(headers).filter(|headers| *headers != Headers::default()),
                }
            })
            .collect(),
    )
}

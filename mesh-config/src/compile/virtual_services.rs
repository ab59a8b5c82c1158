//! Which VirtualService owns a host.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Context, delegates};
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::virtual_service::{HttpRoute, TcpRoute, TlsRoute, VirtualService};
use crate::resource::Resource;

/// Name of the sidecars' own gateway.
pub(crate) const MESH: &str = "mesh";

/// A VirtualService with its names completed and its delegates put in.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) resource: Arc<Resource>,
    pub(crate) hosts: Vec<String>,
    /// `mesh` or `namespace/name`.
    pub(crate) gateways: Vec<String>,
    pub(crate) http: Vec<HttpEntry>,
    pub(crate) tls: Vec<TlsRoute>,
    pub(crate) tcp: Vec<TcpRoute>,
    pub(crate) export_to: Vec<String>,
    /// Whether it was made of Gateway API routes: prefixes are by path element.
    pub(crate) by_elements: bool,
}

/// One rule, and the resource and path it stands in.
#[derive(Clone, Debug)]
pub(crate) struct HttpEntry {
    pub(crate) resource: Arc<Resource>,
    pub(crate) path: String,
    rule: Rule,
}

/// A rule as it is written, or as it was made.
#[derive(Clone, Debug)]
enum Rule {
    Written(usize),
    Made(Arc<HttpRoute>),
}

impl HttpEntry {
    /// Names a rule of the resource itself.
    pub(crate) fn written(resource: &Arc<Resource>, index: usize) -> Self {
        Self { resource: resource.clone(), path: format!("spec.http[{index}]"), rule: Rule::Written(index) }
    }

    /// Takes a rule that was made of what stands at a path.
    pub(crate) fn made(resource: &Arc<Resource>, path: String, route: HttpRoute) -> Self {
        Self { resource: resource.clone(), path, rule: Rule::Made(Arc::new(route)) }
    }

    /// Gives the rule; `None` never happens, since only a VirtualService's own rules are named by index.
    pub(crate) fn route(&self) -> Option<&HttpRoute> {
        match &self.rule {
            Rule::Made(route) => Some(route),
            Rule::Written(index) => self.resource.get::<VirtualService>()?.http.get(*index),
        }
    }
}

impl Entry {
    /// Says whether its rules are the same for every client of a namespace, and its own.
    pub(crate) fn is_alike_for_all(&self) -> bool {
        !self.by_elements
            && self.http.iter().all(|entry| {
                let asks = |route: &HttpRoute| route.matches.iter().any(|one| !one.source_labels.is_empty());
                matches!(entry.rule, Rule::Written(_)) && entry.route().is_some_and(|route| !asks(route))
            })
    }

    pub(crate) fn is_mesh(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway == MESH)
    }

    pub(crate) fn is_visible_to(&self, namespace: &str) -> bool {
        hosts::is_exported(&self.export_to, self.resource.namespace(), namespace)
    }

    /// Ranks how near a VirtualService is to a client: private to its namespace, exported to it by name, public.
    pub(crate) fn level(&self, namespace: &str) -> u8 {
        let export_to = &self.export_to;
        let public = export_to.is_empty() || export_to.iter().any(|scope| scope == "*");
        match (public, self.resource.namespace() == namespace) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        }
    }
}

/// Owners of hosts as one client sees them.
#[derive(Debug, Default)]
pub(crate) struct Owners<'a> {
    exact: HashMap<&'a str, &'a Entry>,
    wildcards: Vec<(&'a str, &'a Entry)>,
}

/// All VirtualServices, oldest first.
#[derive(Debug)]
pub(crate) struct VirtualServices {
    pub(crate) entries: Vec<Entry>,
}

impl VirtualServices {
    pub(crate) fn build(documents: &Documents) -> Self {
        let mut entries = Vec::new();
        for (resource, spec) in documents.of::<VirtualService>() {
            if spec.hosts.is_empty() {
                continue;
            }
            let namespace = resource.namespace();
            let complete = |host: &String| hosts::complete(host, namespace, documents.settings());
            entries.push(Entry {
                resource: resource.clone(),
                hosts: spec.hosts.iter().map(complete).collect(),
                gateways: gateways(&spec.gateways, namespace),
                http: delegates::resolve(documents, resource, spec),
                tls: spec.tls.clone(),
                tcp: spec.tcp.clone(),
                export_to: spec.export_to.clone(),
                by_elements: false,
            });
        }
        Self { entries }
    }
}

impl<'a> Owners<'a> {
    /// Gives the mesh's VirtualServices that a client sees, by host: of each host the nearest, then the oldest.
    pub(crate) fn build(context: &Context<'a>) -> Self {
        let namespace = context.namespace();
        let mut seen: Vec<&Entry> =
            context.virtual_services().filter(|entry| entry.is_mesh() && entry.is_visible_to(namespace)).collect();
        seen.sort_by_key(|entry| entry.level(namespace));
        let mut owners = Owners::default();
        for entry in seen {
            for host in &entry.hosts {
                if host.starts_with('*') {
                    owners.wildcards.push((host, entry));
                } else {
                    owners.exact.entry(host).or_insert(entry);
                }
            }
        }
        // Stable: of equal wildcards the nearest and oldest stays first.
        owners.wildcards.sort_by_key(|(host, _)| std::cmp::Reverse(host.len()));
        owners
    }

    /// Gives the VirtualService of a host: named exactly, else by the longest wildcard.
    pub(crate) fn of(&self, host: &str) -> Option<&'a Entry> {
        self.exact.get(host).copied().or_else(|| {
            self.wildcards.iter().find(|(pattern, _)| hosts::within(host, pattern)).map(|(_, entry)| *entry)
        })
    }

    /// Gives every host that is owned, and by whom.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let mut all: Vec<_> =
            self.exact.iter().map(|(host, entry)| (*host, *entry)).chain(self.wildcards.iter().copied()).collect();
        all.sort_by_key(|(host, _)| *host);
        all.dedup_by_key(|(host, _)| *host);
        all.into_iter()
    }
}

/// Completes the names of gateways; none means the mesh.
pub(crate) fn gateways(names: &[String], namespace: &str) -> Vec<String> {
    if names.is_empty() {
        return vec![MESH.to_owned()];
    }
    names.iter().map(|name| gateway_name(name, namespace)).collect()
}

/// Completes the name of a gateway: `name` lies in the same namespace.
pub(crate) fn gateway_name(name: &str, namespace: &str) -> String {
    if name == MESH || name.contains('/') {
        return name.to_owned();
    }
    // The old form: a host name of which the first two parts count.
    let mut parts = name.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(short), Some(other), Some("svc")) => format!("{other}/{short}"),
        _ => format!("{namespace}/{name}"),
    }
}

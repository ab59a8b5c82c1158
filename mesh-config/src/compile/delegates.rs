//! Delegation: a rule of a root VirtualService that hands over to the rules of another, one level deep.

use std::sync::Arc;

use super::virtual_services::HttpEntry;
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::virtual_service::{Delegate, Headers, HttpMatchRequest, HttpRoute, StringMatch, VirtualService};
use crate::resource::Resource;

/// Gives the rules of a VirtualService with the delegates' rules in place of the delegations.
pub(super) fn resolve(documents: &Documents, resource: &Arc<Resource>, spec: &VirtualService) -> Vec<HttpEntry> {
    let mut rules = Vec::new();
    for (index, route) in spec.http.iter().enumerate() {
        let Some(delegate) = &route.delegate else {
            rules.push(HttpEntry::written(resource, index));
            continue;
        };
        let Some((other, target)) = find(documents, resource, delegate) else { continue };
        for (index, inner) in target.http.iter().enumerate().filter(|(_, inner)| inner.delegate.is_none()) {
            let path = format!("spec.http[{index}]");
            if let Some(merged) = merge(route, inner) {
                rules.push(HttpEntry::made(other, path, merged));
            }
        }
    }
    rules
}

/// Finds the VirtualService that a rule delegates to: one without hosts, exported to the root's namespace.
pub(crate) fn find<'a>(
    documents: &'a Documents,
    resource: &Resource,
    delegate: &Delegate,
) -> Option<(&'a Arc<Resource>, &'a VirtualService)> {
    let namespace = if delegate.namespace.is_empty() { resource.namespace() } else { &delegate.namespace };
    let mut all = documents.of::<VirtualService>();
    let (other, target) = all.find(|(other, _)| other.namespace() == namespace && other.name() == delegate.name)?;
    let visible = hosts::is_exported(&target.export_to, namespace, resource.namespace());
    (target.hosts.is_empty() && visible).then_some((other, target))
}

/// Joins a root's rule and a delegate's: the delegate's settings win where set, the conditions of both must hold.
fn merge(root: &HttpRoute, inner: &HttpRoute) -> Option<HttpRoute> {
    let mut merged = inner.clone();
    merged.matches = join_matches(&root.matches, &inner.matches)?;
    merged.name = match (root.name.is_empty(), inner.name.is_empty()) {
        (true, _) => inner.name.clone(),
        (_, true) => root.name.clone(),
        _ => format!("{}-{}", root.name, inner.name),
    };
    if merged.rewrite.is_none() {
        merged.rewrite.clone_from(&root.rewrite);
    }
    if merged.timeout.is_none() {
        merged.timeout = root.timeout;
    }
    if merged.retries.is_none() {
        merged.retries.clone_from(&root.retries);
    }
    if merged.fault.is_none() {
        merged.fault.clone_from(&root.fault);
    }
    if merged.mirror.is_none() && merged.mirrors.is_empty() {
        merged.mirror.clone_from(&root.mirror);
        merged.mirrors.clone_from(&root.mirrors);
        merged.mirror_percentage.clone_from(&root.mirror_percentage);
        merged.mirror_percent = root.mirror_percent;
    }
    if merged.cors_policy.is_none() {
        merged.cors_policy.clone_from(&root.cors_policy);
    }
    merged.headers = join_headers(root.headers.as_ref(), inner.headers.as_ref());
    Some(merged)
}

fn join_headers(root: Option<&Headers>, inner: Option<&Headers>) -> Option<Headers> {
    let (Some(root), Some(inner)) = (root, inner) else { return inner.or(root).cloned() };
    let mut joined = inner.clone();
    for (ours, theirs) in [(&mut joined.request, &root.request), (&mut joined.response, &root.response)] {
        let Some(theirs) = theirs else { continue };
        let ours = ours.get_or_insert_default();
        for (name, value) in &theirs.set {
            ours.set.entry(name.clone()).or_insert_with(|| value.clone());
        }
        for (name, value) in &theirs.add {
            ours.add.entry(name.clone()).or_insert_with(|| value.clone());
        }
        ours.remove.extend(theirs.remove.iter().cloned());
    }
    Some(joined)
}

/// Joins the conditions; `None` when no condition of the delegate lies within one of the root.
fn join_matches(root: &[HttpMatchRequest], inner: &[HttpMatchRequest]) -> Option<Vec<HttpMatchRequest>> {
    if root.is_empty() {
        return Some(inner.to_vec());
    }
    if inner.is_empty() {
        return Some(root.to_vec());
    }
    let mut joined = Vec::new();
    for theirs in inner {
        joined.extend(root.iter().filter_map(|ours| join_match(ours, theirs)));
    }
    (!joined.is_empty()).then_some(joined)
}

fn join_match(root: &HttpMatchRequest, inner: &HttpMatchRequest) -> Option<HttpMatchRequest> {
    let port_conflict = root.port != 0 && inner.port != 0 && root.port != inner.port;
    let namespace_conflict = !root.source_namespace.is_empty()
        && !inner.source_namespace.is_empty()
        && root.source_namespace != inner.source_namespace;
    let maps = [
        (&root.headers, &inner.headers),
        (&root.without_headers, &inner.without_headers),
        (&root.query_params, &inner.query_params),
    ];
    let map_conflict = maps.iter().any(|(ours, theirs)| ours.keys().any(|name| theirs.contains_key(name)));
    if port_conflict || namespace_conflict || map_conflict {
        return None;
    }
    let mut joined = inner.clone();
    joined.uri = join_text(root.uri.as_ref(), inner.uri.as_ref())?;
    joined.scheme = join_text(root.scheme.as_ref(), inner.scheme.as_ref())?;
    joined.method = join_text(root.method.as_ref(), inner.method.as_ref())?;
    joined.authority = join_text(root.authority.as_ref(), inner.authority.as_ref())?;
    joined.headers.extend(root.headers.clone());
    joined.without_headers.extend(root.without_headers.clone());
    joined.query_params.extend(root.query_params.clone());
    joined.ignore_uri_case |= root.ignore_uri_case;
    joined.source_labels.extend(root.source_labels.clone());
    if joined.port == 0 {
        joined.port = root.port;
    }
    if joined.source_namespace.is_empty() {
        joined.source_namespace.clone_from(&root.source_namespace);
    }
    // Gateways are the root's own: those of a delegate are ignored.
    joined.gateways.clone_from(&root.gateways);
    if !root.name.is_empty() {
        joined.name = if inner.name.is_empty() { root.name.clone() } else { format!("{}-{}", root.name, inner.name) };
    }
    Some(joined)
}

/// Joins two conditions on one text: the delegate's must lie within the root's.
#[expect(clippy::option_option, reason = "outside: whether they fit; inside: whether there is a condition")]
fn join_text(root: Option<&StringMatch>, inner: Option<&StringMatch>) -> Option<Option<StringMatch>> {
    let (Some(root), Some(inner)) = (root, inner) else { return Some(inner.or(root).cloned()) };
    let fits = match (&root.prefix, &root.exact) {
        (Some(prefix), _) => {
            [&inner.prefix, &inner.exact].into_iter().flatten().any(|text| text.starts_with(prefix.as_str()))
        }
        (_, Some(exact)) => inner.exact.as_ref() == Some(exact),
        _ => root == inner,
    };
    fits.then(|| Some(inner.clone()))
}

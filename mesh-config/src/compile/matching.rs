//! Conditions on a request, and which of them hold for a proxy already.

use wattle_contract::route::{ClaimMatch, HeaderMatch, HttpMatch, PathMatch, QueryMatch, StringMatch};

use super::Context;
use super::virtual_services::MESH;
use crate::kinds::virtual_service::{HttpMatchRequest, StringMatch as Text};
use crate::registry::labels_match;

/// For whom a rule is compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// Port that the request comes to.
    pub(super) port: u16,
    /// `mesh` or the gateway's name.
    pub(super) gateway: &'a str,
    /// Namespace of the VirtualService, for short names of gateways.
    pub(super) namespace: &'a str,
    /// Whether prefixes are by path element, as the Gateway API has them.
    pub(super) by_elements: bool,
}

/// Where conditions are read for themselves, for no gateway and no port.
pub(super) const MESH_SITE: Site<'static> = Site { port: 0, gateway: MESH, namespace: "", by_elements: false };

/// What a header's name begins with when it means a claim of the token.
const CLAIMS: &str = "@request.auth.claims";

/// Compiles the alternatives that can hold at a site. `None` means that none of them can, an empty list that every
/// request matches.
pub(super) fn alternatives(
    context: &Context<'_>,
    site: Site<'_>,
    matches: &[HttpMatchRequest],
) -> Option<Vec<HttpMatch>> {
    if matches.is_empty() {
        return Some(Vec::new());
    }
    let held: Vec<&HttpMatchRequest> = matches.iter().filter(|one| holds(context, site, one)).collect();
    if held.is_empty() {
        return None;
    }
    let compiled: Vec<HttpMatch> = held.into_iter().map(|one| conditions(one, site)).collect();
    Some(if compiled.iter().any(is_catch_all) { Vec::new() } else { compiled })
}

/// Says whether the conditions that are known when configuration is built hold.
fn holds(context: &Context<'_>, site: Site<'_>, one: &HttpMatchRequest) -> bool {
    // Tokens are verified where requests come in: a sidecar that sends one knows no claims.
    let asks_claims = site.gateway == MESH && one.headers.keys().any(|name| name.starts_with(CLAIMS));
    !asks_claims && site_holds(context, site, one.port, &one.gateways, &one.source_labels, &one.source_namespace)
}

/// The same for the conditions that HTTP, TLS and TCP share.
pub(super) fn site_holds(
    context: &Context<'_>,
    site: Site<'_>,
    port: u32,
    gateways: &[String],
    source_labels: &std::collections::BTreeMap<String, String>,
    source_namespace: &str,
) -> bool {
    let at_gateway = gateways.is_empty()
        || gateways.iter().any(|name| super::virtual_services::gateway_name(name, site.namespace) == site.gateway);
    (port == 0 || port == u32::from(site.port))
        && at_gateway
        && labels_match(source_labels, &context.client.labels)
        && (source_namespace.is_empty() || source_namespace == context.namespace())
}

/// Says whether every request matches.
pub(super) fn is_catch_all(one: &HttpMatch) -> bool {
    let any_path = match &one.path {
        None => true,
        Some(PathMatch::Prefix(prefix) | PathMatch::PathElements(prefix)) => prefix == "/" || prefix.is_empty(),
        Some(PathMatch::Regex(regex)) => regex == ".*" || regex == "*",
        Some(PathMatch::Exact(_)) => false,
    };
    any_path
        && one.scheme.is_none()
        && one.method.is_none()
        && one.authority.is_none()
        && one.headers.is_empty()
        && one.query.is_empty()
        && one.claims.is_empty()
}

/// Compiles one alternative.
pub(super) fn conditions(one: &HttpMatchRequest, site: Site<'_>) -> HttpMatch {
    let wanted = one.headers.iter().map(|(name, value)| (name, value, false));
    let unwanted = one.without_headers.iter().map(|(name, value)| (name, value, true));
    let (mut headers, mut claims) = (Vec::new(), Vec::new());
    for (name, value, invert) in wanted.chain(unwanted) {
        match claim_path(name) {
            None => headers.push(header(name, value, invert)),
            Some(path) if site.gateway != MESH => claims.push(ClaimMatch { path, value: value_of(value), invert }),
            Some(_) => {}
        }
    }
    HttpMatch {
        name: Some(one.name.clone()).filter(|name| !name.is_empty()),
        path: one.uri.as_ref().and_then(|uri| path(uri, site.by_elements)),
        ignore_path_case: one.ignore_uri_case,
        scheme: one.scheme.as_ref().and_then(text),
        method: one.method.as_ref().and_then(text),
        authority: one.authority.as_ref().and_then(text),
        headers,
        query: one
            .query_params
            .iter()
            .map(|(name, value)| QueryMatch { name: name.clone(), value: value_of(value) })
            .collect(),
        claims,
    }
}

/// Gives the path of the claim that a header's name means: `@request.auth.claims.a` or `@request.auth.claims[a][b]`.
pub(crate) fn claim_path(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(CLAIMS)?;
    let path: Vec<String> = match rest.strip_prefix('.') {
        Some(dotted) => dotted.split('.').map(str::to_owned).collect(),
        None => rest.strip_prefix('[')?.strip_suffix(']')?.split("][").map(str::to_owned).collect(),
    };
    path.iter().all(|part| !part.is_empty()).then_some(path)
}

fn header(name: &str, value: &Text, invert: bool) -> HeaderMatch {
    HeaderMatch { name: name.to_lowercase(), value: value_of(value), invert }
}

/// A matcher that says nothing, or the old `*`, asks only whether the value is there.
fn value_of(value: &Text) -> StringMatch {
    text(value).unwrap_or(StringMatch::Present)
}

/// Compiles a condition on a text.
pub(super) fn text(value: &Text) -> Option<StringMatch> {
    if let Some(exact) = &value.exact {
        return Some(StringMatch::Exact(exact.clone()));
    }
    if let Some(prefix) = &value.prefix {
        return Some(StringMatch::Prefix(prefix.clone()));
    }
    value.regex.as_ref().filter(|regex| *regex != "*").map(|regex| StringMatch::Regex(regex.clone()))
}

fn path(value: &Text, by_elements: bool) -> Option<PathMatch> {
    if let Some(exact) = &value.exact {
        return Some(PathMatch::Exact(exact.clone()));
    }
    if let Some(prefix) = &value.prefix {
        let prefix = prefix.clone();
        return Some(if by_elements { PathMatch::PathElements(prefix) } else { PathMatch::Prefix(prefix) });
    }
    value.regex.as_ref().map(|regex| PathMatch::Regex(regex.clone()))
}

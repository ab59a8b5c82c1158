//! HTTPRoutes and GRPCRoutes: one VirtualService per listener and host, its rules in the order of precedence.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Listener, Translated, backends, filters, parents};
use crate::compile::{HttpEntry, VirtualServiceEntry};
use crate::documents::Documents;
use crate::kinds::gateway_api::{BackendRef, Filter, GrpcMatch, GrpcRoute, HttpMatch, HttpRoute, HttpRule, NamedMatch};
use crate::kinds::virtual_service::{
    HttpDirectResponse, HttpMatchRequest, HttpRoute as Rule, StringMatch, VirtualService,
};
use crate::resource::Resource;

/// Where rules are gathered: the gateway's name, the host, and for the mesh the namespace.
type Site = (String, String, String);

/// What is gathered at a site.
struct Gathered {
    name: String,
    resource: Arc<Resource>,
    rules: Vec<HttpEntry>,
}

/// Translates all HTTP and gRPC routes.
pub(super) fn translate(documents: &Documents, listeners: &[Listener]) -> Vec<Translated> {
    let mut sites: BTreeMap<Site, Gathered> = BTreeMap::new();
    for (resource, route) in documents.of::<HttpRoute>() {
        let rules: Vec<HttpEntry> = route
            .rules
            .iter()
            .enumerate()
            .flat_map(|(index, rule)| http_rules(documents, resource, rule, index))
            .collect();
        gather(documents, listeners, &mut sites, resource, (&route.parent_refs, &route.hostnames), &rules);
    }
    for (resource, route) in documents.of::<GrpcRoute>() {
        let rules: Vec<HttpEntry> = route
            .rules
            .iter()
            .enumerate()
            .flat_map(|(index, rule)| {
                let matches: Vec<HttpMatchRequest> = rule.matches.iter().map(grpc_match).collect();
                let made = rule_of(documents, resource, (&rule.name, index), &rule.filters, &rule.backend_refs);
                spread(resource, made, matches, index)
            })
            .collect();
        gather(documents, listeners, &mut sites, resource, (&route.parent_refs, &route.hostnames), &rules);
    }
    sites.into_iter().map(|((gateway, host, _), gathered)| finish(gateway, host, gathered)).collect()
}

fn finish(gateway: String, host: String, mut gathered: Gathered) -> Translated {
    gathered.rules.sort_by_cached_key(|entry| entry.route().map(precedence));
    let spec = VirtualService {
        hosts: vec![host.clone()],
        gateways: vec![gateway.clone()],
        http: gathered.rules.iter().filter_map(|entry| entry.route().cloned()).collect(),
        ..VirtualService::default()
    };
    Translated {
        name: gathered.name,
        namespace: gathered.resource.namespace().to_owned(),
        spec,
        entry: VirtualServiceEntry {
            resource: gathered.resource,
            hosts: vec![host],
            gateways: vec![gateway],
            http: gathered.rules,
            tls: Vec::new(),
            tcp: Vec::new(),
            export_to: Vec::new(),
            by_elements: true,
        },
    }
}

/// Puts the rules of a route where its parents are.
fn gather(
    documents: &Documents,
    listeners: &[Listener],
    sites: &mut BTreeMap<Site, Gathered>,
    resource: &Arc<Resource>,
    (references, hostnames): (&[crate::kinds::gateway_api::Reference], &[String]),
    rules: &[HttpEntry],
) {
    let mut put = |site: Site, name: String| {
        let gathered =
            sites.entry(site).or_insert_with(|| Gathered { name, resource: resource.clone(), rules: Vec::new() });
        gathered.rules.extend(rules.iter().cloned());
    };
    for attachment in parents::attach(documents, listeners, resource, references, hostnames) {
        if let Some(host) = &attachment.service {
            let namespace = resource.namespace();
            put(("mesh".to_owned(), host.clone(), namespace.to_owned()), format!("{namespace}~{host}"));
        }
        for listener in &attachment.listeners {
            let served = listener
                .gateway
                .servers
                .iter()
                .flat_map(|server| &server.hosts)
                .map(|host| crate::hosts::split_scope(host).1);
            let served: Vec<&str> = served.collect();
            let any = ["*".to_owned()];
            let wanted = if hostnames.is_empty() { &any[..] } else { hostnames };
            for host in wanted.iter().filter(|host| served.iter().any(|pattern| crate::hosts::overlap(host, pattern))) {
                let name = format!("{}~{}~{host}", listener.resource.namespace(), listener.name);
                put((listener.full_name(), host.clone(), String::new()), name);
            }
        }
    }
}

fn http_rules(documents: &Documents, resource: &Arc<Resource>, rule: &HttpRule, index: usize) -> Vec<HttpEntry> {
    let mut made = rule_of(documents, resource, (&rule.name, index), &rule.filters, &rule.backend_refs);
    filters::bounds(rule, &mut made);
    spread(resource, made, rule.matches.iter().map(http_match).collect(), index)
}

fn rule_of(
    documents: &Documents,
    resource: &Arc<Resource>,
    (name, index): (&str, usize),
    filter: &[Filter],
    backend: &[BackendRef],
) -> Rule {
    let name =
        if name.is_empty() { format!("{}.{}.{index}", resource.namespace(), resource.name()) } else { name.to_owned() };
    let mut made = Rule { name, ..Rule::default() };
    filters::apply(documents, resource, filter, &mut made);
    if made.redirect.is_none() {
        match backends::weighted(documents, resource, backend) {
            Some(route) => made.route = route,
            // The Gateway API answers 500 where nothing valid stands behind a rule.
            None => made.direct_response = Some(HttpDirectResponse { status: 500, body: None }),
        }
    }
    made
}

/// Makes a rule of each alternative, so that each finds its own place in the order.
fn spread(resource: &Arc<Resource>, made: Rule, matches: Vec<HttpMatchRequest>, index: usize) -> Vec<HttpEntry> {
    let path = format!("spec.rules[{index}]");
    if matches.is_empty() {
        return vec![HttpEntry::made(resource, path, made)];
    }
    let one = |condition: HttpMatchRequest| {
        HttpEntry::made(resource, path.clone(), Rule { matches: vec![condition], ..made.clone() })
    };
    matches.into_iter().map(one).collect()
}

fn text(kind: &str, value: &str) -> StringMatch {
    match kind {
        "RegularExpression" => StringMatch { regex: Some(value.to_owned()), ..StringMatch::default() },
        "PathPrefix" => StringMatch { prefix: Some(value.to_owned()), ..StringMatch::default() },
        _ => StringMatch { exact: Some(value.to_owned()), ..StringMatch::default() },
    }
}

fn named(list: &[NamedMatch]) -> BTreeMap<String, StringMatch> {
    list.iter().map(|one| (one.name.clone(), text(&one.kind, &one.value))).collect()
}

fn http_match(one: &HttpMatch) -> HttpMatchRequest {
    let path = one.path.as_ref().map(|path| {
        let value = path.value.as_deref().unwrap_or("/");
        // A prefix by elements: a slash at its end says nothing.
        match path.kind.as_str() {
            "" | "PathPrefix" => text("PathPrefix", if value.len() > 1 { value.trim_end_matches('/') } else { value }),
            kind => text(kind, value),
        }
    });
    HttpMatchRequest {
        uri: path,
        headers: named(&one.headers),
        query_params: named(&one.query_params),
        method: (!one.method.is_empty()).then(|| text("Exact", &one.method)),
        ..HttpMatchRequest::default()
    }
}

fn grpc_match(one: &GrpcMatch) -> HttpMatchRequest {
    let uri = one.method.as_ref().map(|method| {
        let regex = method.kind == "RegularExpression";
        match (method.service.as_str(), method.method.as_str(), regex) {
            (service, "", false) => text("PathPrefix", &format!("/{service}")),
            (service, name, false) if !service.is_empty() => text("Exact", &format!("/{service}/{name}")),
            ("", name, _) => text("RegularExpression", &format!("/[^/]+/{name}")),
            (service, "", true) => text("RegularExpression", &format!("/{service}/.+")),
            (service, name, _) => text("RegularExpression", &format!("/{service}/{name}")),
        }
    });
    HttpMatchRequest { uri, headers: named(&one.headers), ..HttpMatchRequest::default() }
}

/// The order of rules: exact paths, longer prefixes, expressions; then method, headers, query. What is equal keeps the
/// order of age, name and place.
fn precedence(rule: &Rule) -> impl Ord + use<> {
    let Some(one) = rule.matches.first() else { return (1, Reverse((0, 0)), Reverse((false, 0, 0))) };
    let (rank, length) = match one.uri.as_ref().map(|uri| (&uri.exact, &uri.prefix, &uri.regex)) {
        Some((Some(exact), ..)) => (3, exact.len()),
        Some((_, Some(prefix), _)) => (2, prefix.len()),
        Some((.., Some(regex))) => (1, regex.len()),
        // Without a path it is the prefix `/`, as the API server fills it in.
        _ => (2, 1),
    };
    (0, Reverse((rank, length)), Reverse((one.method.is_some(), one.headers.len(), one.query_params.len())))
}

//! Rules of the Gateway API, as its schema holds them.

use std::collections::BTreeSet;

use super::check::{Check, is_dns_label, is_header_name, is_host, is_ip, is_name};
use crate::kinds::gateway_api::{
    BackendRef, Filter, Gateway, GatewayClass, GrpcRoute, HeaderModifier, HttpMatch, HttpRoute, Listener, NamedMatch,
    PathMatch, TcpRoute, TlsRoute,
};

/// Checks a GatewayClass.
pub(super) fn class(spec: &GatewayClass, check: &mut Check<'_>) {
    let domain_and_path =
        spec.controller_name.split_once('/').is_some_and(|(domain, path)| is_name(domain) && !path.is_empty());
    if !domain_and_path {
        check.error("spec.controllerName", format!("Invalid value: {:?}: use DOMAIN/PATH", spec.controller_name));
    }
}

/// Checks a Gateway.
pub(super) fn gateway(spec: &Gateway, check: &mut Check<'_>) {
    for (index, one) in spec.listeners.iter().enumerate() {
        let path = format!("spec.listeners[{index}]");
        listener(one, &path, check);
        if spec.listeners[..index].iter().any(|other| other.name == one.name) {
            check.error(format!("{path}.name"), format!("Duplicate value: {:?}: listener names are unique", one.name));
        }
        let same = |other: &&Listener| {
            (other.port, &other.protocol, &other.hostname) == (one.port, &one.protocol, &one.hostname)
        };
        if spec.listeners[..index].iter().any(|other| same(&other)) {
            check.error(path, "Combination of port, protocol and hostname must be unique for each listener");
        }
    }
}

fn listener(listener: &Listener, path: &str, check: &mut Check<'_>) {
    if !is_name(&listener.name) || listener.name.chars().any(|c| c.is_ascii_uppercase() || c == '_') {
        check.error(format!("{path}.name"), format!("Invalid value: {:?} is no section name", listener.name));
    }
    check.port(format!("{path}.port"), listener.port);
    if !listener.hostname.is_empty() {
        hostname(&listener.hostname, format!("{path}.hostname"), check);
        if matches!(listener.protocol.as_str(), "TCP" | "UDP") {
            check.error(format!("{path}.hostname"), "hostname must not be specified for protocols ['TCP', 'UDP']");
        }
    }
    let mode = listener.tls.as_ref().map_or("", |tls| tls.mode.as_str());
    match listener.protocol.as_str() {
        "HTTP" | "TCP" | "UDP" if listener.tls.is_some() => {
            check.error(format!("{path}.tls"), "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']");
        }
        "HTTPS" if mode == "Passthrough" => {
            check.error(format!("{path}.tls.mode"), "tls mode must be Terminate for protocol HTTPS")
        }
        _ => {}
    }
    if !matches!(mode, "" | "Terminate" | "Passthrough") {
        check.error(
            format!("{path}.tls.mode"),
            format!("Unsupported value: {mode:?}: supported values: Terminate, Passthrough"),
        );
    }
    if let Some(from) = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref())
        && !matches!(from.from.as_str(), "" | "All" | "Same" | "Selector" | "None")
    {
        check.error(
            format!("{path}.allowedRoutes.namespaces.from"),
            format!("Unsupported value: {:?}: supported values: All, Selector, Same", from.from),
        );
    }
}

/// Checks a host name, which may have a wildcard as its first label.
fn hostname(name: &str, path: String, check: &mut Check<'_>) {
    if name == "*" || is_ip(name) || !is_host(name) || name.chars().any(|c| c.is_ascii_uppercase()) {
        check.error(path, format!("Invalid value: {name:?} is no host name"));
    }
}

fn hostnames(names: &[String], check: &mut Check<'_>) {
    if names.len() > 16 {
        check.error("spec.hostnames", "Too many: must have at most 16 items");
    }
    names.iter().enumerate().for_each(|(index, name)| hostname(name, format!("spec.hostnames[{index}]"), check));
}

/// Checks an HTTPRoute.
pub(super) fn http_route(spec: &HttpRoute, check: &mut Check<'_>) {
    hostnames(&spec.hostnames, check);
    if spec.rules.len() > 16 {
        check.error("spec.rules", "Too many: must have at most 16 items");
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        rule.matches
            .iter()
            .enumerate()
            .for_each(|(number, one)| http_match(one, &format!("{path}.matches[{number}]"), check));
        let prefixes = rule
            .matches
            .iter()
            .all(|one| one.path.as_ref().is_none_or(|path| matches!(path.kind.as_str(), "" | "PathPrefix")));
        filters(&rule.filters, &path, prefixes, check);
        let redirects = rule.filters.iter().any(|filter| filter.request_redirect.is_some());
        if redirects && !rule.backend_refs.is_empty() {
            check.error(&path, "RequestRedirect filter must not be used together with backendRefs");
        }
        if let Some(timeouts) = &rule.timeouts
            && let (Some(request), Some(backend)) = (timeouts.request, timeouts.backend_request)
            && !request.0.is_zero()
            && backend > request
        {
            check.error(format!("{path}.timeouts"), "backendRequest timeout cannot be longer than request timeout");
        }
        backends(&rule.backend_refs, &path, check);
    }
}

/// Checks a GRPCRoute.
pub(super) fn grpc_route(spec: &GrpcRoute, check: &mut Check<'_>) {
    hostnames(&spec.hostnames, check);
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        for (number, one) in rule.matches.iter().enumerate() {
            let at = format!("{path}.matches[{number}]");
            named(&one.headers, &format!("{at}.headers"), true, check);
            if one.method.as_ref().is_some_and(|method| method.service.is_empty() && method.method.is_empty()) {
                check.error(format!("{at}.method"), "One or both of 'service' or 'method' must be specified");
            }
        }
        filters(&rule.filters, &path, false, check);
        backends(&rule.backend_refs, &path, check);
    }
}

/// Checks a TLSRoute.
pub(super) fn tls_route(spec: &TlsRoute, check: &mut Check<'_>) {
    hostnames(&spec.hostnames, check);
    spec.rules
        .iter()
        .enumerate()
        .for_each(|(index, rule)| backends(&rule.backend_refs, &format!("spec.rules[{index}]"), check));
}

/// Checks a TCPRoute.
pub(super) fn tcp_route(spec: &TcpRoute, check: &mut Check<'_>) {
    spec.rules
        .iter()
        .enumerate()
        .for_each(|(index, rule)| backends(&rule.backend_refs, &format!("spec.rules[{index}]"), check));
}

fn http_match(one: &HttpMatch, path: &str, check: &mut Check<'_>) {
    if let Some(wanted) = &one.path {
        path_match(wanted, &format!("{path}.path"), check);
    }
    named(&one.headers, &format!("{path}.headers"), true, check);
    named(&one.query_params, &format!("{path}.queryParams"), false, check);
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    if !one.method.is_empty() && !METHODS.contains(&one.method.as_str()) {
        check.error(
            format!("{path}.method"),
            format!("Unsupported value: {:?}: supported values: {}", one.method, METHODS.join(", ")),
        );
    }
}

fn path_match(wanted: &PathMatch, path: &str, check: &mut Check<'_>) {
    let value = wanted.value.as_deref().unwrap_or("/");
    match wanted.kind.as_str() {
        "RegularExpression" => check.regex(format!("{path}.value"), value),
        "" | "Exact" | "PathPrefix" => absolute(value, &format!("{path}.value"), check),
        kind => check.error(
            format!("{path}.type"),
            format!("Unsupported value: {kind:?}: supported values: Exact, PathPrefix, RegularExpression"),
        ),
    }
}

fn absolute(value: &str, path: &str, check: &mut Check<'_>) {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@%".contains(&byte));
    let odd = ["//", "/./", "/../", "%2f", "%2F"].iter().any(|part| value.contains(part))
        || value.ends_with("/..")
        || value.ends_with("/.");
    if !value.starts_with('/') || !plain || odd || value.len() > 1024 {
        check.error(path, format!("Invalid value: {value:?}: must be an absolute path of valid characters"));
    }
}

fn named(list: &[NamedMatch], path: &str, are_headers: bool, check: &mut Check<'_>) {
    let mut seen = BTreeSet::new();
    for (index, one) in list.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if !is_header_name(&one.name) {
            check.error(format!("{at}.name"), format!("Invalid value: {:?} is no name", one.name));
        }
        if !seen.insert(if are_headers { one.name.to_lowercase() } else { one.name.clone() }) {
            check.error(format!("{at}.name"), format!("Duplicate value: {:?}", one.name));
        }
        match one.kind.as_str() {
            "RegularExpression" => check.regex(format!("{at}.value"), &one.value),
            "" | "Exact" => {}
            kind => check.error(
                format!("{at}.type"),
                format!("Unsupported value: {kind:?}: supported values: Exact, RegularExpression"),
            ),
        }
    }
}

fn filters(filters: &[Filter], path: &str, prefixes: bool, check: &mut Check<'_>) {
    for (index, filter) in filters.iter().enumerate() {
        let at = format!("{path}.filters[{index}]");
        let given = [
            ("RequestHeaderModifier", "requestHeaderModifier", filter.request_header_modifier.is_some()),
            ("ResponseHeaderModifier", "responseHeaderModifier", filter.response_header_modifier.is_some()),
            ("RequestMirror", "requestMirror", filter.request_mirror.is_some()),
            ("RequestRedirect", "requestRedirect", filter.request_redirect.is_some()),
            ("URLRewrite", "urlRewrite", filter.url_rewrite.is_some()),
            ("CORS", "cors", filter.cors.is_some()),
            ("ExternalAuth", "externalAuth", filter.external_auth.is_some()),
            ("ExtensionRef", "extensionRef", filter.extension_ref.is_some()),
        ];
        if !given.iter().any(|(kind, ..)| *kind == filter.kind) {
            check.error(format!("{at}.type"), format!("Unsupported value: {:?}", filter.kind));
        }
        for (kind, field, is_given) in given {
            if (kind == filter.kind) != is_given {
                check.error(
                    format!("{at}.{field}"),
                    format!("{field} must be specified for {kind} filter.type, and only there"),
                );
            }
        }
        for (field, modifier) in [
            ("requestHeaderModifier", &filter.request_header_modifier),
            ("responseHeaderModifier", &filter.response_header_modifier),
        ] {
            modifier.iter().for_each(|modifier| header_modifier(modifier, &format!("{at}.{field}"), check));
        }
        let once = !matches!(filter.kind.as_str(), "RequestMirror" | "ExtensionRef");
        if once && filters[..index].iter().any(|other| other.kind == filter.kind) {
            check.error(&at, format!("{} filter cannot be repeated", filter.kind));
        }
        redirect(filter, &at, prefixes, check);
        if let Some(path) = filter
            .external_auth
            .as_ref()
            .and_then(|auth| auth.http.as_ref())
            .map(|http| &http.path)
            .filter(|path| !path.is_empty())
        {
            absolute(path, &format!("{at}.externalAuth.http.path"), check);
        }
    }
}

fn redirect(filter: &Filter, path: &str, prefixes: bool, check: &mut Check<'_>) {
    if let Some(redirect) = &filter.request_redirect {
        if !redirect.hostname.is_empty() && (redirect.hostname.starts_with('*') || !is_name(&redirect.hostname)) {
            check.error(
                format!("{path}.requestRedirect.hostname"),
                format!("Invalid value: {:?} is no precise host name", redirect.hostname),
            );
        }
        if !matches!(redirect.status_code, 0 | 301 | 302 | 303 | 307 | 308) {
            check.error(
                format!("{path}.requestRedirect.statusCode"),
                format!("Unsupported value: {}", redirect.status_code),
            );
        }
    }
    let rewritten = filter.url_rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    let redirected = filter.request_redirect.as_ref().and_then(|redirect| redirect.path.as_ref());
    for modifier in rewritten.into_iter().chain(redirected) {
        match modifier.kind.as_str() {
            "ReplaceFullPath" if modifier.replace_full_path.is_none() => {
                check.error(path, "replaceFullPath must be specified")
            }
            "ReplacePrefixMatch" if modifier.replace_prefix_match.is_none() => {
                check.error(path, "replacePrefixMatch must be specified")
            }
            "ReplacePrefixMatch" if !prefixes => check.error(path, "ReplacePrefixMatch needs a PathPrefix match"),
            "ReplaceFullPath" | "ReplacePrefixMatch" => {}
            kind => check.error(
                path,
                format!("Unsupported value: {kind:?}: supported values: ReplaceFullPath, ReplacePrefixMatch"),
            ),
        }
    }
}

fn header_modifier(modifier: &HeaderModifier, path: &str, check: &mut Check<'_>) {
    for (field, names) in [
        ("set", modifier.set.iter().map(|one| one.name.as_str()).collect::<Vec<_>>()),
        ("add", modifier.add.iter().map(|one| one.name.as_str()).collect()),
        ("remove", modifier.remove.iter().map(String::as_str).collect()),
    ] {
        for (index, name) in names.iter().enumerate() {
            if names[..index].iter().any(|other| other.eq_ignore_ascii_case(name)) {
                check.error(format!("{path}.{field}[{index}]"), format!("Duplicate value: {name:?}"));
            } else if !is_header_name(name) {
                check.error(format!("{path}.{field}[{index}]"), format!("Invalid value: {name:?} is no header"));
            }
        }
    }
}

fn backends(backends: &[BackendRef], path: &str, check: &mut Check<'_>) {
    for (index, backend) in backends.iter().enumerate() {
        let at = format!("{path}.backendRefs[{index}]");
        let kind = backend.kind.as_deref().unwrap_or("Service");
        let group = backend.group.as_deref().unwrap_or("");
        if !is_dns_label(kind) {
            check.error(format!("{at}.kind"), format!("Invalid value: {kind:?} is no kind"));
        }
        if group.is_empty() && kind == "Service" && backend.port == 0 {
            check.error(format!("{at}.port"), "Must have port for Service reference");
        }
        if backend.port > 65535 {
            check.port(format!("{at}.port"), backend.port);
        }
        if backend.weight.is_some_and(|weight| !(0..=1_000_000).contains(&weight)) {
            check.error(format!("{at}.weight"), "Invalid value: a weight is 0 to 1000000");
        }
    }
}

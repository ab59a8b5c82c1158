//! Rules of our own kinds: RateLimit and HealthCheck.

use super::check::{Check, is_header_name, is_host};
use crate::compile::limit_key;
use crate::kinds::health_check::HealthCheck;
use crate::kinds::rate_limit::{LimitRule, LimitTarget, RateLimit};
use crate::kinds::virtual_service::StringMatch;

/// Kinds that a limit may be for, and what it then limits.
const TARGETS: [&str; 4] = ["Gateway", "VirtualService", "HTTPRoute", "GRPCRoute"];
/// Buckets that one limit may have: each costs memory.
const MAX_BUCKETS: u32 = 1_000_000;

/// Checks a RateLimit.
pub(super) fn rate_limit(spec: &RateLimit, check: &mut Check<'_>) {
    if let Some(selector) = &spec.selector {
        check.selector("spec.selector.matchLabels", &selector.match_labels);
        if !spec.target_refs.is_empty() {
            check.error("spec", "only one of targetRefs or selector can be set");
        }
    }
    for (index, target) in spec.target_refs.iter().enumerate() {
        self::target(target, &format!("spec.targetRefs[{index}]"), check);
    }
    if spec.rules.is_empty() {
        check.error("spec.rules", "a limit without rules limits nothing");
    }
    for (index, one) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        rule(one, &path, check);
        let same = |other: &LimitRule| !one.name.is_empty() && other.name == one.name;
        if spec.rules[..index].iter().any(same) {
            check.error(format!("{path}.name"), format!("Duplicate value: {:?}", one.name));
        }
    }
}

fn target(target: &LimitTarget, path: &str, check: &mut Check<'_>) {
    if !target.kind.is_empty() && !TARGETS.contains(&target.kind.as_str()) {
        let message = format!("Unsupported value: {:?}: supported values: {}", target.kind, TARGETS.join(", "));
        check.error(format!("{path}.kind"), message);
    }
    if target.kind == "Gateway" && !target.section_name.is_empty() {
        check.error(format!("{path}.sectionName"), "a limit is for all listeners of a Gateway");
    }
}

fn rule(rule: &LimitRule, path: &str, check: &mut Check<'_>) {
    if rule.requests == 0 {
        let remedy = "refuse requests with an AuthorizationPolicy or a directResponse instead";
        check.error_with(
            format!("{path}.requests"),
            "Invalid value: 0: at least one request must be let through",
            remedy,
        );
    }
    check.positive_time(format!("{path}.interval"), rule.interval);
    if rule.status != 0 && !(400..=599).contains(&rule.status) {
        check.error(format!("{path}.status"), format!("Invalid value: {}: must be between 400-599", rule.status));
    }
    if rule.max_buckets > MAX_BUCKETS {
        let message = format!("Invalid value: {}: at most {MAX_BUCKETS} buckets", rule.max_buckets);
        check.error(format!("{path}.maxBuckets"), message);
    }
    for (index, key) in rule.per.iter().enumerate() {
        let at = format!("{path}.per[{index}]");
        match limit_key(key) {
            None => check.error_with(
                at,
                format!("Invalid value: unknown attribute {key:?}"),
                "use source.principal, source.namespace, source.ip, remote.ip, request.headers[NAME], request.host, request.method, request.path or route",
            ),
            Some(wattle_contract::route::RateLimitKey::Header(name)) if !is_header_name(&name) => {
                check.error(at, format!("Invalid value: {name:?} is no header"));
            }
            Some(_) if rule.per[..index].contains(key) => check.error(at, format!("Duplicate value: {key:?}")),
            Some(_) => {}
        }
    }
    for (index, one) in rule.matches.iter().enumerate() {
        let at = format!("{path}.match[{index}]");
        let lone = [("uri", &one.uri), ("method", &one.method), ("authority", &one.authority)];
        for (field, value) in lone.into_iter().filter_map(|(field, value)| Some((field, value.as_ref()?))) {
            text(value, &format!("{at}.{field}"), check);
        }
        let maps =
            [("headers", &one.headers), ("withoutHeaders", &one.without_headers), ("queryParams", &one.query_params)];
        for (field, map) in maps {
            for (name, value) in map {
                let mut path = format!("{at}.{field}");
                crate::yaml::push_key(&mut path, name);
                if field != "queryParams" && !is_header_name(name) {
                    check.error(&path, format!("Invalid value: {name:?} is no header"));
                }
                text(value, &path, check);
            }
        }
    }
}

fn text(value: &StringMatch, path: &str, check: &mut Check<'_>) {
    if let Some(regex) = &value.regex {
        check.regex(format!("{path}.regex"), regex);
    }
}

/// Checks a HealthCheck.
pub(super) fn health_check(spec: &HealthCheck, check: &mut Check<'_>) {
    if !spec.host.is_empty() && !is_host(&spec.host) {
        check.error("spec.host", format!("Invalid value: {:?} is no host", spec.host));
    }
    if spec.http.is_none() && spec.tcp.is_none() && spec.grpc.is_none() {
        check.error_with(
            "spec",
            "one of http, tcp and grpc must be set",
            "write `tcp: {}` to ask for a connection only",
        );
    }
    if let Some(http) = &spec.http
        && !http.path.is_empty()
        && !http.path.starts_with('/')
    {
        check.error("spec.http.path", format!("Invalid value: {:?}: a path begins with /", http.path));
    }
    for (index, port) in spec.ports.iter().enumerate() {
        check.port(format!("spec.ports[{index}]"), *port);
    }
    if spec.check_port != 0 {
        check.port("spec.checkPort", spec.check_port);
    }
    check.positive_time("spec.interval", spec.interval);
    check.positive_time("spec.timeout", spec.timeout);
    check.export_to("spec.exportTo", &spec.export_to, false);
}

//! Rules of one HTTP rule of a VirtualService.

use std::collections::BTreeMap;

use super::check::{Check, is_header_name};
use super::fields::{destination, weights};
use crate::compile::claim_path;
use crate::compile::{grpc_status, retry_on};
use crate::finding::rules;
use crate::kinds::virtual_service::{
    CorsPolicy, Headers, HttpDirectResponse, HttpFaultInjection, HttpMatchRequest, HttpRedirect, HttpRetry, HttpRoute,
    StringMatch,
};

/// Envoy's bound on a fixed answer.
const MAX_BODY: usize = 1 << 20;
/// Above this a fixed answer costs every proxy memory.
const LARGE_BODY: usize = 100 << 10;

/// Checks one rule.
pub(super) fn check(route: &HttpRoute, path: &str, in_delegate: bool, check: &mut Check<'_>) {
    actions(route, path, in_delegate, check);
    for (index, one) in route.matches.iter().enumerate() {
        matches(one, &format!("{path}.match[{index}]"), in_delegate, check);
    }
    headers(route.headers.as_ref(), &format!("{path}.headers"), check);
    for (index, one) in route.route.iter().enumerate() {
        let at = format!("{path}.route[{index}]");
        destination(check, &format!("{at}.destination"), one.destination.as_ref());
        headers(one.headers.as_ref(), &format!("{at}.headers"), check);
    }
    let shares: Vec<i32> = route.route.iter().map(|one| one.weight).collect();
    weights(check, &format!("{path}.route"), &shares);
    mirrors(route, path, check);
    fault(route.fault.as_ref(), &format!("{path}.fault"), check);
    cors(route.cors_policy.as_ref(), &format!("{path}.corsPolicy"), check);
    retries(route.retries.as_ref(), &format!("{path}.retries"), check);
    check.millisecond(format!("{path}.timeout"), route.timeout);
    rewrite(route, path, check);
}

/// Checks that there is one action, and nothing beside it that it excludes.
fn actions(route: &HttpRoute, path: &str, in_delegate: bool, check: &mut Check<'_>) {
    let given = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let named: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match named.as_slice() {
        [] => check.error(path, "HTTP route, redirect, direct_response or delegate is required"),
        [_] => {}
        [first, second, ..] => check.error(path, format!("HTTP route cannot contain both {first} and {second}")),
    }
    if let Some(redirect) = &route.redirect {
        if route.fault.is_some() {
            check.error(format!("{path}.fault"), "HTTP route cannot contain both fault and redirect");
        }
        if route.rewrite.is_some() {
            check.error(format!("{path}.rewrite"), "HTTP route rule cannot contain both rewrite and redirect");
        }
        redirection(redirect, route, path, check);
    }
    if let Some(response) = &route.direct_response {
        if route.rewrite.is_some() {
            check.error(format!("{path}.rewrite"), "HTTP route rule cannot contain both rewrite and direct_response");
        }
        direct(response, &format!("{path}.directResponse"), check);
    }
    if let Some(delegate) = &route.delegate {
        if in_delegate {
            check.error(format!("{path}.delegate"), "a delegate cannot delegate");
        }
        if delegate.name.is_empty() {
            check.error(format!("{path}.delegate.name"), "Required value");
        }
    }
}

fn redirection(redirect: &HttpRedirect, route: &HttpRoute, path: &str, check: &mut Check<'_>) {
    let at = format!("{path}.redirect");
    let empty = redirect.uri.is_empty()
        && redirect.authority.is_empty()
        && redirect.scheme.is_empty()
        && redirect.prefix_rewrite.is_empty()
        && redirect.port.is_none();
    if empty && redirect.redirect_code == 0 {
        check.error(&at, "redirect must specify URI, authority, scheme, or port");
    }
    if redirect.redirect_code != 0 && !(300..=399).contains(&redirect.redirect_code) {
        check.error(
            format!("{at}.redirectCode"),
            format!("Invalid value: {} is not a 3xx status", redirect.redirect_code),
        );
    } else if !matches!(redirect.redirect_code, 0 | 301 | 302 | 303 | 307 | 308) {
        check.advise(format!("{at}.redirectCode"), format!("{} has no effect: 301 is sent", redirect.redirect_code));
    }
    if let Some(port) = redirect.port {
        check.port(format!("{at}.port"), port);
    }
    if !redirect.scheme.is_empty() && !matches!(redirect.scheme.as_str(), "http" | "https") {
        check.error(format!("{at}.scheme"), format!("Invalid value: {:?}: use http or https", redirect.scheme));
    }
    let all_prefixes = !route.matches.is_empty()
        && route.matches.iter().all(|one| one.uri.as_ref().is_some_and(|uri| uri.prefix.is_some()));
    if !redirect.prefix_rewrite.is_empty() && (!all_prefixes || !redirect.uri.is_empty()) {
        check.error(
            format!("{at}.prefixRewrite"),
            "Invalid value: it needs prefix matches throughout, and excludes uri",
        );
    }
}

fn direct(response: &HttpDirectResponse, path: &str, check: &mut Check<'_>) {
    if !(200..=599).contains(&response.status) {
        check.error(
            format!("{path}.status"),
            format!("Invalid value: {}: HTTP status must be in range 200..599", response.status),
        );
    }
    let body = response.body.as_ref();
    let size = body.and_then(|body| body.string.as_ref().or(body.bytes.as_ref())).map_or(0, String::len);
    if size > MAX_BODY {
        check.error(format!("{path}.body"), format!("large direct_responses may not exceed 1MiB: {size} bytes"));
    } else if size > LARGE_BODY {
        check.advise(format!("{path}.body"), format!("a body of {size} bytes is kept by every proxy"));
    }
}

fn matches(one: &HttpMatchRequest, path: &str, in_delegate: bool, check: &mut Check<'_>) {
    if *one == HttpMatchRequest::default() {
        check.advise(path, "this match has no condition: it takes every request");
    }
    for (name, text) in
        [("uri", &one.uri), ("scheme", &one.scheme), ("method", &one.method), ("authority", &one.authority)]
    {
        if let Some(text) = text {
            string_match(text, &format!("{path}.{name}"), false, check);
        }
    }
    for (field, map) in [("headers", &one.headers), ("withoutHeaders", &one.without_headers)] {
        for (name, text) in map {
            let mut at = format!("{path}.{field}");
            crate::yaml::push_key(&mut at, name);
            if !is_header_name(name) && !name.starts_with("@request.auth.claims") {
                check.error(&at, format!("Invalid value: {name:?} is not a valid header name"));
            }
            if name.starts_with("@request.auth.claims") && claim_path(name).is_none() {
                let remedy = "write @request.auth.claims.NAME, or @request.auth.claims[NAME][NAME] for nested claims";
                check.error_with(&at, format!("Invalid value: {name:?} names no claim"), remedy);
            }
            string_match(text, &at, true, check);
        }
    }
    for (name, text) in &one.query_params {
        let mut at = format!("{path}.queryParams");
        crate::yaml::push_key(&mut at, name);
        string_match(text, &at, true, check);
    }
    if one.port != 0 {
        check.port(format!("{path}.port"), one.port);
    }
    if in_delegate && !one.gateways.is_empty() {
        check.advise(format!("{path}.gateways"), "gateways of a delegate's match have no effect: the root's count");
    }
}

fn string_match(text: &StringMatch, path: &str, may_be_empty: bool, check: &mut Check<'_>) {
    if let Some(prefix) = &text.prefix
        && prefix.is_empty()
    {
        check.error(format!("{path}.prefix"), "Invalid value: prefix match may not be empty");
    }
    if let Some(regex) = &text.regex {
        if *regex == "*" && may_be_empty {
            return;
        }
        check.regex(format!("{path}.regex"), regex);
    }
}

fn headers(headers: Option<&Headers>, path: &str, check: &mut Check<'_>) {
    let Some(headers) = headers else { return };
    for (side, operations) in [("request", &headers.request), ("response", &headers.response)] {
        let Some(operations) = operations else { continue };
        let map = |check: &mut Check<'_>, field: &str, map: &BTreeMap<String, String>| {
            for name in map.keys() {
                let mut at = format!("{path}.{side}.{field}");
                crate::yaml::push_key(&mut at, name);
                let authority = name == ":authority" && side == "request" && field == "set";
                if name.starts_with(':') && !authority {
                    check.error(
                        at,
                        format!("Invalid value: {name:?}: ':' headers cannot be changed, except :authority with set"),
                    );
                } else if !authority && !is_header_name(name) {
                    check.error(at, format!("Invalid value: {name:?} is not a valid header name"));
                } else if name.eq_ignore_ascii_case("host") && field == "add" {
                    check.error(at, "Invalid value: \"Host\" cannot be added: use set");
                }
            }
        };
        map(check, "set", &operations.set);
        map(check, "add", &operations.add);
        for (index, name) in operations.remove.iter().enumerate() {
            if !is_header_name(name) || name.eq_ignore_ascii_case("host") {
                check.error(
                    format!("{path}.{side}.remove[{index}]"),
                    format!("Invalid value: {name:?} cannot be removed"),
                );
            }
        }
    }
}

fn mirrors(route: &HttpRoute, path: &str, check: &mut Check<'_>) {
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        check.error(format!("{path}.mirrors"), "HTTP route cannot contain both mirror and mirrors");
    }
    destination(check, &format!("{path}.mirror"), route.mirror.as_ref());
    if let Some(percent) = route.mirror_percent {
        check.percent(format!("{path}.mirrorPercent"), f64::from(percent));
        let rule = rules::DEPRECATED_FIELD;
        check.warn(rule, format!("{path}.mirrorPercent"), "mirrorPercent is deprecated", "use mirrorPercentage");
    }
    if let Some(percent) = &route.mirror_percentage {
        check.percent(format!("{path}.mirrorPercentage.value"), percent.value);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        let at = format!("{path}.mirrors[{index}]");
        destination(check, &format!("{at}.destination"), mirror.destination.as_ref());
        if let Some(percent) = &mirror.percentage {
            check.percent(format!("{at}.percentage.value"), percent.value);
        }
    }
}

fn fault(fault: Option<&HttpFaultInjection>, path: &str, check: &mut Check<'_>) {
    let Some(fault) = fault else { return };
    if fault.delay.is_none() && fault.abort.is_none() {
        check.error(path, "HTTP fault injection must have an abort and/or a delay");
    }
    if let Some(delay) = &fault.delay {
        check.percent(format!("{path}.delay.percent"), f64::from(delay.percent));
        if let Some(percent) = &delay.percentage {
            check.percent(format!("{path}.delay.percentage.value"), percent.value);
        }
        check.positive_time(format!("{path}.delay.fixedDelay"), delay.fixed_delay);
        if delay.percent != 0 {
            let at = format!("{path}.delay.percent");
            check.warn(rules::DEPRECATED_FIELD, at, "percent is deprecated", "use percentage");
        }
    }
    if let Some(abort) = &fault.abort {
        if let Some(percent) = &abort.percentage {
            check.percent(format!("{path}.abort.percentage.value"), percent.value);
        }
        match (abort.http_status, abort.grpc_status.as_deref()) {
            (Some(status), _) if !(200..=599).contains(&status) => {
                let message = format!("Invalid value: {status}: HTTP status must be in range 200..599");
                check.error(format!("{path}.abort.httpStatus"), message);
            }
            (None, Some(name)) if grpc_status(name).is_none() => {
                check.error(format!("{path}.abort.grpcStatus"), format!("Invalid value: {name:?} is no gRPC status"));
            }
            (None, None) if abort.http2_error.is_none() => {
                check.advise(format!("{path}.abort"), "an abort without a status aborts nothing")
            }
            _ => {}
        }
    }
}

fn cors(policy: Option<&CorsPolicy>, path: &str, check: &mut Check<'_>) {
    let Some(policy) = policy else { return };
    if !policy.allow_origin.is_empty() {
        check.warn(
            rules::DEPRECATED_FIELD,
            format!("{path}.allowOrigin"),
            "allowOrigin is deprecated",
            "use allowOrigins",
        );
    }
    for (index, origin) in policy.allow_origins.iter().enumerate() {
        string_match(origin, &format!("{path}.allowOrigins[{index}]"), false, check);
    }
    const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];
    for (index, method) in policy.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            check.error(
                format!("{path}.allowMethods[{index}]"),
                format!("Invalid value: {method:?} is not a supported HTTP method"),
            );
        }
    }
    for (field, names) in [("allowHeaders", &policy.allow_headers), ("exposeHeaders", &policy.expose_headers)] {
        for (index, name) in names.iter().enumerate() {
            if !is_header_name(name) {
                check.error(
                    format!("{path}.{field}[{index}]"),
                    format!("Invalid value: {name:?} is not a valid header name"),
                );
            }
        }
    }
    if let Some(age) = policy.max_age
        && age.0.subsec_nanos() != 0
    {
        check.error(format!("{path}.maxAge"), "Invalid value: max_age duration is accurate only to seconds precision");
    }
}

fn retries(retries: Option<&HttpRetry>, path: &str, check: &mut Check<'_>) {
    let Some(retries) = retries else { return };
    if retries.attempts < 0 {
        check.error(
            format!("{path}.attempts"),
            format!("Invalid value: {}: attempts cannot be negative", retries.attempts),
        );
    }
    if retries.attempts == 0 && (!retries.retry_on.is_empty() || retries.per_try_timeout.is_some()) {
        check.error_with(
            path,
            "http retry policy configured when attempts are set to 0 (disabled)",
            "set attempts, or remove the rest",
        );
    }
    check.millisecond(format!("{path}.perTryTimeout"), retries.per_try_timeout);
    check.millisecond(format!("{path}.backoff"), retries.backoff);
    for word in retry_on(&retries.retry_on).1 {
        check.error(format!("{path}.retryOn"), format!("Invalid value: {word:?} is not a valid retryOn policy"));
    }
}

fn rewrite(route: &HttpRoute, path: &str, check: &mut Check<'_>) {
    let Some(rewrite) = &route.rewrite else { return };
    let at = format!("{path}.rewrite");
    if rewrite.uri.is_empty() && rewrite.authority.is_empty() && rewrite.uri_regex_rewrite.is_none() {
        check.error(&at, "rewrite must specify URI, UriRegexRewrite, or authority");
    }
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        if !rewrite.uri.is_empty() {
            check.error(&at, "rewrite may only contain one of URI or UriRegexRewrite");
        }
        check.regex(format!("{at}.uriRegexRewrite.match"), &regex.matches);
    }
}

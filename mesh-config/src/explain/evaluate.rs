//! A request against compiled routes, with the reason where they do not fit.

use std::sync::Arc;

use wattle_contract::route::{
    Action, DomainMatch, HeaderMatch, HttpMatch, PathMatch, QueryMatch, RetryOn, Route, StringMatch, VirtualHost,
};

use super::RequestDescription;

/// Finds the host with the most specific domain.
pub(super) fn best_host<'a>(hosts: &'a [Arc<VirtualHost>], name: &str) -> Option<&'a VirtualHost> {
    let rank = |domain: &DomainMatch| match domain {
        DomainMatch::Exact(exact) if exact.eq_ignore_ascii_case(name) => Some((2, exact.len())),
        DomainMatch::Suffix(suffix) if name.len() > suffix.len() && name.ends_with(suffix.as_str()) => {
            Some((1, suffix.len()))
        }
        DomainMatch::Any => Some((0, 0)),
        _ => None,
    };
    let ranked = hosts.iter().filter_map(|host| Some((host.domains.iter().filter_map(rank).max()?, host)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, host)| host.as_ref())
}

/// Says why a route does not take a request; `None` when it does.
pub(super) fn mismatch(route: &Route, request: &RequestDescription) -> Option<String> {
    if route.matches.is_empty() {
        return None;
    }
    let mut reasons = Vec::new();
    for one in &route.matches {
        reasons.push(condition(one, request)?);
    }
    Some(reasons.join("; "))
}

/// Says why an alternative does not take a request; `None` when it does.
pub(super) fn condition(one: &HttpMatch, request: &RequestDescription) -> Option<String> {
    if let Some(wanted) = one.path.as_ref().filter(|wanted| !path_fits(wanted, &request.path, one.ignore_path_case)) {
        return Some(format!("path {:?} is not {}", request.path, path_text(wanted)));
    }
    let texts = [
        ("method", &one.method, &request.method),
        ("scheme", &one.scheme, &request.scheme),
        ("authority", &one.authority, &request.host),
    ];
    for (name, wanted, given) in texts {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| !text_fits(wanted, given)) {
            return Some(format!("{name} {given:?} is not {}", match_text(wanted)));
        }
    }
    let header = one.headers.iter().find(|header| !header_fits(header, request)).map(|header| {
        let given = value_of(request, &header.name).map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
        let not = if header.invert { "must not be" } else { "is not" };
        format!("header {} ({given}) {not} {}", header.name, match_text(&header.value))
    });
    header
        .or_else(|| {
            one.query
                .iter()
                .find(|query| !query_fits(query, request))
                .map(|query| format!("query parameter {} is not {}", query.name, match_text(&query.value)))
        })
        .or_else(|| {
            // No token is known here: nothing is known of its claims.
            let claim = one.claims.iter().find(|claim| !claim.invert)?;
            Some(format!("claim {} of a token is not {}", claim.path.join("."), match_text(&claim.value)))
        })
}

fn value_of<'a>(request: &'a RequestDescription, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

fn header_fits(header: &HeaderMatch, request: &RequestDescription) -> bool {
    value_of(request, &header.name).is_some_and(|value| text_fits(&header.value, value)) != header.invert
}

fn query_fits(query: &QueryMatch, request: &RequestDescription) -> bool {
    let mut pairs = request.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(name, _)| *name == query.name).is_some_and(|(_, value)| text_fits(&query.value, value))
}

fn path_fits(wanted: &PathMatch, path: &str, ignore_case: bool) -> bool {
    let fold = |text: &str| if ignore_case { text.to_lowercase() } else { text.to_owned() };
    match wanted {
        PathMatch::Exact(exact) => fold(exact) == fold(path),
        PathMatch::Prefix(prefix) => fold(path).starts_with(&fold(prefix)),
        PathMatch::PathElements(prefix) => {
            let (path, prefix) = (fold(path), fold(prefix.trim_end_matches('/')));
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(regex) => whole(regex, path),
    }
}

/// Matches text against a condition.
pub(super) fn text_fits(wanted: &StringMatch, given: &str) -> bool {
    match wanted {
        StringMatch::Exact(exact) => exact == given,
        StringMatch::Prefix(prefix) => given.starts_with(prefix.as_str()),
        StringMatch::Suffix(suffix) => given.ends_with(suffix.as_str()),
        StringMatch::Regex(regex) => whole(regex, given),
        StringMatch::Present => true,
    }
}

fn whole(expression: &str, text: &str) -> bool {
    regex::Regex::new(&format!("^(?:{expression})$")).is_ok_and(|regex| regex.is_match(text))
}

fn path_text(wanted: &PathMatch) -> String {
    match wanted {
        PathMatch::Exact(text) => format!("exactly {text:?}"),
        PathMatch::Prefix(text) => format!("beginning with {text:?}"),
        PathMatch::PathElements(text) => format!("{text:?} or below"),
        PathMatch::Regex(text) => format!("matched by {text:?}"),
    }
}

fn match_text(wanted: &StringMatch) -> String {
    match wanted {
        StringMatch::Exact(text) => format!("exactly {text:?}"),
        StringMatch::Prefix(text) => format!("beginning with {text:?}"),
        StringMatch::Suffix(text) => format!("ending with {text:?}"),
        StringMatch::Regex(text) => format!("matched by {text:?}"),
        StringMatch::Present => "present".to_owned(),
    }
}

/// Says what a route does with a request.
pub(super) fn outcome(route: &Route, request: &RequestDescription) -> String {
    let fault = route.fault.as_ref().map_or("", |_| ", after injected faults");
    match &route.action {
        Action::Forward(clusters) if clusters.is_empty() => "answered 503: the rule has no destination".to_owned(),
        Action::Forward(clusters) => {
            let names: Vec<String> = clusters.iter().map(|one| one.cluster.to_string()).collect();
            let path = route
                .rewrite
                .as_ref()
                .and_then(|rewrite| rewrite.path.as_ref())
                .map_or_else(String::new, |path| format!(" (path rewritten to {path})"));
            format!("{} {} is sent to {}{path}{fault}", request.method, request.path, names.join(" or "))
        }
        Action::Redirect(redirect) => format!("answered {} with a redirect", redirect.status),
        Action::Direct(response) => format!("answered {} by the proxy itself", response.status),
    }
}

/// Writes what is retried as the words of `retryOn`.
pub(super) fn retry_words(on: &RetryOn) -> String {
    let words = [
        (on.connect_failure, "connect-failure"),
        (on.refused_stream, "refused-stream"),
        (on.reset, "reset"),
        (on.reset_before_request, "reset-before-request"),
        (on.server_error, "5xx"),
        (on.gateway_error, "gateway-error"),
        (on.retriable_4xx, "retriable-4xx"),
    ];
    let mut given: Vec<String> = words.iter().filter(|(given, _)| *given).map(|(_, word)| (*word).to_owned()).collect();
    given.extend(on.statuses.iter().map(u16::to_string));
    given.extend(on.grpc.iter().map(|status| format!("grpc {status}")));
    given.join(",")
}

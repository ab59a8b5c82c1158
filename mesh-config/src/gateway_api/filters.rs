//! Filters of a rule as the settings of an HTTP rule of a VirtualService.

use super::backends;
use crate::decode::Time;
use crate::documents::Documents;
use crate::kinds::gateway_api::{
    CorsFilter, Filter, HeaderModifier, HttpRule, MirrorFilter, RedirectFilter, RewriteFilter,
};
use crate::kinds::virtual_service::{
    CorsPolicy, HeaderOperations, Headers, HttpMirrorPolicy, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute, Percent,
    RedirectPortSelection, RegexRewrite, StringMatch, UnmatchedPreflights,
};
use crate::resource::Resource;

/// What an origin looks like: for `*`, which may stand for any of them.
const ANY_ORIGIN: &str = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$";

/// Joins header modifiers.
pub(super) fn header_operations<'a>(modifiers: impl Iterator<Item = &'a HeaderModifier>) -> Option<HeaderOperations> {
    let mut joined = HeaderOperations::default();
    for modifier in modifiers {
        joined.set.extend(modifier.set.iter().map(|one| (one.name.clone(), one.value.clone())));
        joined.add.extend(modifier.add.iter().map(|one| (one.name.clone(), one.value.clone())));
        joined.remove.extend(modifier.remove.iter().cloned());
    }
    Some(joined).filter(|joined| *joined != HeaderOperations::default())
}

/// Puts the filters of a rule into the translated rule.
pub(super) fn apply(documents: &Documents, route: &Resource, filters: &[Filter], made: &mut HttpRoute) {
    let headers = Headers {
        request: header_operations(filters.iter().filter_map(|filter| filter.request_header_modifier.as_ref())),
        response: header_operations(filters.iter().filter_map(|filter| filter.response_header_modifier.as_ref())),
    };
    made.headers = Some(headers).filter(|headers| *headers != Headers::default());
    for filter in filters {
        if let Some(redirect) = &filter.request_redirect {
            made.redirect = Some(redirection(redirect));
        }
        if let Some(rewrite) = &filter.url_rewrite {
            made.rewrite = rewriting(rewrite);
        }
        if let Some(mirror) = &filter.request_mirror {
            made.mirrors.extend(mirroring(documents, route, mirror));
        }
        if let Some(policy) = &filter.cors {
            made.cors_policy = Some(cors(policy));
        }
    }
}

fn redirection(filter: &RedirectFilter) -> HttpRedirect {
    let path = filter.path.as_ref();
    let derive_port = match (filter.port, filter.scheme.is_empty()) {
        (0, false) => RedirectPortSelection::FromProtocolDefault,
        (0, true) => RedirectPortSelection::FromRequestPort,
        _ => RedirectPortSelection::Absent,
    };
    HttpRedirect {
        scheme: filter.scheme.clone(),
        authority: filter.hostname.clone(),
        port: Some(filter.port).filter(|port| *port != 0),
        derive_port,
        redirect_code: if filter.status_code == 0 { 302 } else { filter.status_code },
        uri: path.and_then(|path| path.replace_full_path.clone()).unwrap_or_default(),
        prefix_rewrite: path.and_then(|path| path.replace_prefix_match.clone()).unwrap_or_default(),
    }
}

fn rewriting(filter: &RewriteFilter) -> Option<HttpRewrite> {
    let mut rewrite = HttpRewrite { authority: filter.hostname.clone(), ..HttpRewrite::default() };
    if let Some(path) = &filter.path {
        if let Some(full) = &path.replace_full_path {
            rewrite.uri_regex_rewrite = Some(RegexRewrite { matches: "/.*".to_owned(), rewrite: full.clone() });
        } else if let Some(prefix) = &path.replace_prefix_match {
            let trimmed = prefix.trim_end_matches('/');
            rewrite.uri = if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() };
        }
    }
    Some(rewrite).filter(|rewrite| *rewrite != HttpRewrite::default())
}

fn mirroring(documents: &Documents, route: &Resource, filter: &MirrorFilter) -> Option<HttpMirrorPolicy> {
    let share = match (filter.percent, &filter.fraction) {
        (Some(percent), _) => f64::from(percent),
        (None, Some(fraction)) => {
            f64::from(fraction.numerator) * 100.0 / f64::from(fraction.denominator.unwrap_or(100).max(1))
        }
        (None, None) => 100.0,
    };
    let destination = backends::mirror(documents, route, filter.backend_ref.as_ref()?);
    Some(HttpMirrorPolicy { destination: Some(destination), percentage: Some(Percent { value: share }) })
}

fn cors(filter: &CorsFilter) -> CorsPolicy {
    let origin = |text: &String| match text.as_str() {
        "*" => StringMatch { regex: Some(ANY_ORIGIN.to_owned()), ..StringMatch::default() },
        text if text.contains('*') => {
            let parts: Vec<String> = text.split('*').map(regex::escape).collect();
            StringMatch { regex: Some(format!("^{}$", parts.join(".*"))), ..StringMatch::default() }
        }
        text => StringMatch { exact: Some(text.to_owned()), ..StringMatch::default() },
    };
    CorsPolicy {
        allow_origins: filter.allow_origins.iter().map(origin).collect(),
        allow_credentials: filter.allow_credentials,
        allow_methods: filter.allow_methods.clone(),
        allow_headers: filter.allow_headers.clone(),
        expose_headers: filter.expose_headers.clone(),
        max_age: (filter.max_age != 0).then(|| Time(std::time::Duration::from_secs(u64::from(filter.max_age)))),
        unmatched_preflights: UnmatchedPreflights::Ignore,
        ..CorsPolicy::default()
    }
}

/// Puts timeouts and retries of a rule into the translated rule.
pub(super) fn bounds(rule: &HttpRule, made: &mut HttpRoute) {
    let timeouts = rule.timeouts.as_ref();
    let request = timeouts.and_then(|timeouts| timeouts.request);
    let backend = timeouts.and_then(|timeouts| timeouts.backend_request).filter(|time| !time.0.is_zero());
    // Without tries to bound, the bound on one try is the bound on the whole.
    made.timeout = if rule.retry.is_some() { request } else { backend.or(request) };
    if let Some(retry) = &rule.retry {
        let mut words = crate::compile::DEFAULT_RETRY_ON.to_owned();
        for code in &retry.codes {
            words.push_str(&format!(",{code}"));
        }
        made.retries = Some(HttpRetry {
            attempts: retry.attempts.unwrap_or(2),
            backoff: retry.backoff,
            retry_on: words,
            per_try_timeout: backend,
            ..HttpRetry::default()
        });
    }
}

//! What a proxy asks of the requests that come to it, beside its policies: tokens and limits.

use std::sync::Arc;

use wattle_contract::route::{JwtKeys, JwtRule, RateLimit, RateLimitKey, TokenLocation};

use super::{RequestDescription, evaluate};

/// Says which tokens are looked for, and which limits count the request.
pub(super) fn lines(tokens: &[JwtRule], limits: &[Arc<RateLimit>], request: &RequestDescription) -> Vec<String> {
    let tokens = tokens.iter().map(token);
    let counted = limits.iter().filter(|limit| {
        limit.matches.is_empty() || limit.matches.iter().any(|one| evaluate::condition(one, request).is_none())
    });
    tokens.chain(counted.map(|limit| self::limit(limit))).collect()
}

fn token(rule: &JwtRule) -> String {
    let places: Vec<String> = rule
        .locations
        .iter()
        .map(|place| match place {
            TokenLocation::Header { name, .. } => format!("header {name}"),
            TokenLocation::QueryParameter(name) => format!("query parameter {name}"),
            TokenLocation::Cookie(name) => format!("cookie {name}"),
        })
        .collect();
    let keys = match &rule.keys {
        JwtKeys::Inline(_) => "keys in the resource".to_owned(),
        JwtKeys::Remote { url, .. } => format!("keys of {url}"),
        JwtKeys::Discovery { .. } => "keys by discovery".to_owned(),
    };
    let issuer = if rule.issuer.is_empty() { "any issuer" } else { &rule.issuer };
    format!(
        "tokens of {issuer} in {} ({}, {keys}): a bad one is answered 401, none at all passes",
        places.join(", "),
        rule.name
    )
}

/// Says what a limit lets through.
pub(super) fn limit(limit: &RateLimit) -> String {
    let keys: Vec<String> = limit.keys.iter().map(key).collect();
    let each = if keys.is_empty() { String::new() } else { format!(" for each {}", keys.join(" and ")) };
    let dry = if limit.dry_run { " (dry run)" } else { "" };
    format!(
        "rate limit {}: {} requests in {} s{each}, bursts of {}, then {}; counted by each proxy for itself{dry}",
        limit.name,
        limit.requests,
        limit.interval.as_secs_f64(),
        limit.burst,
        limit.status
    )
}

fn key(key: &RateLimitKey) -> String {
    match key {
        RateLimitKey::SourcePrincipal => "source.principal".to_owned(),
        RateLimitKey::SourceNamespace => "source.namespace".to_owned(),
        RateLimitKey::SourceAddress => "source.ip".to_owned(),
        RateLimitKey::RemoteAddress => "remote.ip".to_owned(),
        RateLimitKey::Header(name) => format!("header {name}"),
        RateLimitKey::Host => "host".to_owned(),
        RateLimitKey::Method => "method".to_owned(),
        RateLimitKey::Path => "path".to_owned(),
        RateLimitKey::Route => "route".to_owned(),
    }
}

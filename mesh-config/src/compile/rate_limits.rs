//! RateLimit: which limits hold for a workload, and which for a route.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::ProxyMode;
use wattle_contract::route::{RateLimit as Compiled, RateLimitKey};

use super::matching::{MESH_SITE, conditions};
use super::{Context, policies};
use crate::documents::Documents;
use crate::kinds::rate_limit::{LimitMatch, LimitRule, LimitTarget, RateLimit};
use crate::kinds::virtual_service::HttpMatchRequest;
use crate::resource::Resource;

/// Buckets of a limit that does not say.
const MAX_BUCKETS: u32 = 10_000;
/// Status of a limit that does not say (RFC 6585).
const TOO_MANY_REQUESTS: u16 = 429;

/// Limits on routes, by namespace and name of the resource that holds the routes.
#[derive(Debug, Default)]
pub(crate) struct RouteLimits(HashMap<(String, String), Vec<OfRoutes>>);

/// The limits of one resource on some routes.
#[derive(Debug)]
struct OfRoutes {
    kind: String,
    /// Name of the rule; empty means all rules.
    section: String,
    resource: Arc<Resource>,
    limits: Vec<Arc<Compiled>>,
}

impl RouteLimits {
    pub(super) fn build(documents: &Documents) -> Self {
        let mut all = Self::default();
        for (resource, spec) in documents.of::<RateLimit>() {
            for target in spec.target_refs.iter().filter(|target| is_of_routes(target)) {
                let made = OfRoutes {
                    kind: target.kind.clone(),
                    section: target.section_name.clone(),
                    resource: resource.clone(),
                    limits: limits(resource, spec),
                };
                all.0.entry((resource.namespace().to_owned(), target.name.clone())).or_default().push(made);
            }
        }
        all
    }

    /// Gives the limits on the rule of a resource.
    pub(super) fn of(&self, resource: &Resource, rule: &str) -> Vec<Arc<Compiled>> {
        let held = self.about(resource).filter(|one| one.section.is_empty() || one.section == rule);
        held.flat_map(|one| one.limits.iter().cloned()).collect()
    }

    /// Gives the resources that limit any rule of a resource.
    pub(super) fn resources(&self, resource: &Resource) -> Vec<Arc<Resource>> {
        self.about(resource).map(|one| one.resource.clone()).collect()
    }

    fn about<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = &'a OfRoutes> {
        // Most meshes have none: no key is made then.
        let found = (!self.0.is_empty())
            .then(|| self.0.get(&(resource.namespace().to_owned(), resource.name().to_owned())))
            .flatten();
        found.into_iter().flatten().filter(|one| one.kind == resource.kind.name())
    }
}

/// Says whether a target holds routes; a Gateway is a workload.
pub(crate) fn is_of_routes(target: &LimitTarget) -> bool {
    target.kind != "Gateway"
}

/// Gives the limits on the requests that come to the workload, the oldest first.
pub(super) fn of_workload(context: &Context<'_>) -> Vec<Arc<Compiled>> {
    let all = context.documents.of::<RateLimit>();
    all.filter(|(resource, spec)| holds(context, resource, spec))
        .flat_map(|(resource, spec)| limits(resource, spec))
        .collect()
}

fn holds(context: &Context<'_>, resource: &Resource, spec: &RateLimit) -> bool {
    if spec.target_refs.is_empty() {
        let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
        return policies::selects(context, resource, selector);
    }
    let named = |target: &LimitTarget| {
        !is_of_routes(target)
            && resource.namespace() == context.namespace()
            && context.client.mode == ProxyMode::Gateway
            && match target.group.as_str() {
                "networking.istio.io" => policies::gateway_selects(context, resource.namespace(), &target.name),
                _ => policies::serves(context, &target.name),
            }
    };
    spec.target_refs.iter().any(named)
}

fn limits(resource: &Resource, spec: &RateLimit) -> Vec<Arc<Compiled>> {
    let named = |(index, rule): (usize, &LimitRule)| {
        let own = if rule.name.is_empty() { index.to_string() } else { rule.name.clone() };
        Arc::new(limit([resource.namespace(), resource.name(), &own].join("/"), rule))
    };
    spec.rules.iter().enumerate().map(named).collect()
}

fn limit(name: String, rule: &LimitRule) -> Compiled {
    let requests = rule.requests.max(1);
    Compiled {
        name,
        matches: rule.matches.iter().map(|one| conditions(&request(one), MESH_SITE)).collect(),
        keys: rule.per.iter().filter_map(|key| limit_key(key)).collect(),
        requests,
        interval: rule.interval.map_or(Duration::from_secs(1), |time| time.0),
        burst: if rule.burst == 0 { requests } else { rule.burst },
        max_buckets: if rule.max_buckets == 0 { MAX_BUCKETS } else { rule.max_buckets },
        status: u16::try_from(rule.status).ok().filter(|status| *status > 0).unwrap_or(TOO_MANY_REQUESTS),
        dry_run: rule.dry_run,
    }
}

fn request(one: &LimitMatch) -> HttpMatchRequest {
    HttpMatchRequest {
        uri: one.uri.clone(),
        ignore_uri_case: one.ignore_uri_case,
        method: one.method.clone(),
        authority: one.authority.clone(),
        headers: one.headers.clone(),
        without_headers: one.without_headers.clone(),
        query_params: one.query_params.clone(),
        ..HttpMatchRequest::default()
    }
}

/// Reads what tells buckets apart, in the words of AuthorizationPolicy's conditions.
pub(crate) fn limit_key(text: &str) -> Option<RateLimitKey> {
    Some(match text {
        "source.principal" => RateLimitKey::SourcePrincipal,
        "source.namespace" => RateLimitKey::SourceNamespace,
        "source.ip" => RateLimitKey::SourceAddress,
        "remote.ip" => RateLimitKey::RemoteAddress,
        "request.host" => RateLimitKey::Host,
        "request.method" => RateLimitKey::Method,
        "request.path" => RateLimitKey::Path,
        "route" => RateLimitKey::Route,
        other => {
            let name = other.strip_prefix("request.headers[")?.strip_suffix(']')?;
            RateLimitKey::Header(name.to_lowercase())
        }
    })
}

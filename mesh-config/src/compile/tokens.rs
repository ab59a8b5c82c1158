//! RequestAuthentication: which tokens a workload accepts, and where it looks for them.

use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{ClaimHeader, JwtKeys, JwtRule, TokenLocation};

use super::{Context, policies};
use crate::kinds::request_authentication::{JwtRule as Written, RequestAuthentication};
use crate::resource::Resource;

/// Istio's bound on fetching keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Gives the rules of every RequestAuthentication that holds for the workload: all of them together, by issuer.
pub(super) fn of_workload(context: &Context<'_>) -> Vec<JwtRule> {
    let all = context.documents.of::<RequestAuthentication>();
    let held = all.filter(|(resource, spec)| {
        let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
        policies::concerns(context, resource, selector, &spec.target_refs, spec.target_ref.as_ref())
    });
    let mut rules: Vec<JwtRule> =
        held.flat_map(|(resource, spec)| spec.jwt_rules.iter().map(|one| rule(resource, one))).collect();
    // Stable: of one issuer the oldest resource's rule stays first.
    rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    rules
}

fn rule(resource: &Arc<Resource>, one: &Written) -> JwtRule {
    let timeout = super::actions::bound(one.timeout).unwrap_or(FETCH_TIMEOUT);
    let keys = if !one.jwks.is_empty() {
        JwtKeys::Inline(one.jwks.clone())
    } else if one.jwks_uri.is_empty() {
        JwtKeys::Discovery { timeout }
    } else {
        JwtKeys::Remote { url: one.jwks_uri.clone(), timeout }
    };
    let claims = one.output_claim_to_headers.iter();
    JwtRule {
        name: [resource.namespace(), resource.name()].join("/"),
        issuer: one.issuer.clone(),
        audiences: one.audiences.clone(),
        keys,
        locations: locations(one),
        forward: one.forward_original_token,
        payload_header: Some(one.output_payload_to_header.to_lowercase()).filter(|name| !name.is_empty()),
        claim_headers: claims
            .map(|one| ClaimHeader { header: one.header.to_lowercase(), claim: one.claim.clone() })
            .collect(),
        space_delimited_claims: one.space_delimited_claims.clone(),
    }
}

/// Gives the places where a token may stand; where none is named, Istio's two: `Authorization: Bearer` and `access_token`.
fn locations(one: &Written) -> Vec<TokenLocation> {
    let headers = one
        .from_headers
        .iter()
        .map(|header| TokenLocation::Header { name: header.name.to_lowercase(), prefix: header.prefix.clone() });
    let parameters = one.from_params.iter().cloned().map(TokenLocation::QueryParameter);
    let cookies = one.from_cookies.iter().cloned().map(TokenLocation::Cookie);
    let named: Vec<TokenLocation> = headers.chain(parameters).chain(cookies).collect();
    if !named.is_empty() {
        return named;
    }
    vec![
        TokenLocation::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
        TokenLocation::QueryParameter("access_token".to_owned()),
    ]
}

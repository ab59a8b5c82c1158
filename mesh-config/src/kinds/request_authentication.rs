//! RequestAuthentication: JSON web tokens.

use super::shared::{PolicyTargetReference, WorkloadSelector};
use crate::decode::{Time, message};

message! {
    /// Istio's `RequestAuthentication`.
    struct RequestAuthentication {
        selector: Option<WorkloadSelector> = "selector";
        target_ref: Option<PolicyTargetReference> = "targetRef";
        target_refs: Vec<PolicyTargetReference> = "targetRefs";
        jwt_rules: Vec<JwtRule> = "jwtRules";
    }

    /// Istio's `JWTRule`.
    struct JwtRule {
        issuer: String = "issuer";
        audiences: Vec<String> = "audiences";
        jwks_uri: String = "jwksUri" | "jwks_uri";
        jwks: String = "jwks";
        from_headers: Vec<JwtHeader> = "fromHeaders";
        from_params: Vec<String> = "fromParams";
        output_payload_to_header: String = "outputPayloadToHeader";
        from_cookies: Vec<String> = "fromCookies";
        forward_original_token: bool = "forwardOriginalToken";
        output_claim_to_headers: Vec<ClaimToHeader> = "outputClaimToHeaders";
        timeout: Option<Time> = "timeout";
        space_delimited_claims: Vec<String> = "spaceDelimitedClaims";
    }

    /// Istio's `JWTHeader`.
    struct JwtHeader {
        name: String = "name" required;
        prefix: String = "prefix";
    }

    /// Istio's `ClaimToHeader`.
    struct ClaimToHeader {
        header: String = "header" required;
        claim: String = "claim" required;
    }
}

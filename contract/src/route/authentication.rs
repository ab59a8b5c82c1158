//! Which tokens a workload accepts: RequestAuthentication, compiled.
//!
//! A request without any token passes: what it may do is for the policies to say. A request with a token that no rule
//! of its issuer accepts, or of an issuer without a rule, is answered with 401.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StringMatch;

/// How the tokens of one issuer are found and checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtRule {
    /// `namespace/name` of the resource.
    pub name: String,
    /// `iss` that the token must have; empty accepts any.
    pub issuer: String,
    /// `aud` of which the token must have one; empty accepts any.
    pub audiences: Vec<String>,
    /// Where the keys are that sign it.
    pub keys: JwtKeys,
    /// Where a token is looked for, in this order; all of them are looked at.
    pub locations: Vec<TokenLocation>,
    /// Whether the token stays in the request that is sent on.
    pub forward: bool,
    /// Header that is given the payload, in base64url; lower-case name.
    pub payload_header: Option<String>,
    /// Claims that become headers; a header of that name in the request is removed first.
    pub claim_headers: Vec<ClaimHeader>,
    /// Claims that are lists written as one text with spaces, beside `scope` and `permission`.
    pub space_delimited_claims: Vec<String>,
}

/// Where signing keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JwtKeys {
    /// A JSON Web Key Set, as it was written in the resource.
    Inline(String),
    /// A URL that gives one.
    Remote {
        /// Where to ask.
        url: String,
        /// Bound on asking.
        timeout: Duration,
    },
    /// The `jwks_uri` of what `ISSUER/.well-known/openid-configuration` gives.
    Discovery {
        /// Bound on asking, for each of the two requests.
        timeout: Duration,
    },
}

/// A place in a request where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLocation {
    /// A header.
    Header {
        /// Lower-case name.
        name: String,
        /// What stands before the token, such as `Bearer ` with its space; empty when nothing does.
        prefix: String,
    },
    /// A query parameter, by name.
    QueryParameter(String),
    /// A cookie, by name.
    Cookie(String),
}

/// A claim that becomes a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimHeader {
    /// Lower-case name of the header.
    pub header: String,
    /// The claim; names of nested claims are joined by dots.
    pub claim: String,
}

/// A condition on a claim of the verified token; without such a token nothing matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMatch {
    /// Names from the outermost object to the claim.
    pub path: Vec<String>,
    /// How its value, or one item of its list, must look.
    pub value: StringMatch,
    /// Turns the condition round (`withoutHeaders`).
    pub invert: bool,
}

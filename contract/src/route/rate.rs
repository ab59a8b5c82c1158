//! How many requests a proxy lets through: token buckets of its own, shared with no other proxy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HttpMatch;

/// One limit. Every limit that concerns a request must have a token for it; the first that has none answers.
///
/// A bucket holds at most `burst` tokens, begins full and gains `requests` tokens in every `interval`, evenly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// `namespace/name/rule`, for humans and metrics.
    pub name: String,
    /// Alternatives that say which requests are counted; empty means all.
    pub matches: Vec<HttpMatch>,
    /// What tells buckets apart: each combination of values has its own. Empty means one bucket for all.
    pub keys: Vec<RateLimitKey>,
    /// Tokens gained per interval. Range: 1 and above.
    pub requests: u32,
    /// The interval. Range: above zero.
    pub interval: Duration,
    /// Tokens that a bucket holds. Range: 1 and above.
    pub burst: u32,
    /// Bound on the number of buckets; values beyond share one more.
    pub max_buckets: u32,
    /// Status of the answer when there is no token. Range: 400..=599.
    pub status: u16,
    /// Counted and told, not enforced.
    pub dry_run: bool,
}

/// A value that tells buckets apart. A request without the value counts as having an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitKey {
    /// `trust-domain/ns/NAMESPACE/sa/ACCOUNT` of the peer certificate.
    SourcePrincipal,
    /// Namespace in the peer certificate.
    SourceNamespace,
    /// The peer's address, without port.
    SourceAddress,
    /// The client's address by X-Forwarded-For, as the proxy trusts it.
    RemoteAddress,
    /// A header, by lower-case name.
    Header(String),
    /// The authority, without port, in lower case.
    Host,
    /// The method.
    Method,
    /// The path, normalised, without query.
    Path,
    /// The route's name.
    Route,
}

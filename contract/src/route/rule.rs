//! What happens to a request that matched.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, HttpMatch, PercentMillionths, RateLimit, RetryPolicy, StringMatch};
use crate::ClusterName;

/// One rule of a virtual host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Name for humans and metrics.
    pub name: String,
    /// The resource it came from.
    pub source: RouteSource,
    /// Alternatives; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// What to do.
    pub action: Action,
    /// Changes to the request's path or authority.
    pub rewrite: Option<Rewrite>,
    /// Bound on the whole exchange, all tries and pauses included; `None` means none.
    pub timeout: Option<Duration>,
    /// Further tries; `None` means none.
    pub retries: Option<RetryPolicy>,
    /// Injected faults.
    pub fault: Option<Fault>,
    /// Copies of the request, never waited for.
    pub mirrors: Vec<Mirror>,
    /// Cross-origin policy.
    pub cors: Option<Cors>,
    /// Changes to the request's headers.
    pub request_headers: HeaderOperations,
    /// Changes to the response's headers.
    pub response_headers: HeaderOperations,
    /// Limits on the requests that take this route.
    pub rate_limits: Vec<Arc<RateLimit>>,
}

/// The resource a route came from, for explanations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSource {
    /// Kind, such as `VirtualService`; empty for what exists without a resource.
    pub kind: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// File it was read from; empty when it was not read from a file.
    pub file: String,
    /// Line in the file, counted from 1; 0 when unknown.
    pub line: u32,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send it on; one destination is drawn by weight.
    Forward(Vec<WeightedCluster>),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with this.
    Direct(DirectResponse),
}

/// A destination with its share of the requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedCluster {
    /// The destination.
    pub cluster: ClusterName,
    /// Relative weight; shares are relative to the sum over the route.
    pub weight: u32,
    /// Changes to the request's headers, after the route's own.
    pub request_headers: HeaderOperations,
    /// Changes to the response's headers, before the route's own.
    pub response_headers: HeaderOperations,
}

/// A redirect. What is `None` stays as the request had it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redirect {
    /// Status: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// New scheme.
    pub scheme: Option<String>,
    /// New authority, without port.
    pub authority: Option<String>,
    /// New port.
    pub port: RedirectPort,
    /// New path, whole.
    pub path: Option<String>,
    /// New text in place of the matched prefix; not together with `path`.
    pub prefix_rewrite: Option<String>,
}

/// The port in a redirect's location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectPort {
    /// The default of the scheme, left out.
    ProtocolDefault,
    /// The port the request came to.
    Request,
    /// This port.
    Number(u16),
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectResponse {
    /// Status. Range: 200..=599.
    pub status: u16,
    /// Body, at most 1 MiB.
    pub body: Vec<u8>,
}

/// Changes to path and authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// New path, or new text in place of the matched prefix.
    pub path: Option<String>,
    /// Expression and substitution (`\1` for groups) on the path.
    pub regex: Option<(String, String)>,
    /// New authority.
    pub authority: Option<String>,
}

/// Changes to headers: first removed, then set, then added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderOperations {
    /// Names to remove, lower-case.
    pub remove: Vec<String>,
    /// Values that replace what was there.
    pub set: Vec<(String, String)>,
    /// Values put beside what was there.
    pub add: Vec<(String, String)>,
}

impl HeaderOperations {
    /// Says whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// A copy of the request to another destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// Where the copy goes.
    pub cluster: ClusterName,
    /// Share of the requests that are copied.
    pub percentage: PercentMillionths,
}

/// Cross-origin resource sharing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Origins that are allowed.
    pub allow_origins: Vec<StringMatch>,
    /// `access-control-allow-methods`.
    pub allow_methods: Vec<String>,
    /// `access-control-allow-headers`.
    pub allow_headers: Vec<String>,
    /// `access-control-expose-headers`.
    pub expose_headers: Vec<String>,
    /// `access-control-max-age`.
    pub max_age: Option<Duration>,
    /// `access-control-allow-credentials`.
    pub allow_credentials: Option<bool>,
    /// Whether a preflight from another origin is sent on (`FORWARD`) or answered here (`IGNORE`).
    pub forward_unmatched_preflights: bool,
}

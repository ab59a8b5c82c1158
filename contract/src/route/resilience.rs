//! What is done when things go wrong, or made to go wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A share of requests. Units: millionths of a percent point, so that 0.0001 % is exact. Range: 0..=100_000_000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PercentMillionths(pub u32);

impl PercentMillionths {
    /// Every request.
    pub const ALL: Self = Self(100_000_000);
    /// No request.
    pub const NONE: Self = Self(0);

    /// Takes a percentage; what lies outside 0..=100 is brought to the nearest end, NaN to 0.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        // The cast cannot leave the range: the value was clamped, and a cast of NaN gives 0.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100_000_000")]
        let millionths = (percent.clamp(0.0, 100.0) * 1e6).round() as u32;
        Self(millionths)
    }
}

/// Further tries of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries after the first.
    pub attempts: u32,
    /// Bound on one try; `None` means the route's timeout.
    pub per_try_timeout: Option<Duration>,
    /// What is tried again.
    pub on: RetryOn,
    /// First pause; doubles with each try, jittered, at most ten times this.
    pub backoff: Duration,
    /// Whether endpoints already tried are avoided.
    pub ignore_previous_hosts: bool,
    /// Whether other localities may be tried.
    pub remote_localities: bool,
}

/// Failures that are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryOn {
    /// No connection could be made.
    pub connect_failure: bool,
    /// The peer refused the stream before it looked at it.
    pub refused_stream: bool,
    /// The stream or connection ended before a response.
    pub reset: bool,
    /// The same, and nothing of the request had been sent.
    pub reset_before_request: bool,
    /// Any 5xx, resets and per-try timeouts.
    pub server_error: bool,
    /// 502, 503, 504.
    pub gateway_error: bool,
    /// 409.
    pub retriable_4xx: bool,
    /// Statuses by number.
    pub statuses: BTreeSet<u16>,
    /// gRPC statuses by number.
    pub grpc: BTreeSet<u32>,
}

/// Bound on tries in flight relative to requests in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// Share of the requests that may be tries.
    pub percent: f64,
    /// Tries that are always allowed.
    pub min_concurrency: u32,
    /// Over which span requests are counted.
    pub interval: Option<Duration>,
}

/// Injected faults: the delay comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A pause before the request is sent on.
    pub delay: Option<Delay>,
    /// An answer in place of the upstream's.
    pub abort: Option<Abort>,
}

/// An injected pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// How long.
    pub fixed: Duration,
    /// Share of the requests.
    pub percentage: PercentMillionths,
}

/// An injected answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// HTTP status, when the fault is one.
    pub http_status: Option<u16>,
    /// gRPC status, when the fault is one.
    pub grpc_status: Option<u32>,
    /// Share of the requests.
    pub percentage: PercentMillionths,
}

/// Bounds per proxy on what is in flight to a cluster; `None` means no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections (HTTP/1.1 and TCP).
    pub max_connections: Option<u32>,
    /// Requests waiting for a connection.
    pub max_pending_requests: Option<u32>,
    /// Requests in flight.
    pub max_requests: Option<u32>,
    /// Tries in flight.
    pub max_retries: Option<u32>,
    /// Requests over one connection; 1 turns keep-alive off.
    pub max_requests_per_connection: Option<u32>,
    /// Streams over one HTTP/2 connection.
    pub max_concurrent_streams: Option<u32>,
    /// A connection idle for longer is closed.
    pub idle_timeout: Option<Duration>,
    /// A connection older than this is closed.
    pub max_connection_duration: Option<Duration>,
}

/// When an endpoint is taken out because of its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlier {
    /// Server errors in a row that eject; `None` never does.
    pub consecutive_5xx: Option<u32>,
    /// 502, 503 and 504 in a row that eject; `None` never does.
    pub consecutive_gateway_errors: Option<u32>,
    /// Failures to connect in a row that eject, counted apart; `None` counts them as server errors.
    pub consecutive_local_failures: Option<u32>,
    /// How often ended ejections are looked for.
    pub interval: Duration,
    /// Length of the first ejection; the nth lasts n times as long, at most the larger of this and 300 s.
    pub base_ejection_time: Duration,
    /// An endpoint is ejected only while (ejected + 1) / endpoints stays within this. Range: 0..=100.
    pub max_ejection_percent: u32,
    /// Below this share of healthy endpoints all are used. Range: 0..=100; 0 never.
    pub min_health_percent: u32,
    /// Statuses that count as errors in place of 5xx; empty means 5xx.
    pub error_statuses: BTreeSet<u16>,
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// How it asks.
    pub kind: HealthCheckKind,
    /// Port that is asked; `None` means the endpoint's own.
    pub port: Option<u16>,
    /// Time between two checks.
    pub interval: Duration,
    /// Bound on one check.
    pub timeout: Duration,
    /// Failures in a row that make an endpoint unhealthy.
    pub unhealthy_threshold: u32,
    /// Successes in a row that make it healthy again.
    pub healthy_threshold: u32,
}

/// How a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckKind {
    /// A GET that must answer 2xx.
    Http {
        /// Path to ask for.
        path: String,
        /// Authority to ask for; empty means the service's host.
        host: String,
    },
    /// A connection that must be accepted.
    Tcp,
    /// The gRPC health service.
    Grpc {
        /// Service name; empty means the whole server.
        service: String,
    },
}

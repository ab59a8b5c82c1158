//! Retries, with Istio's default policy where nothing is said.

use std::sync::LazyLock;
use std::time::Duration;

use wattle_contract::route::{RetryOn, RetryPolicy};

use crate::kinds::virtual_service::HttpRetry;

/// What Istio retries when `retryOn` is absent.
pub(crate) const DEFAULT_RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled";
static DEFAULT: LazyLock<RetryOn> = LazyLock::new(|| retry_on(DEFAULT_RETRY_ON).0);
/// Tries after the first when `retries` is absent.
const DEFAULT_ATTEMPTS: u32 = 2;
/// First pause, of Envoy.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

/// Compiles the retries of a rule.
pub(super) fn policy(retries: Option<&HttpRetry>) -> Option<RetryPolicy> {
    let Some(retries) = retries else {
        return Some(RetryPolicy {
            attempts: DEFAULT_ATTEMPTS,
            per_try_timeout: None,
            on: DEFAULT.clone(),
            backoff: DEFAULT_BACKOFF,
            ignore_previous_hosts: true,
            remote_localities: false,
        });
    };
    let attempts = u32::try_from(retries.attempts).ok().filter(|attempts| *attempts > 0)?;
    let words = if retries.retry_on.is_empty() { DEFAULT_RETRY_ON } else { &retries.retry_on };
    Some(RetryPolicy {
        attempts,
        per_try_timeout: retries.per_try_timeout.map(|time| time.0).filter(|time| !time.is_zero()),
        on: if words == DEFAULT_RETRY_ON { DEFAULT.clone() } else { retry_on(words).0 },
        backoff: retries.backoff.map(|time| time.0).filter(|time| !time.is_zero()).unwrap_or(DEFAULT_BACKOFF),
        ignore_previous_hosts: retries.retry_ignore_previous_hosts.unwrap_or(true),
        remote_localities: retries.retry_remote_localities.unwrap_or(false),
    })
}

/// Reads the words of `retryOn`; those that do not exist come back too.
pub(crate) fn retry_on(words: &str) -> (RetryOn, Vec<&str>) {
    let mut on = RetryOn::default();
    let mut unknown = Vec::new();
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "connect-failure" => on.connect_failure = true,
            "refused-stream" => on.refused_stream = true,
            "reset" => on.reset = true,
            "reset-before-request" => on.reset_before_request = true,
            "5xx" => on.server_error = true,
            "gateway-error" => on.gateway_error = true,
            "retriable-4xx" => on.retriable_4xx = true,
            // Words of Envoy that need more than a word here: codes are given as numbers, the others are HTTP/3 or
            // rate limits, which this proxy does not meet.
            "retriable-status-codes" | "retriable-headers" | "envoy-ratelimited" | "http3-post-connect-failure" => {}
            "cancelled" | "deadline-exceeded" | "internal" | "resource-exhausted" | "unavailable" => {
                on.grpc.extend(grpc_status(word));
            }
            _ => match word.parse::<u16>() {
                Ok(status @ 100..=599) => {
                    on.statuses.insert(status);
                }
                _ => unknown.push(word),
            },
        }
    }
    (on, unknown)
}

/// Gives the number of a gRPC status by its name, with hyphens or underscores, in any case.
pub(crate) fn grpc_status(name: &str) -> Option<u32> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let upper = name.to_uppercase().replace('-', "_");
    let index = NAMES
        .iter()
        .position(|name| *name == upper)
        .or_else(|| upper.parse().ok().filter(|index| *index < NAMES.len()))?;
    u32::try_from(index).ok()
}

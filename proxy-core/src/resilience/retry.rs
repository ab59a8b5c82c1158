//! Which failures are tried again.

use wattle_contract::route::{RetryBudget, RetryOn};

use super::limits::InFlight;

/// How one try failed, or what it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection could be made.
    Connect,
    /// The peer refused the stream before it looked at it.
    Refused,
    /// The stream or connection ended before a response; whether the request may have reached the peer.
    Reset { sent: bool },
    /// What came back is not HTTP.
    Garbage,
    /// The try took longer than it may.
    PerTryTimeout,
    /// The upstream answered.
    Answer { status: u16, grpc: Option<u32> },
}

/// Says whether a failure is to be tried again. The method is not looked at, as in Istio: a POST is tried again too.
pub(crate) fn wants_retry(on: &RetryOn, failure: Failure) -> bool {
    match failure {
        Failure::Connect => on.connect_failure || on.gateway_error || on.server_error,
        Failure::Refused => on.refused_stream || on.reset || on.gateway_error || on.server_error,
        Failure::Reset { sent } => {
            on.reset || on.server_error || on.gateway_error || (on.reset_before_request && !sent)
        }
        Failure::Garbage => on.reset || on.server_error || on.gateway_error,
        Failure::PerTryTimeout => on.reset || on.gateway_error || on.server_error,
        Failure::Answer { status, grpc } => {
            on.statuses.contains(&status)
                || (on.gateway_error && (502..=504).contains(&status))
                || (on.server_error && (500..600).contains(&status))
                || (on.retriable_4xx && status == 409)
                || grpc.is_some_and(|code| on.grpc.contains(&code))
        }
    }
}

/// Says whether one more try in flight keeps within the budget of the cluster.
pub(crate) fn within_budget(budget: Option<&RetryBudget>, in_flight: &InFlight) -> bool {
    let Some(budget) = budget else { return true };
    let share = f64::from(in_flight.requests.value()) * budget.percent / 100.0;
    f64::from(in_flight.retries.value()) < share.max(f64::from(budget.min_concurrency))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn istio_default() -> RetryOn {
        RetryOn { connect_failure: true, refused_stream: true, grpc: [1, 14].into(), ..RetryOn::default() }
    }

    #[test]
    fn the_default_list_retries_what_never_reached_the_application() {
        let on = istio_default();

        assert!(wants_retry(&on, Failure::Connect));
        assert!(wants_retry(&on, Failure::Refused));
        assert!(wants_retry(&on, Failure::Answer { status: 200, grpc: Some(14) }));
        assert!(!wants_retry(&on, Failure::Answer { status: 503, grpc: None }));
        assert!(!wants_retry(&on, Failure::Reset { sent: true }));
        assert!(!wants_retry(&on, Failure::PerTryTimeout));
    }

    #[test]
    fn gateway_errors_include_timeouts_of_one_try_but_not_500() {
        let on = RetryOn { gateway_error: true, ..RetryOn::default() };

        assert!(wants_retry(&on, Failure::PerTryTimeout));
        assert!(wants_retry(&on, Failure::Answer { status: 503, grpc: None }));
        assert!(!wants_retry(&on, Failure::Answer { status: 500, grpc: None }));
    }

    #[test]
    fn a_budget_allows_its_minimum_and_its_share() {
        let (budget, in_flight) =
            (RetryBudget { percent: 20.0, min_concurrency: 3, interval: None }, InFlight::default());

        let tries: Vec<_> = (0..3).map(|_| in_flight.retries.hold()).collect();
        assert!(!within_budget(Some(&budget), &in_flight));
        let requests: Vec<_> = (0..20).map(|_| in_flight.requests.hold()).collect();
        assert!(within_budget(Some(&budget), &in_flight));

        drop((tries, requests));
    }
}

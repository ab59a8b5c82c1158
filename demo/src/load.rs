//! The users: an open-loop generator of requests, sent to the frontend through a proxy of its own.
//!
//! Open loop means that requests arrive when they arrive (a Poisson process), whether or not the earlier ones have been
//! answered; only when very many are unanswered, as on a host that is short of time, users stay away. The rate swings slowly around its mean, so that a minute shows a range of utilisation.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::service::{REQUESTS, UserRequest, find};

/// The generator waits this long for the frontend to answer before it begins anyway.
const PATIENCE: Duration = Duration::from_secs(20);

/// With this many unanswered requests users stay away: about six times what is in flight at the usual rate. Without
/// it a host short of time would fall ever further behind, and the demo would show nothing but that.
const MAX_IN_FLIGHT: usize = 64;

/// After shutdown, requests in flight have this long to be answered.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The largest value of [`swing`].
const MAX_SWING: f64 = 1.7;

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Gives the number of requests sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Gives the number of those that were answered with a failure or not at all.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The generator.
#[derive(Debug)]
pub(crate) struct Load {
    /// Sends to the generator's outbound proxy.
    pub(crate) outbound: Client,
    /// Mean requests per second.
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) counts: Arc<Counts>,
}

impl Load {
    /// Sends until shutdown, then gives the requests in flight some time to end.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        if shutdown.run_until_cancelled(self.wait_for_frontend()).await.is_none() {
            return;
        }
        let in_flight = TaskTracker::new();
        shutdown.run_until_cancelled(self.send(&in_flight)).await;
        in_flight.close();
        if tokio::time::timeout(LAST_ANSWERS, in_flight.wait()).await.is_err() {
            tracing::warn!(requests = in_flight.len(), "demo requests are still unanswered at the end");
        }
    }

    async fn wait_for_frontend(&self) {
        let start = Instant::now();
        loop {
            match ask(&self.outbound, &REQUESTS[0]).await {
                Ok(()) => return,
                Err(reason) if start.elapsed() > PATIENCE => {
                    tracing::warn!(reason, "the demo's frontend does not answer; sending load all the same");
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
            }
        }
    }

    async fn send(&self, in_flight: &TaskTracker) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let start = Instant::now();
        let mut next = 0.0;
        loop {
            // Thinning: draw at the highest rate, keep as many as the present rate asks for.
            next -= (1.0 - random.random::<f64>()).ln() / (self.rate * MAX_SWING);
            tokio::time::sleep_until(start + Duration::from_secs_f64(next)).await;
            if random.random::<f64>() * MAX_SWING > swing(next) {
                continue;
            }
            let request = pick(random.random());
            if in_flight.len() >= MAX_IN_FLIGHT {
                continue;
            }
            let counts = Arc::clone(&self.counts);
            counts.sent.fetch_add(1, Ordering::Relaxed);
            let outbound = self.outbound.clone();
            in_flight.spawn(async move {
                if let Err(reason) = ask(&outbound, request).await {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(path = request.path, reason, "demo request failed");
                }
            });
        }
    }
}

/// Sends one request; the error says in words why it failed.
async fn ask(outbound: &Client, request: &UserRequest) -> Result<(), String> {
    let frontend = find("frontend").expect("the table has a frontend");
    let method = if request.method == "POST" { Method::POST } else { Method::GET };
    match outbound.call(method, &frontend.authority(), request.path, HeaderMap::new()).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(format!("answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body))),
        Err(error) => Err(error.to_string()),
    }
}

/// Picks a kind of request by its share, from a number in 0..1.
fn pick(mut number: f64) -> &'static UserRequest {
    for request in &REQUESTS {
        number -= request.share;
        if number < 0.0 {
            return request;
        }
    }
    &REQUESTS[0]
}

/// Gives the factor on the mean rate after some seconds: a wave of 30 s with steps of 17 s on it.
///
/// Range: 0.35..=[`MAX_SWING`].
fn swing(seconds: f64) -> f64 {
    let step = [0.0, 0.25, -0.2, 0.1][(seconds / 17.0) as usize % 4];
    (1.0 + 0.5 * (TAU * seconds / 30.0).sin() + step).clamp(0.35, MAX_SWING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_shows_a_range_of_rates_around_the_mean() {
        let minute: Vec<f64> = (0..600).map(|tenth| swing(f64::from(tenth) / 10.0)).collect();

        let mean = minute.iter().sum::<f64>() / 600.0;
        assert!((0.9..1.1).contains(&mean), "{mean}");
        assert!(minute.iter().any(|factor| *factor < 0.6) && minute.iter().any(|factor| *factor > 1.4));
        assert!(minute.iter().all(|factor| (0.35..=MAX_SWING).contains(factor)));
    }

    #[test]
    fn requests_are_picked_by_their_shares() {
        let hotels = (0..1000).filter(|n| pick(f64::from(*n) / 1000.0).path == "/hotels").count();
        assert!((599..=601).contains(&hotels), "{hotels}");
        assert_eq!(pick(0.9999).path, "/reservation");
    }
}

//! One request against one cluster: tries until an answer is good enough to give.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wattle_contract::EndpointAddress;
use wattle_contract::route::RetryPolicy;

use super::Downstream;
use super::attempt::{Attempt, Stop};
use super::reply::Reply;
use super::upload::Upload;
use crate::carrier::Carrier;
use crate::cluster::{Cluster, Member};
use crate::head::Response;
use crate::resilience::backoff;
use crate::resilience::limits::Held;
use crate::resilience::outlier::Outcome;
use crate::resilience::retry::{Failure, wants_retry, within_budget};
use crate::telemetry::{Flag, Record, Reporter};
use crate::upstream::{Outgoing, Unsent, Upstream};

/// What one exchange needs.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) carrier: &'a Carrier,
    pub(crate) cluster: &'a Arc<Cluster>,
    pub(crate) http2: bool,
    pub(crate) retries: Option<&'a RetryPolicy>,
    pub(crate) deadline: Option<Instant>,
    /// Of the key that binds to an endpoint, where the balancer wants one.
    pub(crate) hash: Option<u64>,
}

/// An answer, and what has to be held until its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) upstream: Upstream,
    pub(crate) _held: (Held, Held, Option<Held>),
}

impl Exchange<'_> {
    /// Tries until there is an answer to give, or none to be had.
    pub(crate) async fn run(
        &self,
        outgoing: &Outgoing,
        down: &mut Downstream,
        upload: &mut Upload,
        response: &mut Response,
        record: &mut Record,
    ) -> Result<Answer, Reply> {
        let in_flight = &self.cluster.shared.in_flight;
        let Some(request) = in_flight.requests.try_hold(self.cluster.spec.limits.max_requests) else {
            return Err(self.overflow());
        };
        let mut tried: Vec<EndpointAddress> = Vec::new();
        let mut retry: Option<Held> = None;
        loop {
            let spared = self.retries.is_some_and(|policy| policy.ignore_previous_hosts && self.hash.is_none());
            let ignored = if spared { &tried[..] } else { &[] };
            let now = if record.attempts == 0 { record.started } else { Instant::now() };
            let Some(member) = self.cluster.pick(now, &self.carrier.dice, self.hash, ignored) else {
                return Err(Reply::no_healthy_upstream());
            };
            record.attempts += 1;
            if record.reporter == Reporter::Source {
                record.peer = Arc::clone(&member.party);
            }
            record.member = Some(Arc::clone(&member));
            let held = member.state.requests.hold();
            let attempt = Attempt {
                cluster: self.cluster,
                member: &member,
                http2: self.http2,
                request: &record.request,
                outgoing,
                number: record.attempts,
                now,
                bound: self.bound(now),
            };
            let result = attempt.run(down, upload, response).await;
            record.request_bytes = upload.bytes;
            let failure = self.judge(&member, &result, response)?;
            if self.again(failure, upload, record, &mut retry) {
                tried.push(member.spec.address.clone());
                if let Ok(upstream) = result {
                    // An answer that nobody will read: its connection is kept only when there is nothing left to read.
                    upstream.done(response.keep_alive);
                }
                self.pause(record.attempts - 1).await?;
                continue;
            }
            return match result {
                Ok(upstream) => Ok(Answer { upstream, _held: (request, held, retry) }),
                Err(_) => Err(failed(failure)),
            };
        }
    }

    /// How long one try may take.
    fn bound(&self, now: Instant) -> Option<Instant> {
        let per_try = self.retries.and_then(|policy| policy.per_try_timeout).filter(|bound| !bound.is_zero());
        let per_try = per_try.and_then(|bound| now.checked_add(bound));
        per_try.into_iter().chain(self.deadline).min()
    }

    /// Tells the outlier rule and says how the try went; what ends the exchange at once is an error.
    fn judge(&self, member: &Member, result: &Result<Upstream, Stop>, response: &Response) -> Result<Failure, Reply> {
        let late =
            matches!(result, Err(Stop::Late)) && self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let (failure, outcome) = match result {
            Ok(_) => {
                let (status, grpc) = (response.status, response.grpc_status());
                (Failure::Answer { status, grpc }, Outcome::Status(status))
            }
            Err(Stop::Unsent(Unsent::Failed(failure))) => (*failure, Outcome::Local),
            Err(Stop::Late) => (Failure::PerTryTimeout, Outcome::Local),
            // Neither an overflow nor the client's doing says anything of the endpoint.
            Err(Stop::Unsent(Unsent::Overflow)) => return Err(self.overflow()),
            Err(Stop::Gone) => return Err(Reply::gone()),
            Err(Stop::Broken(reason)) => {
                self.carrier.metrics.rejected.with_label_values(&[reason]).inc();
                return Err(Reply::refused(reason));
            }
        };
        if self.cluster.spec.outlier.is_some() && self.cluster.observe(member, outcome, Instant::now()) {
            self.carrier.metrics.ejections.inc();
            tracing::warn!(endpoint.addr = ?member.spec.address, cluster = %self.cluster.spec.name, "an endpoint was ejected for its answers");
        }
        if late { Err(Reply::timeout()) } else { Ok(failure) }
    }

    /// Says whether to try again, and counts it.
    fn again(&self, failure: Failure, upload: &Upload, record: &mut Record, retry: &mut Option<Held>) -> bool {
        let Some(policy) = self.retries else { return false };
        if !wants_retry(&policy.on, failure) || !upload.is_whole() {
            return false;
        }
        if record.attempts > policy.attempts {
            record.flag(Flag::RetryLimit);
            return false;
        }
        let in_flight = &self.cluster.shared.in_flight;
        *retry = None;
        if within_budget(self.cluster.spec.retry_budget.as_ref(), in_flight) {
            *retry = in_flight.retries.try_hold(self.cluster.spec.limits.max_retries);
        }
        if retry.is_none() {
            record.flag(Flag::Overflow);
            self.carrier.metrics.overflows.inc();
            return false;
        }
        self.carrier.metrics.retries.inc();
        true
    }

    /// Waits before the next try; the route's timeout may end the wait.
    async fn pause(&self, tries: u32) -> Result<(), Reply> {
        let base = self.retries.map_or(Duration::ZERO, |policy| policy.backoff);
        let until = Instant::now() + backoff::pause(base, tries, &self.carrier.dice);
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            sleep_until(deadline).await;
            return Err(Reply::timeout());
        }
        sleep_until(until).await;
        Ok(())
    }

    fn overflow(&self) -> Reply {
        self.carrier.metrics.overflows.inc();
        Reply::overflow()
    }
}

fn failed(failure: Failure) -> Reply {
    let text =
        |reason: &str| format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}");
    match failure {
        Failure::Connect => Reply::new(503, Flag::UpstreamConnect, text("connection failure")),
        Failure::Refused | Failure::Reset { .. } => {
            Reply::new(503, Flag::UpstreamReset, text("connection termination"))
        }
        Failure::PerTryTimeout => Reply::timeout(),
        Failure::Garbage | Failure::Answer { .. } => Reply::new(502, Flag::UpstreamProtocol, text("protocol error")),
    }
}

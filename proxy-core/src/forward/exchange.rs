//! One request against one cluster: tries until an answer is good enough to give.

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use tokio::time::{Instant, sleep_until, timeout_at};
use wattle_contract::EndpointAddress;
use wattle_contract::route::RetryPolicy;

use super::replay::Replay;
use super::reply::Reply;
use crate::body::Body;
use crate::carrier::Carrier;
use crate::cluster::{Cluster, Member};
use crate::resilience::backoff;
use crate::resilience::limits::Held;
use crate::resilience::outlier::Outcome;
use crate::resilience::retry::{Failure, wants_retry, within_budget};
use crate::telemetry::{Flag, Record, Reporter};
use crate::upstream::{Sent, Unsent, send};

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// The head that goes to the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query, as they are sent.
    pub(crate) target: Uri,
    pub(crate) authority: HeaderValue,
    pub(crate) headers: HeaderMap,
    /// Whether the tries are counted in a header.
    pub(crate) count_attempts: bool,
}

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
    pub(crate) sent: Sent,
    pub(crate) held: Vec<Held>,
}

impl Exchange<'_> {
    /// Tries until there is an answer to give, or none to be had.
    pub(crate) async fn run(&self, outgoing: &Outgoing, body: &Replay, record: &mut Record) -> Result<Answer, Reply> {
        let in_flight = &self.cluster.shared.in_flight;
        let Some(request) = in_flight.requests.try_hold(self.cluster.spec.limits.max_requests) else {
            return Err(self.overflow());
        };
        let mut tried: Vec<EndpointAddress> = Vec::new();
        let mut retry: Option<Held> = None;
        loop {
            let ignored = if self.retries.is_some_and(|policy| policy.ignore_previous_hosts && self.hash.is_none()) {
                &tried[..]
            } else {
                &[]
            };
            let Some(member) = self.cluster.pick(Instant::now(), &self.carrier.dice, self.hash, ignored) else {
                return Err(Reply::no_healthy_upstream());
            };
            record.attempts += 1;
            if record.reporter == Reporter::Source {
                record.peer = Arc::clone(&member.party);
            }
            record.upstream = address(&member.spec.address);
            let held = member.state.requests.hold();
            let result = self.attempt(&member, outgoing.build(self.http2, record.attempts, body.replayed())).await;
            if result.is_err() && body.is_broken() {
                return Err(Reply::refused("broken_body"));
            }
            let failure = self.judge(&member, &result)?;
            tried.push(member.spec.address.clone());
            if self.again(failure, body, record, &mut retry) {
                if let Ok(sent) = result {
                    abandon(sent);
                }
                self.pause(record.attempts - 1).await?;
                continue;
            }
            let held = [Some(request), Some(held), retry].into_iter().flatten().collect();
            return match result {
                Ok(sent) => Ok(Answer { sent, held }),
                Err(_) => Err(failed(failure)),
            };
        }
    }

    async fn attempt(&self, member: &Arc<Member>, request: Request<Body>) -> Result<Sent, Stop> {
        let sending = send(self.cluster, member, self.http2, request);
        let per_try = self.retries.and_then(|policy| policy.per_try_timeout).filter(|bound| !bound.is_zero());
        let per_try = per_try.and_then(|bound| Instant::now().checked_add(bound));
        let Some(bound) = per_try.into_iter().chain(self.deadline).min() else {
            return sending.await.map_err(Stop::Unsent);
        };
        match timeout_at(bound, sending).await {
            Ok(result) => result.map_err(Stop::Unsent),
            Err(_) if self.deadline.is_some_and(|deadline| bound >= deadline) => Err(Stop::Deadline),
            Err(_) => Err(Stop::Unsent(Unsent::Failed(Failure::PerTryTimeout))),
        }
    }

    /// Tells the outlier rule and says how the try went; what ends the exchange at once is an error.
    fn judge(&self, member: &Member, result: &Result<Sent, Stop>) -> Result<Failure, Reply> {
        let (failure, outcome) = match result {
            Ok(sent) => {
                let status = sent.response.status().as_u16();
                let grpc = grpc_status(sent.response.headers());
                (Failure::Answer { status, grpc }, Outcome::Status(status))
            }
            Err(Stop::Unsent(Unsent::Failed(failure))) => (*failure, Outcome::Local),
            Err(Stop::Deadline) => (Failure::PerTryTimeout, Outcome::Local),
            // An overflow says nothing of the endpoint.
            Err(Stop::Unsent(Unsent::Overflow)) => return Err(self.overflow()),
        };
        if self.cluster.observe(member, outcome, Instant::now()) {
            self.carrier.metrics.ejections.inc();
            tracing::warn!(endpoint.addr = ?member.spec.address, cluster = %self.cluster.spec.name, "an endpoint was ejected for its answers");
        }
        if matches!(result, Err(Stop::Deadline)) { Err(Reply::timeout()) } else { Ok(failure) }
    }

    /// Says whether to try again, and counts it.
    fn again(&self, failure: Failure, body: &Replay, record: &mut Record, retry: &mut Option<Held>) -> bool {
        let Some(policy) = self.retries else { return false };
        if !wants_retry(&policy.on, failure) || !body.is_whole() {
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

/// Why a try has no answer.
#[derive(Debug)]
enum Stop {
    Unsent(Unsent),
    /// The route's timeout is over.
    Deadline,
}

impl Outgoing {
    pub(crate) fn build(&self, http2: bool, attempt: u32, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        request.headers_mut().clone_from(&self.headers);
        *request.uri_mut() = self.target.clone();
        if http2 {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            if let Some(uri) = self.absolute() {
                *request.uri_mut() = uri;
            }
        } else {
            request.headers_mut().insert(HOST, self.authority.clone());
        }
        if self.count_attempts {
            request.headers_mut().insert(ATTEMPT_COUNT, HeaderValue::from(attempt));
        }
        request
    }

    fn absolute(&self) -> Option<Uri> {
        let mut parts = self.target.clone().into_parts();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = Some(http::uri::Authority::try_from(self.authority.as_bytes()).ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// Reads the gRPC status from a head or from trailers.
pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// An answer that nobody will read: its connection is kept only when there is nothing left to read.
fn abandon(sent: Sent) {
    if http_body::Body::is_end_stream(sent.response.body()) {
        sent.upstream.done();
    }
}

fn failed(failure: Failure) -> Reply {
    use http::StatusCode;
    let text =
        |reason: &str| format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}");
    let unavailable = |flag, reason| Reply::new(StatusCode::SERVICE_UNAVAILABLE, flag, text(reason));
    match failure {
        Failure::Connect => unavailable(Flag::UpstreamConnect, "connection failure"),
        Failure::Refused | Failure::Reset { .. } => unavailable(Flag::UpstreamReset, "connection termination"),
        Failure::PerTryTimeout => Reply::timeout(),
        Failure::Garbage | Failure::Answer { .. } => {
            Reply::new(StatusCode::BAD_GATEWAY, Flag::UpstreamProtocol, text("protocol error"))
        }
    }
}

pub(crate) fn address(address: &EndpointAddress) -> String {
    match address {
        EndpointAddress::Socket(address) => address.to_string(),
        EndpointAddress::Dns(host, port) => format!("{host}:{port}"),
        EndpointAddress::Unix(path) => path.display().to_string(),
    }
}

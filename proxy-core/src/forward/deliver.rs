//! From a routed request to the answer's head: shared by outbound, gateway and inbound.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, timeout_at};
use wattle_contract::route::RetryPolicy;

use super::exchange::{Exchange, Outgoing, grpc_status};
use super::replay::Replay;
use super::reply::Reply;
use super::{headers, respond, upgrade};
use crate::body::{Body, empty};
use crate::carrier::Carrier;
use crate::cluster::Cluster;
use crate::telemetry::Record;

/// A request that knows where it goes.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) carrier: &'a Arc<Carrier>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) downstream: Version,
    pub(crate) retries: Option<&'a RetryPolicy>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) hash: Option<u64>,
    /// The client's connection, and the protocol it wants on it.
    pub(crate) upgrade: Option<(OnUpgrade, HeaderValue)>,
}

impl Delivery<'_> {
    /// Sends the request and gives the answer; `change` may change its headers.
    pub(crate) async fn run(
        self,
        mut outgoing: Outgoing,
        body: &Replay,
        mut record: Box<Record>,
        change: impl FnOnce(&mut HeaderMap),
    ) -> Response<Body> {
        let http2 = self.cluster.speaks_http2(self.downstream) && self.upgrade.is_none();
        if let Some((_, protocol)) = &self.upgrade {
            upgrade::ask(&mut outgoing.headers, protocol.clone());
        }
        let deadline = bound(self.timeout, &outgoing.headers).and_then(|bound| record.started.checked_add(bound));
        let exchange = Exchange {
            carrier: self.carrier,
            cluster: &self.cluster,
            http2,
            retries: self.retries,
            deadline,
            hash: self.hash,
        };
        let answer = match within(deadline, exchange.run(&outgoing, body, &mut record)).await {
            Ok(answer) => answer,
            Err(reply) => return finish(reply, &mut record, change),
        };
        let (mut head, incoming) = answer.sent.response.into_parts();
        record.status = head.status.as_u16();
        record.grpc_status = grpc_status(&head.headers);
        head.version = Version::HTTP_11;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some((client, protocol)) = self.upgrade else {
                // Nobody asked for it: what follows would be taken for the next answer.
                return finish(Reply::unasked_upgrade(), &mut record, change);
            };
            upgrade::carry(&self.carrier.life, client, upstream(&head, incoming), record, answer.held);
            return switched(head, protocol, change);
        }
        headers::strip_response(&mut head.headers);
        change(&mut head.headers);
        let body = respond::recorded(incoming, answer.sent.upstream, record, deadline, answer.held);
        Response::from_parts(head, body)
    }
}

/// Gives the upstream's end of a connection that was switched.
fn upstream(head: &http::response::Parts, incoming: Incoming) -> OnUpgrade {
    hyper::upgrade::on(Response::from_parts(head.clone(), incoming))
}

fn switched(
    mut head: http::response::Parts,
    protocol: HeaderValue,
    change: impl FnOnce(&mut HeaderMap),
) -> Response<Body> {
    let protocol = head.headers.get(http::header::UPGRADE).cloned().unwrap_or(protocol);
    headers::strip_response(&mut head.headers);
    change(&mut head.headers);
    upgrade::ask(&mut head.headers, protocol);
    Response::from_parts(head, empty())
}

fn finish(reply: Reply, record: &mut Record, change: impl FnOnce(&mut HeaderMap)) -> Response<Body> {
    let mut response = reply.give(record);
    change(response.headers_mut());
    response
}

/// The route's timeout holds also while a connection is waited for.
async fn within<T>(deadline: Option<Instant>, exchange: impl Future<Output = Result<T, Reply>>) -> Result<T, Reply> {
    match deadline {
        // The exchange itself ends at the deadline and says so to the outlier rule; this is the last resort.
        Some(deadline) => {
            timeout_at(deadline + Duration::from_millis(50), exchange).await.unwrap_or(Err(Reply::timeout()))
        }
        None => exchange.await,
    }
}

/// `grpc-timeout` is heeded up to the route's timeout.
fn bound(route: Option<Duration>, headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(grpc_timeout);
    match (route, asked) {
        (Some(route), Some(asked)) => Some(route.min(asked)),
        (route, asked) => route.or(asked),
    }
}

/// At most eight digits and a unit (the gRPC project's "gRPC over HTTP2").
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_may_shorten_the_routes_but_not_lengthen_it() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("250m"));

        assert_eq!(bound(Some(Duration::from_secs(1)), &headers), Some(Duration::from_millis(250)));
        assert_eq!(bound(Some(Duration::from_millis(10)), &headers), Some(Duration::from_millis(10)));
        for malformed in ["", "5", "m", "123456789S", "1x", "ä"] {
            assert_eq!(grpc_timeout(malformed), None, "{malformed}");
        }
    }
}

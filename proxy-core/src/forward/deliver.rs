//! From a routed request to the end of its answer: shared by outbound, gateway and inbound.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Version;
use tokio::time::Instant;
use wattle_contract::route::RetryPolicy;

use super::exchange::{Answer, Exchange};
use super::reply::Reply;
use super::upload::Upload;
use super::{Downstream, headers, upgrade};
use crate::carrier::Carrier;
use crate::cluster::Cluster;
use crate::head::{BodyLength, Fields, Known, Response, grpc_status};
use crate::stream::{Answering, Broken, Stream, poll_pump, poll_splice};
use crate::telemetry::{Flag, Record};
use crate::upstream::{Outgoing, Upstream};

/// A request that knows where it goes.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) carrier: &'a Carrier,
    pub(crate) cluster: &'a Arc<Cluster>,
    pub(crate) retries: Option<&'a RetryPolicy>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) hash: Option<u64>,
}

impl Delivery<'_> {
    /// Sends the request and gives the answer; `change` may change its headers.
    pub(crate) async fn run(
        self,
        outgoing: &Outgoing,
        down: &mut Downstream,
        upload: &mut Upload,
        record: &mut Record,
        change: impl FnOnce(&mut Fields),
    ) {
        let request = &mut record.request;
        let http2 = self.cluster.speaks_http2(request.version) && request.upgrade.is_none();
        if let Some(protocol) = request.upgrade {
            upgrade::ask(&mut request.fields, protocol);
        }
        let deadline = bound(self.timeout, &request.fields).and_then(|bound| record.started.checked_add(bound));
        let exchange = Exchange {
            carrier: self.carrier,
            cluster: self.cluster,
            http2,
            retries: self.retries,
            deadline,
            hash: self.hash,
        };
        let mut response = std::mem::take(&mut down.response);
        match exchange.run(outgoing, down, upload, &mut response, record).await {
            Err(reply) => reply.give(down, record, change).await,
            Ok(answer) => self.give(answer, down, upload, &mut response, record, deadline, change).await,
        }
        response.clear();
        down.response = response;
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one walk, named for its length")]
    async fn give(
        &self,
        answer: Answer,
        down: &mut Downstream,
        upload: &mut Upload,
        response: &mut Response,
        record: &mut Record,
        deadline: Option<Instant>,
        change: impl FnOnce(&mut Fields),
    ) {
        let Answer { mut upstream, _held: held } = answer;
        if response.status == 101 {
            if record.request.upgrade.is_none() {
                // Nobody asked for it: what follows would be taken for the next answer.
                drop(upstream);
                return Reply::unasked_upgrade().give(down, record, change).await;
            }
            return upgrade::carry(down, upstream, response, record, change).await;
        }
        record.status = response.status;
        record.grpc_status = response.grpc_status();
        headers::strip_response(&mut response.fields);
        change(&mut response.fields);
        let answering = answering(down, record, response);
        down.close = answering.close;
        if down.stream.respond(answering, &response.fields).is_err() {
            down.close = true;
            return;
        }
        match download(down, &mut upstream, upload, record, deadline).await {
            Ok(()) => {
                record.finish();
                // What is left of the request is not read: the connection would be out of step.
                down.close |= !upload.is_done();
                if upload.is_done() {
                    upstream.done(response.keep_alive);
                }
            }
            Err(flag) => {
                down.close = true;
                if let Some(flag) = flag {
                    record.flag(flag);
                    record.finish();
                }
                if let Stream::Http2(stream) = &mut down.stream {
                    stream.reset(h2::Reason::INTERNAL_ERROR);
                }
            }
        }
        record.request_bytes = upload.bytes;
        drop(held);
    }
}

/// What the client is told of the answer's length and of its connection.
fn answering(down: &Downstream, record: &Record, response: &mut Response) -> Answering {
    let head_only = record.request.method() == "HEAD";
    let mut close = down.close;
    let body = match response.body {
        BodyLength::Open | BodyLength::Close if record.request.version == Version::HTTP_10 => {
            close = true;
            BodyLength::Close
        }
        BodyLength::Close => BodyLength::Open,
        other => other,
    };
    let bare = response.status == 204 || response.status == 304 || head_only;
    if bare && response.status == 204 {
        response.fields.remove(Known::ContentLength);
    }
    // HTTP/2 may end a stream without saying a length; HTTP/1.1 has to.
    if body == BodyLength::None && !bare && !response.fields.contains(Known::ContentLength) {
        response.fields.add(Known::ContentLength, b"0");
    }
    Answering { status: response.status, body, close, head_only }
}

/// Moves the body; an error is its flag, or nothing when the client went away.
async fn download(
    down: &mut Downstream,
    upstream: &mut Upstream,
    upload: &mut Upload,
    record: &mut Record,
    deadline: Option<Instant>,
) -> Result<(), Option<Flag>> {
    down.timer.set(deadline);
    poll_fn(|cx| progress(cx, down, upstream, upload, record)).await
}

fn progress(
    cx: &mut Context<'_>,
    down: &mut Downstream,
    upstream: &mut Upstream,
    upload: &mut Upload,
    record: &mut Record,
) -> Poll<Result<(), Option<Flag>>> {
    if let Poll::Ready(Err(_)) = upload.poll(cx, &mut down.stream, &mut upstream.stream) {
        return Poll::Ready(Err(None));
    }
    let Record { response_bytes, grpc_status: status, .. } = record;
    let spliced = poll_splice(cx, &mut upstream.stream, &mut down.stream, response_bytes);
    let mut see = |data: &[u8]| *response_bytes += data.len() as u64;
    let mut end = |trailers: Option<&Fields>| {
        *status = trailers.and_then(grpc_status).or(*status);
    };
    let pumped = match spliced {
        Poll::Ready(Ok(())) => poll_pump(cx, &mut upstream.stream, &mut down.stream, &mut see, &mut end),
        other => other,
    };
    match pumped {
        Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
        Poll::Ready(Err(Broken::From(_))) => return Poll::Ready(Err(Some(Flag::UpstreamReset))),
        Poll::Ready(Err(Broken::To(_))) => return Poll::Ready(Err(None)),
        Poll::Pending => {}
    }
    if upload.is_over() && down.stream.poll_gone(cx).is_ready() {
        return Poll::Ready(Err(None));
    }
    down.timer.poll(cx).map(|()| Err(Some(Flag::UpstreamTimeout)))
}

/// `grpc-timeout` is heeded up to the route's timeout.
fn bound(route: Option<Duration>, headers: &Fields) -> Option<Duration> {
    let asked = headers.text(Known::GrpcTimeout).and_then(grpc_timeout);
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
        let headers: Fields = [("grpc-timeout", "250m")].into_iter().collect();

        assert_eq!(bound(Some(Duration::from_secs(1)), &headers), Some(Duration::from_millis(250)));
        assert_eq!(bound(Some(Duration::from_millis(10)), &headers), Some(Duration::from_millis(10)));
        for malformed in ["", "5", "m", "123456789S", "1x", "ä"] {
            assert_eq!(grpc_timeout(malformed), None, "{malformed}");
        }
    }
}

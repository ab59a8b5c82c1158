//! One try: the request sent to one endpoint, until the head of its answer.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::Downstream;
use super::upload::Upload;
use crate::cluster::{Cluster, Member};
use crate::head::{Request, Response};
use crate::resilience::retry::Failure;
use crate::stream::Fault;
use crate::timer::Timer;
use crate::upstream::{Outgoing, Unsent, Upstream, obtain};

/// Why a try has no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    Unsent(Unsent),
    /// The bound is reached.
    Late,
    /// The client went away.
    Gone,
    /// The client's body is broken.
    Broken(&'static str),
}

/// What one try needs.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) cluster: &'a Arc<Cluster>,
    pub(crate) member: &'a Arc<Member>,
    pub(crate) http2: bool,
    pub(crate) request: &'a Request,
    pub(crate) outgoing: &'a Outgoing,
    pub(crate) number: u32,
    pub(crate) now: Instant,
    pub(crate) bound: Option<Instant>,
}

impl Attempt<'_> {
    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn run(
        &self,
        down: &mut Downstream,
        upload: &mut Upload,
        response: &mut Response,
    ) -> Result<Upstream, Stop> {
        loop {
            upload.again();
            down.timer.set(self.bound);
            let connection = within(&mut down.timer, obtain(self.cluster, self.member, self.http2, self.now))
                .await?
                .map_err(Stop::Unsent)?;
            let begun = connection.begin(self.cluster, self.member, self.request, self.outgoing, self.number);
            let mut up = begun.await.map_err(|failure| Stop::Unsent(Unsent::Failed(failure)))?;
            let method = self.request.method();
            let ended = poll_fn(|cx| exchange(cx, down, upload, &mut up, method, response)).await;
            match ended {
                Ok(()) => return Ok(up),
                // An idle connection that the peer had just closed: the peer never saw the request.
                Err(Ended::Up(Fault::Silent)) if up.reused && upload.is_whole() && is_idempotent(method) => {}
                Err(Ended::Up(fault)) => return Err(Stop::Unsent(Unsent::Failed(failure(fault, upload)))),
                Err(Ended::Stop(stop)) => return Err(stop),
            }
        }
    }
}

enum Ended {
    Up(Fault),
    Stop(Stop),
}

fn exchange(
    cx: &mut Context<'_>,
    down: &mut Downstream,
    upload: &mut Upload,
    up: &mut Upstream,
    method: &str,
    response: &mut Response,
) -> Poll<Result<(), Ended>> {
    match upload.poll(cx, &mut down.stream, &mut up.stream) {
        Poll::Ready(Err(Fault::Malformed(reason))) => return Poll::Ready(Err(Ended::Stop(Stop::Broken(reason)))),
        Poll::Ready(Err(_)) => return Poll::Ready(Err(Ended::Stop(Stop::Gone))),
        Poll::Ready(Ok(())) | Poll::Pending => {}
    }
    match up.stream.poll_response(cx, method, response) {
        Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
        Poll::Ready(Err(fault)) => return Poll::Ready(Err(Ended::Up(fault))),
        Poll::Pending => {}
    }
    if upload.is_over() && down.stream.poll_gone(cx).is_ready() {
        return Poll::Ready(Err(Ended::Stop(Stop::Gone)));
    }
    down.timer.poll(cx).map(|()| Err(Ended::Stop(Stop::Late)))
}

/// Waits for something no longer than the timer says.
async fn within<T>(timer: &mut Timer, work: impl Future<Output = T>) -> Result<T, Stop> {
    tokio::pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => timer.poll(cx).map(|()| Err(Stop::Late)),
    })
    .await
}

/// RFC 9110, 9.2.2.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

fn failure(fault: Fault, upload: &Upload) -> Failure {
    match fault {
        Fault::Malformed(reason) => {
            tracing::debug!(reason, "the upstream answered with something that is not HTTP");
            Failure::Garbage
        }
        Fault::Refused => Failure::Refused,
        Fault::Closed | Fault::Silent => Failure::Reset { sent: upload.is_done() || !upload.is_whole() },
    }
}

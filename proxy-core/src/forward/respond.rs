//! The answer's body on its way to the client: counted, bounded in time, and the end of the record.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::{Body, BodyError};
use crate::resilience::limits::Held;
use crate::telemetry::{Flag, Record};
use crate::upstream::Upstream;

/// A body that owns everything that has to last until it ends.
struct Recorded {
    inner: Incoming,
    upstream: Option<Upstream>,
    record: Box<Record>,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
    _held: Vec<Held>,
}

/// Puts an upstream's body under record.
pub(crate) fn recorded(
    inner: Incoming,
    upstream: Upstream,
    record: Box<Record>,
    deadline: Option<Instant>,
    held: Vec<Held>,
) -> Body {
    let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
    Recorded { inner, upstream: Some(upstream), record, deadline, ended: false, _held: held }.boxed_unsync()
}

impl Recorded {
    fn end(&mut self) {
        self.ended = true;
        self.record.finish();
        if let Some(upstream) = self.upstream.take() {
            upstream.done();
        }
    }

    fn fail(&mut self, flag: Flag) {
        self.ended = true;
        self.record.flag(flag);
        self.record.finish();
        self.upstream = None;
    }

    fn see(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.record.response_bytes += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_ref() {
            self.record.grpc_status = super::exchange::grpc_status(trailers).or(self.record.grpc_status);
        }
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            this.fail(Flag::UpstreamTimeout);
            return Poll::Ready(Some(Err("the route's timeout is over".into())));
        }
        match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                this.see(&frame);
                if this.inner.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.fail(Flag::UpstreamReset);
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // A body that has no more to give is not asked again: its end is here.
        if !self.ended && self.inner.is_end_stream() {
            self.end();
        }
    }
}

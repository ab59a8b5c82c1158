//! The requests of one HTTP/1.1 connection, one after the other.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::carrier::Bounds;
use crate::forward::{self, Client, Downstream};
use crate::head::{BodyLength, Fields, Known, Request};
use crate::http1::{Refusal, head_end, request};
use crate::stream::{Answering, Http1, Stream};

/// Empty lines a client may send before a request (RFC 9112, 2.2), in bytes.
const BLANK: usize = 64;

/// What came of waiting for a request.
enum Came {
    Request,
    Refused(Refusal),
    /// The client sent half a head and no more.
    Late,
    /// The connection ended, or is to end.
    Ended,
}

/// Serves requests until the connection ends.
pub(super) async fn serve(client: &Client, down: &mut Downstream, drain: &CancellationToken) {
    let (bounds, mut next) = (client.carrier.bounds, Request::default());
    let draining = drain.cancelled();
    tokio::pin!(draining);
    let mut first = true;
    loop {
        let came = poll_fn(|cx| {
            let came = wait(cx, down, &bounds, &mut next, first);
            if came.is_pending() && draining.as_mut().poll(cx).is_ready() {
                // A head that has begun to come is waited for.
                let Stream::Http1(stream) = &down.stream else { return Poll::Ready(Came::Ended) };
                if stream.wire.input.is_empty() {
                    return Poll::Ready(Came::Ended);
                }
            }
            came
        })
        .await;
        first = false;
        match came {
            Came::Request => {}
            Came::Refused(refusal) => return refuse(client, down, refusal).await,
            Came::Late => return answer(down, 408, b"request timeout\n").await,
            Came::Ended => return,
        }
        down.close = drain.is_cancelled();
        next = Box::pin(forward::serve(client, down, std::mem::take(&mut next))).await;
        next.clear();
        let Stream::Http1(stream) = &mut down.stream else { return };
        if down.close {
            // A client that said all it had to say loses nothing when the socket is closed at once.
            if !stream.reader.has_ended() || !stream.wire.input.is_empty() || !stream.wire.output.is_empty() {
                forward::cut(&mut stream.wire).await;
            }
            return;
        }
        down.timer.set(Instant::now().checked_add(bounds.idle_timeout));
    }
}

/// Waits for a whole head and reads it.
fn wait(cx: &mut Context<'_>, down: &mut Downstream, bounds: &Bounds, next: &mut Request, first: bool) -> Poll<Came> {
    let Downstream { stream, timer, .. } = down;
    let Stream::Http1(stream) = stream else { return Poll::Ready(Came::Ended) };
    // The first head's clock began with the connection.
    let mut begun = first || !stream.wire.input.is_empty();
    loop {
        match take(stream, bounds, next) {
            Ok(true) => return Poll::Ready(Came::Request),
            Ok(false) => {}
            Err(refusal) => return Poll::Ready(Came::Refused(refusal)),
        }
        match stream.wire.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => {
                if !std::mem::replace(&mut begun, true) {
                    timer.set(Instant::now().checked_add(bounds.header_timeout));
                }
            }
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Came::Ended),
            Poll::Pending => {
                let late = if stream.wire.input.is_empty() { Came::Ended } else { Came::Late };
                return timer.poll(cx).map(|()| late);
            }
        }
    }
}

/// Reads a head if it is whole.
fn take(stream: &mut Http1, bounds: &Bounds, next: &mut Request) -> Result<bool, Refusal> {
    let mut blank = 0;
    while stream.wire.input.data().starts_with(b"\r\n") {
        stream.wire.input.consume(2);
        blank += 2;
        if blank > BLANK {
            return Err(Refusal("empty_lines"));
        }
    }
    let data = stream.wire.input.data();
    let Some(end) = head_end(data, 0)? else {
        return if data.len() > bounds.max_head_bytes { Err(Refusal::TOO_LARGE) } else { Ok(false) };
    };
    if end > bounds.max_head_bytes {
        return Err(Refusal::TOO_LARGE);
    }
    request(&data[..end], bounds.max_headers, next)?;
    stream.wire.input.consume(end);
    stream.begin(next.body, BodyLength::None);
    (stream.version, stream.expects) = (next.version, next.expects);
    Ok(true)
}

async fn refuse(client: &Client, down: &mut Downstream, refusal: Refusal) {
    client.carrier.metrics.rejected.with_label_values(&[refusal.0]).inc();
    client.carrier.metrics.protocol_errors.inc();
    answer(down, refusal.status(), format!("bad request: {}\n", refusal.0).as_bytes()).await;
}

/// Answers what is no request, and ends.
async fn answer(down: &mut Downstream, status: u16, body: &[u8]) {
    let mut fields = Fields::default();
    fields.add(Known::ContentType, b"text/plain");
    fields.add(Known::ContentLength, body.len().to_string().as_bytes());
    let answering = Answering { status, body: BodyLength::None, close: true, head_only: false };
    down.stream.respond(answering, &fields).unwrap_or_default();
    let Stream::Http1(stream) = &mut down.stream else { return };
    stream.wire.output.append(body);
    forward::cut(&mut stream.wire).await;
}

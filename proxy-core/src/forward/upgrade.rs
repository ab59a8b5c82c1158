//! Connections that become something else, such as a WebSocket, and those whose bytes are nobody's business.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{Downstream, headers};
use crate::head::{BodyLength, Fields, Known, Response, Span};
use crate::http1::Wire;
use crate::stream::{Answering, Stream};
use crate::telemetry::Record;
use crate::upstream::Upstream;

/// Puts back the two headers that ask for the upgrade, which concern every hop here.
pub(crate) fn ask(headers: &mut Fields, protocol: Span) {
    let protocol = headers.slice(protocol).to_vec();
    headers.set(Known::Connection, b"upgrade");
    headers.set(Known::Upgrade, &protocol);
}

/// Gives the answer that switches and carries bytes both ways; the record ends with them.
pub(crate) async fn carry(
    down: &mut Downstream,
    mut upstream: Upstream,
    response: &mut Response,
    record: &mut Record,
    change: impl FnOnce(&mut Fields),
) {
    let asked = record.request.upgrade.unwrap_or_default();
    let protocol = response.fields.get(Known::Upgrade).unwrap_or(record.request.fields.slice(asked)).to_vec();
    headers::strip_response(&mut response.fields);
    change(&mut response.fields);
    response.fields.set(Known::Upgrade, &protocol);
    (record.status, down.close) = (101, true);
    let answering = Answering { status: 101, body: BodyLength::None, close: true, head_only: true };
    if down.stream.respond(answering, &response.fields).is_err() {
        return;
    }
    if let (Stream::Http1(client), Stream::Http1(server)) = (&mut down.stream, &mut upstream.stream) {
        let (received, sent) = both_ways(&mut client.wire, &mut server.wire).await;
        record.request_bytes += received;
        record.response_bytes += sent;
        record.finish();
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    moved: u64,
    ended: bool,
    shut: bool,
}

/// Carries bytes until both sides have ended, or one broke; says how many went up and down.
pub(crate) async fn both_ways(down: &mut Wire, up: &mut Wire) -> (u64, u64) {
    let (mut there, mut back) = (Way::default(), Way::default());
    let ended = poll_fn(|cx| {
        let one = there.poll(cx, down, up)?;
        let other = back.poll(cx, up, down)?;
        if one.is_ready() && other.is_ready() { Poll::Ready(Ok::<_, io::Error>(())) } else { Poll::Pending }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a carried connection ended badly");
    }
    (there.moved, back.moved)
}

impl Way {
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Wire, to: &mut Wire) -> Poll<io::Result<()>> {
        while !self.ended {
            if from.input.is_empty() {
                // An answer that switched may still wait to go out.
                let flushed = to.poll_flush(cx)?;
                self.ended = ready!(from.poll_fill(cx))? == 0;
                if self.ended {
                    break;
                }
                ready!(flushed);
            }
            let count = ready!(to.poll_send(cx, from.input.data()))?;
            from.input.consume(count);
            self.moved += count as u64;
        }
        if !self.shut {
            ready!(to.poll_flush(cx))?;
            ready!(Pin::new(&mut to.io).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets the other side read the last words: ends the sending half and waits a moment for what still comes, since unread
/// bytes would make the kernel throw the answer away.
pub(crate) async fn cut(wire: &mut Wire) {
    const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);
    const MOST: usize = 1 << 20;
    let lingering = async {
        poll_fn(|cx| wire.poll_flush(cx)).await?;
        poll_fn(|cx| Pin::new(&mut wire.io).poll_shutdown(cx)).await?;
        let mut read = 0;
        while read < MOST {
            wire.input.consume(wire.input.len());
            match poll_fn(|cx| wire.poll_fill(cx)).await? {
                0 => break,
                count => read += count,
            }
        }
        Ok::<_, io::Error>(())
    };
    let _silent = tokio::time::timeout(MOMENT, lingering).await;
}

//! Copies of a request to other clusters. Nobody waits for them, no drain either, and their answers are thrown away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::exchange::Outgoing;
use super::replay::{Piece, Replay};
use crate::body::{BodyError, empty};
use crate::carrier::Carrier;
use crate::cluster::Cluster;
use crate::upstream::send;

/// Pieces of the body that a copy may lag behind before it is cut.
const LAG: usize = 64;
/// Bound on one copy; the route's timeout is not its.
const BOUND: Duration = Duration::from_secs(60);

/// Sends a copy on its way.
pub(crate) fn start(carrier: &Arc<Carrier>, cluster: Arc<Cluster>, http2: bool, outgoing: &Outgoing, body: &Replay) {
    let mut outgoing = outgoing.clone();
    shadow(&mut outgoing);
    let copy = if body.is_empty() {
        empty()
    } else {
        let (sender, pieces) = mpsc::channel(LAG);
        body.copy_to(sender);
        Copy { pieces, ended: false }.boxed_unsync()
    };
    let carrier = Arc::clone(carrier);
    tokio::spawn(async move {
        let Some(member) = cluster.pick(Instant::now(), &carrier.dice, None, &[]) else {
            carrier.metrics.mirrors.with_label_values(&["no_endpoint"]).inc();
            return;
        };
        let Some(all) = cluster.shared.in_flight.requests.try_hold(cluster.spec.limits.max_requests) else {
            carrier.metrics.mirrors.with_label_values(&["overflow"]).inc();
            return;
        };
        let held = (member.state.requests.hold(), all);
        let request = outgoing.build(http2, 1, copy);
        let exchange = async {
            let sent = send(&cluster, &member, http2, request).await.ok()?;
            let mut body = sent.response.into_body();
            while let Some(frame) = body.frame().await {
                frame.ok()?;
            }
            sent.upstream.done();
            Some(())
        };
        let done = tokio::select! {
            done = timeout(BOUND, exchange) => done.ok().flatten(),
            () = carrier.life.drain.cancelled() => None,
        };
        carrier.metrics.mirrors.with_label_values(&[if done.is_some() { "answered" } else { "failed" }]).inc();
        drop(held);
    });
}

/// A mirrored request says so in its authority, as Envoy's does: `-shadow` before the port.
fn shadow(outgoing: &mut Outgoing) {
    let Ok(authority) = outgoing.authority.to_str() else { return };
    let host = crate::router::without_port(authority);
    let shadow = format!("{host}-shadow{}", &authority[host.len()..]);
    if let Ok(shadow) = HeaderValue::from_str(&shadow) {
        outgoing.authority = shadow;
    }
}

struct Copy {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

impl HttpBody for Copy {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.pieces.poll_recv(cx)) {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => Some(Err("the mirror could not keep up".into())),
        })
    }
}

//! Copies of a request to other clusters. Nobody waits for them, no drain either, and their answers are thrown away.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::upload::{Piece, Upload};
use crate::carrier::Carrier;
use crate::cluster::{Cluster, Member};
use crate::head::{BodyLength, Request, Response};
use crate::stream::{Fault, Next, Stream};
use crate::upstream::{Outgoing, obtain};

/// Pieces of the body that a copy may lag behind before it is cut.
const LAG: usize = 64;
/// Bound on one copy; the route's timeout is not its.
const BOUND: Duration = Duration::from_secs(60);

/// Sends a copy on its way.
pub(crate) fn start(
    carrier: &Arc<Carrier>,
    cluster: &Arc<Cluster>,
    request: &Request,
    outgoing: &Outgoing,
    upload: &mut Upload,
) {
    let (mut request, mut outgoing) = (request.clone(), *outgoing);
    shadow(&mut request, &mut outgoing);
    let pieces = (request.body != BodyLength::None).then(|| {
        let (sender, pieces) = mpsc::channel(LAG);
        upload.copy_to(sender);
        pieces
    });
    let (carrier, cluster) = (Arc::clone(carrier), Arc::clone(cluster));
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
        let copying = timeout(BOUND, copy(&cluster, &member, &request, &outgoing, pieces));
        let done = tokio::select! {
            done = copying => done.ok().flatten(),
            () = carrier.life.drain.cancelled() => None,
        };
        carrier.metrics.mirrors.with_label_values(&[if done.is_some() { "answered" } else { "failed" }]).inc();
        drop(held);
    });
}

async fn copy(
    cluster: &Arc<Cluster>,
    member: &Arc<Member>,
    request: &Request,
    outgoing: &Outgoing,
    pieces: Option<mpsc::Receiver<Piece>>,
) -> Option<()> {
    let connection = obtain(cluster, member, cluster.speaks_http2(request.version), Instant::now()).await.ok()?;
    let mut upstream = connection.begin(cluster, member, request, outgoing, 1).await.ok()?;
    if let Some(pieces) = pieces {
        send(&mut upstream.stream, pieces).await?;
    }
    let (mut response, method) = (Response::default(), request.method());
    poll_fn(|cx| {
        upstream.stream.finish(None)?;
        ready!(upstream.stream.poll_flush(cx))?;
        upstream.stream.poll_response(cx, method, &mut response)
    })
    .await
    .ok()?;
    poll_fn(|cx| {
        loop {
            match ready!(upstream.stream.poll_piece(cx))? {
                Next::End => return Poll::Ready(Ok::<_, Fault>(())),
                Next::Data => {
                    let count = upstream.stream.data().len();
                    upstream.stream.consume(count);
                }
            }
        }
    })
    .await
    .ok()?;
    upstream.done(response.keep_alive);
    Some(())
}

/// Sends the body; one that was cut is not ended.
async fn send(stream: &mut Stream, mut pieces: mpsc::Receiver<Piece>) -> Option<()> {
    loop {
        match pieces.recv().await? {
            Piece::End => return Some(()),
            Piece::Trailers(trailers) => stream.finish(Some(&trailers)).ok()?,
            Piece::Data(mut data) => {
                poll_fn(|cx| {
                    while !data.is_empty() {
                        let taken = ready!(stream.poll_write(cx, &data))?;
                        bytes::Buf::advance(&mut data, taken);
                    }
                    stream.poll_flush(cx)
                })
                .await
                .ok()?;
            }
        }
    }
}

/// A mirrored request says so in its authority, as Envoy's does: `-shadow` before the port.
fn shadow(request: &mut Request, outgoing: &mut Outgoing) {
    let authority = request.fields.str(outgoing.authority);
    let host = crate::router::without_port(authority);
    let shadow = format!("{host}-shadow{}", &authority[host.len()..]);
    outgoing.authority = request.fields.store(shadow.as_bytes());
}

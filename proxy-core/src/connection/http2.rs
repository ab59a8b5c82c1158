//! The requests of one HTTP/2 connection, each in a task of its own.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Ping;
use h2::server::Connection;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::prefixed::Prefixed;
use crate::forward::{self, Client, Downstream};
use crate::head::{Request, Response};
use crate::http1::Wire;
use crate::stream::{Http2, Stream, take};
use crate::timer::Timer;

/// Streams one HTTP/2 connection may have open at once (Envoy's default for Istio's listeners is far higher; this bounds
/// what one client can hold).
const STREAMS: u32 = 1024;
/// How often a client is asked whether it is there.
const BEAT: Duration = Duration::from_secs(60);
/// Streams a client may reset before they were looked at (CVE-2023-44487).
const RESETS: usize = 64;

/// Serves requests until the connection ends.
pub(super) async fn serve(client: Client, wire: Wire, drain: CancellationToken) {
    let Some(mut connection) = handshake(&client, wire).await else { return };
    let (client, cut) = (Arc::new(client), CancellationToken::new());
    let _cut = cut.clone().drop_guard();
    let mut draining = false;
    let (mut pings, mut beat, mut asked) = (connection.ping_pong(), interval(BEAT), false);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = drain.cancelled(), if !draining => {
                draining = true;
                connection.graceful_shutdown();
                continue;
            }
            _ = beat.tick() => {
                // One that was not answered until the next is the sign of a dead peer.
                if asked {
                    return tracing::debug!("a client's HTTP/2 answered no ping");
                }
                asked = pings.as_mut().is_some_and(|pings| pings.send_ping(Ping::opaque()).is_ok());
                continue;
            }
            pong = poll_fn(|cx| pings.as_mut().map_or(Poll::Pending, |pings| pings.poll_pong(cx))), if asked => {
                if pong.is_err() {
                    return;
                }
                asked = false;
                continue;
            }
        };
        match accepted {
            Some(Ok((request, respond))) => {
                let (client, cut) = (Arc::clone(&client), cut.clone());
                let tasks = client.carrier.life.tasks.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = Box::pin(one(&client, request, respond)) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            Some(Err(error)) => {
                client.carrier.metrics.protocol_errors.inc();
                tracing::debug!(%error, "a client's HTTP/2 ended badly");
                return;
            }
            None => return,
        }
    }
}

async fn handshake(client: &Client, wire: Wire) -> Option<Connection<Prefixed, Bytes>> {
    let bounds = client.carrier.bounds;
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(bounds.max_head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_pending_accept_reset_streams(RESETS)
        .max_concurrent_reset_streams(RESETS)
        .handshake::<_, Bytes>(Prefixed::new(wire));
    match tokio::time::timeout(bounds.header_timeout, handshake).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            client.carrier.metrics.protocol_errors.inc();
            tracing::debug!(%error, "a client's HTTP/2 did not begin");
            None
        }
        Err(_) => None,
    }
}

async fn one(client: &Client, request: http::Request<h2::RecvStream>, respond: h2::server::SendResponse<Bytes>) {
    let (head, body) = request.into_parts();
    let mut request = Request::default();
    take(&head, body.is_end_stream(), &mut request);
    let mut down = Downstream {
        stream: Stream::Http2(Box::new(Http2::server(body, respond))),
        timer: Timer::default(),
        response: Response::default(),
        close: false,
    };
    forward::serve(client, &mut down, request).await;
}

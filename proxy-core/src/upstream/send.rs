//! Sending one request to one endpoint, over a connection it gets or makes.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::connect::connect;
use super::pool::{Idle, Shared};
use crate::body::Body;
use crate::cluster::{Cluster, Member};
use crate::resilience::limits::{Gauge, Held};
use crate::resilience::retry::Failure;

/// The answer of an endpoint, and the connection it comes over.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) response: Response<Incoming>,
    pub(crate) upstream: Upstream,
}

/// A connection in use by one request. Dropping it without [`Upstream::done`] gives up an HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Upstream {
    cluster: Arc<Cluster>,
    member: Arc<Member>,
    lease: Option<Idle>,
    _stream: Option<Held>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// A limit of the cluster is reached.
    Overflow,
    /// The try failed.
    Failed(Failure),
}

/// Sends a request. It may wait for a connection when the cluster's limits allow that.
pub(crate) async fn send(
    cluster: &Arc<Cluster>,
    member: &Arc<Member>,
    http2: bool,
    mut request: Request<Body>,
) -> Result<Sent, Unsent> {
    loop {
        let connection = if http2 { shared(cluster, member).await? } else { lent(cluster, member).await? };
        let reused = connection.reused;
        match connection.send(request).await {
            Ok(sent) => return Ok(sent),
            // An idle connection that the peer just closed: nothing was sent, and nobody was asked.
            Err((_, Some(unsent))) if reused => request = unsent,
            Err((failure, _)) => return Err(Unsent::Failed(failure)),
        }
    }
}

struct Connection {
    wire: Wire,
    upstream: Upstream,
    reused: bool,
}

enum Wire {
    Http1(Idle),
    Http2(Shared),
}

impl Connection {
    async fn send(self, request: Request<Body>) -> Result<Sent, (Failure, Option<Request<Body>>)> {
        let mut upstream = self.upstream;
        let response = match self.wire {
            Wire::Http1(mut idle) => {
                idle.served += 1;
                let response = idle.sender.try_send_request(request).await;
                upstream.lease = Some(idle);
                response
            }
            Wire::Http2(mut shared) => shared.sender.try_send_request(request).await,
        };
        response.map(|response| Sent { response, upstream }).map_err(classify)
    }
}

/// A broken send as a failure, with the request when it was not touched.
fn classify(mut error: TrySendError<Request<Body>>) -> (Failure, Option<Request<Body>>) {
    let message = error.take_message();
    let error = error.into_error();
    let refused = std::iter::successors(std::error::Error::source(&error), |error| error.source())
        .filter_map(|source| source.downcast_ref::<h2::Error>())
        .any(|source| source.reason() == Some(h2::Reason::REFUSED_STREAM));
    let failure = if refused {
        Failure::Refused
    } else if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        Failure::Garbage
    } else {
        Failure::Reset { sent: message.is_none() }
    };
    tracing::debug!(%error, ?failure, "the upstream gave no answer");
    (failure, message)
}

async fn lent(cluster: &Arc<Cluster>, member: &Arc<Member>) -> Result<Connection, Unsent> {
    let (limits, pool) = (&cluster.spec.limits, &member.state.pool);
    let mut waiting: Option<Held> = None;
    loop {
        // Listening begins before looking: what is given back in between is not missed.
        let freed = cluster.shared.freed.notified();
        if let Some(idle) = pool.take(limits, Instant::now()) {
            return Ok(Connection { wire: Wire::Http1(idle), upstream: upstream(cluster, member, None), reused: true });
        }
        if let Some(held) = room(cluster, member) {
            let idle = open_http1(cluster, member, held).await.map_err(Unsent::Failed)?;
            return Ok(Connection {
                wire: Wire::Http1(idle),
                upstream: upstream(cluster, member, None),
                reused: false,
            });
        }
        if waiting.is_none() {
            let pending = cluster.shared.in_flight.pending.try_hold(limits.max_pending_requests);
            waiting = Some(pending.ok_or(Unsent::Overflow)?);
        }
        freed.await;
    }
}

async fn shared(cluster: &Arc<Cluster>, member: &Arc<Member>) -> Result<Connection, Unsent> {
    let (limits, pool) = (&cluster.spec.limits, &member.state.pool);
    let found = |(shared, stream), reused| Connection {
        wire: Wire::Http2(shared),
        upstream: upstream(cluster, member, Some(stream)),
        reused,
    };
    if let Some(connection) = pool.share(limits, Instant::now()) {
        return Ok(found(connection, true));
    }
    let asked = Instant::now();
    let mut failed = pool.making.lock().await;
    if let Some(connection) = pool.share(limits, Instant::now()) {
        return Ok(found(connection, true));
    }
    let held = room(cluster, member).ok_or(Unsent::Overflow)?;
    if failed.is_some_and(|failed| failed >= asked) {
        // Who waited for a connection that could not be made does not wait for the next one after it.
        return Err(Unsent::Failed(Failure::Connect));
    }
    let shared = match open_http2(cluster, member, held).await {
        Ok(shared) => shared,
        Err(failure) => {
            *failed = Some(Instant::now());
            return Err(Unsent::Failed(failure));
        }
    };
    let stream = shared.streams.hold();
    pool.add_shared(shared.clone());
    Ok(found((shared, stream), false))
}

/// Holds room for one more connection. An endpoint without any may always have one, as in Envoy.
fn room(cluster: &Cluster, member: &Member) -> Option<(Held, Held)> {
    let (all, own) = (&cluster.shared.in_flight.connections, &member.state.pool.connections);
    let first = own.try_hold(Some(1));
    let held = match first {
        Some(own) => (all.hold(), own),
        None => (all.try_hold(cluster.spec.limits.max_connections)?, own.hold()),
    };
    Some(held)
}

fn upstream(cluster: &Arc<Cluster>, member: &Arc<Member>, stream: Option<Held>) -> Upstream {
    Upstream { cluster: Arc::clone(cluster), member: Arc::clone(member), lease: None, _stream: stream }
}

async fn open_http1(cluster: &Arc<Cluster>, member: &Arc<Member>, held: (Held, Held)) -> Result<Idle, Failure> {
    let stream = connect(&member.spec.address, &cluster.spec).await.map_err(|error| unreachable(member, &error))?;
    let handshake = http1::Builder::new().max_headers(256).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
    let shared = Arc::clone(&cluster.shared);
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "an upstream connection ended");
        }
        drop(held);
        shared.freed.notify_waiters();
    });
    let now = Instant::now();
    Ok(Idle { sender, made: now, since: now, served: 0 })
}

async fn open_http2(cluster: &Arc<Cluster>, member: &Arc<Member>, held: (Held, Held)) -> Result<Shared, Failure> {
    let stream = connect(&member.spec.address, &cluster.spec).await.map_err(|error| unreachable(member, &error))?;
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
    let shared = Arc::clone(&cluster.shared);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an upstream connection ended");
        }
        drop(held);
        shared.freed.notify_waiters();
    });
    Ok(Shared { sender, streams: Gauge::default(), made: Instant::now(), served: Arc::new(AtomicU32::new(1)) })
}

fn unreachable(member: &Member, error: &std::io::Error) -> Failure {
    tracing::debug!(endpoint.addr = ?member.spec.address, %error, "no connection to an endpoint");
    Failure::Connect
}

impl Upstream {
    /// Says that the answer was read whole: the connection may serve the next request.
    pub(crate) fn done(mut self) {
        let Some(mut idle) = self.lease.take() else { return };
        let now = Instant::now();
        idle.since = now;
        if idle.sender.is_closed() || !idle.may_serve(&self.cluster.spec.limits, now) {
            return;
        }
        if idle.sender.is_ready() {
            self.member.state.pool.give_back(idle);
            self.cluster.shared.freed.notify_waiters();
            return;
        }
        // The rest of the request is still on its way: the connection comes back when that is done, or never.
        let (cluster, member) = (Arc::clone(&self.cluster), Arc::clone(&self.member));
        tokio::spawn(async move {
            if idle.sender.ready().await.is_ok() {
                member.state.pool.give_back(idle);
                cluster.shared.freed.notify_waiters();
            }
        });
    }
}

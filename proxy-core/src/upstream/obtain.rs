//! A connection for one request, from the pool or made, and the request's head on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use tokio::time::Instant;

use super::connect::connect;
use super::pool::{Idle, Past, Room, Shared};
use crate::cluster::{Cluster, Member};
use crate::head::{BodyLength, Request, Span};
use crate::http1::request_head;
use crate::resilience::limits::{Gauge, Held};
use crate::resilience::retry::Failure;
use crate::stream::{Http1, Http2, Stream, request_of};

/// What is sent beside the request's own headers: where it goes. Spans are of the request's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) authority: Span,
    /// Whether the tries are counted in a header.
    pub(crate) count_attempts: bool,
}

/// A connection in use by one request. Dropping it without [`Upstream::done`] gives up an HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    /// Whether the connection served before: it may have ended unseen.
    pub(crate) reused: bool,
    cluster: Arc<Cluster>,
    member: Arc<Member>,
    lease: Lease,
}

#[derive(Debug)]
enum Lease {
    Lent(Past),
    Shared { _stream: Held },
}

/// Why there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsent {
    /// A limit of the cluster is reached.
    Overflow,
    /// The try failed.
    Failed(Failure),
}

/// A connection that a request may be sent on.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    reused: bool,
}

#[derive(Debug)]
enum Wire {
    Http1(Idle),
    Http2(Box<(Shared, Held)>),
}

/// Gets a connection. It may wait for one when the cluster's limits allow that.
pub(crate) async fn obtain(
    cluster: &Arc<Cluster>,
    member: &Arc<Member>,
    http2: bool,
    now: Instant,
) -> Result<Connection, Unsent> {
    if http2 {
        return shared(cluster, member).await;
    }
    match member.state.pools.mine().take(&cluster.spec.limits, now) {
        Some(idle) => Ok(Connection { wire: Wire::Http1(idle), reused: true }),
        None => Box::pin(lent(cluster, member)).await,
    }
}

impl Connection {
    /// Sends the request's head, or puts it where it goes out with the first of the body.
    pub(crate) async fn begin(
        self,
        cluster: &Arc<Cluster>,
        member: &Arc<Member>,
        request: &Request,
        outgoing: &Outgoing,
        attempt: u32,
    ) -> Result<Upstream, Failure> {
        let fields = &request.fields;
        let line = (
            fields.slice(request.method),
            fields.slice(outgoing.path),
            outgoing.query.map(|query| fields.slice(query)),
        );
        let authority = fields.slice(outgoing.authority);
        let mut digits = [0; 10];
        let counted = [("x-envoy-attempt-count", decimal(attempt, &mut digits))];
        let more = if outgoing.count_attempts { &counted[..] } else { &[] };
        let (stream, lease) = match self.wire {
            Wire::Http1(Idle { mut stream, mut past }) => {
                past.served += 1;
                stream.begin(BodyLength::None, request.body);
                request_head(line, authority, fields, request.body, more, &mut stream.wire.output);
                (Stream::Http1(stream), Lease::Lent(past))
            }
            Wire::Http2(shared) => {
                let (Shared { sender, .. }, held) = *shared;
                let head = request_of(line, authority, fields, more).ok_or(Failure::Garbage)?;
                let mut sender = sender.ready().await.map_err(|error| refused(&error))?;
                let ended = request.body == BodyLength::None;
                let (waiting, send) = sender.send_request(head, ended).map_err(|error| refused(&error))?;
                (Stream::Http2(Box::new(Http2::client(waiting, send, ended))), Lease::Shared { _stream: held })
            }
        };
        Ok(Upstream { stream, reused: self.reused, cluster: Arc::clone(cluster), member: Arc::clone(member), lease })
    }
}

impl Upstream {
    /// Says that the answer was read whole: the connection may serve the next request, if the upstream keeps it.
    pub(crate) fn done(self, keep_alive: bool) {
        let (Stream::Http1(stream), Lease::Lent(mut past)) = (self.stream, self.lease) else { return };
        let wire = &stream.wire;
        // Bytes behind the answer would be taken for the next one.
        let clean = keep_alive
            && stream.finished
            && stream.reader.has_ended()
            && wire.input.is_empty()
            && wire.output.is_empty();
        let now = Instant::now();
        past.since = now;
        if clean && past.may_serve(&self.cluster.spec.limits, now) {
            self.member.state.pools.mine().give_back(Idle { stream, past });
        }
        self.cluster.shared.freed.notify_waiters();
    }
}

async fn lent(cluster: &Arc<Cluster>, member: &Arc<Member>) -> Result<Connection, Unsent> {
    let (limits, pools) = (&cluster.spec.limits, &member.state.pools);
    let mut waiting: Option<Held> = None;
    loop {
        // Listening begins before looking: what is given back in between is not missed.
        let freed = cluster.shared.freed.notified();
        if let Some(idle) = pools.mine().take(limits, Instant::now()) {
            return Ok(Connection { wire: Wire::Http1(idle), reused: true });
        }
        if let Some(room) = room(cluster, member) {
            let idle = open_http1(cluster, member, room).await.map_err(Unsent::Failed)?;
            return Ok(Connection { wire: Wire::Http1(idle), reused: false });
        }
        // Another thread's idle connection cannot be used here, but its place can.
        if pools.iter().any(super::Pool::evict) {
            continue;
        }
        if waiting.is_none() {
            let pending = cluster.shared.in_flight.pending.try_hold(limits.max_pending_requests);
            waiting = Some(pending.ok_or(Unsent::Overflow)?);
        }
        freed.await;
    }
}

async fn shared(cluster: &Arc<Cluster>, member: &Arc<Member>) -> Result<Connection, Unsent> {
    let (limits, pool) = (&cluster.spec.limits, member.state.pools.mine());
    let found = |shared, reused| Connection { wire: Wire::Http2(Box::new(shared)), reused };
    if let Some(connection) = pool.share(limits, Instant::now()) {
        return Ok(found(connection, true));
    }
    let asked = Instant::now();
    let mut failed = pool.making.lock().await;
    if let Some(connection) = pool.share(limits, Instant::now()) {
        return Ok(found(connection, true));
    }
    let room = room(cluster, member).ok_or(Unsent::Overflow)?;
    if failed.is_some_and(|failed| failed >= asked) {
        // Who waited for a connection that could not be made does not wait for the next one after it.
        return Err(Unsent::Failed(Failure::Connect));
    }
    let shared = match open_http2(cluster, member, room).await {
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
fn room(cluster: &Cluster, member: &Member) -> Option<Room> {
    let (all, own) = (&cluster.shared.in_flight.connections, &member.state.connections);
    let first = own.try_hold(Some(1));
    let held = match first {
        Some(own) => (all.hold(), own),
        None => (all.try_hold(cluster.spec.limits.max_connections)?, own.hold()),
    };
    Some(Room::new(held, Arc::clone(&cluster.shared)))
}

async fn open_http1(cluster: &Arc<Cluster>, member: &Arc<Member>, room: Room) -> Result<Idle, Failure> {
    let io = connect(&member.spec.address, &cluster.spec, cluster.tls.as_deref(), false).await;
    let io = io.map_err(|error| unreachable(member, &error))?;
    let now = Instant::now();
    Ok(Idle { stream: Box::new(Http1::new(io)), past: Past { made: now, since: now, served: 0, _room: room } })
}

async fn open_http2(cluster: &Arc<Cluster>, member: &Arc<Member>, room: Room) -> Result<Shared, Failure> {
    let io = connect(&member.spec.address, &cluster.spec, cluster.tls.as_deref(), true).await;
    let io = io.map_err(|error| unreachable(member, &error))?;
    let handshake = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .enable_push(false)
        .handshake::<_, Bytes>(io)
        .await;
    let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
    let closed = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&closed);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an upstream connection ended");
        }
        ended.store(true, Ordering::Release);
        drop(room);
    });
    let served = Arc::new(AtomicU32::new(1));
    Ok(Shared { sender, streams: Gauge::default(), made: Instant::now(), served, closed })
}

/// Writes a number in decimal digits.
fn decimal(mut number: u32, into: &mut [u8; 10]) -> &[u8] {
    let mut at = into.len();
    loop {
        at -= 1;
        into[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &into[at..];
        }
    }
}

fn refused(error: &h2::Error) -> Failure {
    tracing::debug!(%error, "the upstream took no stream");
    if error.reason() == Some(h2::Reason::REFUSED_STREAM) { Failure::Refused } else { Failure::Reset { sent: false } }
}

fn unreachable(member: &Member, error: &std::io::Error) -> Failure {
    tracing::debug!(endpoint.addr = ?member.spec.address, %error, "no connection to an endpoint");
    Failure::Connect
}

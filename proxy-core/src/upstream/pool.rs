//! The connections of one endpoint on one thread.
//!
//! HTTP/1.1 connections are lent to one request each and come back when its answer was read whole. HTTP/2 connections
//! are shared. A connection counts against the cluster's limit from the first packet to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use parking_lot::Mutex;
use tokio::time::Instant;
use wattle_contract::route::Limits;

use crate::resilience::limits::{Gauge, Held};
use crate::stream::Http1;

/// Istio's default for idle upstream connections.
const IDLE: Duration = Duration::from_secs(3600);

/// Connections to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// Held while an HTTP/2 connection is made, so that a burst does not make one each; holds when that last failed.
    pub(super) making: tokio::sync::Mutex<Option<Instant>>,
}

/// An HTTP/1.1 connection and its past.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) stream: Box<Http1>,
    pub(super) past: Past,
}

/// What is remembered of a connection that is lent.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) made: Instant,
    pub(super) since: Instant,
    pub(super) served: u32,
    pub(super) _room: Room,
}

/// The place of one connection within the cluster's limit; who waits for one is told when it is free.
#[derive(Debug)]
pub(super) struct Room {
    held: Option<(Held, Held)>,
    cluster: Arc<crate::cluster::Shared>,
}

/// An HTTP/2 connection.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) streams: Gauge,
    pub(super) made: Instant,
    pub(super) served: Arc<AtomicU32>,
    pub(super) closed: Arc<AtomicBool>,
}

impl Pool {
    /// Takes the connection that was given back last and still lives.
    pub(super) fn take(&self, limits: &Limits, now: Instant) -> Option<Idle> {
        let mut idle = self.idle.lock();
        while let Some(connection) = idle.pop() {
            if connection.is_fresh(limits, now) {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn give_back(&self, connection: Idle) {
        self.idle.lock().push(connection);
    }

    /// Closes one idle connection; says whether there was one.
    pub(super) fn evict(&self) -> bool {
        let evicted = self.idle.lock().pop();
        evicted.is_some()
    }

    /// Gives a shared connection with room for one more stream, and holds the stream.
    pub(super) fn share(&self, limits: &Limits, now: Instant) -> Option<(Shared, Held)> {
        let mut shared = self.shared.lock();
        shared.retain(|connection| !connection.is_closed());
        let old = |made: Instant| limits.max_connection_duration.is_some_and(|most| now.duration_since(made) > most);
        shared.iter().filter(|connection| !old(connection.made)).find_map(|connection| {
            let served = limits
                .max_requests_per_connection
                .is_some_and(|most| connection.served.load(Ordering::Relaxed) >= most);
            let stream = connection.streams.try_hold(limits.max_concurrent_streams).filter(|_| !served)?;
            connection.served.fetch_add(1, Ordering::Relaxed);
            Some((connection.clone(), stream))
        })
    }

    pub(super) fn add_shared(&self, connection: Shared) {
        self.shared.lock().push(connection);
    }

    /// Drops what was idle or alive for too long.
    pub(crate) fn prune(&self, limits: &Limits, now: Instant) {
        self.idle.lock().retain(|connection| connection.is_fresh(limits, now));
        self.shared.lock().retain(|connection| {
            let old = limits.max_connection_duration.is_some_and(|most| now.duration_since(connection.made) > most);
            !connection.is_closed() && (!old || connection.streams.value() > 0)
        });
    }
}

impl Idle {
    fn is_fresh(&self, limits: &Limits, now: Instant) -> bool {
        // Anything that came unasked is the end, or would be taken for the next answer.
        self.stream.wire.io.is_silent()
            && now.duration_since(self.past.since) < limits.idle_timeout.unwrap_or(IDLE)
            && self.past.may_serve(limits, now)
    }
}

impl Room {
    pub(super) const fn new(held: (Held, Held), cluster: Arc<crate::cluster::Shared>) -> Self {
        Self { held: Some(held), cluster }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held = None;
        self.cluster.freed.notify_waiters();
    }
}

impl Past {
    pub(super) fn may_serve(&self, limits: &Limits, now: Instant) -> bool {
        limits.max_requests_per_connection.is_none_or(|most| self.served < most)
            && limits.max_connection_duration.is_none_or(|most| now.duration_since(self.made) < most)
    }
}

impl Shared {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

//! The connections of one endpoint.
//!
//! HTTP/1.1 connections are lent to one request each and come back when its answer was read whole. HTTP/2 connections
//! are shared. A connection counts against the cluster's limit from the first packet to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use tokio::time::Instant;
use wattle_contract::route::Limits;

use crate::body::Body;
use crate::resilience::limits::{Gauge, Held};

/// Istio's default for idle upstream connections.
const IDLE: Duration = Duration::from_secs(3600);

/// Connections to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// Held while an HTTP/2 connection is made, so that a burst does not make one each; holds when that last failed.
    pub(super) making: tokio::sync::Mutex<Option<Instant>>,
    pub(super) connections: Gauge,
}

/// An HTTP/1.1 connection and its past.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) sender: http1::SendRequest<Body>,
    pub(super) made: Instant,
    pub(super) since: Instant,
    pub(super) served: u32,
}

/// An HTTP/2 connection.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) sender: http2::SendRequest<Body>,
    pub(super) streams: Gauge,
    pub(super) made: Instant,
    pub(super) served: Arc<AtomicU32>,
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

    /// Gives a shared connection with room for one more stream, and holds the stream.
    pub(super) fn share(&self, limits: &Limits, now: Instant) -> Option<(Shared, Held)> {
        let mut shared = self.shared.lock();
        shared.retain(|connection| !connection.sender.is_closed());
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
            !connection.sender.is_closed() && (!old || connection.streams.value() > 0)
        });
    }

    /// Gives the connections that are open, idle ones included.
    pub(crate) fn open(&self) -> u32 {
        self.connections.value()
    }
}

impl Idle {
    pub(super) fn is_fresh(&self, limits: &Limits, now: Instant) -> bool {
        !self.sender.is_closed()
            && self.sender.is_ready()
            && now.duration_since(self.since) < limits.idle_timeout.unwrap_or(IDLE)
            && self.may_serve(limits, now)
    }

    pub(super) fn may_serve(&self, limits: &Limits, now: Instant) -> bool {
        limits.max_requests_per_connection.is_none_or(|most| self.served < most)
            && limits.max_connection_duration.is_none_or(|most| now.duration_since(self.made) < most)
    }
}

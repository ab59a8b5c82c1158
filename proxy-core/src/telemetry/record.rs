//! The record of one request: filled while it lives, told once when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Flag, Flags, Party, ServiceLabels, Sink, SpanContext};

/// Which end of the request this proxy stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reporter {
    /// The client's.
    Source,
    /// The server's.
    Destination,
}

/// `request_protocol` of the standard metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// Everything known of one request.
#[derive(Debug)]
pub(crate) struct Record {
    sink: Arc<Sink>,
    pub(crate) started: Instant,
    pub(crate) at: SystemTime,
    pub(crate) reporter: Reporter,
    pub(crate) protocol: Protocol,
    pub(crate) method: http::Method,
    pub(crate) scheme: &'static str,
    pub(crate) version: http::Version,
    pub(crate) authority: String,
    /// Normalised, without query.
    pub(crate) path: String,
    pub(crate) request_id: String,
    pub(crate) user_agent: String,
    pub(crate) peer_address: std::net::SocketAddr,
    pub(crate) route: String,
    /// Name of the upstream cluster, once one was chosen.
    pub(crate) cluster: String,
    pub(crate) upstream: String,
    /// The other end.
    pub(crate) peer: Arc<Party>,
    pub(crate) service: Arc<ServiceLabels>,
    pub(crate) attempts: u32,
    /// 0 until an answer began.
    pub(crate) status: u16,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) flags: Flags,
    pub(crate) request_bytes: Arc<AtomicU64>,
    pub(crate) response_bytes: u64,
    pub(crate) span: Option<SpanContext>,
    /// Attributes that Telemetry resources take from request headers.
    pub(crate) tags: Vec<(String, String)>,
    finished: bool,
}

impl Record {
    /// Begins the record of a request that was just accepted.
    pub(crate) fn new(
        sink: Arc<Sink>,
        reporter: Reporter,
        request: &http::request::Parts,
        peer: std::net::SocketAddr,
    ) -> Self {
        let text = |name| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let grpc = text(http::header::CONTENT_TYPE).starts_with("application/grpc");
        sink.begin();
        Self {
            started: Instant::now(),
            at: SystemTime::now(),
            reporter,
            protocol: if grpc { Protocol::Grpc } else { Protocol::Http },
            method: request.method.clone(),
            scheme: "http",
            version: request.version,
            authority: String::new(),
            path: request.uri.path().to_owned(),
            request_id: String::new(),
            user_agent: text(http::header::USER_AGENT).to_owned(),
            peer_address: peer,
            route: String::new(),
            cluster: String::new(),
            upstream: String::new(),
            peer: Arc::clone(&sink.unknown),
            service: Arc::clone(&sink.no_service),
            attempts: 0,
            status: 0,
            grpc_status: None,
            flags: Flags::default(),
            request_bytes: Arc::default(),
            response_bytes: 0,
            span: None,
            tags: Vec::new(),
            finished: false,
            sink,
        }
    }

    pub(crate) fn flag(&mut self, flag: Flag) {
        self.flags.insert(flag);
    }

    /// Says that the answer was given whole; without it the client counts as having gone away.
    pub(crate) const fn finish(&mut self) {
        self.finished = true;
    }

    pub(crate) fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.request_bytes.load(Ordering::Relaxed)
    }

    /// Says whether the answer stands for a failure of ours or of the upstream.
    pub(crate) fn is_error(&self) -> bool {
        self.status == 0 || self.status >= 500
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.finished {
            self.flag(if self.sink.cut_one() { Flag::Cut } else { Flag::DownstreamClosed });
        }
        let sink = Arc::clone(&self.sink);
        sink.tell(self);
    }
}

//! The record of one request: filled while it lives, told once when it is dropped.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Flag, Flags, Party, ServiceLabels, Sink, SpanContext};
use crate::cluster::{Cluster, Member};
use crate::head::{Known, Request, Span, visible};
use crate::router::Route;

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
    pub(crate) scheme: &'static str,
    /// The head as it came; its path is normalised.
    pub(crate) request: Request,
    pub(crate) request_id: Span,
    user_agent: Option<Span>,
    pub(crate) peer_address: std::net::SocketAddr,
    pub(crate) route: Option<Arc<Route>>,
    /// The upstream cluster, once one was chosen, and its endpoint.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) member: Option<Arc<Member>>,
    /// Name of a cluster that does not exist.
    pub(crate) missing: String,
    /// The other end.
    pub(crate) peer: Arc<Party>,
    pub(crate) service: Arc<ServiceLabels>,
    pub(crate) attempts: u32,
    /// 0 until an answer began.
    pub(crate) status: u16,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) flags: Flags,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) span: Option<SpanContext>,
    /// Attributes that Telemetry resources take from request headers.
    pub(crate) tags: Vec<(String, String)>,
    finished: bool,
    told: bool,
}

impl Record {
    /// Begins the record of a request that was just accepted.
    pub(crate) fn new(sink: Arc<Sink>, reporter: Reporter, request: Request, peer: std::net::SocketAddr) -> Self {
        sink.begin();
        Self {
            started: Instant::now(),
            at: SystemTime::now(),
            reporter,
            protocol: if request.is_grpc() { Protocol::Grpc } else { Protocol::Http },
            scheme: "http",
            user_agent: request.fields.span(Known::UserAgent),
            request,
            request_id: Span::default(),
            peer_address: peer,
            route: None,
            cluster: None,
            member: None,
            missing: String::new(),
            peer: Arc::clone(&sink.unknown),
            service: Arc::clone(&sink.no_service),
            attempts: 0,
            status: 0,
            grpc_status: None,
            flags: Flags::default(),
            request_bytes: 0,
            response_bytes: 0,
            span: None,
            tags: Vec::new(),
            finished: false,
            told: false,
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

    /// Ends the record and gives the head's memory back.
    pub(crate) fn close(mut self) -> Request {
        self.tell();
        std::mem::take(&mut self.request)
    }

    pub(crate) fn request_id(&self) -> &str {
        self.request.fields.str(self.request_id)
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.user_agent.and_then(|span| visible(self.request.fields.slice(span))).unwrap_or_default()
    }

    pub(crate) fn route_name(&self) -> &str {
        self.route.as_ref().map_or("", |route| &route.name)
    }

    pub(crate) fn cluster_name(&self) -> &str {
        self.cluster.as_ref().map_or(&self.missing, |cluster| cluster.spec.name.as_str())
    }

    /// Gives the endpoint's address, or nothing.
    pub(crate) fn upstream(&self) -> &str {
        self.member.as_ref().map_or("", |member| &member.address)
    }

    /// Says whether the answer stands for a failure of ours or of the upstream.
    pub(crate) const fn is_error(&self) -> bool {
        self.status == 0 || self.status >= 500
    }

    fn tell(&mut self) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        if !self.finished {
            self.flag(if self.sink.cut_one() { Flag::Cut } else { Flag::DownstreamClosed });
        }
        let sink = Arc::clone(&self.sink);
        sink.tell(self);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.tell();
    }
}

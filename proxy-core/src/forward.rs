//! The life of one request between its head and the end of its answer; one core for every protocol.
//!
//! ```text
//! head ─► checked (400) ─► host, route (NR) ─► fault ─► try: endpoint (UH), connection (UF, UO), answer (UC, UT)
//!                                                        ▲ └─ wanted and allowed: pause, another endpoint
//!                                                        └───┘
//! answer's head ─► headers changed ─► body streamed, counted ─► connection given back, record dropped
//! ```

mod affinity;
mod attempt;
mod begin;
mod deliver;
mod exchange;
mod fault;
mod headers;
mod inbound;
mod mirror;
mod outbound;
mod reply;
mod upgrade;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::carrier::Carrier;
use crate::head::{Request, Response};
use crate::stream::Stream;
use crate::timer::Timer;

pub(crate) use upgrade::{both_ways, cut};

/// Where a request came in.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    /// From the workload's own application, to any service.
    Outbound,
    /// From elsewhere, to this port of the workload's application.
    Inbound {
        /// The workload's port, by which the table is looked up.
        port: u16,
        /// Where the application listens.
        application: SocketAddr,
    },
    /// From outside the mesh, to this port of the gateway.
    Gateway {
        /// The gateway's port.
        port: u16,
    },
}

/// A client's connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) carrier: Arc<Carrier>,
    pub(crate) side: Side,
    pub(crate) peer: SocketAddr,
    /// Its IP address as headers write it.
    pub(crate) peer_text: Box<str>,
    /// The address of this end.
    pub(crate) local: SocketAddr,
    /// `https` where TLS was ended here.
    pub(crate) scheme: &'static str,
}

/// What a connection lends to each of its requests.
#[derive(Debug)]
pub(crate) struct Downstream {
    pub(crate) stream: Stream,
    pub(crate) timer: Timer,
    /// Memory of the last response's head.
    pub(crate) response: Response,
    /// Whether the connection ends with this request.
    pub(crate) close: bool,
}

/// Answers one request; gives the memory of its head back.
pub(crate) async fn serve(client: &Client, down: &mut Downstream, request: Request) -> Request {
    down.close |= !request.keep_alive;
    match client.side {
        Side::Outbound | Side::Gateway { .. } => outbound::serve(client, down, request).await,
        Side::Inbound { port, .. } => inbound::serve(client, down, port, request).await,
    }
}

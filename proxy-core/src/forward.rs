//! The life of one request between its head and the end of its answer.
//!
//! ```text
//! head ─► checked (400) ─► host, route (NR) ─► fault ─► try: endpoint (UH), connection (UF, UO), answer (UC, UT)
//!                                                        ▲ └─ wanted and allowed: pause, another endpoint
//!                                                        └───┘
//! answer's head ─► headers changed ─► body streamed, counted ─► connection given back, record dropped
//! ```

mod affinity;
mod begin;
mod check;
mod deliver;
mod exchange;
mod fault;
mod headers;
mod inbound;
mod mirror;
mod outbound;
mod replay;
mod reply;
mod respond;
mod upgrade;

pub(crate) use exchange::address;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::Body;
use crate::carrier::Carrier;

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
    /// The address of this end.
    pub(crate) local: SocketAddr,
}

/// Answers one request.
pub(crate) async fn serve(client: Arc<Client>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let answer = match &client.side {
        Side::Outbound | Side::Gateway { .. } => outbound::serve(&client, request).await,
        Side::Inbound { port, application } => inbound::serve(&client, *port, *application, request).await,
    };
    Ok(answer)
}

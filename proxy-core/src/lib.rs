//! The data plane: carries HTTP requests between services by a compiled [`RouteTable`].
//!
//! ```text
//! application ─► outbound listener ─► route ─► endpoint ══► inbound listener ─► application
//!                 (client's proxy)                           (server's proxy)
//! ```
//!
//! A [`Proxy`] carries any number of [`Workload`]s, each with its own identity, listeners and table. Listeners are
//! explicit: a request is routed by its `Host`, whose port (80 when it has none) is the service port. A request becomes
//! one record, which becomes metrics with Istio's names and labels, a span and a line of the access log; see
//! `docs/proxy.md` for its life with the failure edges.
//!
//! The router, balancing, resilience and telemetry know nothing of the HTTP library: they look at heads and give
//! decisions, with time and chance as arguments. Protocols are met in `http1`, `stream` and `connection` alone, sockets in
//! `io`; everything between sees a `Stream`.
//!
//! What a table asks for that this build cannot do (TLS among it) makes it refuse the table whole, with the reasons in
//! log, metrics and `/config_dump`; the last good table stays.
//!
//! [`RouteTable`]: wattle_contract::RouteTable

mod admin;
mod balance;
mod buffer;
mod carrier;
mod cluster;
mod config;
mod connection;
mod dice;
mod error;
mod forward;
mod head;
mod http1;
mod io;
mod listener;
mod metrics;
mod policy;
pub mod probe;
mod proxy;
mod resilience;
mod router;
mod stream;
mod table;
mod telemetry;
mod threads;
mod timer;
mod tls;
mod upstream;
mod workload;

pub use config::{AccessLogTarget, Config};
pub use error::Error;
pub use proxy::{Listeners, Proxy, Summary, WorkloadHandle};
pub use workload::{GatewayListener, InboundListener, Workload};

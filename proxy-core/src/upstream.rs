//! Connections to endpoints: made, shared, given back, limited.

mod connect;
mod pool;
mod send;

pub(crate) use pool::Pool;
pub(crate) use send::{Sent, Unsent, Upstream, send};

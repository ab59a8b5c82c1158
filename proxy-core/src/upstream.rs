//! Connections to endpoints: made, shared, given back, limited.

mod connect;
mod obtain;
mod pool;

pub(crate) use obtain::{Outgoing, Unsent, Upstream, obtain};
pub(crate) use pool::Pool;

//! Route tables compiled for matching: a host by hash, then the first route whose conditions hold.
//!
//! ```text
//! authority ─► Hosts (exact by hash, then the longest ending, then any) ─► Host ─► Route, first match wins
//! ```
//!
//! Nothing here knows a socket or an HTTP library's server: a [`Head`] is looked at, an answer comes back.

mod action;
mod condition;
mod cors;
mod header_ops;
mod hosts;
mod index;
mod path;
mod rewrite;
mod route;

pub(crate) use action::{Action, Destination};
pub(crate) use condition::Text;
pub(crate) use cors::{Cors, Preflight};
pub(crate) use header_ops::HeaderOps;
pub(crate) use hosts::{Host, Hosts, without_port};
pub(crate) use path::normalise;
pub(crate) use rewrite::rewrite_path;
pub(crate) use route::{Head, Matched, Route};
#[cfg(test)]
mod tests;

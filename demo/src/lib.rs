//! The cluster that `wattle up --demo` looks at: a hotel booking application on three machines.
//!
//! Real here: HTTP requests on loopback between the pods of eight services, each through its own proxies; queueing for
//! cores; a Poisson stream of users; mesh resources on disk. Simulated: the machines, as queues with the published power
//! curve of a real server each, exported in Kepler's format and labelled as simulated.
//!
//! ```text
//! load ─► proxy ─► frontend app ─► proxy ─► proxy ─► search app ─► …     (proxies belong to the caller: Event::PodStarted)
//!                      │ work                            │ work
//!                      ▼                                 ▼
//!                   node-a ── watts ─► exporter       node-b ── watts ─► exporter      (Kepler's /metrics)
//!
//! placer ─► extender (filter, prioritize) ─► one more pod ─► endpoints.yaml ─► Event::Placed
//! ```
//!
//! The crate knows nothing of proxies, collector or scheduler but their protocols: a [`Demo`] is given bound listeners for
//! its exporters and the address of an extender, and gives out pods as [`Event`]s.

mod app;
mod client;
mod config;
#[cfg(test)]
mod corpus;
mod demo;
mod error;
mod exporter;
mod exposition;
mod extender;
mod load;
mod machines;
mod mesh;
mod node;
mod placer;
mod pods;
mod rapl;
mod service;

pub use config::{Config, Energy};
pub use demo::{Demo, DemoPod, Event, Inbound, Listeners, Summary};
pub use error::Error;
pub use machines::{MACHINES, Machine, facts};
pub use mesh::RESOURCES;
pub use placer::Placement;
pub use rapl::RaplPaths;

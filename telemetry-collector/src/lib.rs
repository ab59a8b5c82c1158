//! Measures a cluster's traffic and energy: receives samples and spans, stores them, answers queries, and publishes
//! what the scheduler decides by.
//!
//! ```text
//! scrape, remote write ─► Batch ──► journal (acknowledged) ─► head ─► packs
//!                                                              │
//!                              PromQL ◄── /api/v1/query ◄──────┤
//!                                                              ▼
//!                         Window (every 15 s of data time) ─► ClusterSnapshot ─► watch channel, /api/v1/snapshot
//! OTLP ─► spans ─► compressed batches and search rows
//! ```
//!
//! [`Collector::start`] runs all of it over one [`Store`]: SQLite in a file, or PostgreSQL. What was acknowledged is in
//! the store: after a kill -9 the journal is replayed and nothing is lost.

mod catalog;
mod collector;
mod config;
mod discover;
mod error;
mod graph;
pub mod history;
mod import;
mod kubernetes;
mod metrics;
#[doc(hidden)]
pub mod probe;
mod publish;
mod query;
mod receive;
mod rules;
pub mod store;
mod window;

pub use collector::{Collector, Listeners, Summary};
pub use config::{Authorization, Config, QueryLimits, Scheme, ScrapeJob, ScrapeTarget, ScrapeTls, scrape_configs_of};
pub use discover::{FileDiscovery, KubernetesDiscovery, Relabel, Role, Selector};
pub use error::Error;
pub use import::{ImportError, Imported, RemoteRead, Unanswered, import, import_remote};
pub use rules::RuleConfig;
pub use store::Store;

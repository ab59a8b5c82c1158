//! Decides which node a pod should go to, and says why.
//!
//! ```text
//! snapshots ─┐                       kube-scheduler ──► filter, prioritize ──► scores 0..10
//! model ─────┼─► compile ─► View ─┐                              │
//!            │  (off the request  ├─► decide ─► Candidate ───────┤
//! bindings ──┴─► Assumed ─────────┘  path)                       └─► Decision ─► /explain, records
//! ```
//!
//! A request is parsed once, looked up in the newest [`view::View`], and answered from memory: no database, no network,
//! no waiting. The decision itself ([`decide::decide`]) is a pure function of the view, the assumed pods, the policy and
//! the pod. What is unknown is neutral and said so; the extender never blocks scheduling because of its own trouble.

mod api_server;
pub mod assume;
pub mod carbon;
pub mod cluster;
mod compile;
mod config;
pub mod consolidate;
pub mod decide;
pub mod doctor;
mod drift;
mod error;
mod events;
pub mod explain;
mod extender;
pub mod filter;
mod follow;
pub mod memory;
mod metrics;
pub mod names;
pub mod normalize;
pub mod outcome;
pub mod pod;
pub mod predict;
mod record;
pub mod replay;
mod scheduler;
pub mod score;
pub mod steer;
mod tls;
pub mod view;
mod watch;
pub mod wire;

pub use config::{CarbonSource, Clock, Config, TlsFiles, Trust};
pub use error::Error;
pub use follow::{Steerer, follow_snapshots, follow_snapshots_every, follow_steering};
pub use scheduler::Scheduler;

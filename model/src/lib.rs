//! Learns what a node draws and how long its services take, and predicts both for a placement that has not happened.
//!
//! ```text
//! Window ──► features::extract ──► Dataset ──► train ──► Artifact (one file)
//!                    │                                      │
//! ClusterSnapshot ───┴──────────► Predictor::compile ◄──────┘
//!                                      │
//!                                 Predictions: a table a node ──► added watts, p95, with intervals
//! ```
//!
//! Three layers, each usable alone: what physics and published curves say of a machine ([`prior`]), what its class and
//! the node itself have shown ([`power`], [`latency`], solved by [`linear`]), and what boosted trees add where they have
//! seen enough ([`residual`]). Power never falls with load, latency never falls with load, and what nobody measured has
//! no prediction. Everything here is synchronous and pure: no network, no database, no clock, no global state.

pub mod artifact;
pub mod boost;
pub mod csv;
pub mod dataset;
pub mod drift;
mod error;
pub mod evaluate;
pub mod features;
pub mod import;
pub mod latency;
pub mod linear;
pub mod named;
pub mod power;
mod predict;
pub mod prior;
pub mod report;
pub mod residual;
pub mod score;
pub mod support;
mod train;

pub use artifact::Artifact;
pub use dataset::Dataset;
pub use error::Error;
pub use evaluate::{Evaluation, evaluate};
pub use predict::{Interval, NodePrediction, Predictions, Predictor, ServiceTime};
pub use train::{COVERAGE, Progress, TrainOptions, Trained, no_leak, train};

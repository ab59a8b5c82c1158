//! A cluster to try everything on: the real Kubernetes control plane, or virtual time; simulated machines either way.
//!
//! ```text
//! scenario ─► plan (machines, pods, load) ─► run ─┬─ policy.place ◄─ kube-scheduler's scores, rivals, wattle's decide
//!                                                 ├─ queues, power curves ─► outcome ─► tables, report
//!                                                 └─ windows with faults ─► policy.observe
//! ```
//!
//! What decides is the library that decides in production: `wattle_scheduler::decide` over a view of a
//! `ClusterSnapshot`, with a `wattle_model` predictor. Simulated are the machines: power by a real server's published
//! curve, latency by a queue calibrated on a measured application, measurements with noise, gaps and delays.

pub mod ablation;
pub mod app;
pub mod bound;
pub mod cluster;
pub mod contenders;
pub mod corpus;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod queue;
pub mod reach;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server;
pub mod statistics;
pub mod study;
pub mod table;
pub mod telemetry;

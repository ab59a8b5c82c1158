//! The words that the rooms of wattle share.
//!
//! This crate holds types, and how Kubernetes writes two of them: no input or output, no async, no dependency on another
//! room. A value that travels from one room to another is declared here once, with its unit in its type.
//!
//! ```text
//! Sample ──► Window ──► ClusterSnapshot ──► (scheduler, with a PodRequest) ──► Decision
//! mesh resources ──► RouteTable ──► (proxy)
//! ```
//!
//! A measurement that is missing is `None`, never zero, minus one or NaN: a node that nobody measured must not look
//! like a node that uses nothing.

mod decision;
mod endpoint;
mod identity;
mod names;
mod pod;
mod quantity;
pub mod route;
mod sample;
mod snapshot;
mod units;
mod window;

pub use decision::{Candidate, CostParts, Decision, DecisionId, Reason};
pub use endpoint::{Endpoint, EndpointAddress, Health, Locality};
pub use identity::{ProxyMode, WorkloadIdentity};
pub use names::{ClusterName, Namespace, NodeName, PodKey, ServiceName, WorkloadName};
pub use pod::{Objective, PodRequest};
pub use quantity::{Rounded, parse_quantity, pod_total};
pub use route::RouteTable;
pub use sample::{Labels, METRIC_NAME, Sample};
pub use snapshot::{ClusterSnapshot, PodPlacement, PodResources, WorkloadScale};
pub use units::{Bytes, Joules, Millicores, Milliseconds, Timestamp, Watts};
pub use window::{Edge, EnergySource, LatencyBracket, MachineFacts, NodeWindow, ServiceWindow, Window};

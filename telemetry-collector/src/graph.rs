//! The service graph: services as nodes, calls as edges.
//!
//! Two sources, both at ingest: Istio's metrics (complete rates, bytes, energy) and spans (who really waited for whom,
//! on which node, databases and queues). Each adds to tables of five minutes, an hour and a day; a question is answered
//! from at most some hundreds of tables, whatever the retention.

pub(crate) mod critical;
pub(crate) mod edge;
pub(crate) mod explain;
pub(crate) mod merge;
pub(crate) mod report;
mod series;
pub(crate) mod spans;

//! What `wattle up` tells at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::Value;
use wattle_contract::{Joules, NodeName};

use super::Running;

/// One JSON object for programs, a few lines for people.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Requests the data plane carried.
    pub requests: u64,
    /// Of these, answered with a server error or not at all.
    pub request_errors: u64,
    /// Samples stored.
    pub samples: u64,
    /// Series known.
    pub series: u64,
    /// Spans stored.
    pub spans: u64,
    /// Windows measured, those of earlier runs included.
    pub windows: u64,
    /// Energy by node, as the collector measured it since the start. Units: joules.
    pub joules: BTreeMap<NodeName, Joules>,
    /// Scores of the model on held-out windows; null without a model.
    pub model: Value,
    /// Placements of the demo.
    pub placements: Vec<Value>,
    /// Listeners: name to address.
    pub listeners: BTreeMap<String, SocketAddr>,
}

/// Reads the counters of every role.
pub(crate) fn of(running: &Running, bound: &[(String, SocketAddr)]) -> Summary {
    let collected = running.collector.summary();
    let carried = running.proxy.summary();
    let evaluation = running.learned.evaluation.borrow().clone();
    Summary {
        requests: carried.requests,
        request_errors: carried.errors,
        samples: collected.samples,
        series: collected.series,
        spans: collected.spans,
        windows: collected.windows,
        joules: collected.joules,
        model: evaluation.and_then(|scores| serde_json::to_value(scores).ok()).unwrap_or(Value::Null),
        placements: running.demo.as_ref().map(|demo| demo.placements()).unwrap_or_default(),
        listeners: bound.iter().cloned().collect(),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "carried {} requests ({} errors)", self.requests, self.request_errors)?;
        writeln!(f, "stored {} samples of {} series and {} spans", self.samples, self.series, self.spans)?;
        for (node, joules) in &self.joules {
            writeln!(f, "{node} used {:.0} J", joules.get())?;
        }
        write!(f, "placed {} pods", self.placements.len())
    }
}

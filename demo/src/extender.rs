//! Asks a scheduler extender as kube-scheduler does: filter, then prioritize, with node names only.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wattle_contract::{Decision, NodeName, PodKey};

use crate::client::{Answer, CallError, Client};

/// Each question is answered within this or given up.
const DEADLINE: Duration = Duration::from_secs(2);

/// An extender.
#[derive(Debug)]
pub(crate) struct Extender {
    address: SocketAddr,
    client: Client,
}

/// Why the extender's word is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It answered with a failure.
    #[error("{verb} answered {status}")]
    Status { verb: &'static str, status: StatusCode },
    /// It answered something else than the protocol says.
    #[error("{verb} answered something that is no extender result: {reason}")]
    Body { verb: &'static str, reason: String },
    /// It said itself that it failed.
    #[error("filter failed: {0}")]
    Refused(String),
}

/// `ExtenderArgs` of k8s.io/kube-scheduler/extender/v1, with node names (`nodeCacheCapable`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Args<'a> {
    pod: &'a Value,
    nodes: Option<()>,
    node_names: &'a [NodeName],
}

/// `ExtenderFilterResult`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterResult {
    node_names: Option<Vec<NodeName>>,
    #[serde(default)]
    error: String,
}

/// `HostPriority`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostPriority {
    host: NodeName,
    score: i64,
}

impl Extender {
    /// Speaks to the extender at an address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::new(address, DEADLINE) }
    }

    /// Gives the score of each node that passes the filter; none when no node will do.
    pub(crate) async fn scores(&self, pod: &Value, nodes: &[NodeName]) -> Result<Vec<(NodeName, i64)>, AskError> {
        let filtered: FilterResult = self.ask("filter", pod, nodes).await?;
        if !filtered.error.is_empty() {
            return Err(AskError::Refused(filtered.error));
        }
        // A node that was not asked about is no candidate, and our order is kept: it decides between equals.
        let named = filtered.node_names.unwrap_or_default();
        let passed: Vec<NodeName> = nodes.iter().filter(|node| named.contains(node)).cloned().collect();
        if passed.is_empty() {
            return Ok(Vec::new());
        }
        let scored: Vec<HostPriority> = self.ask("prioritize", pod, &passed).await?;
        let score = |node: &NodeName| scored.iter().find(|entry| entry.host == *node).map_or(0, |entry| entry.score);
        Ok(passed.iter().map(|node| (node.clone(), score(node))).collect())
    }

    /// Asks why; `None` when it cannot be told.
    pub(crate) async fn explain(&self, pod: &PodKey) -> Option<Decision> {
        let path = format!("/explain?namespace={}&pod={}", pod.namespace, pod.name);
        let host = self.address.to_string();
        let answer = self.client.call(Method::GET, &host, &path, HeaderMap::new()).await.ok()?;
        serde_json::from_slice(&answer.body).ok().filter(|_| answer.status.is_success())
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        verb: &'static str,
        pod: &Value,
        nodes: &[NodeName],
    ) -> Result<T, AskError> {
        let body = |error: serde_json::Error| AskError::Body { verb, reason: error.to_string() };
        let args = serde_json::to_vec(&Args { pod, nodes: None, node_names: nodes }).map_err(body)?;
        let Answer { status, body: answer } = self.client.post_json(&format!("/scheduler/{verb}"), args).await?;
        if !status.is_success() {
            return Err(AskError::Status { verb, status });
        }
        serde_json::from_slice(&answer).map_err(body)
    }
}

//! Looks through a KubeSchedulerConfiguration for what would make the extender useless or harmful.
//!
//! kube-scheduler says next to nothing about an extender: a prioritize call that fails leaves no event, no metric and no
//! log line below level 5. What can be wrong is therefore looked for here, and a configuration that mends it is given.

mod calls;
mod checks;
mod fix;
mod reach;

use std::time::Duration;

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::Value;

pub use calls::{calls, nodes};
pub use reach::reach;

/// What the doctor is told of the extender and the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Time that this extender takes at most for an answer.
    pub deadline: Duration,
    /// Highest score that it gives.
    pub top_score: u32,
    /// Nodes in the cluster, where known.
    pub nodes: Option<usize>,
    /// Whether it refuses nodes (power caps); only then a filter call is worth its time.
    pub refuses_nodes: bool,
}

/// What the doctor found.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// The configuration with the findings mended that can be; `None` when there was nothing to mend or to read.
    pub mended: Option<String>,
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A fixed word.
    pub label: &'static str,
    /// What is so, and what follows from it.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The extender has no effect, or does harm.
    Error,
    /// It works worse than it could.
    Warning,
    /// Worth knowing.
    Info,
}

/// The part of a KubeSchedulerConfiguration that is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KubeScheduler {
    api_version: String,
    kind: String,
    extenders: Option<Vec<Extender>>,
    percentage_of_nodes_to_score: Option<i64>,
    client_connection: Option<ClientConnection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClientConnection {
    qps: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Extender {
    url_prefix: String,
    filter_verb: String,
    prioritize_verb: String,
    bind_verb: String,
    weight: i64,
    #[serde(rename = "enableHTTPS")]
    enable_https: bool,
    tls_config: Option<Tls>,
    http_timeout: Option<String>,
    node_cache_capable: bool,
    managed_resources: Vec<ManagedResource>,
    ignorable: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tls {
    insecure: bool,
    ca_file: String,
    ca_data: ByteString,
    cert_file: String,
    cert_data: ByteString,
    key_file: String,
    key_data: ByteString,
    server_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ManagedResource {
    name: String,
    ignored_by_scheduler: bool,
}

/// The path under which this extender answers.
const OUR_PATH: &str = "/scheduler";

/// Examines the text of a configuration. The extender is found by its path, `/scheduler`.
#[must_use]
pub fn examine(configuration: &str, facts: &Facts) -> Diagnosis {
    let alone = |label, message: String, remedy: &str| Diagnosis {
        findings: vec![Finding { severity: Severity::Error, label, message, remedy: remedy.to_owned() }],
        mended: None,
    };
    let value: Value = match serde_saphyr::from_str(configuration) {
        Ok(value) => value,
        Err(why) => {
            return alone(
                "unreadable",
                format!("the configuration is not YAML: {why}"),
                "give the file that kube-scheduler is started with (--config)",
            );
        }
    };
    let read: KubeScheduler = match serde_json::from_value(value.clone()) {
        Ok(read) => read,
        Err(why) => {
            return alone(
                "unreadable",
                format!("the configuration has another shape: {why}"),
                "compare it with the reference of kubescheduler.config.k8s.io/v1",
            );
        }
    };
    if read.kind != "KubeSchedulerConfiguration" {
        return alone(
            "wrong_kind",
            format!("the kind is {:?}, not KubeSchedulerConfiguration", read.kind),
            "give the file that kube-scheduler is started with (--config)",
        );
    }
    let ours = read.extenders.iter().flatten().position(|extender| is_ours(&extender.url_prefix));
    let mut findings = checks::of_scheduler(&read, facts);
    match ours.and_then(|at| read.extenders.as_ref()?.get(at)) {
        Some(extender) => findings.extend(checks::of_extender(extender, facts)),
        None => findings.push(checks::not_configured(&read)),
    }
    findings.sort();
    let needs_mending = findings.iter().any(|finding| finding.severity != Severity::Info);
    let mended = needs_mending.then(|| fix::mended(value, ours, facts)).flatten();
    Diagnosis { findings, mended }
}

fn is_ours(url_prefix: &str) -> bool {
    url_prefix.trim_end_matches('/').ends_with(OUR_PATH)
}

fn examined_timeout(given: Option<&Value>) -> Option<Duration> {
    checks::go_duration(given?.as_str()?)
}

//! What the data plane reports, as the Telemetry resources ask.

use serde::{Deserialize, Serialize};

use super::PercentMillionths;

/// Telemetry of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Share of the requests without a sampling decision that are traced; `None` means the proxy's setting.
    pub trace_sampling: Option<PercentMillionths>,
    /// Whether spans are not reported (context is still propagated).
    pub spans_disabled: bool,
    /// Whether trace context is not propagated.
    pub propagation_disabled: bool,
    /// Further attributes of spans.
    pub custom_tags: Vec<(String, CustomTag)>,
    /// Changes to the standard metrics.
    pub metrics: Vec<MetricOverride>,
    /// Access log; `None` means the proxy's setting.
    pub access_log: Option<AccessLog>,
}

/// Where a span attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomTag {
    /// This text.
    Literal(String),
    /// An environment variable, and its default.
    Environment(String, String),
    /// A request header, and its default.
    Header(String, String),
}

/// A change to one standard metric, or to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricOverride {
    /// Istio's word, such as `REQUEST_COUNT`; empty means all.
    pub metric: String,
    /// For reporter source; `None` means both.
    pub client: Option<bool>,
    /// Whether the metric is left out.
    pub disabled: bool,
    /// Labels to leave out.
    pub remove: Vec<String>,
    /// Labels to set: name and expression.
    pub upsert: Vec<(String, String)>,
}

/// Access log of the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// Whether nothing is logged.
    pub disabled: bool,
    /// Which requests are logged, as a CEL expression; empty means all.
    pub filter: String,
}

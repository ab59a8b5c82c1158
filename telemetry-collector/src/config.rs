//! What the collector is told to do: checked settings.

mod scrape;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use wattle_contract::{MachineFacts, NodeName};

use crate::Error;
use crate::rules::RuleConfig;
use crate::store::traces::SEARCH_ATTRIBUTES;

pub use scrape::{Authorization, Scheme, ScrapeJob, ScrapeTarget, ScrapeTls};
pub(crate) use written::duration;
pub use written::scrape_configs_of;

/// What the collector is told to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the store is: `sqlite://PATH` or `postgres://…`.
    pub store_url: String,
    /// Length of a window. Range: 1 s to 1 h.
    pub window: Duration,
    /// How long after its end a window stays open for samples that come late. Range: up to 10 min.
    pub window_lag: Duration,
    /// What to scrape.
    pub scrape: Vec<ScrapeJob>,
    /// What is known of the machines, by node.
    pub machines: BTreeMap<NodeName, MachineFacts>,
    /// How long everything is kept. Range: 1 h and above.
    pub retention: Duration,
    /// What the store may take: beyond, the oldest is dropped. Zero for any size. Units: bytes.
    pub retention_bytes: u64,
    /// Series that may be active at the same time; samples of more are rejected. Zero for any number.
    pub series_limit: u64,
    /// Series that one metric may have active at the same time. Zero for any number.
    pub metric_series_limit: u64,
    /// Exemplars that are kept in all; the oldest go first. Zero for none.
    pub exemplar_limit: u64,
    /// What one query may cost.
    pub query: QueryLimits,
    /// Attributes of spans and resources that searches are quick for; others are searched by looking at every span.
    pub search_attributes: Vec<String>,
    /// Recording and alerting rules.
    pub rules: RuleConfig,
    /// Whether nodes, pods and autoscalers are watched in Kubernetes.
    pub kubernetes: bool,
    /// How to reach the cluster then; without it as the pod that this is, or as `kubectl` would.
    pub kubeconfig: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store_url: "sqlite://wattle.db".to_owned(),
            window: Duration::from_secs(15),
            window_lag: Duration::from_secs(5),
            scrape: Vec::new(),
            machines: BTreeMap::new(),
            retention: Duration::from_secs(15 * 24 * 3600),
            retention_bytes: 0,
            series_limit: 0,
            metric_series_limit: 0,
            exemplar_limit: 100_000,
            query: QueryLimits::default(),
            search_attributes: SEARCH_ATTRIBUTES.split_whitespace().map(str::to_owned).collect(),
            rules: RuleConfig::default(),
            kubernetes: false,
            kubeconfig: None,
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |setting, reason: &str| Err(Error::Setting { setting, reason: reason.to_owned() });
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&self.window) {
            return refuse("window", "must be from 1 s to 1 h");
        }
        if self.window_lag > Duration::from_secs(600) {
            return refuse("window_lag", "must be at most 10 min");
        }
        if self.retention < Duration::from_secs(3600) {
            return refuse("retention", "must be at least 1 h");
        }
        let mut names = std::collections::BTreeSet::new();
        for job in &self.scrape {
            job.check().map_err(|reason| Error::Setting { setting: "scrape", reason })?;
            if !names.insert(&job.name) {
                return refuse("scrape", &format!("two jobs are named {:?}: give each a name of its own", job.name));
            }
        }
        Ok(())
    }
}

/// What one query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// How long it may run.
    pub timeout: Duration,
    /// Steps a range query may have.
    pub max_points: usize,
    /// Values it may hold at once, 8 bytes each; all queries together may hold twice as many.
    pub max_samples: usize,
    /// Series that one selector may match.
    pub max_series: usize,
    /// From how long on a query is logged as slow.
    pub slow: Duration,
    /// Whether that log has the query's text, not only its fingerprint: texts may name what is nobody's business.
    pub slow_text: bool,
    /// Queries at the same time; more of them wait.
    pub max_concurrent: usize,
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
    /// Whether a metric's name goes at the end of a query instead of in each function, as Prometheus does with its
    /// feature `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_points: 11_000,
            max_samples: 50_000_000,
            max_series: 200_000,
            slow: Duration::from_secs(10),
            slow_text: false,
            // Queries are bound by the processor: more at once only take it from what receives.
            max_concurrent: 4,
            lookback: Duration::from_secs(300),
            delayed_name_removal: false,
        }
    }
}

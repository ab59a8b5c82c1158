//! Scrape jobs: what is scraped, how, and what becomes of it.

use std::path::PathBuf;
use std::time::Duration;

use crate::discover::{FileDiscovery, KubernetesDiscovery, Relabel};

/// Targets that are scraped alike.
#[derive(Clone, Debug)]
pub struct ScrapeJob {
    /// The `job` label.
    pub name: String,
    /// Time from one scrape of a target to the next.
    pub interval: Duration,
    /// How long a scrape may take. Range: above zero, at most the interval.
    pub timeout: Duration,
    /// How targets are spoken to.
    pub scheme: Scheme,
    /// Path of the exposition.
    pub path: String,
    /// Parameters of the URL; a name may be there more than once.
    pub params: Vec<(String, String)>,
    /// Whether a label that a target gives wins over the same label of the collector.
    pub honor_labels: bool,
    /// Whether times that a target gives are taken; else every sample has the time of the scrape.
    pub honor_timestamps: bool,
    /// Largest exposition accepted, unpacked.
    pub body_limit_bytes: usize,
    /// Most samples of one scrape; a target with more is down. Zero for any number.
    pub sample_limit: usize,
    /// Most labels of one series; a target with more is down. Zero for any number.
    pub label_limit: usize,
    /// The targets that are named.
    pub targets: Vec<ScrapeTarget>,
    /// Files that name more of them.
    pub files: Vec<FileDiscovery>,
    /// Targets that Kubernetes knows.
    pub kubernetes: Vec<KubernetesDiscovery>,
    /// What becomes of targets: their address, their labels, whether they are scraped.
    pub relabel: Vec<Relabel>,
    /// What becomes of scraped series: their labels, whether they are kept.
    pub metric_relabel: Vec<Relabel>,
    /// How the collector says who it is.
    pub authorization: Option<Authorization>,
    /// Whom it believes over https.
    pub tls: ScrapeTls,
}

impl Default for ScrapeJob {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            scheme: Scheme::Http,
            path: "/metrics".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            label_limit: 0,
            body_limit_bytes: 64 << 20,
            targets: Vec::new(),
            files: Vec::new(),
            kubernetes: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            authorization: None,
            tls: ScrapeTls::default(),
        }
    }
}

impl ScrapeJob {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), String> {
        let refuse = |reason: &str| Err(format!("job {:?}: {reason}", self.name));
        if self.name.is_empty() {
            return refuse("a job needs a name");
        }
        if self.interval < Duration::from_millis(100) || self.timeout.is_zero() {
            return refuse("interval must be at least 100 ms and timeout above zero");
        }
        if self.timeout > self.interval {
            return refuse("timeout must not be longer than interval");
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return refuse("tls_config needs cert_file and key_file, or neither");
        }
        Ok(())
    }
}

/// How targets are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// Gives its word in a URL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One exposition to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeTarget {
    /// Host and port; also the `instance` label, unless `labels` has one.
    pub address: String,
    /// Labels that every sample of the target gets.
    pub labels: Vec<(String, String)>,
}

/// How the collector says who it is. Files are read at each scrape: tokens in Kubernetes change.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// A scheme such as `Bearer` and its credentials.
    Given(String, String),
    /// A scheme and the file that holds its credentials.
    File(String, PathBuf),
    /// A user's name and the file that holds the password, or the password itself.
    Basic(String, Result<String, PathBuf>),
}

impl std::fmt::Debug for Authorization {
    /// Shows no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(scheme, _) => f.debug_tuple("Given").field(scheme).finish_non_exhaustive(),
            Self::File(scheme, path) => f.debug_tuple("File").field(scheme).field(path).finish(),
            Self::Basic(user, _) => f.debug_tuple("Basic").field(user).finish_non_exhaustive(),
        }
    }
}

/// Whom the collector believes over https, and how it shows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeTls {
    /// The authorities; without it those that the system trusts.
    #[serde(rename = "ca_file")]
    pub ca: Option<PathBuf>,
    /// The collector's certificate, where targets ask for one.
    #[serde(rename = "cert_file")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(rename = "key_file")]
    pub key: Option<PathBuf>,
    /// The name that targets' certificates have, where it is not the one in the address.
    pub server_name: Option<String>,
    /// Believes anybody. Kubelets often have certificates that no authority signed.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

//! What can keep a scheduler from starting.

use std::path::PathBuf;

/// A scheduler that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of its range.
    #[error("scheduler setting {key} is {value}, expected {range}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// The bind verb needs Kubernetes to write the binding to.
    #[error("the bind verb is enabled but there is no connection to Kubernetes: set a kubeconfig or turn bind off")]
    BindWithoutKubernetes,
    /// The connection to Kubernetes cannot be made of its configuration.
    #[error("cannot use the configuration of the connection to Kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    /// Two schedulers on one registry.
    #[error("cannot register the scheduler's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A certificate, key or authority could not be used.
    #[error("cannot use {} for TLS: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::BindWithoutKubernetes => "bind_without_kubernetes",
            Self::Kubernetes(_) => "kubernetes",
            Self::Metrics(_) => "metrics",
            Self::Tls { .. } => "tls",
        }
    }
}

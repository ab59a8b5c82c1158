//! What can go wrong outside the life of one request.

use thiserror::Error;

/// An error of the data plane that is not a request's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A route table asks for something that this build cannot do, or holds something that cannot be compiled. The
    /// table is refused whole: what is named here would otherwise be left out silently.
    #[error("route table {version:?} was refused: {}", .reasons.join("; "))]
    RefusedTable {
        /// Version of the table.
        version: String,
        /// Every reason found, not only the first.
        reasons: Vec<String>,
    },
    /// A metric could not be registered, most likely because the registry already holds one of that name.
    #[error("cannot register the proxy's metrics: {0}; is another proxy using the same registry?")]
    Metrics(#[from] prometheus::Error),
    /// A setting is out of range.
    #[error("setting {setting} is {value}, but must be {must}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What it must be.
        must: &'static str,
    },
    /// A thread of the proxy could not be started.
    #[error("cannot start a thread that carries traffic: {0}")]
    Threads(std::io::Error),
    /// The collector of spans cannot be addressed.
    #[error("cannot send spans to {uri:?}: {source}; give an address such as http://127.0.0.1:4317")]
    Otlp {
        /// The address that was given.
        uri: String,
        /// Why.
        source: tonic::transport::Error,
    },
}

impl Error {
    /// Gives a fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::RefusedTable { .. } => "refused_table",
            Self::Metrics(_) => "metrics",
            Self::Setting { .. } => "setting",
            Self::Otlp { .. } => "otlp",
            Self::Threads(_) => "threads",
        }
    }
}

//! What can keep the demo from starting.

use std::io;
use std::path::PathBuf;

/// What can keep the demo from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that nothing can be done with.
    #[error("demo setting {setting} is {value}, expected {expected}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// No port for a pod.
    #[error("could not bind a port on 127.0.0.1 for a demo pod (tried {tried}); choose another first port")]
    Bind {
        /// Which ports.
        tried: String,
        /// The last refusal.
        source: io::Error,
    },
    /// The mesh resources could not be written.
    #[error("could not write the demo's mesh resources to {path}; check that the data folder is writable")]
    WriteMesh {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The number of exporter listeners does not fit the number of nodes.
    #[error("the demo has {expected} energy exporter(s) but was given {got} listener(s)")]
    Listeners {
        /// As many as there are nodes.
        expected: usize,
        /// As many as were given.
        got: usize,
    },
    /// No energy counter can be read.
    #[error("no readable RAPL energy counter under {path}: {reason}; {remedy}, or use simulated energy")]
    Rapl {
        /// Where they were looked for.
        path: PathBuf,
        /// What was found instead.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl Error {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::Bind { .. } => "bind",
            Self::WriteMesh { .. } => "write_mesh",
            Self::Listeners { .. } => "listeners",
            Self::Rapl { .. } => "rapl",
        }
    }
}

//! The extender protocol of kube-scheduler, as it is really spoken.
//!
//! Field names are Go's, capitalised; kube-scheduler matches them without regard to case, and so does this reader.
//! Inside them Pod and Node are ordinary Kubernetes JSON. Node objects are never decoded: they are kept as the bytes
//! they came in and sent back so. An answer is one JSON value with nothing after it, never `null`, `{}` or empty:
//! kube-scheduler takes those for "no node at all" (filter) or for "bound" (bind).

mod answer;
mod args;
mod bind;
mod name;
mod preempt;

pub use answer::{bind_answer, filter_answer, preempt_answer, prioritize_answer};
pub use args::{Candidates, ExtenderArgs};
pub use bind::BindArgs;
pub use name::Name;
pub use preempt::{PreemptArgs, Victims};

/// A body that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not JSON, cut off, or JSON of another shape.
    #[error("the body is not {expected}: {source}")]
    Malformed {
        /// What was expected.
        expected: &'static str,
        /// Where it went wrong.
        source: serde_json::Error,
    },
    /// Neither `NodeNames` nor `Nodes`.
    #[error("the body names no candidates: neither NodeNames nor Nodes is there")]
    NoCandidates,
}

impl Error {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::NoCandidates => "no_candidates",
        }
    }
}

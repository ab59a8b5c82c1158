//! PromQL with the semantics of Prometheus 3: left-open ranges, five minutes of lookback, stale markers.
//!
//! A query is parsed, its selectors are read from the store at once, and each expression is computed for all steps
//! before its parent: labels are looked at once a series, not once a step. What is not supported is refused by name;
//! there is no wrong answer for it.

mod aggregate;
mod binary;
mod data;
mod eval;
mod functions;
mod histogram;
mod labels;
mod matching;
mod range;
mod statistics;
mod subquery;
mod time;
mod value;

use std::sync::Arc;
use std::time::Duration;

use promql_parser::parser::Expr;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::QueryLimits;
use crate::store::samples::Samples;
use eval::Context;
pub(crate) use value::{Grid, Series, Value};

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The query is not one, or asks for what is not supported.
    #[error("{0}")]
    BadData(String),
    /// It cannot be computed from the data there is.
    #[error("{0}")]
    Execution(String),
    /// It took too long.
    #[error("query timed out in expression evaluation after {0:?}")]
    Timeout(Duration),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] crate::Error),
}

impl QueryError {
    /// Gives the word of Prometheus's `errorType`.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Store(_) => "internal",
        }
    }

    fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::BadData(format!("not supported: {what}"))
    }
}

/// Deepest nesting accepted: below what the stack of a worker thread holds.
const MOST_DEPTH: usize = 200;
/// Longest query accepted, in bytes.
const MOST_LENGTH: usize = 128 << 10;

/// Parses a query.
pub(crate) fn parse(query: &str) -> Result<Expr, QueryError> {
    if query.len() > MOST_LENGTH {
        return Err(QueryError::BadData(format!("query is longer than {MOST_LENGTH} bytes")));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in query.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MOST_DEPTH {
        return Err(QueryError::BadData(format!("query nests deeper than {MOST_DEPTH}")));
    }
    promql_parser::parser::parse(query)
        .map_err(|reason| QueryError::BadData(format!("invalid parameter \"query\": {reason}")))
}

/// Evaluates a query on a grid of times.
///
/// Selectors are told apart by where they are in memory, so the expression must not move: hence the `Arc`.
pub(crate) async fn evaluate(
    samples: &Samples,
    query: Arc<Expr>,
    grid: Grid,
    limits: QueryLimits,
    timeout: Duration,
) -> Result<Value, QueryError> {
    let started = Instant::now();
    let work = async {
        let data = data::load(samples, &query, grid, &limits).await?;
        let gone = CancellationToken::new();
        // Dropped with this future: a query whose client went away stops.
        let _guard = gone.clone().drop_guard();
        let context = Arc::new(Context::new(data, grid, limits, started + timeout, timeout, gone));
        let task = tokio::task::spawn_blocking(move || context.run(&query));
        task.await.map_err(|_| QueryError::Execution("query evaluation ended unexpectedly".to_owned()))?
    };
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(QueryError::Timeout(timeout)))
}

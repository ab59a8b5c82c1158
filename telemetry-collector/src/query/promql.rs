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

/// Operators and parentheses accepted in one query: an expression may nest as deep as it has of them, and each level
/// takes stack. As many calls inside each other overflowed the 2 MiB of a worker thread in a debug build.
const MOST_OPERATORS: usize = 500;
/// Stack of the thread that evaluates a query: [`MOST_OPERATORS`] levels with room to spare; only what is used is paid.
const STACK_BYTES: usize = 32 << 20;
/// Longest query accepted, in bytes.
const MOST_LENGTH: usize = 128 << 10;

/// Parses a query.
pub(crate) fn parse(query: &str) -> Result<Expr, QueryError> {
    if query.len() > MOST_LENGTH {
        return Err(QueryError::BadData(format!("query is longer than {MOST_LENGTH} bytes")));
    }
    if operators(query) > MOST_OPERATORS {
        return Err(QueryError::BadData(format!("query has more than {MOST_OPERATORS} operators and parentheses")));
    }
    promql_parser::parser::parse(query)
        .map_err(|reason| QueryError::BadData(format!("invalid parameter \"query\": {reason}")))
}

/// Counts operators and opening brackets outside of texts, matchers and comments.
fn operators(query: &str) -> usize {
    let (mut count, mut quote, mut in_braces, mut in_comment, mut is_escaped) = (0, None, false, false, false);
    for char in query.chars() {
        match (quote, char) {
            _ if in_comment => in_comment = char != '\n',
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(open), '\\') => is_escaped = open != '`',
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(char),
            (None, '#') => in_comment = true,
            (None, '{' | '}') => in_braces = char == '{',
            (None, '(' | '[' | '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | '=' | '!') if !in_braces => count += 1,
            _ => {}
        }
    }
    let is_word = |word: &&str| ["and", "or", "unless", "atan2"].iter().any(|other| word.eq_ignore_ascii_case(other));
    count + query.split(|char: char| !char.is_alphanumeric() && char != '_').filter(is_word).count()
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
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES);
        thread
            .spawn(move || drop(sender.send(context.run(&query))))
            .map_err(|error| QueryError::Execution(format!("no thread for the query: {error}")))?;
        receiver.await.map_err(|_| QueryError::Execution("query evaluation ended unexpectedly".to_owned()))?
    };
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(QueryError::Timeout(timeout)))
}

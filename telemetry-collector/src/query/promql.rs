//! PromQL with the semantics of Prometheus 3: left-open ranges, five minutes of lookback, stale markers.
//!
//! A query is parsed, and runs on a thread of its own. Series stream from the store through the expression one by one,
//! each with its values at all steps: labels are looked at once a series, not once a step, and what is held are groups,
//! not series. What is not supported is refused by name; there is no wrong answer for it.

mod aggregate;
mod binary;
mod blame;
mod budget;
mod escapes;
mod eval;
mod functions;
mod histogram;
mod labels;
mod matching;
mod notes;
mod patterns;
mod range;
mod selector;
mod series;
mod source;
mod statistics;
mod time;
mod value;
mod window;

use std::sync::Arc;
use std::time::Duration;

use promql_parser::parser::Expr;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::QueryLimits;
use crate::store::samples::Samples;
pub(crate) use budget::Budget;
use budget::Share;
use eval::{Clock, Context};
use notes::Notes;
pub(crate) use notes::Told;
pub(crate) use selector::{at_millis, millis, offset_ms};
use source::Source;
pub(crate) use source::matchers;
pub(crate) use value::{Grid, Series, Value, is_absent};

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
    #[error("query timed out in expression evaluation (limit {0:?})")]
    Timeout(Duration),
    /// It waited too long for others to end.
    #[error("query timed out in query queue: {most} queries run already (limit {most}, waited {waited:?})")]
    Queue {
        /// Queries at the same time.
        most: usize,
        /// How long it waited.
        waited: Duration,
    },
    /// Its client went away.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
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
            Self::Timeout(_) | Self::Queue { .. } => "timeout",
            Self::Cancelled => "canceled",
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
    patterns::check_query(query)?;
    promql_parser::parser::parse(&escapes::resolve(query)?).map_err(|reason| {
        QueryError::BadData(format!("invalid parameter \"query\": {}", blame::explain(query, &reason)))
    })
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

/// How a query is run.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) limits: QueryLimits,
    pub(crate) timeout: Duration,
    pub(crate) budget: Arc<Budget>,
}

/// Evaluates a query on a grid of times.
pub(crate) async fn evaluate(
    samples: &Arc<Samples>,
    query: Arc<Expr>,
    grid: Grid,
    run: Run,
) -> Result<(Value, Told), QueryError> {
    evaluate_into(samples, query, grid, run, Ok).await
}

/// Evaluates a query, and makes something of its result on the query's own thread: the runtime's threads, which also
/// take samples in, are not kept busy with it.
pub(crate) async fn evaluate_into<T: Send + 'static>(
    samples: &Arc<Samples>,
    query: Arc<Expr>,
    grid: Grid,
    run: Run,
    finish: impl FnOnce(Value) -> Result<T, QueryError> + Send + 'static,
) -> Result<(T, Told), QueryError> {
    let Run { limits, timeout, budget } = run;
    let gone = CancellationToken::new();
    // Dropped with this future: a query whose client went away stops.
    let _guard = gone.clone().drop_guard();
    let (samples, runtime) = (samples.clone(), tokio::runtime::Handle::current());
    let deadline = Instant::now() + timeout;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = move || {
        let context = Context {
            source: Source::new(samples, runtime, limits.max_series),
            query: grid,
            limits,
            notes: Notes::default(),
            share: Share::new(budget, limits.max_samples),
            clock: Clock { deadline, timeout, gone },
        };
        let answer = context.run(&query).and_then(finish).map(|made| (made, context.notes.told()));
        drop(sender.send(answer));
    };
    on_own_thread(work)?;
    let answer = tokio::time::timeout_at(deadline, receiver).await.map_err(|_| QueryError::Timeout(timeout))?;
    answer.map_err(|_| QueryError::Execution("query evaluation ended unexpectedly".to_owned()))?
}

/// Parses a query and makes something of it where there is stack for all its levels.
pub(crate) async fn parse_into<T: Send + 'static>(
    query: &str,
    finish: impl FnOnce(&Expr) -> T + Send + 'static,
) -> Result<T, QueryError> {
    let expr = parse(query)?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    on_own_thread(move || drop(sender.send(finish(&expr))))?;
    receiver.await.map_err(|_| QueryError::Execution("the query was not walked to its end".to_owned()))
}

fn on_own_thread(work: impl FnOnce() + Send + 'static) -> Result<(), QueryError> {
    let thread = std::thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(work);
    spawned.map(drop).map_err(|error| QueryError::Execution(format!("no thread for the query: {error}")))
}

//! Prometheus's HTTP API: instant and range queries, and what there is to ask for.

mod exemplars;
mod federate;
mod form;
mod metadata;
mod parse_query;
pub(crate) mod remote_read;
mod render;
mod status;
mod targets;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use promql_parser::parser::Expr;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::promql::{self, Budget, Grid, QueryError, Run, Told, Value};
use crate::config::{Config, QueryLimits};
use crate::receive::intake::{Intake, now};
use crate::rules::Groups;
use form::Form;
pub(crate) use metadata::selector;
pub(crate) use remote_read::STREAM;
use render::Rendered;
pub(crate) use render::{number, plain_number};

/// What the handlers share.
#[derive(Clone)]
struct Api {
    intake: Intake,
    limits: QueryLimits,
    config: Arc<Config>,
    groups: Groups,
    started: wattle_contract::Timestamp,
    running: Arc<Semaphore>,
    budget: Arc<Budget>,
}

/// What goes into an answer: JSON, and what the author of the query should know.
struct Answer {
    data: String,
    told: Told,
}

impl From<String> for Answer {
    fn from(data: String) -> Self {
        Self { data, told: Told::default() }
    }
}

impl Answer {
    /// Tells, as Prometheus does, when `limit` left something out.
    fn limited(mut self, is_cut: bool) -> Self {
        if is_cut {
            self.told.warnings.push("results truncated due to limit".to_owned());
        }
        self
    }
}

/// Gives the routes.
pub(super) fn routes(intake: Intake, config: Arc<Config>, groups: Groups) -> Router {
    let limits = config.query;
    let running = Arc::new(Semaphore::new(limits.max_concurrent.max(1)));
    // One heavy query may take all that it may, and others beside it still run.
    let budget = Budget::new(limits.max_samples.saturating_mul(2));
    let api = Api { intake, limits, config, groups, started: now(), running, budget };
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .merge(metadata::routes())
        .merge(status::routes())
        .route("/api/v1/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/api/v1/parse_query", get(parse_query::parse_query).post(parse_query::parse_query))
        .merge(targets::routes())
        .route("/api/v1/read", axum::routing::post(remote_read::read))
        .route("/federate", get(federate::federate))
        .with_state(api)
}

/// Answers `/api/v1/query`.
async fn instant(api: axum::extract::State<Api>, form: Form) -> Response {
    let answer = async {
        let query = form.required("query")?;
        let time = form.time("time")?.unwrap_or_else(|| now().0);
        let grid = Grid { start: time, step: 1, count: 1 };
        let limit = form.limit()?;
        let render = move |value, _: &Expr| Ok(render::instant(value, grid, limit));
        run(&api, &form, query, grid, render).await
    };
    respond(&api, answer.await)
}

/// Answers `/api/v1/query_range`.
async fn range(api: axum::extract::State<Api>, form: Form) -> Response {
    let answer = async {
        let query = form.required("query")?;
        let (start, end) = (form.required_time("start")?, form.required_time("end")?);
        let step = form.step("step")?;
        if end < start {
            return Err(QueryError::BadData(
                "invalid parameter \"end\": end timestamp must not be before start time".to_owned(),
            ));
        }
        let count = usize::try_from((end - start) / step).unwrap_or(usize::MAX).saturating_add(1);
        if count > api.limits.max_points {
            return Err(QueryError::BadData(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                api.limits.max_points
            )));
        }
        let grid = Grid { start, step, count };
        let limit = form.limit()?;
        run(&api, &form, query, grid, move |value, expr: &Expr| render::range(value, expr, grid, limit)).await
    };
    respond(&api, answer.await)
}

async fn run(
    api: &Api,
    form: &Form,
    query: &str,
    grid: Grid,
    render: impl FnOnce(Value, &Expr) -> Result<Rendered, QueryError> + Send + 'static,
) -> Result<Answer, QueryError> {
    let timeout = form.duration("timeout")?.map_or(api.limits.timeout, |timeout| timeout.min(api.limits.timeout));
    let lookback = form.duration("lookback_delta")?.unwrap_or(api.limits.lookback);
    let expr = Arc::new(promql::parse(query)?);
    let waiting = tokio::time::timeout(timeout, api.running.acquire());
    let queue = |_| QueryError::Queue { most: api.limits.max_concurrent, waited: timeout };
    let _permit = waiting.await.map_err(queue)?;
    let started = Instant::now();
    let limits = QueryLimits { lookback, ..api.limits };
    let run = Run { limits, timeout, budget: api.budget.clone() };
    let finish = {
        let expr = expr.clone();
        move |value| render(value, &expr)
    };
    let answer = promql::evaluate_into(&api.intake.samples, expr, grid, run, finish).await;
    let elapsed = started.elapsed();
    api.intake.metrics.query_seconds.observe(elapsed.as_secs_f64());
    if elapsed >= api.limits.slow {
        // The whole text of an error may hold parts of the query.
        let error = answer.as_ref().err().map(QueryError::label);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let (fingerprint, text) = (fingerprint(query), api.limits.slow_text.then_some(query));
        tracing::warn!(
            query.fingerprint = fingerprint,
            query.text = text,
            steps = grid.count,
            elapsed_ms,
            error,
            "a query was slow"
        );
    }
    answer.map(|(rendered, told)| Answer { data: rendered.data, told }.limited(rendered.is_cut))
}

/// Gives a number by which the same query is known again (FNV-1a, 64 bits, hexadecimal).
fn fingerprint(query: &str) -> String {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", query.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

/// Makes an answer in Prometheus's envelope.
fn respond<A: Into<Answer>>(api: &Api, answer: Result<A, QueryError>) -> Response {
    match answer.map(Into::into) {
        Ok(Answer { data, told }) => json(StatusCode::OK, envelope(&data, &told)),
        Err(error) => {
            api.intake.metrics.query_errors.with_label_values(&[error.label()]).inc();
            refused(&error)
        }
    }
}

/// Makes an error in Prometheus's envelope.
fn refused(error: &QueryError) -> Response {
    let status = match error {
        QueryError::BadData(_) => StatusCode::BAD_REQUEST,
        QueryError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Timeout(_) | QueryError::Queue { .. } | QueryError::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        QueryError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = serde_json::json!({ "status": "error", "errorType": error.label(), "error": error.to_string() });
    json(status, body.to_string())
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

fn envelope(data: &str, told: &Told) -> String {
    let mut body = format!("{{\"status\":\"success\",\"data\":{data}");
    for (name, notes) in [("warnings", &told.warnings), ("infos", &told.infos)] {
        if !notes.is_empty() {
            body.push_str(&format!(",\"{name}\":{}", serde_json::Value::from(notes.clone())));
        }
    }
    body.push('}');
    body
}

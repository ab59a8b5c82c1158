//! Prometheus's HTTP API: instant and range queries, and what there is to ask for.

mod form;
mod metadata;
mod render;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use promql_parser::parser::Expr;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::promql::{self, Grid, QueryError, Value};
use crate::config::QueryLimits;
use crate::receive::intake::{Intake, now};
use form::Form;
pub(crate) use render::number;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    intake: Intake,
    limits: QueryLimits,
    running: Arc<Semaphore>,
}

/// Gives the routes.
pub(super) fn routes(intake: Intake, limits: QueryLimits) -> Router {
    let api = Api { intake, limits, running: Arc::new(Semaphore::new(limits.max_concurrent.max(1))) };
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .merge(metadata::routes())
        .with_state(api)
}

/// Answers `/api/v1/query`.
async fn instant(api: axum::extract::State<Api>, form: Form) -> Response {
    let answer = async {
        let query = form.required("query")?;
        let time = form.time("time")?.unwrap_or_else(|| now().0);
        let grid = Grid { start: time, step: 1, count: 1 };
        run(&api, &form, query, grid).await.map(|(value, _)| render::instant(value, grid))
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
        let (value, expr) = run(&api, &form, query, grid).await?;
        render::range(value, &expr, grid)
    };
    respond(&api, answer.await)
}

async fn run(api: &Api, form: &Form, query: &str, grid: Grid) -> Result<(Value, Arc<Expr>), QueryError> {
    let timeout = form.duration("timeout")?.map_or(api.limits.timeout, |timeout| timeout.min(api.limits.timeout));
    let expr = Arc::new(promql::parse(query)?);
    let waiting = tokio::time::timeout(timeout, api.running.acquire());
    let _permit = waiting.await.map_err(|_| QueryError::Timeout(timeout))?;
    let started = Instant::now();
    let value = promql::evaluate(&api.intake.samples, expr.clone(), grid, api.limits, timeout).await;
    api.intake.metrics.query_seconds.observe(started.elapsed().as_secs_f64());
    value.map(|value| (value, expr))
}

/// Makes an answer in Prometheus's envelope.
fn respond(api: &Api, answer: Result<String, QueryError>) -> Response {
    let (status, body) = match answer {
        Ok(data) => (StatusCode::OK, format!("{{\"status\":\"success\",\"data\":{data}}}")),
        Err(error) => {
            api.intake.metrics.query_errors.with_label_values(&[error.label()]).inc();
            let status = match error {
                QueryError::BadData(_) => StatusCode::BAD_REQUEST,
                QueryError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
                QueryError::Timeout(_) => StatusCode::SERVICE_UNAVAILABLE,
                QueryError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let body = serde_json::json!({
                "status": "error", "errorType": error.label(), "error": error.to_string(),
            });
            (status, body.to_string())
        }
    };
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

//! `/api/v1/graph` and its explanation.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::Snapshots;
use crate::graph::{explain, report};
use crate::receive::intake::{Intake, now};

#[derive(Clone)]
struct Api {
    intake: Intake,
    snapshots: Snapshots,
}

/// Times in seconds since 1970; without them the last five minutes.
#[derive(Debug, Deserialize)]
struct Span {
    start: Option<f64>,
    end: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Ends {
    client: String,
    server: String,
}

/// Gives the routes.
pub(super) fn routes(intake: Intake, snapshots: Snapshots) -> Router {
    Router::new()
        .route("/api/v1/graph", get(graph))
        .route("/api/v1/graph/explain", get(explained))
        .with_state(Api { intake, snapshots })
}

async fn graph(State(api): State<Api>, Query(span): Query<Span>) -> Response {
    let now = now();
    let millis = |seconds: f64| (seconds * 1e3) as i64;
    let end = span.end.map_or(now.0, millis);
    let start = span.start.map_or(end.saturating_sub(report::RECENT_MS), millis);
    if start > end {
        return (StatusCode::BAD_REQUEST, "start is after end\n").into_response();
    }
    let newest = api.snapshots.borrow().clone();
    let window = newest.as_deref().map(|snapshot| &snapshot.window);
    match report::graph(&api.intake, window, (start, end), now).await {
        Ok(graph) => axum::Json(graph).into_response(),
        Err(error) => {
            tracing::error!(%error, "the service graph was not read");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

async fn explained(State(api): State<Api>, Query(ends): Query<Ends>) -> Response {
    let now = now();
    match report::both(&api.intake, now.0 - report::RECENT_MS, now.0, now).await {
        Ok((both, _)) => axum::Json(explain::explain(&api.intake, &both, &ends.client, &ends.server)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

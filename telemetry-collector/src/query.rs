//! The ways out: Prometheus's HTTP API, snapshots and the service graph.

mod graph_api;
mod jaeger;
pub(crate) mod prometheus_api;
pub(crate) mod promql;
mod shape;
mod spans;
mod tempo;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use wattle_contract::ClusterSnapshot;

use crate::config::Config;
use crate::receive::intake::Intake;
use crate::receive::{otlp, remote_write};
use crate::rules::Groups;

/// Largest write request accepted, packed.
const WRITE_LIMIT: usize = 32 << 20;

type Snapshots = watch::Receiver<Option<Arc<ClusterSnapshot>>>;

/// Gives the routes of the API listener.
pub(crate) fn routes(intake: Intake, snapshots: Snapshots, config: Arc<Config>, groups: Groups) -> Router {
    let write = Router::new()
        .route("/api/v1/write", post(remote_write::write))
        .layer(DefaultBodyLimit::max(WRITE_LIMIT))
        .with_state(intake.clone());
    let published = Router::new().route("/api/v1/snapshot", get(snapshot)).with_state(snapshots.clone());
    Router::new()
        .route("/-/healthy", get(async || "wattle collector is healthy.\n"))
        .route("/-/ready", get(async || "wattle collector is ready.\n"))
        .merge(write)
        .merge(published)
        .merge(graph_api::routes(intake.clone(), snapshots))
        .merge(otlp::metrics_route(intake.clone()))
        .merge(prometheus_api::routes(intake, config, groups))
        .layer(axum::middleware::from_fn(shape::answers))
}

/// Answers `GET /api/v1/snapshot`.
async fn snapshot(State(snapshots): State<Snapshots>, headers: HeaderMap) -> Response {
    let Some(newest) = snapshots.borrow().clone() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no window has been measured yet\n").into_response();
    };
    let tag = format!("\"{}\"", newest.version);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or("");
    if known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    ([(header::ETAG, tag)], axum::Json(newest.as_ref())).into_response()
}

/// Gives the routes of Jaeger's listener.
pub(crate) fn jaeger_routes(intake: Intake) -> Router {
    jaeger::routes(intake.clone()).merge(tempo::routes(intake)).layer(axum::middleware::from_fn(shape::answers))
}

pub(crate) use jaeger::serve_grpc as serve_jaeger_grpc;

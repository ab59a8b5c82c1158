//! Jaeger's query API, version 1: JSON over HTTP (Grafana, Kiali, Jaeger's own page) and gRPC (Kiali's default).

mod duration;
mod grpc;
mod json;
mod model;
mod params;
mod proto;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::spans::{self, Failure, Params, failed, trace_id};
use crate::Error;
use crate::graph::edge;
use crate::graph::report;
use crate::receive::intake::{Intake, now};
use crate::store::traces::TraceQuery;
use model::Trace;

pub(super) use duration::parse as parse_duration;
pub(crate) use grpc::serve as serve_grpc;

/// Gives the routes.
pub(super) fn routes(intake: Intake) -> Router {
    Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{service}/operations", get(operation_names))
        .route("/api/operations", get(operations))
        .route("/api/traces", get(traces))
        .route("/api/traces/{id}", get(trace))
        .route("/api/dependencies", get(dependencies))
        .with_state(intake)
}

/// Puts an answer into Jaeger's envelope.
fn envelope(answer: Result<Vec<Value>, Failure>) -> Response {
    match answer {
        Ok(data) => {
            let total = data.len();
            axum::Json(json!({ "data": data, "total": total, "limit": 0, "offset": 0, "errors": null })).into_response()
        }
        Err((status, message)) => {
            let errors = json!([{ "code": status.as_u16(), "msg": message }]);
            let body = json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors });
            (status, axum::Json(body)).into_response()
        }
    }
}

async fn services(State(intake): State<Intake>) -> Response {
    envelope(Ok(intake.traces.services().into_iter().map(Value::from).collect()))
}

async fn operation_names(State(intake): State<Intake>, Path(service): Path<String>) -> Response {
    let mut names: Vec<String> = intake.traces.operations(&service).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    envelope(Ok(names.into_iter().map(Value::from).collect()))
}

async fn operations(State(intake): State<Intake>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let params = Params(pairs);
    let Some(service) = params.get("service") else {
        return envelope(Err((StatusCode::BAD_REQUEST, "parameter 'service' is required".to_owned())));
    };
    let wanted = params.get("spanKind").unwrap_or("");
    let operations = intake.traces.operations(service).into_iter().map(|(name, kind)| (name, model::kind(kind)));
    let operations = operations.filter(|(_, kind)| wanted.is_empty() || *kind == wanted);
    envelope(Ok(operations.map(|(name, kind)| json!({ "name": name, "spanKind": kind })).collect()))
}

async fn traces(State(intake): State<Intake>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let params = Params(pairs);
    let answer = async {
        let ids: Vec<_> = params.all("traceID").map(trace_id).collect::<Result<_, _>>()?;
        if !ids.is_empty() {
            return found(&intake, &ids).await;
        }
        search(&intake, &params::query(&params, now())?).await
    };
    envelope(answer.await.map(|traces| traces.iter().map(json::trace).collect()))
}

/// Gives the newest traces that match.
async fn search(intake: &Intake, query: &TraceQuery) -> Result<Vec<Trace>, Failure> {
    let ids = intake.traces.search(query).await.map_err(|error| failed(&error))?;
    found(intake, &ids).await
}

async fn found(intake: &Intake, ids: &[[u8; 16]]) -> Result<Vec<Trace>, Failure> {
    Ok(spans::load(intake, ids).await?.into_iter().map(|(id, spans)| Trace::of(id, &spans)).collect())
}

async fn trace(State(intake): State<Intake>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if spans::wants_protobuf(&headers) {
        return super::tempo::plain_trace(&intake, &id).await;
    }
    let found = spans::one(&intake, &id).await;
    envelope(found.map(|(id, spans)| vec![json::trace(&Trace::of(id, &spans))]))
}

async fn dependencies(State(intake): State<Intake>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let params = Params(pairs);
    let answer = async {
        let end = params.number("endTs")?.unwrap_or_else(|| now().0);
        // A day, as Jaeger has it.
        let lookback = params.number("lookback")?.unwrap_or(86_400_000).max(0);
        let links = links(&intake, end.saturating_sub(lookback), end).await.map_err(|error| failed(&error))?;
        let link = |(parent, child, count): (String, String, u64)| json!({ "parent": parent, "child": child, "callCount": count });
        Ok(links.into_iter().map(link).collect())
    };
    envelope(answer.await)
}

/// Gives who called whom how often between two times, from spans.
async fn links(intake: &Intake, start: i64, end: i64) -> Result<Vec<(String, String, u64)>, Error> {
    let (both, _) = report::both(intake, start, end, now()).await?;
    let mut links: std::collections::BTreeMap<(String, String), f64> = std::collections::BTreeMap::new();
    for (edge::Key { client, server, .. }, stats) in both.spans.edges {
        *links.entry((client, server)).or_default() += stats.requests;
    }
    links.retain(|_, count| *count >= 1.0);
    Ok(links.into_iter().map(|((client, server), count)| (client, server, count as u64)).collect())
}

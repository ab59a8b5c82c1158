//! What Grafana and Kiali ask of Tempo: a trace, tags and their values, and searches of simple TraceQL.

mod answer;
mod traceql;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::{Value, json};

use super::spans::{self, Failure, Params, failed, wants_protobuf};
use crate::receive::intake::{Intake, now};
use crate::store::traces::KINDS;
use traceql::TraceQl;

/// Traces that are given when no number is asked for, and at most.
const LIMIT: usize = 20;
const MOST: usize = 1_000;
/// Spans of each trace that are shown.
const SPANS: usize = 3;
/// Values of a tag that are given.
const VALUES: usize = 5_000;
/// Traces looked at for conditions that no search row knows.
const CANDIDATES: usize = 1_000;
/// How far back is looked when no start is asked for.
const BACK_S: u64 = 3_600;
const INTRINSIC: [&str; 4] = ["duration", "kind", "name", "status"];

/// Gives the routes.
pub(super) fn routes(intake: Intake) -> Router {
    Router::new()
        .route("/api/echo", get(async || "echo"))
        .route("/api/v2/traces/{id}", get(trace))
        .route("/api/search", get(search))
        .route("/api/search/tags", get(tags))
        .route("/api/v2/search/tags", get(scoped_tags))
        .route("/api/search/tag/{tag}/values", get(values))
        .route("/api/v2/search/tag/{tag}/values", get(typed_values))
        .with_state(intake)
}

/// `tempopb.TraceByIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

async fn trace(State(intake): State<Intake>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let trace = match spans::one(&intake, &id).await {
        Ok((_, resource_spans)) => TracesData { resource_spans },
        Err(failure) => return failure.into_response(),
    };
    if wants_protobuf(&headers) {
        let body = TraceById { trace: Some(trace) }.encode_to_vec();
        return ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response();
    }
    axum::Json(json!({ "trace": trace })).into_response()
}

/// Answers `/api/traces/{id}` to those who want protobuf.
pub(super) async fn plain_trace(intake: &Intake, id: &str) -> Response {
    match spans::one(intake, id).await {
        Ok((_, resource_spans)) => {
            let body = TracesData { resource_spans }.encode_to_vec();
            ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

async fn search(State(intake): State<Intake>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    match look(&intake, &Params(pairs)).await {
        Ok(found) => axum::Json(found).into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn look(intake: &Intake, params: &Params) -> Result<Value, Failure> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let query = TraceQl::parse(params.get("q").unwrap_or("{}")).map_err(bad)?;
    let limit = params.number("limit")?.unwrap_or(LIMIT).min(MOST);
    let spans = params.number("spss")?.unwrap_or(SPANS);
    let until = params.number("end")?.unwrap_or(u64::try_from(now().0 / 1_000).unwrap_or(0) + 1);
    let since = params.number("start")?.unwrap_or(until.saturating_sub(BACK_S));
    let nanos = |seconds: u64| seconds.saturating_mul(1_000_000_000);
    let mut wanted = query.candidates();
    (wanted.since, wanted.until) = (nanos(since), nanos(until));
    wanted.limit = if query.is_exact() { limit } else { CANDIDATES };
    let ids = intake.traces.search(&wanted).await.map_err(|error| failed(&error))?;
    let mut found = Vec::new();
    // A page at a time: most searches end with the first.
    for page in ids.chunks(limit.max(1)) {
        for (id, trace) in spans::load(intake, page).await? {
            if found.len() < limit {
                found.extend(answer::trace(&id, &trace, &query, spans));
            }
        }
        if found.len() >= limit {
            break;
        }
    }
    let looked = json!({ "inspectedTraces": ids.len() });
    Ok(json!({ "traces": found, "metrics": looked }))
}

async fn tags(State(intake): State<Intake>) -> Response {
    let (spans, resources) = intake.traces.tags().await;
    let names: std::collections::BTreeSet<String> = spans.into_iter().chain(resources).collect();
    axum::Json(json!({ "tagNames": names })).into_response()
}

async fn scoped_tags(State(intake): State<Intake>) -> Response {
    let (spans, resources) = intake.traces.tags().await;
    let scopes = json!([
        { "name": "resource", "tags": resources },
        { "name": "span", "tags": spans },
        { "name": "intrinsic", "tags": INTRINSIC },
    ]);
    axum::Json(json!({ "scopes": scopes })).into_response()
}

async fn values(State(intake): State<Intake>, Path(tag): Path<String>) -> Response {
    axum::Json(json!({ "tagValues": values_of(&intake, &tag).await })).into_response()
}

async fn typed_values(State(intake): State<Intake>, Path(tag): Path<String>) -> Response {
    let kind = if tag == "status" || tag == "kind" { "keyword" } else { "string" };
    let typed = |value: String| json!({ "type": kind, "value": value });
    let values: Vec<Value> = values_of(&intake, &tag).await.into_iter().map(typed).collect();
    axum::Json(json!({ "tagValues": values })).into_response()
}

async fn values_of(intake: &Intake, tag: &str) -> Vec<String> {
    let key = ["resource.", "span.", "."].iter().find_map(|scope| tag.strip_prefix(scope)).unwrap_or(tag);
    match key {
        "status" => ["error", "ok", "unset"].map(str::to_owned).to_vec(),
        "kind" => KINDS[1..].iter().map(|kind| (*kind).to_owned()).collect(),
        "service.name" | "rootServiceName" => intake.traces.services(),
        "name" | "rootName" => {
            let services = intake.traces.services();
            let mut names: Vec<String> =
                services.iter().flat_map(|service| intake.traces.operations(service)).map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            names.truncate(VALUES);
            names
        }
        key => intake.traces.tag_values(key, VALUES).await.into_iter().collect(),
    }
}

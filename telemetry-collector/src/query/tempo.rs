//! What Grafana and Kiali ask of Tempo: a trace, tags and their values, and searches of simple TraceQL.

mod answer;
mod traceql;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use prost::Message;
use serde_json::{Value, json};

use super::jaeger::trace_id;
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
    let spans = match whole(&intake, &id).await {
        Ok(spans) => spans,
        Err(failure) => return failure.into_response(),
    };
    let trace = TracesData { resource_spans: spans };
    if is_protobuf(&headers) {
        let body = TraceById { trace: Some(trace) }.encode_to_vec();
        return ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response();
    }
    axum::Json(json!({ "trace": trace })).into_response()
}

/// Answers `/api/traces/{id}` to those who want protobuf.
pub(super) async fn plain_trace(intake: &Intake, id: &str) -> Response {
    match whole(intake, id).await {
        Ok(spans) => {
            let body = TracesData { resource_spans: spans }.encode_to_vec();
            ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("application/protobuf")
}

type Failure = (StatusCode, String);

fn failed(error: &crate::Error) -> Failure {
    tracing::error!(%error, "traces were not read");
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn whole(intake: &Intake, id: &str) -> Result<Vec<ResourceSpans>, Failure> {
    let traces = intake.traces.traces(&[trace_id(id)?]).await.map_err(|error| failed(&error))?;
    let found = traces.into_iter().next().map(|(_, spans)| spans);
    found.ok_or_else(|| (StatusCode::NOT_FOUND, "trace not found".to_owned()))
}

async fn search(State(intake): State<Intake>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    match look(&intake, &pairs).await {
        Ok(found) => axum::Json(found).into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn look(intake: &Intake, pairs: &[(String, String)]) -> Result<Value, Failure> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let get =
        |name: &str| pairs.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, v)| v.as_str());
    let number = |name: &str| -> Result<Option<u64>, Failure> {
        let parse = |text: &str| text.parse().map_err(|_| bad(format!("{name}={text} is no whole number")));
        get(name).map(parse).transpose()
    };
    let query = TraceQl::parse(get("q").unwrap_or("{}")).map_err(bad)?;
    let limit = number("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(MOST)).min(MOST);
    let spans = number("spss")?.map_or(SPANS, |spans| usize::try_from(spans).unwrap_or(SPANS));
    let until = number("end")?.unwrap_or(u64::try_from(now().0 / 1_000).unwrap_or(0) + 1);
    let since = number("start")?.unwrap_or(until.saturating_sub(BACK_S));
    let nanos = |seconds: u64| seconds.saturating_mul(1_000_000_000);
    let mut wanted = query.candidates();
    (wanted.since, wanted.until) = (nanos(since), nanos(until));
    wanted.limit = if query.is_exact() { limit } else { CANDIDATES };
    let ids = intake.traces.search(&wanted).await.map_err(|error| failed(&error))?;
    let mut found = Vec::new();
    // A page at a time: most searches end with the first.
    for page in ids.chunks(limit.max(1)) {
        for (id, trace) in intake.traces.traces(page).await.map_err(|error| failed(&error))? {
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

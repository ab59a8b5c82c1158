//! What there is to ask for: labels, values, series and metric descriptions.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use promql_parser::label::Matchers;
use promql_parser::parser::Expr;
use wattle_contract::Labels;

use super::form::Form;
use super::{Api, render, respond};
use crate::query::promql::{self, QueryError};
use crate::store::head::Head;

/// Gives the routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/labels", get(names).post(names))
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/metadata", get(metadata))
}

/// Reads `match[]`; empty when there is none.
pub(super) fn selectors(form: &Form) -> Result<Vec<Matchers>, QueryError> {
    let mut selectors = Vec::new();
    for text in form.all("match[]") {
        let Expr::VectorSelector(selector) = promql::parse(text)? else {
            return Err(QueryError::BadData(format!("invalid parameter \"match[]\": {text} is no series selector")));
        };
        selectors.push(promql::matchers(&selector));
    }
    Ok(selectors)
}

/// Gives the labels of series that match one of the selectors and have samples after the start.
fn matching(head: &Head, selectors: &[Matchers], start: Option<i64>) -> BTreeSet<Labels> {
    let found = selectors.iter().flat_map(|selector| head.select(selector));
    // What is only in chunks has no newest sample in memory: it counts.
    let is_live = |newest: i64| newest == i64::MIN || start.is_none_or(|start| newest >= start);
    found.filter(|series| is_live(series.newest)).map(|series| series.labels.clone()).collect()
}

fn list(texts: impl Iterator<Item = String>, limit: usize) -> String {
    serde_json::Value::from(texts.take(limit).collect::<Vec<_>>()).to_string()
}

async fn names(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let (selectors, start, limit) = (selectors(&form)?, form.time("start")?, form.limit()?);
        let names: BTreeSet<String> = api.intake.samples.read(|head| {
            if selectors.is_empty() {
                return head.index().names().map(str::to_owned).collect();
            }
            let series = matching(head, &selectors, start);
            series.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
        });
        Ok(list(names.into_iter(), limit))
    };
    respond(&api, answer())
}

async fn values(State(api): State<Api>, Path(name): Path<String>, form: Form) -> Response {
    let answer = || {
        let name = unescaped(&name);
        let (selectors, start, limit) = (selectors(&form)?, form.time("start")?, form.limit()?);
        let values: BTreeSet<String> = api.intake.samples.read(|head| {
            if selectors.is_empty() {
                return head.index().values(&name).map(str::to_owned).collect();
            }
            let series = matching(head, &selectors, start);
            series.iter().filter_map(|labels| labels.get(&name).map(str::to_owned)).collect()
        });
        Ok(list(values.into_iter(), limit))
    };
    respond(&api, answer())
}

/// Undoes Prometheus's escaping of names outside the classic set: `U__a_2e_b` is `a.b`.
fn unescaped(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut plain = String::new();
    let mut parts = rest.split('_');
    plain.push_str(parts.next().unwrap_or(""));
    while let Some(code) = parts.next() {
        if code.is_empty() {
            plain.push('_');
        } else {
            match u32::from_str_radix(code, 16).ok().and_then(char::from_u32) {
                Some(char) => plain.push(char),
                None => return name.to_owned(),
            }
        }
        plain.push_str(parts.next().unwrap_or(""));
    }
    plain
}

async fn series(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let (selectors, start, limit) = (selectors(&form)?, form.time("start")?, form.limit()?);
        if selectors.is_empty() {
            return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
        }
        let mut out = String::from("[");
        let found = api.intake.samples.read(|head| matching(head, &selectors, start));
        for (at, labels) in found.iter().take(limit).enumerate() {
            if at > 0 {
                out.push(',');
            }
            render::labels(&mut out, labels);
        }
        out.push(']');
        Ok(out)
    };
    respond(&api, answer())
}

async fn metadata(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let (wanted, limit) = (form.get("metric"), form.limit()?);
        let known = api.intake.metadata.read();
        let entries = known.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).take(limit);
        let object: serde_json::Map<String, serde_json::Value> =
            entries.map(|(name, entry)| (name.clone(), serde_json::json!([entry]))).collect();
        Ok(serde_json::Value::Object(object).to_string())
    };
    respond(&api, answer())
}

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
use super::{Answer, Api, render, respond};
use crate::query::promql::{self, QueryError};
use crate::store::head::Head;

/// Where there is no start or end. Units: milliseconds since 1970; a hundred thousand years off, far from any overflow.
const EARLIEST: i64 = -3_000_000_000_000_000;
const LATEST: i64 = 3_000_000_000_000_000;

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
        selectors.push(selector(text, "match[]")?);
    }
    Ok(selectors)
}

/// Reads one selector; `parameter` is where it stood.
pub(crate) fn selector(text: &str, parameter: &str) -> Result<Matchers, QueryError> {
    match promql::parse(text)? {
        Expr::VectorSelector(selector) => Ok(promql::matchers(&selector)),
        _ => Err(QueryError::BadData(format!("invalid parameter \"{parameter}\": {text} is no series selector"))),
    }
}

/// Gives the labels of series that match one of the selectors and have samples after the start.
fn matching(head: &Head, selectors: &[Matchers], start: Option<i64>) -> BTreeSet<Labels> {
    let found = selectors.iter().flat_map(|selector| head.select(selector));
    // What is only in chunks has no newest sample in memory: it counts.
    let is_live = |newest: i64| newest == i64::MIN || start.is_none_or(|start| newest >= start);
    found.filter(|series| is_live(series.newest)).map(|series| series.labels.clone()).collect()
}

fn list(texts: BTreeSet<String>, limit: usize) -> Answer {
    let is_cut = texts.len() > limit;
    Answer::from(texts.into_iter().take(limit).collect::<serde_json::Value>().to_string()).limited(is_cut)
}

/// What is asked for: some series, or all where there is no `match[]`, between two times.
struct Asked {
    selectors: Vec<Matchers>,
    start: Option<i64>,
    end: Option<i64>,
    limit: usize,
}

impl Asked {
    fn read(form: &Form) -> Result<Self, QueryError> {
        Ok(Self {
            selectors: selectors(form)?,
            start: form.time("start")?,
            end: form.time("end")?,
            limit: form.limit()?,
        })
    }

    /// Gives the labels of series that are in the store alone.
    async fn forgotten(&self, api: &Api) -> Result<Vec<Labels>, QueryError> {
        let (start, end) = (self.start.unwrap_or(EARLIEST), self.end.unwrap_or(LATEST));
        let all = [Matchers::empty()];
        let selectors = if self.selectors.is_empty() { &all[..] } else { &self.selectors };
        let mut forgotten = Vec::new();
        for selector in selectors {
            forgotten.extend(api.intake.samples.forgotten(selector, start, end).await?);
        }
        Ok(forgotten)
    }
}

async fn names(State(api): State<Api>, form: Form) -> Response {
    let answer = async {
        let asked = Asked::read(&form)?;
        let forgotten = asked.forgotten(&api).await?;
        let mut names: BTreeSet<String> = api.intake.samples.read(|head| {
            if asked.selectors.is_empty() {
                return head.index().names().map(str::to_owned).collect();
            }
            let series = matching(head, &asked.selectors, asked.start);
            series.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
        });
        names.extend(forgotten.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())));
        Ok(list(names, asked.limit))
    };
    let answer = answer.await;
    respond(&api, answer)
}

async fn values(State(api): State<Api>, Path(name): Path<String>, form: Form) -> Response {
    let name = unescaped(&name);
    let answer = async {
        let asked = Asked::read(&form)?;
        let forgotten = asked.forgotten(&api).await?;
        let mut values: BTreeSet<String> = api.intake.samples.read(|head| {
            if asked.selectors.is_empty() {
                return head.index().values(&name).map(str::to_owned).collect();
            }
            let series = matching(head, &asked.selectors, asked.start);
            series.iter().filter_map(|labels| labels.get(&name).map(str::to_owned)).collect()
        });
        values.extend(forgotten.iter().filter_map(|labels| labels.get(&name).map(str::to_owned)));
        Ok(list(values, asked.limit))
    };
    let answer = answer.await;
    respond(&api, answer)
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
    let answer = async {
        let asked = Asked::read(&form)?;
        if asked.selectors.is_empty() {
            return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
        }
        let mut found: BTreeSet<Labels> = asked.forgotten(&api).await?.into_iter().collect();
        found.extend(api.intake.samples.read(|head| matching(head, &asked.selectors, asked.start)));
        let mut out = String::from("[");
        for (at, labels) in found.iter().take(asked.limit).enumerate() {
            if at > 0 {
                out.push(',');
            }
            render::labels(&mut out, labels);
        }
        out.push(']');
        Ok(Answer::from(out).limited(found.len() > asked.limit))
    };
    let answer = answer.await;
    respond(&api, answer)
}

async fn metadata(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let (wanted, limit) = (form.get("metric"), form.limit()?);
        let known = api.intake.metadata.read();
        let entries = known.iter().filter(|(name, _)| wanted.is_none_or(|wanted| *wanted == ***name)).take(limit);
        let object: serde_json::Map<String, serde_json::Value> =
            entries.map(|(name, entry)| (name.to_string(), serde_json::json!([entry]))).collect();
        Ok(serde_json::Value::Object(object).to_string())
    };
    respond(&api, answer())
}

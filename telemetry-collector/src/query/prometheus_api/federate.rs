//! `/federate`: the newest sample of each series that matches, as an exposition another Prometheus scrapes.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use wattle_contract::{Labels, METRIC_NAME};

use super::form::Form;
use super::{Api, metadata, plain_number};
use crate::query::promql::{QueryError, is_absent};
use crate::receive::intake::now;
use crate::store::read::Points;
use crate::store::samples::Samples;

/// Answers `/federate?match[]=…`.
pub(super) async fn federate(State(api): State<Api>, form: Form) -> Response {
    match exposition(&api, &form).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error @ QueryError::BadData(_)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn exposition(api: &Api, form: &Form) -> Result<String, QueryError> {
    let end = now().0;
    let lookback = i64::try_from(api.limits.lookback.as_millis()).unwrap_or(i64::MAX);
    let start = end.saturating_sub(lookback).saturating_add(1);
    let mut lines: Vec<(Labels, i64, f64)> = Vec::new();
    let mut points = Points::default();
    for matchers in metadata::selectors(form)? {
        for part in api.intake.samples.active(&matchers).chunks(Samples::at_once()) {
            for (found, packed) in part.iter().zip(api.intake.samples.packed(part, start, end).await?) {
                packed.unpack(start, end, &mut points)?;
                let newest = points.times.last().copied().zip(points.values.last().copied());
                if let Some((time, value)) = newest.filter(|(_, value)| !is_absent(*value)) {
                    lines.push((found.labels.clone(), time, value));
                }
            }
        }
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.dedup_by(|a, b| a.0 == b.0);
    let mut out = String::new();
    let mut last = String::new();
    for (labels, time, value) in lines {
        let name = labels.metric_name();
        if name != last {
            let _ = writeln!(out, "# TYPE {name} untyped");
            name.clone_into(&mut last);
        }
        line(&mut out, &labels, time, value);
    }
    Ok(out)
}

fn line(out: &mut String, labels: &Labels, time: i64, value: f64) {
    out.push_str(labels.metric_name());
    let mut separator = "{";
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{separator}{name}=\"{escaped}\"");
        separator = ",";
    }
    // Prometheus writes an instance for every series: a federating server tells by it that there was none.
    if labels.get("instance").is_none() {
        let _ = write!(out, "{separator}instance=\"\"");
    }
    let _ = writeln!(out, "}} {} {time}", plain_number(value));
}

//! `/federate`: the newest sample of each series that matches, as an exposition another Prometheus scrapes.

use std::borrow::Cow;
use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wattle_contract::{Labels, METRIC_NAME};

use super::form::Form;
use super::{Api, metadata, render};
use crate::query::promql::{QueryError, is_absent};
use crate::receive::intake::now;
use crate::store::read::Points;
use crate::store::samples::Samples;

/// Answers `/federate?match[]=…`.
pub(super) async fn federate(State(api): State<Api>, headers: HeaderMap, form: Form) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let names = if accept.into_iter().any(|value| value.contains("escaping=allow-utf-8")) {
        Names::Quoted
    } else {
        Names::Classic
    };
    let kind = match names {
        Names::Classic => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        Names::Quoted => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    };
    match exposition(&api, &form, names).await {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error @ QueryError::BadData(_)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// What a metric's name may have and a label's may not.
const METRIC: &str = ":";

/// How names are written that the classic format does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// With underscores in place of what it does not have.
    Classic,
    /// In double quotes, for clients that say they read it.
    Quoted,
}

impl Names {
    /// Writes a name; `also` is what it may have beside letters, digits and underscores.
    fn write<'a>(self, name: &'a str, also: &str) -> Cow<'a, str> {
        let fits = |(at, c): (usize, char)| {
            c == '_' || c.is_ascii_alphabetic() || also.contains(c) || (at > 0 && c.is_ascii_digit())
        };
        if name.char_indices().all(fits) {
            return Cow::Borrowed(name);
        }
        match self {
            Self::Quoted => Cow::Owned(format!("\"{}\"", escaped(name))),
            Self::Classic => name.char_indices().map(|(at, c)| if fits((at, c)) { c } else { '_' }).collect(),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

async fn exposition(api: &Api, form: &Form, names: Names) -> Result<String, QueryError> {
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
            let _ = writeln!(out, "# TYPE {} untyped", names.write(name, METRIC));
            name.clone_into(&mut last);
        }
        line(&mut out, &labels, names, (time, value));
    }
    Ok(out)
}

fn line(out: &mut String, labels: &Labels, names: Names, (time, value): (i64, f64)) {
    let metric = names.write(labels.metric_name(), METRIC);
    let mut separator = if metric.starts_with('"') { "," } else { "{" };
    if separator == "," {
        // A name in quotes stands in the braces.
        out.push('{');
    }
    out.push_str(&metric);
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        let _ = write!(out, "{separator}{}=\"{}\"", names.write(name, ""), escaped(value));
        separator = ",";
    }
    // Prometheus writes an instance for every series: a federating server tells by it that there was none.
    if labels.get("instance").is_none() {
        let _ = write!(out, "{separator}instance=\"\"");
    }
    let _ = writeln!(out, "}} {} {time}", render::exposed(value));
}

//! Results as Prometheus writes them: numbers as text, times as seconds.

use std::fmt::Write;

use promql_parser::parser::{Expr, value::ValueType};
use wattle_contract::{Labels, METRIC_NAME};

use crate::query::promql::{Grid, QueryError, Series, Value, is_absent};

/// Writes a number as Prometheus's JSON has it: very small and very large ones with an exponent.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && value.is_finite() && !(1e-6..1e21).contains(&size) {
        return scientific(&format!("{value:e}"));
    }
    plain_number(value)
}

/// Writes a number as Prometheus's expositions have it: with an exponent below 1e-4 and from 1e6 on.
pub(super) fn exposed(value: f64) -> String {
    let text = format!("{value:e}");
    match text.split_once('e').and_then(|(_, power)| power.parse().ok()) {
        Some(-4..6) | None => plain_number(value),
        Some(_) => scientific(&text),
    }
}

/// Writes an exponent as Go does: with a sign, and two digits at least.
fn scientific(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, power)) => match power.strip_prefix('-') {
            Some(power) => format!("{digits}e-{power:0>2}"),
            None => format!("{digits}e+{power:0>2}"),
        },
        None => text.to_owned(),
    }
}

/// Writes a number without exponent, as `count_values` does.
pub(crate) fn plain_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// Writes labels as a JSON object.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    let mut separator = "";
    // The name stands first, as in Prometheus.
    let name = labels.iter().filter(|(name, _)| *name == METRIC_NAME);
    for (name, value) in name.chain(labels.iter().filter(|(name, _)| *name != METRIC_NAME)) {
        out.push_str(separator);
        text(out, name);
        out.push(':');
        text(out, value);
        separator = ",";
    }
    out.push('}');
}

fn text(out: &mut String, value: &str) {
    out.push_str(&serde_json::Value::from(value).to_string());
}

fn point(out: &mut String, time: i64, value: f64) {
    time_of(out, time);
    let _ = write!(out, ",\"{}\"]", number(value));
}

/// Writes `[1435781430.781`.
fn time_of(out: &mut String, time: i64) {
    out.push('[');
    seconds(out, time);
}

/// Writes milliseconds as seconds: `1435781430.781`.
pub(super) fn seconds(out: &mut String, time: i64) {
    let sign = if time < 0 { "-" } else { "" };
    let (seconds, millis) = (time.unsigned_abs() / 1000, time.unsigned_abs() % 1000);
    let _ = write!(out, "{sign}{seconds}");
    if millis > 0 {
        let digits = format!("{millis:03}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// A result, and whether `limit` cut series off.
pub(super) struct Rendered {
    pub(super) data: String,
    pub(super) is_cut: bool,
}

/// Writes the result of an instant query; of its series the first `limit`.
pub(super) fn instant(value: Value, grid: Grid, limit: usize) -> Rendered {
    let mut out = String::new();
    let mut is_cut = false;
    match value {
        Value::Scalar(numbers) => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            point(&mut out, grid.start, numbers.first().copied().unwrap_or(f64::NAN));
            out.push('}');
        }
        Value::Text(value) => {
            out.push_str("{\"resultType\":\"string\",\"result\":");
            time_of(&mut out, grid.start);
            out.push(',');
            text(&mut out, &value);
            out.push_str("]}");
        }
        Value::Vector(series) => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            let mut separator = "";
            let mut left = limit;
            for one in &series {
                let Some(value) = one.values.first().copied().filter(|&value| !is_absent(value)) else { continue };
                is_cut = left == 0;
                if is_cut {
                    break;
                }
                left -= 1;
                let _ = write!(out, "{separator}{{\"metric\":");
                labels(&mut out, &one.labels);
                out.push_str(",\"value\":");
                point(&mut out, grid.start, value);
                out.push('}');
                separator = ",";
            }
            out.push_str("]}");
        }
        Value::Matrix(found) => {
            is_cut = found.len() > limit;
            matrix(&mut out, found.into_iter().take(limit));
        }
    }
    Rendered { data: out, is_cut }
}

/// Writes the result of a range query: always a matrix, ordered by labels; of its series the first `limit`.
pub(super) fn range(value: Value, expr: &Expr, grid: Grid, limit: usize) -> Result<Rendered, QueryError> {
    let mut series = match value {
        Value::Vector(series) => series,
        Value::Scalar(numbers) => vec![Series::new(Labels::default(), numbers)],
        Value::Text(_) | Value::Matrix(_) => {
            let found = match expr.value_type() {
                ValueType::Matrix => "range vector",
                _ => "string",
            };
            return Err(QueryError::BadData(format!(
                "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
            )));
        }
    };
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let is_cut = series.len() > limit;
    let mut out = String::new();
    let pointed = |one: Series| {
        let points = grid.times().zip(one.values).filter(|(_, value)| !is_absent(*value));
        (one.labels, points.collect::<Vec<_>>())
    };
    matrix(&mut out, series.into_iter().take(limit).map(pointed));
    Ok(Rendered { data: out, is_cut })
}

fn matrix(out: &mut String, series: impl Iterator<Item = (Labels, Vec<(i64, f64)>)>) {
    out.push_str("{\"resultType\":\"matrix\",\"result\":[");
    let mut separator = "";
    for (metric, points) in series {
        let _ = write!(out, "{separator}{{\"metric\":");
        labels(out, &metric);
        out.push_str(",\"values\":[");
        for (at, (time, value)) in points.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            point(out, time, value);
        }
        out.push_str("]}");
        separator = ",";
    }
    out.push_str("]}");
}

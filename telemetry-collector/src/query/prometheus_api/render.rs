//! Results as Prometheus writes them: numbers as text, times as seconds.

use std::fmt::Write;

use promql_parser::parser::{Expr, value::ValueType};
use wattle_contract::{Labels, METRIC_NAME};

use crate::query::promql::{Grid, QueryError, Series, Value, is_absent};

/// Gives a number as Prometheus's JSON has it: very small and very large ones with an exponent.
pub(crate) fn number(value: f64) -> String {
    let mut out = String::new();
    push_number(&mut out, value);
    out
}

/// Writes a number as [`number`] gives it.
fn push_number(out: &mut String, value: f64) {
    let size = value.abs();
    if value != 0.0 && value.is_finite() && !(1e-6..1e21).contains(&size) {
        out.push_str(&scientific(&format!("{value:e}")));
    } else {
        push_plain(out, value);
    }
}

/// Writes the shortest decimal that reads back as the number; of two that are as near the even one, as Go does and
/// Rust's own does not.
fn push_plain(out: &mut String, value: f64) {
    /// Beyond, whole numbers stand further apart than one.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let size = value.abs();
    if size.fract() == 0.0 && size < EXACT {
        if value.is_sign_negative() {
            out.push('-');
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
        out.push_str(itoa::Buffer::new().format(size as u64));
    } else if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let mut buffer = zmij::Buffer::new();
        match buffer.format_finite(value) {
            text if text.contains('e') => {
                let _ = write!(out, "{value}");
            }
            text => out.push_str(text.strip_suffix(".0").unwrap_or(text)),
        }
    }
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

/// Gives a number without exponent, as `count_values` does.
pub(crate) fn plain_number(value: f64) -> String {
    let mut out = String::new();
    push_plain(&mut out, value);
    out
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
    if value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&serde_json::Value::from(value).to_string());
    } else {
        out.push('"');
        out.push_str(value);
        out.push('"');
    }
}

fn point(out: &mut String, time: i64, value: f64) {
    time_of(out, time);
    out.push(',');
    quoted(out, value);
}

/// Writes `"1.5"]`.
fn quoted(out: &mut String, value: f64) {
    out.push('"');
    push_number(out, value);
    out.push_str("\"]");
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
            matrix(&mut out, found.iter().take(limit), |out, (metric, points)| {
                labels(out, metric);
                out.push_str(VALUES);
                separated(out, points, |out, &(time, value)| point(out, time, value));
            });
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
    // Every series has the same times.
    let mut times = String::new();
    let ends: Vec<usize> = grid
        .times()
        .map(|time| {
            time_of(&mut times, time);
            times.push(',');
            times.len()
        })
        .collect();
    matrix(&mut out, series.iter().take(limit), |out, one| {
        labels(out, &one.labels);
        out.push_str(VALUES);
        let there = one.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        separated(out, there, |out, (step, &value)| {
            let from = step.checked_sub(1).map_or(0, |before| ends[before]);
            out.push_str(&times[from..ends[step]]);
            quoted(out, value);
        });
    });
    Ok(Rendered { data: out, is_cut })
}

/// Stands between the labels of a series and its points.
const VALUES: &str = ",\"values\":[";

/// Writes series; `write` writes the labels and the points of one.
fn matrix<T>(out: &mut String, series: impl Iterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push_str("{\"resultType\":\"matrix\",\"result\":[");
    separated(out, series, |out, one| {
        out.push_str("{\"metric\":");
        write(out, one);
        out.push_str("]}");
    });
    out.push_str("]}");
}

fn separated<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_the_shortest_that_read_back(bits in any::<u64>(), whole in any::<i64>(), places in 0..12_i32) {
            let decimal = whole as f64 / 10_f64.powi(places);
            for value in [f64::from_bits(bits), whole as f64, decimal, decimal / 1e6, (whole % 10_000) as f64] {
                let plain = plain_number(value);
                if value.is_nan() {
                    prop_assert_eq!(plain, "NaN");
                    continue;
                }
                prop_assert_eq!(plain.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
                prop_assert_eq!(number(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
                prop_assert!(plain.len() <= value.to_string().len() || value.is_infinite());
            }
        }
    }

    #[test]
    fn odd_numbers_and_texts_are_written_as_prometheus_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (-3.0, "-3"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e-7, "-1.5e-07"),
            (0.000_001, "0.000001"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (-2_698_189_498_541_945.0 / 4.0, "-674547374635486.2"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), expected);
        }
        let mut out = String::new();
        text(&mut out, "a\"b\\c\nd é");
        assert_eq!(out, r#""a\"b\\c\nd é""#);
    }
}

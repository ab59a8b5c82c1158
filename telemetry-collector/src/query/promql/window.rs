//! What functions of a range make of the points in it.

use super::statistics::{mean, quantile, regression, sum, variance};
use super::value::ABSENT;

/// What a function of a range sees at one step: at least one point.
pub(super) struct Window<'a> {
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// The last value less the first; of a counter, and what it had reached each time before it started again, added in
    /// that order as Prometheus does.
    pub(super) grown: f64,
    /// Bounds of the range, the first excluded.
    pub(super) start: i64,
    pub(super) end: i64,
    /// The step itself, whatever the offset.
    pub(super) time: i64,
    pub(super) parameter: f64,
}

/// Gives a value or [`ABSENT`].
pub(super) type Function = fn(&Window<'_>) -> f64;

/// `predict_linear`, the one that looks at the step itself.
pub(super) const PREDICT: Function = predict_linear;

/// Gives the function of that name; `None` when it is not one of a range.
pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "rate" => |window| extrapolated(window, true, true),
        "increase" => |window| extrapolated(window, true, false),
        "delta" => |window| extrapolated(window, false, false),
        "irate" => |window| instant(window, true),
        "idelta" => |window| instant(window, false),
        "sum_over_time" => |window| sum(window.values.iter().copied()),
        "avg_over_time" => |window| mean(window.values.iter().copied()).unwrap_or(f64::NAN),
        "min_over_time" => |window| fold(window.values, |a, b| b < a),
        "max_over_time" => |window| fold(window.values, |a, b| b > a),
        "count_over_time" => |window| window.values.len() as f64,
        "last_over_time" => |window| window.values[window.values.len() - 1],
        "present_over_time" => |_| 1.0,
        "stdvar_over_time" => |window| variance(window.values.iter().copied()).unwrap_or(f64::NAN),
        "stddev_over_time" => |window| variance(window.values.iter().copied()).map_or(f64::NAN, f64::sqrt),
        "quantile_over_time" => |window| quantile(window.parameter, window.values.to_vec()),
        "changes" => |window| pairs(window.values, |a, b| a != b && !(a.is_nan() && b.is_nan())),
        "resets" => |window| pairs(window.values, |a, b| b < a),
        "deriv" => |window| {
            if window.values.len() < 2 {
                return ABSENT;
            }
            regression(window.times, window.values, window.times[0]).0
        },
        "predict_linear" => PREDICT,
        _ => return None,
    })
}

fn predict_linear(window: &Window<'_>) -> f64 {
    if window.values.len() < 2 {
        return ABSENT;
    }
    let (slope, value) = regression(window.times, window.values, window.time);
    slope * window.parameter + value
}

/// Gives the value that none other beats; NaN only where there is nothing else.
pub(super) fn fold(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().reduce(|a, b| if beats(a, b) || a.is_nan() { b } else { a }).unwrap_or(f64::NAN)
}

fn pairs(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|pair| counts(pair[0], pair[1])).count() as f64
}

/// Gives the change over a range, extended to its bounds where the samples come near them (`extrapolatedRate`).
fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> f64 {
    let (&[first, .., _], &[first_at, .., last_at]) = (window.values, window.times) else { return ABSENT };
    let change = window.grown;
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let (mut to_start, mut to_end) = (seconds(window.start, first_at), seconds(last_at, window.end));
    let sampled = seconds(first_at, last_at);
    let between = sampled / (window.values.len() - 1) as f64;
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if is_counter {
        // A counter is not extended to below zero.
        let to_zero = if change > 0.0 && first >= 0.0 { sampled * (first / change) } else { to_start };
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if is_rate {
        factor /= seconds(window.start, window.end);
    }
    change * factor
}

fn instant(window: &Window<'_>, is_rate: bool) -> f64 {
    let (&[.., before, last], &[.., before_at, last_at]) = (window.values, window.times) else { return ABSENT };
    if !is_rate {
        return last - before;
    }
    let change = if last < before { last } else { last - before };
    if last_at > before_at { change / ((last_at - before_at) as f64 / 1000.0) } else { ABSENT }
}

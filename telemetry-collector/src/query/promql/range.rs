//! Functions of a range: rates, and everything over time.

use promql_parser::parser::{Call, Expr};
use wattle_contract::Labels;

use super::QueryError;
use super::eval::{Context, Range, unique, without_name_if_due};
use super::statistics::{mean, quantile, regression, sum, variance};
use super::value::{Grid, Series};
use crate::store::chunk::Point;

/// What a function of a range sees at one step.
struct Frame<'a> {
    points: &'a [Point],
    start: i64,
    end: i64,
    /// The step itself, whatever the offset.
    time: i64,
    parameter: f64,
}

type Function = fn(&Frame<'_>) -> Option<f64>;

/// Gives the function of that name; `None` when it is not one of a range.
fn function(name: &str) -> Option<Function> {
    let function: Function = match name {
        "rate" => |frame| extrapolated(frame, true, true),
        "increase" => |frame| extrapolated(frame, true, false),
        "delta" => |frame| extrapolated(frame, false, false),
        "irate" => |frame| instant(frame, true),
        "idelta" => |frame| instant(frame, false),
        "sum_over_time" => |frame| some(frame, |values| sum(values.iter().copied())),
        "avg_over_time" => |frame| mean(frame.points.iter().map(|point| point.1)),
        "min_over_time" => |frame| some(frame, |values| fold(values, |a, b| b < a)),
        "max_over_time" => |frame| some(frame, |values| fold(values, |a, b| b > a)),
        "count_over_time" => |frame| some(frame, |values| values.len() as f64),
        "last_over_time" => |frame| frame.points.last().map(|point| point.1),
        "present_over_time" => |frame| some(frame, |_| 1.0),
        "stdvar_over_time" => |frame| variance(frame.points.iter().map(|point| point.1)),
        "stddev_over_time" => |frame| variance(frame.points.iter().map(|point| point.1)).map(f64::sqrt),
        "quantile_over_time" => |frame| some(frame, |values| quantile(frame.parameter, values.to_vec())),
        "changes" => |frame| some(frame, |values| pairs(values, |a, b| a != b && !(a.is_nan() && b.is_nan()))),
        "resets" => |frame| some(frame, |values| pairs(values, |a, b| b < a)),
        "deriv" => |frame| (frame.points.len() > 1).then(|| regression(frame.points, frame.points[0].0).0),
        "predict_linear" => |frame| {
            (frame.points.len() > 1).then(|| {
                let (slope, value) = regression(frame.points, frame.time);
                slope * frame.parameter + value
            })
        },
        _ => return None,
    };
    Some(function)
}

/// Tells whether a function takes a range.
pub(super) fn is_range_function(name: &str) -> bool {
    function(name).is_some()
}

/// Evaluates a function of a range.
pub(super) fn eval(context: &Context, call: &Call, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let name = call.func.name;
    let function = function(name).ok_or_else(|| QueryError::unsupported(format!("function {name}()")))?;
    let args = &call.args.args;
    let (range, parameter): (&Expr, Option<&Expr>) = match (name, args.as_slice()) {
        ("quantile_over_time", [parameter, range]) | ("predict_linear", [range, parameter]) => (range, Some(parameter)),
        (_, [range]) => (range, None),
        _ => return Err(QueryError::BadData(format!("wrong number of arguments for {name}()"))),
    };
    let parameters = match parameter {
        Some(parameter) => context.scalar(parameter, grid)?,
        None => vec![0.0; grid.count],
    };
    let mut found = Vec::new();
    for range in context.ranges(range, grid, None)? {
        context.check()?;
        context.charge(grid.count)?;
        let values = walk(&range, grid, &parameters, function);
        found.push(Series { labels: range.labels, drop_name: range.drop_name, values });
    }
    found.retain(|series| !series.is_empty());
    if name == "last_over_time" { Ok(found) } else { context.unnamed(found) }
}

fn walk(range: &Range, grid: Grid, parameters: &[f64], function: Function) -> Vec<Option<f64>> {
    let points = &range.points;
    let (mut from, mut to) = (0, 0);
    let step = |(time, &parameter): (i64, &f64)| {
        let (start, end) = range.bounds(time);
        // Both only move on: the grid is in order of time.
        while points.get(to).is_some_and(|point| point.0 <= end) {
            to += 1;
        }
        while from < to && points[from].0 <= start {
            from += 1;
        }
        function(&Frame { points: &points[from..to], start, end, time, parameter })
    };
    grid.times().zip(parameters).map(step).collect()
}

/// Evaluates `absent_over_time`.
pub(super) fn absent_over_time(context: &Context, arg: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let mut present = vec![false; grid.count];
    for range in context.ranges(arg, grid, None)? {
        let values = walk(&range, grid, &vec![0.0; grid.count], |frame| some(frame, |_| 1.0));
        present.iter_mut().zip(values).for_each(|(present, value)| *present |= value.is_some());
    }
    let values = present.into_iter().map(|present| (!present).then_some(1.0)).collect();
    let labels: Labels = super::labels::of_matchers(arg);
    unique(vec![without_name_if_due(Series::new(labels, values))])
}

fn some(frame: &Frame<'_>, function: impl Fn(&[f64]) -> f64) -> Option<f64> {
    let values: Vec<f64> = frame.points.iter().map(|point| point.1).collect();
    (!values.is_empty()).then(|| function(&values))
}

/// Gives the value that none other beats; NaN only where there is nothing else.
fn fold(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().reduce(|a, b| if beats(a, b) || a.is_nan() { b } else { a }).unwrap_or(f64::NAN)
}

fn pairs(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|pair| counts(pair[0], pair[1])).count() as f64
}

/// Gives the change over a range, extended to its bounds where the samples come near them (`extrapolatedRate`).
fn extrapolated(frame: &Frame<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    let [first, .., last] = frame.points else { return None };
    let mut change = last.1 - first.1;
    if is_counter {
        change += frame.points.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum::<f64>();
    }
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let (mut to_start, mut to_end) = (seconds(frame.start, first.0), seconds(last.0, frame.end));
    let sampled = seconds(first.0, last.0);
    let between = sampled / (frame.points.len() - 1) as f64;
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if is_counter {
        // A counter is not extended to below zero.
        let to_zero = if change > 0.0 && first.1 >= 0.0 { sampled * (first.1 / change) } else { to_start };
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if is_rate {
        factor /= seconds(frame.start, frame.end);
    }
    Some(change * factor)
}

fn instant(frame: &Frame<'_>, is_rate: bool) -> Option<f64> {
    let [.., before, last] = frame.points else { return None };
    if !is_rate {
        return Some(last.1 - before.1);
    }
    let change = if last.1 < before.1 { last.1 } else { last.1 - before.1 };
    (last.0 > before.0).then(|| change / ((last.0 - before.0) as f64 / 1000.0))
}

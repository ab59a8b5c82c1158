//! Functions of a range, streamed: two pointers move on over a series' points while the steps go by.

use promql_parser::parser::{Call, Expr};
use wattle_contract::Labels;

use super::QueryError;
use super::eval::{Context, Sink};
use super::selector::{Ranged, points_of};
use super::series::{refuse_same, unique, without_name};
use super::value::{ABSENT, Grid, Series, is_absent};
use super::window::{self, Function, Window};
use crate::store::read::Points;

/// Tells whether a function takes a range.
pub(super) fn is_range_function(name: &str) -> bool {
    window::function(name).is_some()
}

/// Streams a function of a range.
pub(super) fn each(context: &Context, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
    let name = call.func.name;
    let function = window::function(name).ok_or_else(|| QueryError::unsupported(format!("function {name}()")))?;
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
    let is_counter = matches!(name, "rate" | "increase");
    let mut produce = |sink: &mut Sink<'_>| {
        let mut resets = Vec::new();
        points_of(context, range, grid, &mut |ranged, points| {
            find_resets(points, is_counter, &mut resets);
            let values = walk(ranged, points, &resets, grid, &parameters, function);
            let series = Series { labels: ranged.labels.clone(), drop_name: ranged.drop_name, values };
            if series.is_empty() {
                return Ok(());
            }
            if name == "quantile_over_time" {
                let there = series.values.iter().zip(&parameters).filter(|(value, _)| !is_absent(**value));
                there.for_each(|(_, &q)| context.notes.quantile(q));
            }
            if is_counter {
                context.notes.counter(series.labels.metric_name());
            }
            sink(series)
        })
    };
    if matches!(name, "last_over_time") { produce(sink) } else { distinct(context, range, sink, &mut produce) }
}

/// As [`Context::renamed`], but of series that are the same after it none is taken, whatever their steps.
fn distinct(
    context: &Context,
    range: &Expr,
    sink: &mut Sink<'_>,
    produce: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    if context.limits.delayed_name_removal || super::eval::is_unique_without_name(range) {
        return context.renamed(range, sink, produce);
    }
    let mut all = Vec::new();
    produce(&mut |series| {
        context.share.take(series.values.len())?;
        all.push(without_name(series));
        Ok(())
    })?;
    refuse_same(&all)?;
    all.into_iter().try_for_each(sink)
}

/// Finds where a counter started again: the positions of points below the one before.
fn find_resets(points: &Points, is_counter: bool, resets: &mut Vec<usize>) {
    resets.clear();
    if is_counter {
        let falls = points.values.windows(2).enumerate().filter(|(_, pair)| pair[1] < pair[0]);
        resets.extend(falls.map(|(at, _)| at + 1));
    }
}

fn walk(
    ranged: &Ranged<'_>,
    points: &Points,
    resets: &[usize],
    grid: Grid,
    parameters: &[f64],
    function: Function,
) -> Vec<f64> {
    let (times, values) = (&points.times, &points.values);
    let (mut from, mut to, mut first_reset) = (0, 0, 0);
    let mut step = |time: i64, parameter: f64| {
        let (start, end) = ranged.reach.bounds(time);
        // All only move on: the grid is in order of time.
        while times.get(to).is_some_and(|&time| time <= end) {
            to += 1;
        }
        while from < to && times[from] <= start {
            from += 1;
        }
        if from == to {
            return ABSENT;
        }
        while resets.get(first_reset).is_some_and(|&at| at <= from) {
            first_reset += 1;
        }
        let falls = resets[first_reset..].iter().take_while(|&&at| at < to);
        let grown = falls.fold(values[to - 1] - values[from], |sum, &at| sum + values[at - 1]);
        function(&Window { times: &times[from..to], values: &values[from..to], grown, start, end, time, parameter })
    };
    if ranged.reach.is_fixed() && parameters.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()) {
        // Only predict_linear looks at the step itself, and it has a line of its own to draw at each.
        let is_flat = !std::ptr::fn_addr_eq(function, window::PREDICT);
        if is_flat {
            return vec![step(grid.start, parameters[0]); grid.count];
        }
    }
    grid.times().zip(parameters).map(|(time, &parameter)| step(time, parameter)).collect()
}

/// Evaluates `absent_over_time`.
pub(super) fn absent_over_time(context: &Context, arg: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let mut values = vec![1.0; grid.count];
    let parameters = vec![0.0; grid.count];
    let present: Function = |_| 1.0;
    points_of(context, arg, grid, &mut |ranged, points| {
        let there = walk(ranged, points, &[], grid, &parameters, present);
        values.iter_mut().zip(there).filter(|(_, there)| *there == 1.0).for_each(|(value, _)| *value = ABSENT);
        Ok(())
    })?;
    let labels: Labels = super::labels::of_matchers(arg);
    unique(vec![without_name(Series::new(labels, values))])
}

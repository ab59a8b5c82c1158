//! Selectors and subqueries as streams: values at each step, or the points that ranges reach into.

use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector};
use wattle_contract::Labels;

use super::QueryError;
use super::eval::{Context, Sink, unwrap_parens};
use super::value::{ABSENT, Grid, Series, is_absent};
use crate::store::read::Points;

/// Step of a subquery that names none: Prometheus's default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// What is read of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Value,
    /// Its time in seconds.
    Time,
}

/// Streams the newest sample of each series at each step.
pub(super) fn instant(
    context: &Context,
    selector: &VectorSelector,
    grid: Grid,
    read: Read,
    sink: &mut Sink<'_>,
) -> Result<(), QueryError> {
    let reach = Reach::of(millis(context.limits.lookback), &selector.at, &selector.offset, context.query);
    let (start, end) = reach.span(grid);
    context.source.each(selector, start, end, &mut |labels, points| {
        context.check()?;
        let mut to = 0;
        let newest = |time: i64| {
            let (start, end) = reach.bounds(time);
            while points.times.get(to).is_some_and(|&time| time <= end) {
                to += 1;
            }
            let Some(at) = to.checked_sub(1) else { return ABSENT };
            match read {
                _ if points.times[at] <= start || is_absent(points.values[at]) => ABSENT,
                Read::Value => points.values[at],
                Read::Time => points.times[at] as f64 / 1000.0,
            }
        };
        sink(Series::new(labels.clone(), grid.times().map(newest).collect()))
    })
}

/// Where a selector looks, seen from a step. Units: milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    range: i64,
    fixed: Option<i64>,
    offset: i64,
}

impl Reach {
    fn of(range: i64, at: &Option<AtModifier>, offset: &Option<Offset>, query: Grid) -> Self {
        Self { range, fixed: at_ms(at.as_ref(), query), offset: offset_ms(offset.as_ref()) }
    }

    /// Gives the bounds of the range at a step, the first excluded.
    pub(super) fn bounds(self, time: i64) -> (i64, i64) {
        let end = self.fixed.unwrap_or(time).saturating_sub(self.offset);
        (end.saturating_sub(self.range), end)
    }

    /// Tells whether every step looks at the same place.
    pub(super) const fn is_fixed(self) -> bool {
        self.fixed.is_some()
    }

    /// Gives the times that a grid needs, both included.
    fn span(self, grid: Grid) -> (i64, i64) {
        (self.bounds(grid.start).0.saturating_add(1), self.bounds(grid.end()).1)
    }
}

/// A series of a range vector.
pub(super) struct Ranged<'a> {
    pub(super) labels: &'a Labels,
    pub(super) drop_name: bool,
    pub(super) reach: Reach,
}

/// Takes a series of a range vector and its points, stale markers left out.
pub(super) type Take<'a> = dyn FnMut(&Ranged<'_>, &Points) -> Result<(), QueryError> + 'a;

/// Streams a range vector: a range selector or a subquery.
pub(super) fn points_of(context: &Context, expr: &Expr, grid: Grid, take: &mut Take<'_>) -> Result<(), QueryError> {
    match unwrap_parens(expr) {
        Expr::MatrixSelector(matrix) => {
            let reach = Reach::of(millis(matrix.range), &matrix.vs.at, &matrix.vs.offset, context.query);
            let (start, end) = reach.span(grid);
            context.source.each(&matrix.vs, start, end, &mut |labels, points| {
                context.check()?;
                drop_stale(points);
                if points.times.is_empty() {
                    return Ok(());
                }
                take(&Ranged { labels, drop_name: false, reach }, points)
            })
        }
        Expr::Subquery(inner) => subquery(context, inner, grid, take),
        _ => Err(QueryError::BadData("expected a range vector".to_owned())),
    }
}

fn drop_stale(points: &mut Points) {
    if points.values.iter().any(|&value| is_absent(value)) {
        let kept: Vec<bool> = points.values.iter().map(|&value| !is_absent(value)).collect();
        let (mut times, mut values) = (kept.iter(), kept.iter());
        points.times.retain(|_| *times.next().unwrap_or(&false));
        points.values.retain(|_| *values.next().unwrap_or(&false));
    }
}

/// Evaluates the inner expression on a grid of its own, whose steps are multiples of its step since 1970.
fn subquery(context: &Context, inner: &SubqueryExpr, outer: Grid, take: &mut Take<'_>) -> Result<(), QueryError> {
    let reach = Reach::of(millis(inner.range), &inner.at, &inner.offset, context.query);
    let step = inner.step.map_or(DEFAULT_STEP_MS, millis);
    if step <= 0 {
        return Err(QueryError::BadData("zero or negative subquery step".to_owned()));
    }
    let (from, end) = reach.span(outer);
    // The first multiple inside: ranges are open on the left, and `from` is inside.
    let start = from.saturating_add(step - 1).div_euclid(step).saturating_mul(step);
    if end < start {
        return Ok(());
    }
    let count = usize::try_from((end - start) / step).unwrap_or(usize::MAX).saturating_add(1);
    let whole = Grid { start, step, count };
    context.share.take(count)?;
    let mut points = Points::default();
    if inner.expr.value_type() == promql_parser::parser::value::ValueType::Scalar {
        fill(&mut points, whole, &context.scalar(&inner.expr, whole)?);
        take(&Ranged { labels: &Labels::default(), drop_name: false, reach }, &points)?;
    } else {
        context.each(&inner.expr, whole, &mut |series| {
            fill(&mut points, whole, &series.values);
            take(&Ranged { labels: &series.labels, drop_name: series.drop_name, reach }, &points)
        })?;
    }
    context.share.give(count);
    Ok(())
}

fn fill(points: &mut Points, grid: Grid, values: &[f64]) {
    points.clear();
    let there = grid.times().zip(values.iter().copied()).filter(|(_, value)| !is_absent(*value));
    there.for_each(|point| points.push(point));
}

/// Gives a span in milliseconds.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Gives an offset in milliseconds, positive into the past.
pub(crate) fn offset_ms(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(span)) => millis(*span),
        Some(Offset::Neg(span)) => millis(*span).saturating_neg(),
    }
}

/// Gives the fixed time of an `@` modifier, if there is one.
fn at_ms(at: Option<&AtModifier>, query: Grid) -> Option<i64> {
    at.map(|at| match at {
        AtModifier::Start => query.start,
        AtModifier::End => query.end(),
        AtModifier::At(time) => at_millis(*time),
    })
}

/// Gives the time of an `@` in milliseconds since 1970.
pub(crate) fn at_millis(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => millis(before.duration()).saturating_neg(),
    }
}

//! Subqueries: an instant expression evaluated on a grid of its own, read like a range.

use promql_parser::parser::SubqueryExpr;
use wattle_contract::Labels;

use super::QueryError;
use super::data::{at_ms, millis, offset_ms};
use super::eval::Context;
use super::value::{Grid, Value};
use crate::store::chunk::Point;

/// Step of a subquery that names none: Prometheus's default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// Gives the grid that a subquery needs for one step of its parent: steps are multiples of its own step since 1970.
pub(super) fn grid(inner: &SubqueryExpr, time: i64, query: Grid) -> Result<Grid, QueryError> {
    let time = at_ms(inner.at.as_ref(), query).unwrap_or(time).saturating_sub(offset_ms(inner.offset.as_ref()));
    let step = inner.step.map_or(DEFAULT_STEP_MS, millis);
    if step <= 0 {
        return Err(QueryError::BadData("zero or negative subquery step".to_owned()));
    }
    let from = time.saturating_sub(millis(inner.range));
    // The first multiple after `from`: ranges are open on the left.
    let start = from.div_euclid(step).saturating_add(1).saturating_mul(step);
    let count = if time < start { 0 } else { (time - start) / step + 1 };
    Ok(Grid { start, step, count: usize::try_from(count).unwrap_or(usize::MAX) })
}

/// Evaluates the inner expression for all steps of its parent; gives series with their points.
pub(super) fn points(
    context: &Context,
    inner: &SubqueryExpr,
    outer: Grid,
) -> Result<Vec<(Labels, bool, Vec<Point>)>, QueryError> {
    let first = grid(inner, outer.start, context.query)?;
    let last = grid(inner, outer.end(), context.query)?;
    let end = if last.count == 0 { first.end() } else { last.end() };
    if (first.count == 0 && last.count == 0) || end < first.start {
        return Ok(Vec::new());
    }
    let count = usize::try_from((end - first.start) / first.step + 1).unwrap_or(usize::MAX);
    let whole = Grid { start: first.start, step: first.step, count };
    context.charge(count)?;
    let value = context.eval(&inner.expr, whole)?;
    let series = match value {
        Value::Vector(series) => series,
        Value::Scalar(numbers) => {
            vec![super::value::Series::new(Labels::default(), numbers.into_iter().map(Some).collect())]
        }
        _ => return Err(QueryError::BadData("subquery is only allowed on instant vector".to_owned())),
    };
    let pointed = |series: super::value::Series| {
        let points = whole.times().zip(&series.values).filter_map(|(time, value)| value.map(|value| (time, value)));
        (series.labels.clone(), series.drop_name, points.collect())
    };
    Ok(series.into_iter().map(pointed).collect())
}

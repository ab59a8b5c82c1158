//! Reading what the selectors of a query need, before anything is computed.

use std::collections::HashMap;

use promql_parser::parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector};

use super::value::Grid;
use super::{QueryError, subquery};
use crate::config::QueryLimits;
use crate::store::chunk::Point;
use crate::store::read::Points;
use crate::store::samples::{Samples, Selected};

/// Points by selector; a selector is told by where it is in the expression.
pub(super) type Data = HashMap<usize, Vec<Selected>>;

/// Gives the key of a selector.
pub(super) fn key(selector: &VectorSelector) -> usize {
    std::ptr::from_ref(selector).addr()
}

/// Reads every selector of a query.
pub(super) async fn load(
    samples: &Samples,
    query: &Expr,
    grid: Grid,
    limits: &QueryLimits,
) -> Result<Data, QueryError> {
    let mut wanted = Vec::new();
    let lookback = millis(limits.lookback);
    Reach { query: grid, lookback }.collect(query, grid.start, grid.end(), &mut wanted)?;
    let (mut data, mut left) = (Data::new(), limits.max_samples);
    for (selector, start, end) in wanted {
        let mut matchers = selector.matchers.clone();
        if let Some(name) = &selector.name {
            let named = promql_parser::label::Matcher::new(
                promql_parser::label::MatchOp::Equal,
                wattle_contract::METRIC_NAME,
                name,
            );
            for group in &mut matchers.or_matchers {
                group.push(named.clone());
            }
            matchers.matchers.push(named);
        }
        let found = read(samples, &matchers, start, end, left).await?.ok_or_else(|| too_many(limits))?;
        left = left.saturating_sub(found.iter().map(|series| series.points.len()).sum());
        data.insert(key(selector), found);
    }
    Ok(data)
}

/// Reads the points of the series that match; `None` when there are more than `left`.
async fn read(
    samples: &Samples,
    matchers: &promql_parser::label::Matchers,
    start: i64,
    end: i64,
    left: usize,
) -> Result<Option<Vec<Selected>>, QueryError> {
    let (mut selected, mut count) = (Vec::new(), 0);
    for part in samples.find(matchers).chunks(Samples::at_once()) {
        for (found, packed) in part.iter().zip(samples.packed(part, start, end).await?) {
            let mut points = Points::default();
            packed.unpack(start, end, &mut points)?;
            count += points.times.len() + 1;
            if count > left {
                return Ok(None);
            }
            if !points.times.is_empty() {
                let points = points.times.into_iter().zip(points.values).collect();
                selected.push(Selected { labels: found.labels.clone(), points });
            }
        }
    }
    Ok(Some(selected))
}

/// Says that a query is too large.
pub(super) fn too_many(limits: &QueryLimits) -> QueryError {
    let most = limits.max_samples;
    QueryError::Execution(format!(
        "query processing would load too many samples into memory in query execution (limit {most})"
    ))
}

/// Gives a span in milliseconds.
pub(super) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Gives an offset in milliseconds, positive into the past.
pub(super) fn offset_ms(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(span)) => millis(*span),
        Some(Offset::Neg(span)) => millis(*span).saturating_neg(),
    }
}

/// Gives the fixed time of an `@` modifier, if there is one.
pub(super) fn at_ms(at: Option<&AtModifier>, query: Grid) -> Option<i64> {
    at.map(|at| match at {
        AtModifier::Start => query.start,
        AtModifier::End => query.end(),
        AtModifier::At(time) => match time.duration_since(std::time::SystemTime::UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => millis(before.duration()).saturating_neg(),
        },
    })
}

struct Reach {
    query: Grid,
    lookback: i64,
}

type Wanted<'a> = Vec<(&'a VectorSelector, i64, i64)>;

impl Reach {
    fn collect<'a>(&self, expr: &'a Expr, start: i64, end: i64, wanted: &mut Wanted<'a>) -> Result<(), QueryError> {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector, self.lookback, start, end, wanted),
            Expr::MatrixSelector(matrix) => {
                // `timestamp(x)` and instant reads of the last point stay inside the range.
                self.selector(&matrix.vs, millis(matrix.range), start, end, wanted);
            }
            Expr::Subquery(inner) => {
                let (start, end) = self.subquery(inner, start, end)?;
                self.collect(&inner.expr, start, end, wanted)?;
            }
            Expr::Aggregate(aggregate) => {
                self.collect(&aggregate.expr, start, end, wanted)?;
                if let Some(param) = &aggregate.param {
                    self.collect(param, start, end, wanted)?;
                }
            }
            Expr::Unary(unary) => self.collect(&unary.expr, start, end, wanted)?,
            Expr::Binary(binary) => {
                self.collect(&binary.lhs, start, end, wanted)?;
                self.collect(&binary.rhs, start, end, wanted)?;
            }
            Expr::Paren(paren) => self.collect(&paren.expr, start, end, wanted)?,
            Expr::Call(call) => {
                for argument in &call.args.args {
                    self.collect(argument, start, end, wanted)?;
                }
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
        Ok(())
    }

    fn selector<'a>(&self, selector: &'a VectorSelector, range: i64, start: i64, end: i64, wanted: &mut Wanted<'a>) {
        let (start, end) = at_ms(selector.at.as_ref(), self.query).map_or((start, end), |at| (at, at));
        let offset = offset_ms(selector.offset.as_ref());
        let (start, end) = (start.saturating_sub(offset), end.saturating_sub(offset));
        // Ranges are open on the left.
        wanted.push((selector, start.saturating_sub(range).saturating_add(1), end));
    }

    fn subquery(&self, inner: &SubqueryExpr, start: i64, end: i64) -> Result<(i64, i64), QueryError> {
        let first = subquery::grid(inner, start, self.query)?;
        let last = subquery::grid(inner, end, self.query)?;
        Ok((first.start, last.end().max(first.start)))
    }
}

/// Gives the newest point at or before a time that is not older than the lookback; `None` after a stale marker.
pub(super) fn newest(points: &[Point], time: i64, lookback: i64) -> Option<Point> {
    let until = points.partition_point(|point| point.0 <= time);
    let point = *points[..until].last()?;
    let is_fresh = point.0 > time.saturating_sub(lookback);
    (is_fresh && !is_stale(point.1)).then_some(point)
}

/// Tells a stale marker from any other NaN.
pub(super) const fn is_stale(value: f64) -> bool {
    value.to_bits() == crate::receive::scrape::STALE
}

//! Walking an expression: each part is computed for all steps before what is made of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use promql_parser::parser::{Expr, MatrixSelector, VectorSelector};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_contract::{Labels, METRIC_NAME};

use super::data::{Data, at_ms, is_stale, key, millis, newest, offset_ms, too_many};
use super::value::{Grid, Series, Value};
use super::{QueryError, aggregate, binary, functions, subquery};
use crate::config::QueryLimits;
use crate::store::chunk::Point;

/// What a whole query shares.
pub(super) struct Context {
    data: Data,
    /// The grid of the query itself, for `@ start()` and `@ end()`.
    pub(super) query: Grid,
    pub(super) limits: QueryLimits,
    deadline: Instant,
    timeout: Duration,
    gone: CancellationToken,
    /// Values computed so far.
    cells: AtomicUsize,
}

impl Context {
    pub(super) const fn new(
        data: Data,
        query: Grid,
        limits: QueryLimits,
        deadline: Instant,
        timeout: Duration,
        gone: CancellationToken,
    ) -> Self {
        Self { data, query, limits, deadline, timeout, gone, cells: AtomicUsize::new(0) }
    }

    /// Evaluates the whole query.
    pub(super) fn run(&self, query: &Expr) -> Result<Value, QueryError> {
        if let (Expr::MatrixSelector(matrix), 1) = (unwrap_parens(query), self.query.count) {
            return self.matrix(matrix);
        }
        match self.eval(query, self.query)? {
            Value::Vector(series) => {
                let mut series: Vec<Series> = series.into_iter().map(without_name_if_due).collect();
                series = unique(series)?;
                series.retain(|series| !series.is_empty());
                Ok(Value::Vector(series))
            }
            value => Ok(value),
        }
    }

    /// Evaluates one expression on a grid.
    pub(super) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Value, QueryError> {
        self.check()?;
        match expr {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(vec![number.val; grid.count])),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr, grid),
            Expr::Unary(unary) => match self.eval(&unary.expr, grid)? {
                Value::Scalar(numbers) => Ok(Value::Scalar(numbers.into_iter().map(|number| -number).collect())),
                Value::Vector(series) => self.map(series, |value| Some(-value)).map(Value::Vector),
                _ => Err(QueryError::BadData("unary minus needs a number or an instant vector".to_owned())),
            },
            Expr::VectorSelector(selector) => self.selector(selector, grid).map(Value::Vector),
            Expr::Aggregate(aggregate) => aggregate::eval(self, aggregate, grid).map(Value::Vector),
            Expr::Binary(binary) => binary::eval(self, binary, grid),
            Expr::Call(call) => functions::eval(self, call, grid),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(QueryError::BadData("a range vector stands where an instant vector is needed".to_owned()))
            }
            Expr::Extension(_) => Err(QueryError::unsupported("this extension")),
        }
    }

    /// Evaluates an expression that must be an instant vector.
    pub(super) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
        match self.eval(expr, grid)? {
            Value::Vector(series) => Ok(series),
            _ => Err(QueryError::BadData("expected an instant vector".to_owned())),
        }
    }

    /// Evaluates an expression that must be a number.
    pub(super) fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Value::Scalar(numbers) => Ok(numbers),
            _ => Err(QueryError::BadData("expected a scalar".to_owned())),
        }
    }

    /// Refuses to go on when time is up, the client is gone or too much was computed.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        if self.gone.is_cancelled() || Instant::now() >= self.deadline {
            return Err(QueryError::Timeout(self.timeout));
        }
        Ok(())
    }

    /// Counts values against the limit.
    pub(super) fn charge(&self, cells: usize) -> Result<(), QueryError> {
        let before = self.cells.fetch_add(cells, Ordering::Relaxed);
        if before.saturating_add(cells) > self.limits.max_samples { Err(too_many(&self.limits)) } else { Ok(()) }
    }

    fn selector(&self, selector: &VectorSelector, grid: Grid) -> Result<Vec<Series>, QueryError> {
        self.instant(selector, grid, |point, _| point.1)
    }

    /// Reads the newest point of each series at each step, and makes a value of it.
    pub(super) fn instant(
        &self,
        selector: &VectorSelector,
        grid: Grid,
        make: impl Fn(Point, i64) -> f64,
    ) -> Result<Vec<Series>, QueryError> {
        let fixed = at_ms(selector.at.as_ref(), self.query);
        let offset = offset_ms(selector.offset.as_ref());
        let lookback = millis(self.limits.lookback);
        let mut found = Vec::new();
        for series in self.data.get(&key(selector)).into_iter().flatten() {
            self.check()?;
            self.charge(grid.count)?;
            let read = |time: i64| newest(&series.points, fixed.unwrap_or(time).saturating_sub(offset), lookback);
            let values = grid.times().map(|time| read(time).map(|point| make(point, time))).collect();
            found.push(Series::new(series.labels.clone(), values));
        }
        found.retain(|series| !series.is_empty());
        Ok(found)
    }

    fn matrix(&self, matrix: &MatrixSelector) -> Result<Value, QueryError> {
        let ranges = self.ranges(&Expr::MatrixSelector(matrix.clone()), self.query, Some(&matrix.vs))?;
        let whole = |range: Range| {
            let (from, to) = range.bounds(self.query.start);
            let points = &range.points;
            let inside = points.partition_point(|p| p.0 <= from)..points.partition_point(|p| p.0 <= to);
            (range.labels.clone(), points[inside].to_vec())
        };
        let found = ranges.into_iter().map(whole).filter(|(_, points)| !points.is_empty());
        Ok(Value::Matrix(found.collect()))
    }

    /// Reads a range vector: a range selector or a subquery.
    pub(super) fn ranges(
        &self,
        expr: &Expr,
        grid: Grid,
        known: Option<&VectorSelector>,
    ) -> Result<Vec<Range>, QueryError> {
        let (range, at, offset) = match unwrap_parens(expr) {
            Expr::MatrixSelector(matrix) => (matrix.range, matrix.vs.at.as_ref(), matrix.vs.offset.as_ref()),
            Expr::Subquery(inner) => (inner.range, inner.at.as_ref(), inner.offset.as_ref()),
            _ => return Err(QueryError::BadData("expected a range vector".to_owned())),
        };
        let (range, fixed, offset) = (millis(range), at_ms(at, self.query), offset_ms(offset));
        let series: Vec<(Labels, bool, Vec<Point>)> = match unwrap_parens(expr) {
            Expr::Subquery(inner) => subquery::points(self, inner, grid)?,
            Expr::MatrixSelector(matrix) => {
                let found = self.data.get(&key(known.unwrap_or(&matrix.vs))).into_iter().flatten();
                let live = |points: &[Point]| points.iter().copied().filter(|point| !is_stale(point.1)).collect();
                found.map(|series| (series.labels.clone(), false, live(&series.points))).collect()
            }
            _ => Vec::new(),
        };
        let ranged = |(labels, drop_name, points)| Range { labels, drop_name, points, range, fixed, offset };
        Ok(series.into_iter().map(ranged).collect())
    }

    /// Applies a function to every value; the result is no longer what its name says.
    pub(super) fn map(
        &self,
        mut series: Vec<Series>,
        function: impl Fn(f64) -> Option<f64>,
    ) -> Result<Vec<Series>, QueryError> {
        for one in &mut series {
            for value in &mut one.values {
                *value = value.and_then(&function);
            }
        }
        self.unnamed(series)
    }

    /// Drops the metrics' names: now, or at the end of the query where that is set.
    pub(super) fn unnamed(&self, mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
        for one in &mut series {
            one.drop_name = true;
        }
        if self.limits.delayed_name_removal {
            return Ok(series);
        }
        unique(series.into_iter().map(without_name_if_due).collect())
    }
}

/// A series with the points that a range at any step may need.
pub(super) struct Range {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) points: Vec<Point>,
    /// Length in milliseconds.
    pub(super) range: i64,
    fixed: Option<i64>,
    offset: i64,
}

impl Range {
    /// Gives the bounds of the range at a step, the first excluded.
    pub(super) fn bounds(&self, time: i64) -> (i64, i64) {
        let end = self.fixed.unwrap_or(time).saturating_sub(self.offset);
        (end.saturating_sub(self.range), end)
    }
}

/// Gives what stands inside parentheses.
pub(super) fn unwrap_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// Drops the name of a series that is marked so.
pub(super) fn without_name_if_due(mut series: Series) -> Series {
    if series.drop_name {
        series.labels = without(&series.labels, &[METRIC_NAME]);
        series.drop_name = false;
    }
    series
}

/// Gives labels without some of them.
pub(super) fn without(labels: &Labels, names: &[&str]) -> Labels {
    if !names.iter().any(|name| labels.get(name).is_some()) {
        return labels.clone();
    }
    Labels::new(labels.pairs().iter().filter(|(name, _)| !names.contains(&name.as_ref())).cloned())
}

/// Joins series with the same labels; two values at the same step are an error.
pub(super) fn unique(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut joined: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        let Some(&at) = places.get(&one.labels) else {
            places.insert(one.labels.clone(), joined.len());
            joined.push(one);
            continue;
        };
        for (mine, other) in joined[at].values.iter_mut().zip(one.values) {
            if mine.is_some() && other.is_some() {
                let message = "vector cannot contain metrics with the same labelset";
                return Err(QueryError::Execution(message.to_owned()));
            }
            *mine = mine.or(other);
        }
    }
    Ok(joined)
}

//! Walking an expression: series stream from the selectors up, each with its values at all steps.
//!
//! [`Context::each`] hands on one series after the other where an expression treats each alone (selectors, functions of
//! a range or a value, operators with a number); aggregations fold that stream into their groups. Only what must see
//! all of its series at once (matching, sorting, quantiles) holds them.

use std::time::Duration;

use promql_parser::parser::{Expr, LabelModifier};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_contract::METRIC_NAME;

use super::budget::Share;
use super::notes::Notes;
use super::selector::{self, points_of};
use super::series::{unique, without_name, without_name_if_due};
use super::source::{Source, has_one_name};
use super::value::{Grid, Series, Value, is_absent};
use super::{QueryError, aggregate, binary, functions};
use crate::config::QueryLimits;

/// Takes a series of a stream.
pub(super) type Sink<'a> = dyn FnMut(Series) -> Result<(), QueryError> + 'a;

/// What a whole query shares.
pub(super) struct Context {
    pub(super) source: Source,
    /// The grid of the query itself, for `@ start()` and `@ end()`.
    pub(super) query: Grid,
    pub(super) limits: QueryLimits,
    pub(super) notes: Notes,
    pub(super) share: Share,
    pub(super) clock: Clock,
}

/// When a query must end.
pub(super) struct Clock {
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) gone: CancellationToken,
}

impl Context {
    /// Evaluates the whole query.
    pub(super) fn run(&self, query: &Expr) -> Result<Value, QueryError> {
        if self.query.count == 1 && matches!(unwrap_parens(query), Expr::MatrixSelector(_) | Expr::Subquery(_)) {
            return self.matrix(unwrap_parens(query));
        }
        match self.eval(query, self.query)? {
            Value::Vector(series) => {
                let mut series: Vec<Series> = series.into_iter().map(without_name_if_due).collect();
                if self.limits.delayed_name_removal || !is_unique_by_nature(query) {
                    series = unique(series)?;
                }
                series.retain(|series| !series.is_empty());
                Ok(Value::Vector(series))
            }
            value => Ok(value),
        }
    }

    /// Evaluates one expression on a grid.
    pub(super) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Value, QueryError> {
        use promql_parser::parser::value::ValueType;
        match expr.value_type() {
            ValueType::Scalar => self.scalar(expr, grid).map(Value::Scalar),
            ValueType::Vector => self.vector(expr, grid).map(Value::Vector),
            ValueType::String => text(expr).map(|text| Value::Text(text.to_owned())),
            ValueType::Matrix => {
                Err(QueryError::BadData("a range vector stands where an instant vector is needed".to_owned()))
            }
        }
    }

    /// Evaluates an expression that must be an instant vector, and holds all of its series.
    pub(super) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
        match unwrap_parens(expr) {
            Expr::Aggregate(aggregate) => return aggregate::eval(self, aggregate, grid),
            Expr::Binary(binary) if binary::needs_all(binary) => return binary::eval(self, binary, grid),
            Expr::Call(call) if !functions::is_streamed(call) => return functions::eval(self, call, grid),
            _ => {}
        }
        let mut found = Vec::new();
        self.each(expr, grid, &mut |series| {
            self.share.take(grid.count)?;
            found.push(series);
            Ok(())
        })?;
        Ok(found)
    }

    /// Hands on the series of an instant vector one by one.
    pub(super) fn each(&self, expr: &Expr, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        self.check()?;
        let expr = unwrap_parens(expr);
        match expr {
            Expr::VectorSelector(vector) => {
                selector::instant(self, vector, grid, selector::Read::Value, &mut |series| self.pass(series, sink))
            }
            Expr::Unary(unary) => self.renamed(&unary.expr, sink, &mut |sink| {
                self.each(&unary.expr, grid, &mut |mut series| {
                    series.change(|value| -value);
                    sink(series)
                })
            }),
            Expr::Binary(operation) if !binary::needs_all(operation) => {
                binary::each_with_numbers(self, operation, grid, &mut |series| self.pass(series, sink))
            }
            Expr::Call(call) if functions::is_streamed(call) => {
                functions::each(self, call, grid, &mut |series| self.pass(series, sink))
            }
            Expr::Aggregate(_) | Expr::Binary(_) | Expr::Call(_) => {
                self.vector(expr, grid)?.into_iter().try_for_each(|series| self.pass(series, sink))
            }
            Expr::Extension(_) => Err(QueryError::unsupported("this extension")),
            _ => Err(QueryError::BadData("expected an instant vector".to_owned())),
        }
    }

    fn pass(&self, series: Series, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        if series.is_empty() { Ok(()) } else { sink(series) }
    }

    /// Evaluates an expression that must be a number.
    pub(super) fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        self.check()?;
        self.share.take(grid.count)?;
        match unwrap_parens(expr) {
            Expr::NumberLiteral(number) => Ok(vec![number.val; grid.count]),
            Expr::Unary(unary) => Ok(self.scalar(&unary.expr, grid)?.into_iter().map(|number| -number).collect()),
            Expr::Binary(operation) => binary::numbers(self, operation, grid),
            Expr::Call(call) => functions::numbers(self, call, grid),
            _ => Err(QueryError::BadData("expected a scalar".to_owned())),
        }
    }

    /// Refuses to go on when time is up or the client is gone.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        if self.clock.gone.is_cancelled() {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.clock.deadline { Err(QueryError::Timeout(self.clock.timeout)) } else { Ok(()) }
    }

    fn matrix(&self, expr: &Expr) -> Result<Value, QueryError> {
        let mut found = Vec::new();
        points_of(self, expr, self.query, &mut |series, points| {
            let (from, to) = series.reach.bounds(self.query.start);
            let inside =
                points.times.partition_point(|&time| time <= from)..points.times.partition_point(|&time| time <= to);
            self.share.take(inside.len() * 2)?;
            if !inside.is_empty() {
                let points = points.times[inside.clone()].iter().copied().zip(points.values[inside].iter().copied());
                let mut named = Series::new(series.labels.clone(), Vec::new());
                named.drop_name = series.drop_name;
                found.push((without_name_if_due(named).labels, points.collect()));
            }
            Ok(())
        })?;
        Ok(Value::Matrix(found))
    }

    /// Streams series that are no longer what their metric's name says: the name goes now, or at the end of the query
    /// where that is set. Series that are then the same are joined.
    pub(super) fn renamed(
        &self,
        input: &Expr,
        sink: &mut Sink<'_>,
        produce: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        if self.limits.delayed_name_removal {
            return produce(&mut |mut series| {
                series.drop_name = true;
                sink(series)
            });
        }
        if is_unique_without_name(input) {
            return produce(&mut |series| sink(without_name(series)));
        }
        let mut all = Vec::new();
        produce(&mut |series| {
            self.share.take(series.values.len())?;
            all.push(without_name(series));
            Ok(())
        })?;
        unique(all)?.into_iter().try_for_each(sink)
    }

    /// As [`Self::renamed`], of series that are all there.
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

/// Gives what stands inside parentheses.
pub(super) fn unwrap_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// Gives the text of a string literal.
pub(super) fn text(expr: &Expr) -> Result<&str, QueryError> {
    match unwrap_parens(expr) {
        Expr::StringLiteral(text) => Ok(&text.val),
        _ => Err(QueryError::BadData("expected a string literal".to_owned())),
    }
}

/// Tells whether no two series of an expression can have the same labels but for the metric's name.
pub(super) fn is_unique_without_name(expr: &Expr) -> bool {
    match unwrap_parens(expr) {
        Expr::VectorSelector(selector) => has_one_name(selector),
        Expr::MatrixSelector(matrix) => has_one_name(&matrix.vs),
        Expr::Subquery(inner) => is_unique_without_name(&inner.expr),
        Expr::Unary(_) => true,
        Expr::Call(call) => !functions::keeps_name(call.func.name),
        Expr::Aggregate(aggregate) => {
            let by_name = |modifier: &LabelModifier| match modifier {
                LabelModifier::Include(names) => names.labels.iter().any(|name| name == METRIC_NAME),
                LabelModifier::Exclude(_) => false,
            };
            !aggregate::selects(aggregate) && !aggregate.modifier.as_ref().is_some_and(by_name)
        }
        _ => false,
    }
}

/// Tells whether the series of an expression are all different: what comes straight from the store.
fn is_unique_by_nature(expr: &Expr) -> bool {
    matches!(unwrap_parens(expr), Expr::VectorSelector(_) | Expr::Aggregate(_))
}

/// Counts the values there are.
pub(super) fn present(values: &[f64]) -> impl Iterator<Item = f64> + '_ {
    values.iter().copied().filter(|&value| !is_absent(value))
}

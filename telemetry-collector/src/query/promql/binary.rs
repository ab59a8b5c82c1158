//! Binary operators between numbers and vectors.

mod join;
mod set;

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW,
    T_SUB, TokenId,
};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{BinaryExpr, Expr};

use super::QueryError;
use super::eval::{Context, Sink};
use super::value::{ABSENT, Grid, Series};

/// Tells whether an operation is one between two vectors.
pub(super) fn needs_all(expr: &BinaryExpr) -> bool {
    [&expr.lhs, &expr.rhs].iter().all(|side| side.value_type() == ValueType::Vector)
}

/// Evaluates an operation between two vectors.
pub(super) fn eval(context: &Context, expr: &BinaryExpr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let op = Operator::of(expr)?;
    let (left, right) = (context.vector(&expr.lhs, grid)?, context.vector(&expr.rhs, grid)?);
    let held = (left.len() + right.len()) * grid.count;
    let found = match op.id {
        T_LAND | T_LOR | T_LUNLESS => set::eval(op.id, expr.modifier.as_ref(), left, right, grid),
        _ => join::eval(context, expr, op, &left, &right, grid)?,
    };
    context.share.give(held.saturating_sub(found.len() * grid.count));
    Ok(found)
}

/// Evaluates an operation between two numbers.
pub(super) fn numbers(context: &Context, expr: &BinaryExpr, grid: Grid) -> Result<Vec<f64>, QueryError> {
    let op = Operator::of(expr)?;
    let (left, right) = (context.scalar(&expr.lhs, grid)?, context.scalar(&expr.rhs, grid)?);
    if op.is_comparison() && !op.is_bool {
        return Err(QueryError::BadData("comparisons between scalars must use BOOL modifier".to_owned()));
    }
    Ok(left.into_iter().zip(right).map(|(left, right)| op.number(left, right)).collect())
}

/// Streams an operation between a vector and numbers.
pub(super) fn each_with_numbers(
    context: &Context,
    expr: &BinaryExpr,
    grid: Grid,
    sink: &mut Sink<'_>,
) -> Result<(), QueryError> {
    let op = Operator::of(expr)?;
    if matches!(op.id, T_LAND | T_LOR | T_LUNLESS) {
        return Err(QueryError::BadData("set operator not allowed in binary scalar expression".to_owned()));
    }
    let is_left = expr.lhs.value_type() == ValueType::Vector;
    let (vector, numbers): (&Expr, &Expr) = if is_left { (&expr.lhs, &expr.rhs) } else { (&expr.rhs, &expr.lhs) };
    let numbers = context.scalar(numbers, grid)?;
    let mut produce = |sink: &mut Sink<'_>| {
        context.each(vector, grid, &mut |mut series| {
            if is_left {
                series.change_by(&numbers, |value, number| op.keep(value, number, value));
            } else {
                series.change_by(&numbers, |value, number| op.keep(number, value, value));
            }
            sink(series)
        })
    };
    if op.changes_meaning() { context.renamed(vector, sink, &mut produce) } else { produce(sink) }
}

#[derive(Clone, Copy)]
pub(super) struct Operator {
    pub(super) id: TokenId,
    is_bool: bool,
}

impl Operator {
    fn of(expr: &BinaryExpr) -> Result<Self, QueryError> {
        if expr.modifier.as_ref().is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some()) {
            return Err(QueryError::unsupported("fill modifiers"));
        }
        Ok(Self { id: expr.op.id(), is_bool: expr.return_bool() })
    }

    const fn is_comparison(self) -> bool {
        matches!(self.id, T_EQLC | T_NEQ | T_GTR | T_LSS | T_GTE | T_LTE)
    }

    /// Gives the result of arithmetic, or 1 and 0 of a comparison.
    fn number(self, left: f64, right: f64) -> f64 {
        let truth = |is_true: bool| f64::from(u8::from(is_true));
        match self.id {
            T_ADD => left + right,
            T_SUB => left - right,
            T_MUL => left * right,
            T_DIV => left / right,
            T_MOD => left % right,
            T_POW => left.powf(right),
            T_ATAN2 => left.atan2(right),
            T_EQLC => truth(left == right),
            T_NEQ => truth(left != right),
            T_GTR => truth(left > right),
            T_LSS => truth(left < right),
            T_GTE => truth(left >= right),
            T_LTE => truth(left <= right),
            _ => f64::NAN,
        }
    }

    /// Gives the result; a comparison that is no `bool` gives `kept` where it holds and [`ABSENT`] elsewhere.
    fn keep(self, left: f64, right: f64, kept: f64) -> f64 {
        let number = self.number(left, right);
        match self.is_comparison() && !self.is_bool {
            true if number == 0.0 => ABSENT,
            true => kept,
            false => number,
        }
    }

    /// Tells whether the result is no longer what its metric's name says.
    const fn changes_meaning(self) -> bool {
        !self.is_comparison() || self.is_bool
    }
}

//! Binary operators between numbers and vectors.

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW,
    T_SUB, TokenId,
};
use promql_parser::parser::{BinaryExpr, VectorMatchCardinality};
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::{Context, unique, without};
use super::matching::{Matching, included};
use super::value::{Grid, Series, Value};

/// Evaluates a binary operation.
pub(super) fn eval(context: &Context, expr: &BinaryExpr, grid: Grid) -> Result<Value, QueryError> {
    let op = Operator { id: expr.op.id(), is_bool: expr.return_bool() };
    if expr.modifier.as_ref().is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some()) {
        return Err(QueryError::unsupported("fill modifiers"));
    }
    let (left, right) = (context.eval(&expr.lhs, grid)?, context.eval(&expr.rhs, grid)?);
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            if op.is_comparison() && !op.is_bool {
                return Err(QueryError::BadData("comparisons between scalars must use BOOL modifier".to_owned()));
            }
            let values = left.into_iter().zip(right).map(|(left, right)| op.number(left, right));
            Ok(Value::Scalar(values.collect()))
        }
        (Value::Vector(series), Value::Scalar(numbers)) => {
            with_numbers(context, op, series, &numbers, |value, number| op.keep(value, number, value))
                .map(Value::Vector)
        }
        (Value::Scalar(numbers), Value::Vector(series)) => {
            with_numbers(context, op, series, &numbers, |value, number| op.keep(number, value, value))
                .map(Value::Vector)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let matching = Matching::of(expr.modifier.as_ref());
            match op.id {
                T_LAND | T_LOR | T_LUNLESS => Ok(Value::Vector(set(op.id, &matching, left, right, grid))),
                _ => joined(context, expr, op, left, right).map(Value::Vector),
            }
        }
        _ => Err(QueryError::BadData("binary operators need numbers or instant vectors".to_owned())),
    }
}

#[derive(Clone, Copy)]
struct Operator {
    id: TokenId,
    is_bool: bool,
}

impl Operator {
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

    /// Gives the result; a comparison that is no `bool` gives `kept` where it holds and nothing elsewhere.
    fn keep(self, left: f64, right: f64, kept: f64) -> Option<f64> {
        let number = self.number(left, right);
        if self.is_comparison() && !self.is_bool { (number != 0.0).then_some(kept) } else { Some(number) }
    }

    /// Tells whether the result is no longer what its metric's name says.
    const fn changes_meaning(self) -> bool {
        !self.is_comparison() || self.is_bool
    }
}

fn with_numbers(
    context: &Context,
    op: Operator,
    mut series: Vec<Series>,
    numbers: &[f64],
    result: impl Fn(f64, f64) -> Option<f64>,
) -> Result<Vec<Series>, QueryError> {
    if matches!(op.id, T_LAND | T_LOR | T_LUNLESS) {
        return Err(QueryError::BadData("set operator not allowed in binary scalar expression".to_owned()));
    }
    for one in &mut series {
        for (value, &number) in one.values.iter_mut().zip(numbers) {
            *value = value.and_then(|value| result(value, number));
        }
    }
    series.retain(|one| !one.is_empty());
    if op.changes_meaning() { context.unnamed(series) } else { Ok(series) }
}

/// `and`, `or`, `unless`: by which signatures are on the other side at a step.
fn set(op: TokenId, matching: &Matching<'_>, mut left: Vec<Series>, mut right: Vec<Series>, grid: Grid) -> Vec<Series> {
    let present = |series: &[Series]| -> HashMap<Labels, Vec<bool>> {
        let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
        for one in series {
            let steps = present.entry(matching.signature(&one.labels)).or_insert_with(|| vec![false; grid.count]);
            steps.iter_mut().zip(&one.values).for_each(|(step, value)| *step |= value.is_some());
        }
        present
    };
    let keep = |series: &mut Vec<Series>, others: &HashMap<Labels, Vec<bool>>, if_present: &dyn Fn(bool) -> bool| {
        for one in series.iter_mut() {
            let steps = others.get(&matching.signature(&one.labels));
            for (step, value) in one.values.iter_mut().enumerate() {
                if !if_present(steps.is_some_and(|steps| steps[step])) {
                    *value = None;
                }
            }
        }
        series.retain(|one| !one.is_empty());
    };
    match op {
        T_LAND => keep(&mut left, &present(&right), &|is_there| is_there),
        T_LUNLESS => keep(&mut left, &present(&right), &|is_there| !is_there),
        _ => {
            keep(&mut right, &present(&left), &|is_there| !is_there);
            left.append(&mut right);
        }
    }
    left
}

/// Arithmetic and comparisons between two vectors.
fn joined(
    context: &Context,
    expr: &BinaryExpr,
    op: Operator,
    left: Vec<Series>,
    right: Vec<Series>,
) -> Result<Vec<Series>, QueryError> {
    let matching = Matching::of(expr.modifier.as_ref());
    let card = expr.modifier.as_ref().map_or(&VectorMatchCardinality::OneToOne, |modifier| &modifier.card);
    let is_swapped = matches!(card, VectorMatchCardinality::OneToMany(_));
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let is_one_to_one = matches!(card, VectorMatchCardinality::OneToOne);
    let names = card.labels().map_or(&[][..], |labels| labels.labels.as_slice());

    let mut by_signature: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (at, series) in one.iter().enumerate() {
        by_signature.entry(matching.signature(&series.labels)).or_default().push(at);
    }
    let side = if is_swapped { "left" } else { "right" };
    let steps = many.first().map_or(0, |series| series.values.len());
    let mut taken: HashMap<Labels, Vec<bool>> = HashMap::new();
    let mut found = Vec::new();
    for series in &many {
        context.check()?;
        let signature = matching.signature(&series.labels);
        let Some(partners) = by_signature.get(&signature) else { continue };
        let taken = taken.entry(signature.clone()).or_insert_with(|| vec![false; steps]);
        for &partner in partners {
            context.charge(steps)?;
            let mut values = vec![None; steps];
            for step in 0..steps {
                let (Some(a), Some(b)) = (series.values[step], one[partner].values[step]) else { continue };
                if partners.iter().any(|&other| other != partner && one[other].values[step].is_some()) {
                    return Err(many_to_many(&signature, side));
                }
                // Also where the comparison then gives nothing: the error is of the match, not of the values.
                if is_one_to_one && std::mem::replace(&mut taken[step], true) {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                            .to_owned(),
                    ));
                }
                values[step] = if is_swapped { op.keep(b, a, a) } else { op.keep(a, b, a) };
            }
            found.push(result(op, &matching, card, series, &one[partner], names, values));
        }
    }
    found.retain(|series| !series.is_empty());
    if op.changes_meaning() {
        found = context.unnamed(found)?;
    }
    unique(found).map_err(|_| {
        QueryError::Execution("multiple matches for labels: grouping labels must ensure unique matches".to_owned())
    })
}

fn many_to_many(signature: &Labels, side: &str) -> QueryError {
    QueryError::Execution(format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation;\
         many-to-many matching not allowed: matching labels must be unique on one side",
        crate::store::outcome::describe(signature)
    ))
}

fn result(
    op: Operator,
    matching: &Matching<'_>,
    card: &VectorMatchCardinality,
    many: &Series,
    one: &Series,
    names: &[String],
    values: Vec<Option<f64>>,
) -> Series {
    let mut labels = many.labels.clone();
    let mut drop_name = many.drop_name;
    if matches!(card, VectorMatchCardinality::OneToOne) {
        labels = matching.result(&labels);
        if labels.get(METRIC_NAME).is_none() {
            drop_name = false;
        }
    }
    if op.changes_meaning() {
        // Names never decide whether two results are the same.
        labels = without(&labels, &[METRIC_NAME]);
    }
    labels = included(&labels, &one.labels, names);
    Series { labels, drop_name, values }
}

//! Arithmetic and comparisons between two vectors: series are paired once, then computed step by step.

use std::collections::HashMap;

use promql_parser::parser::{BinaryExpr, VectorMatchCardinality};
use wattle_contract::{Labels, METRIC_NAME};

use super::super::QueryError;
use super::super::eval::Context;
use super::super::matching::{Matching, included};
use super::super::series::{unique, without};
use super::super::value::{ABSENT, Grid, Series, is_absent};
use super::Operator;
use crate::store::outcome::describe;

/// How two sides are joined.
struct Join<'a> {
    op: Operator,
    matching: Matching<'a>,
    is_one_to_one: bool,
    /// The many side is on the right.
    is_swapped: bool,
    /// Labels that the many side takes from the one side.
    names: &'a [String],
}

/// Series of both sides with the same signature.
#[derive(Default)]
struct Pair {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Evaluates an operation between two vectors.
pub(super) fn eval(
    context: &Context,
    expr: &BinaryExpr,
    op: Operator,
    left: &[Series],
    right: &[Series],
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    let card = expr.modifier.as_ref().map_or(&VectorMatchCardinality::OneToOne, |modifier| &modifier.card);
    let join = Join {
        op,
        matching: Matching::of(expr.modifier.as_ref()),
        is_one_to_one: matches!(card, VectorMatchCardinality::OneToOne),
        is_swapped: matches!(card, VectorMatchCardinality::OneToMany(_)),
        names: card.labels().map_or(&[][..], |labels| labels.labels.as_slice()),
    };
    let (many, one) = if join.is_swapped { (right, left) } else { (left, right) };
    let mut found = Vec::new();
    for (signature, pair) in join.pairs(many, one) {
        context.check()?;
        if pair.one.len() > 1 {
            join.refuse_two(&signature, &pair, one, &any(many, grid))?;
        }
        if join.is_one_to_one && pair.many.len() > 1 {
            join.refuse_many(&pair, many, one, grid)?;
        }
        for &a in &pair.many {
            for &b in &pair.one {
                context.share.take(grid.count)?;
                let values = join.values(&many[a], &one[b]);
                found.push(join.result(&many[a], &one[b], values));
            }
        }
    }
    found.retain(|series| !series.is_empty());
    if op.changes_meaning() {
        found = context.unnamed(found).map_err(|_| ambiguous())?;
    }
    unique(found).map_err(|_| ambiguous())
}

fn ambiguous() -> QueryError {
    QueryError::Execution("multiple matches for labels: grouping labels must ensure unique matches".to_owned())
}

/// Tells at which steps a side has anything.
fn any(series: &[Series], grid: Grid) -> Vec<bool> {
    let mut any = vec![false; grid.count];
    for one in series {
        any.iter_mut().zip(&one.values).for_each(|(any, &value)| *any |= !is_absent(value));
    }
    any
}

impl Join<'_> {
    /// Groups both sides by signature, in the order the many side has them.
    fn pairs(&self, many: &[Series], one: &[Series]) -> Vec<(Labels, Pair)> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut pairs: Vec<(Labels, Pair)> = Vec::new();
        let mut of = |labels: &Labels, pairs: &mut Vec<(Labels, Pair)>| {
            *places.entry(self.matching.signature(labels)).or_insert_with_key(|signature| {
                pairs.push((signature.clone(), Pair::default()));
                pairs.len() - 1
            })
        };
        for (at, series) in many.iter().enumerate() {
            let pair = of(&series.labels, &mut pairs);
            pairs[pair].1.many.push(at);
        }
        for (at, series) in one.iter().enumerate() {
            let pair = of(&series.labels, &mut pairs);
            pairs[pair].1.one.push(at);
        }
        pairs
    }

    /// Refuses two series of the one side with values at a step where the other side has any.
    fn refuse_two(&self, group: &Labels, pair: &Pair, one: &[Series], others: &[bool]) -> Result<(), QueryError> {
        for (step, _) in others.iter().enumerate().filter(|(_, is_there)| **is_there) {
            let mut there = pair.one.iter().filter(|&&at| !is_absent(one[at].values[step]));
            let (Some(&first), Some(&second)) = (there.next(), there.next()) else { continue };
            let side = if self.is_swapped { "left" } else { "right" };
            return Err(QueryError::Execution(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                describe(group),
                describe(&one[second].labels),
                describe(&one[first].labels),
            )));
        }
        Ok(())
    }

    /// Refuses two series of the many side with results at a step, where each may have one.
    fn refuse_many(&self, pair: &Pair, many: &[Series], one: &[Series], grid: Grid) -> Result<(), QueryError> {
        for step in 0..grid.count {
            if pair.one.iter().all(|&at| is_absent(one[at].values[step])) {
                continue;
            }
            if pair.many.iter().filter(|&&at| !is_absent(many[at].values[step])).count() > 1 {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(QueryError::Execution(message.to_owned()));
            }
        }
        Ok(())
    }

    fn values(&self, many: &Series, one: &Series) -> Vec<f64> {
        let at_step = |(&a, &b): (&f64, &f64)| {
            if is_absent(a) || is_absent(b) {
                ABSENT
            } else if self.is_swapped {
                self.op.keep(b, a, b)
            } else {
                self.op.keep(a, b, a)
            }
        };
        many.values.iter().zip(&one.values).map(at_step).collect()
    }

    fn result(&self, many: &Series, one: &Series, values: Vec<f64>) -> Series {
        let mut labels = many.labels.clone();
        let mut drop_name = many.drop_name;
        if self.is_one_to_one {
            labels = self.matching.result(&labels);
            if labels.get(METRIC_NAME).is_none() {
                drop_name = false;
            }
        }
        if self.op.changes_meaning() {
            // Names never decide whether two results are the same.
            labels = without(&labels, &[METRIC_NAME]);
        }
        if !self.names.is_empty() {
            labels = included(&labels, &one.labels, self.names);
        }
        Series { labels, drop_name, values }
    }
}

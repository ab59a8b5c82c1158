//! `and`, `or`, `unless`: by which signatures are on the other side at a step.

use std::collections::HashMap;

use promql_parser::parser::BinModifier;
use promql_parser::parser::token::{T_LAND, T_LUNLESS, TokenId};
use wattle_contract::Labels;

use super::super::matching::Matching;
use super::super::value::{ABSENT, Grid, Series, is_absent};

/// Evaluates a set operation.
pub(super) fn eval(
    op: TokenId,
    modifier: Option<&BinModifier>,
    mut left: Vec<Series>,
    mut right: Vec<Series>,
    grid: Grid,
) -> Vec<Series> {
    let matching = Matching::of(modifier);
    match op {
        T_LAND => keep(&matching, &mut left, &present(&matching, &right, grid), false),
        T_LUNLESS => keep(&matching, &mut left, &present(&matching, &right, grid), true),
        _ => {
            keep(&matching, &mut right, &present(&matching, &left, grid), true);
            left.append(&mut right);
        }
    }
    left
}

type Present = HashMap<Labels, Vec<bool>>;

fn present(matching: &Matching<'_>, series: &[Series], grid: Grid) -> Present {
    let mut present = Present::new();
    for one in series {
        let steps = present.entry(matching.signature(&one.labels)).or_insert_with(|| vec![false; grid.count]);
        steps.iter_mut().zip(&one.values).for_each(|(step, &value)| *step |= !is_absent(value));
    }
    present
}

/// Keeps values at steps where the other side is there, or where it is not.
fn keep(matching: &Matching<'_>, series: &mut Vec<Series>, others: &Present, is_inverted: bool) {
    for one in series.iter_mut() {
        match others.get(&matching.signature(&one.labels)) {
            Some(steps) => {
                let gone = one.values.iter_mut().zip(steps).filter(|(_, is_there)| **is_there == is_inverted);
                gone.for_each(|(value, _)| *value = ABSENT);
            }
            None if is_inverted => {}
            None => one.values.clear(),
        }
    }
    series.retain(|one| !one.is_empty());
}

//! Aggregations that look at single values: the best of a group, and how often a value is there.

use std::collections::BTreeMap;

use promql_parser::parser::{Expr, LabelModifier};
use wattle_contract::Labels;

use super::super::QueryError;
use super::super::eval::Context;
use super::super::value::{ABSENT, Grid, Series, is_absent};
use super::{By, Groups};

/// Keeps the `k` largest or smallest of each group at each step.
pub(super) fn best(
    context: &Context,
    k: &[f64],
    vector: &Expr,
    modifier: Option<&LabelModifier>,
    grid: Grid,
    is_top: bool,
) -> Result<Vec<Series>, QueryError> {
    let wanted: Vec<usize> = k.iter().map(|&k| whole(k)).collect::<Result<_, _>>()?;
    if wanted.iter().all(|&k| k == 0) {
        return Ok(Vec::new());
    }
    let mut groups: Groups<Vec<Series>> = Groups::new(modifier);
    context.each(vector, grid, &mut |series| {
        context.share.take(grid.count)?;
        groups.of(&series).0.push(series);
        Ok(())
    })?;
    let mut found = Vec::new();
    for (_, _, mut members) in groups.list {
        context.check()?;
        let mut order = Vec::new();
        for (step, &k) in wanted.iter().enumerate() {
            order.clear();
            let there = members.iter().enumerate().map(|(at, member)| (at, member.values[step]));
            order.extend(there.filter(|(_, value)| !is_absent(*value)));
            if order.len() > k {
                order.sort_by(|a, b| rank(a.1, b.1, is_top));
                order.iter().skip(k).for_each(|&(at, _)| members[at].values[step] = ABSENT);
            }
        }
        members.retain(|member| !member.is_empty());
        if grid.count == 1 {
            members.sort_by(|a, b| rank(a.values[0], b.values[0], is_top));
        }
        found.extend(members);
    }
    Ok(found)
}

/// Gives how many to keep.
fn whole(k: f64) -> Result<usize, QueryError> {
    if k.is_nan() {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    /// Two to the power of 63.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if k.abs() >= LIMIT {
        return Err(QueryError::Execution(format!("Scalar value {k} overflows int64")));
    }
    Ok(if k >= 1.0 { k as usize } else { 0 })
}

/// Orders values best first; NaN is last.
fn rank(a: f64, b: f64, is_top: bool) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        _ if is_top => b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal),
        _ => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
    }
}

/// Counts how often each value is in a group.
pub(super) fn count_values(
    context: &Context,
    label: &str,
    vector: &Expr,
    modifier: Option<&LabelModifier>,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    if label.is_empty() {
        return Err(QueryError::Execution("invalid label name \"\"".to_owned()));
    }
    let mut found: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    // The label is set before groups are made: `without` takes it away again.
    let is_left_out =
        matches!(modifier, Some(LabelModifier::Exclude(names)) if names.labels.iter().any(|n| n == label));
    let by = By::of(modifier);
    context.each(vector, grid, &mut |series| {
        let group: Vec<_> = by.pairs(&series.labels).filter(|(name, _)| name.as_ref() != label).collect();
        for (step, &value) in series.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            let counted =
                (!is_left_out).then(|| (label.into(), crate::query::prometheus_api::plain_number(value).into()));
            let labels = Labels::new(group.iter().copied().cloned().chain(counted));
            if !found.contains_key(&labels) {
                context.share.take(grid.count)?;
            }
            let counts = found.entry(labels).or_insert_with(|| vec![ABSENT; grid.count]);
            counts[step] = if is_absent(counts[step]) { 1.0 } else { counts[step] + 1.0 };
        }
        Ok(())
    })?;
    Ok(found.into_iter().map(|(labels, values)| Series::new(labels, values)).collect())
}

//! Aggregations: many series to one a group.

use std::collections::{BTreeMap, HashMap};

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::{Context, unwrap_parens};
use super::statistics::{mean, quantile, sum, variance};
use super::value::{Grid, Series};

/// Evaluates an aggregation.
pub(super) fn eval(context: &Context, expr: &AggregateExpr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let op = expr.op.id();
    let parameter =
        |needed: &str| expr.param.as_deref().ok_or_else(|| QueryError::BadData(format!("{needed} needs a parameter")));
    match op {
        T_TOPK | T_BOTTOMK => {
            let k = context.scalar(parameter("topk")?, grid)?;
            let series = context.vector(&expr.expr, grid)?;
            select(context, &k, series, expr.modifier.as_ref(), op == T_TOPK)
        }
        T_COUNT_VALUES => {
            let Expr::StringLiteral(label) = unwrap_parens(parameter("count_values")?) else {
                return Err(QueryError::BadData("count_values needs a label name in quotes".to_owned()));
            };
            count_values(context, &label.val, context.vector(&expr.expr, grid)?, expr.modifier.as_ref(), grid)
        }
        T_QUANTILE => {
            let q = context.scalar(parameter("quantile")?, grid)?;
            let series = context.vector(&expr.expr, grid)?;
            reduce(context, series, expr.modifier.as_ref(), grid, |step, values| quantile(q[step], values.to_vec()))
        }
        _ => {
            let function: fn(&[f64]) -> f64 = match op {
                T_SUM => |values| sum(values.iter().copied()),
                T_AVG => |values| mean(values.iter().copied()).unwrap_or(f64::NAN),
                T_MIN => |values| pick(values, |a, b| b < a),
                T_MAX => |values| pick(values, |a, b| b > a),
                T_COUNT => |values| values.len() as f64,
                T_GROUP => |_| 1.0,
                T_STDVAR => |values| variance(values.iter().copied()).unwrap_or(f64::NAN),
                T_STDDEV => |values| variance(values.iter().copied()).map_or(f64::NAN, f64::sqrt),
                _ => return Err(QueryError::unsupported("this aggregation")),
            };
            let series = context.vector(&expr.expr, grid)?;
            reduce(context, series, expr.modifier.as_ref(), grid, |_, values| function(values))
        }
    }
}

fn pick(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().reduce(|a, b| if beats(a, b) || a.is_nan() { b } else { a }).unwrap_or(f64::NAN)
}

/// Gives the labels of the group that a series belongs to, and whether its name is one that is to go.
fn group_of(series: &Series, modifier: Option<&LabelModifier>) -> (Labels, bool) {
    let keep = |wanted: &dyn Fn(&str) -> bool| -> Labels {
        Labels::new(series.labels.pairs().iter().filter(|(name, _)| wanted(name)).cloned())
    };
    match modifier {
        None => (Labels::default(), false),
        Some(LabelModifier::Include(names)) => {
            let has_name = names.labels.iter().any(|name| name == METRIC_NAME);
            (keep(&|name| names.labels.iter().any(|other| other == name)), has_name && series.drop_name)
        }
        Some(LabelModifier::Exclude(names)) => {
            (keep(&|name| name != METRIC_NAME && !names.labels.iter().any(|other| other == name)), false)
        }
    }
}

/// Splits series into groups, in the order the groups appear.
fn groups(series: Vec<Series>, modifier: Option<&LabelModifier>) -> Vec<(Labels, bool, Vec<Series>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, bool, Vec<Series>)> = Vec::new();
    for one in series {
        let (labels, drop_name) = group_of(&one, modifier);
        let at = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push((labels, drop_name, Vec::new()));
            groups.len() - 1
        });
        groups[at].1 |= drop_name;
        groups[at].2.push(one);
    }
    groups
}

fn reduce(
    context: &Context,
    series: Vec<Series>,
    modifier: Option<&LabelModifier>,
    grid: Grid,
    function: impl Fn(usize, &[f64]) -> f64,
) -> Result<Vec<Series>, QueryError> {
    let mut found = Vec::new();
    let mut values = Vec::new();
    for (labels, drop_name, members) in groups(series, modifier) {
        context.check()?;
        context.charge(grid.count)?;
        let mut at_step = |step: usize| {
            values.clear();
            values.extend(members.iter().filter_map(|member| member.values[step]));
            (!values.is_empty()).then(|| function(step, &values))
        };
        let values = (0..grid.count).map(&mut at_step).collect();
        found.push(Series { labels, drop_name, values });
    }
    Ok(found)
}

/// Keeps the `k` largest or smallest of each group at each step.
fn select(
    context: &Context,
    k: &[f64],
    series: Vec<Series>,
    modifier: Option<&LabelModifier>,
    is_top: bool,
) -> Result<Vec<Series>, QueryError> {
    let mut found = Vec::new();
    for (_, _, mut members) in groups(series, modifier) {
        context.check()?;
        let mut order = Vec::new();
        for (step, &k) in k.iter().enumerate() {
            let Some(k) = whole(k)? else { continue };
            order.clear();
            order.extend(members.iter().enumerate().filter_map(|(at, member)| member.values[step].map(|v| (at, v))));
            order.sort_by(|a, b| rank(a.1, b.1, is_top));
            for &(at, _) in order.iter().skip(k) {
                members[at].values[step] = None;
            }
        }
        if k.len() == 1 {
            members.retain(|member| !member.is_empty());
            members.sort_by(|a, b| rank(a.values[0].unwrap_or(f64::NAN), b.values[0].unwrap_or(f64::NAN), is_top));
        }
        found.extend(members);
    }
    for (step, &k) in k.iter().enumerate() {
        if whole(k)?.is_none() {
            found.iter_mut().for_each(|series| series.values[step] = None);
        }
    }
    found.retain(|series| !series.is_empty());
    Ok(found)
}

/// Gives how many to keep; `None` for fewer than one.
fn whole(k: f64) -> Result<Option<usize>, QueryError> {
    if k.is_nan() {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    /// Two to the power of 63.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if k.abs() >= LIMIT {
        return Err(QueryError::Execution(format!("Scalar value {k} overflows int64")));
    }
    Ok((k >= 1.0).then_some(k as usize))
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

fn count_values(
    context: &Context,
    label: &str,
    series: Vec<Series>,
    modifier: Option<&LabelModifier>,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    let mut found: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for one in series {
        context.check()?;
        let (labels, _) = group_of(&one, modifier);
        for (step, value) in one.values.iter().enumerate().filter_map(|(step, value)| value.map(|value| (step, value)))
        {
            let kept = labels.pairs().iter().filter(|(name, _)| name.as_ref() != label);
            let mut pairs: Vec<(String, String)> =
                kept.map(|(n, v)| (n.as_ref().to_owned(), v.as_ref().to_owned())).collect();
            pairs.push((label.to_owned(), crate::query::prometheus_api::number(value)));
            let values = found.entry(Labels::new(pairs)).or_insert_with(|| vec![None; grid.count]);
            *values[step].get_or_insert(0.0) += 1.0;
        }
    }
    context.charge(found.len().saturating_mul(grid.count))?;
    Ok(found.into_iter().map(|(labels, values)| Series::new(labels, values)).collect())
}

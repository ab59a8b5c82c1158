//! Functions of labels: `label_replace`, `label_join`, and the labels that `absent` can know.

use std::collections::BTreeMap;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr};
use regex::Regex;
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::{Context, text, unwrap_parens};
use super::series::unique;
use super::value::{ABSENT, Grid, Series, is_absent};

/// Sets a label; an empty value takes it away.
pub(super) fn set(series: &mut Series, name: &str, value: String) {
    let others = series.labels.iter().filter(|(other, _)| *other != name);
    let mut pairs: Vec<(String, String)> = others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.push((name.to_owned(), value));
    series.labels = Labels::new(pairs);
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}

fn check_name(name: &str, function: &str) -> Result<(), QueryError> {
    // Prometheus 3 takes any UTF-8 name but the empty one.
    if name.is_empty() {
        return Err(QueryError::Execution(format!("invalid destination label name in {function}(): {name}")));
    }
    Ok(())
}

/// Evaluates `label_replace(v, dst, replacement, src, regex)`.
pub(super) fn replace(context: &Context, call: &Call, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let [vector, to, replacement, from, pattern] = call.args.args.as_slice() else {
        return Err(QueryError::BadData("label_replace() takes 5 arguments".to_owned()));
    };
    let (to, replacement, from, pattern) = (text(to)?, text(replacement)?, text(from)?, text(pattern)?);
    super::patterns::check(pattern)?;
    let regex = Regex::new(&format!("^(?s:{pattern})$"))
        .map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    check_name(to, "label_replace")?;
    let mut series = context.vector(vector, grid)?;
    for one in &mut series {
        let source = one.labels.get(from).unwrap_or("").to_owned();
        if let Some(found) = regex.captures(&source) {
            let mut value = String::new();
            found.expand(replacement, &mut value);
            set(one, to, value);
        }
    }
    unique(series)
}

/// Evaluates `label_join(v, dst, separator, src…)`.
pub(super) fn join(context: &Context, call: &Call, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let [vector, to, separator, sources @ ..] = call.args.args.as_slice() else {
        return Err(QueryError::BadData("label_join() takes at least 3 arguments".to_owned()));
    };
    let (to, separator) = (text(to)?, text(separator)?);
    check_name(to, "label_join")?;
    let sources: Vec<&str> = sources.iter().map(|source| text(source)).collect::<Result<_, _>>()?;
    let mut series = context.vector(vector, grid)?;
    for one in &mut series {
        let values: Vec<&str> = sources.iter().map(|source| one.labels.get(source).unwrap_or("")).collect();
        let value = values.join(separator);
        set(one, to, value);
    }
    unique(series)
}

/// Evaluates `absent`.
pub(super) fn absent(context: &Context, arg: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let mut values = vec![1.0; grid.count];
    context.each(arg, grid, &mut |series| {
        let there = values.iter_mut().zip(&series.values).filter(|(_, there)| !is_absent(**there));
        there.for_each(|(value, _)| *value = ABSENT);
        Ok(())
    })?;
    Ok(vec![Series::new(of_matchers(arg), values)])
}

/// Gives the labels that a selector asks to be equal to one value, but for the name.
pub(super) fn of_matchers(expr: &Expr) -> Labels {
    let matchers = match unwrap_parens(expr) {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector(matrix) => &matrix.vs.matchers,
        _ => return Labels::default(),
    };
    let mut wanted: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in matchers.matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        let is_first = !wanted.contains_key(matcher.name.as_str());
        let value = (matches!(matcher.op, MatchOp::Equal) && is_first).then_some(matcher.value.as_str());
        wanted.insert(&matcher.name, value);
    }
    Labels::new(wanted.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))))
}
